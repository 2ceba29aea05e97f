package record

import (
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"time"
)

// codec visits the fields of a typed record in the order of the schema, to write
// them, to check them or to fill them from a row. Each record lists its fields once,
// in its method fields.
type codec struct {
	mode   mode
	strict bool // the rules of the fields are checked
	schema *Schema
	at     int    // position of the next field
	dst    []byte // encoding: the result; checking: scratch
	member bool   // dst has a member already
	row    *Row   // decoding
	err    error  // the first one; nothing is done after it
	absent *Field // checking: the first required text that is empty

	found pathList // encoding: numbers that are not finite; decoding: those of the row
	kept  pathList // paths of Extra's own non_finite
	path  []byte   // of the value in an any that is being written
	keys  []string // of the maps that are being written, innermost last
	pairs []pair   // of the map of numbers that is being written
	buf   []byte   // scratch for checking

	members map[string]json.RawMessage // decoding: the row's Extra
}

type mode uint8

const (
	toEncode mode = iota
	toCheck
	toDecode
)

var codecs = sync.Pool{New: func() any { return new(codec) }}

func newCodec(m mode, k Kind) *codec {
	c := codecs.Get().(*codec)
	c.mode, c.schema = m, schemas[k]
	c.strict = m == toCheck
	c.at, c.member, c.err, c.absent = 0, false, nil, nil
	return c
}

func (c *codec) release() {
	c.dst, c.row, c.err, c.members = nil, nil, nil, nil
	c.found.reset()
	c.kept.reset()
	c.path = c.path[:0]
	clear(c.keys[:cap(c.keys)])
	c.keys = c.keys[:0]
	clear(c.pairs[:cap(c.pairs)])
	c.pairs = c.pairs[:0]
	codecs.Put(c)
}

func encode(dst []byte, r Record) ([]byte, error) { return write(dst, r, false) }

// AppendChecked is Check and, if the record passes, AppendJSON, in one pass. With an
// error it returns dst as it was.
func AppendChecked(dst []byte, r Record) ([]byte, error) { return write(dst, r, true) }

func write(dst []byte, r Record, strict bool) ([]byte, error) {
	c := newCodec(toEncode, r.Kind())
	c.strict = strict
	c.dst = append(dst, '{')
	r.fields(c)
	if f := c.absent; f != nil {
		c.refuse(f.Name, "missing", f.Rule())
	}
	out, err := append(c.dst, '}'), c.err
	c.release()
	if err != nil {
		return dst, err
	}
	return out, nil
}

func check(r Record) error {
	c := newCodec(toCheck, r.Kind())
	c.dst = c.buf[:0]
	r.fields(c)
	if f := c.absent; f != nil {
		c.refuse(f.Name, "missing", f.Rule())
	}
	err := c.err
	c.buf = c.dst
	c.release()
	return err
}

// next returns the field that is visited, nil when it is not to be.
func (c *codec) next() *Field {
	if c.err != nil {
		return nil
	}
	c.at++
	return &c.schema.Fields[c.at-1]
}

// value returns the row's value of the visited field.
func (c *codec) value() Value { return c.row.Values[c.at-1] }

func (c *codec) name(name string) {
	if c.member {
		c.dst = append(c.dst, ',')
	}
	c.member = true
	c.dst = appendName(c.dst, name)
}

func (c *codec) refuse(field, value, rule string) {
	if c.err == nil {
		c.err = &FieldError{Kind: c.schema.Kind, Field: field, Value: value, Rule: rule}
	}
}

func (c *codec) requiredInt(v *int) {
	f := c.next()
	if f == nil {
		return
	}
	if c.mode == toDecode {
		*v = int(c.value().Int())
		return
	}
	c.writeInt(f, *v)
}

func (c *codec) int(v **int) {
	f := c.next()
	if f == nil {
		return
	}
	if c.mode == toDecode {
		*v = nil
		if !c.value().IsNull() {
			*v = new(int(c.value().Int()))
		}
		return
	}
	if *v != nil {
		c.writeInt(f, **v)
	}
}

func (c *codec) writeInt(f *Field, v int) {
	if c.strict && !f.allowsInt(int64(v)) {
		c.refuse(f.Name, strconv.Itoa(v), f.Rule())
		return
	}
	if c.mode == toCheck {
		return
	}
	c.name(f.Name)
	c.dst = strconv.AppendInt(c.dst, int64(v), 10)
}

func (c *codec) requiredFloat(v *float64) {
	f := c.next()
	if f == nil {
		return
	}
	if c.mode == toDecode {
		*v = math.NaN() // required and null: listed in non_finite
		if !c.value().IsNull() {
			*v = c.value().Float()
		}
		return
	}
	c.writeFloat(f, *v)
}

func (c *codec) float(v **float64) {
	f := c.next()
	if f == nil {
		return
	}
	if c.mode == toDecode {
		*v = nil
		switch {
		case !c.value().IsNull():
			*v = new(c.value().Float())
		case c.wasNonFinite(f):
			*v = new(math.NaN())
		}
		return
	}
	if *v != nil {
		c.writeFloat(f, **v)
	}
}

func (c *codec) writeFloat(f *Field, v float64) {
	if c.strict && !f.allowsFloat(v) {
		c.refuse(f.Name, string(appendFloat(nil, v, 64)), f.Rule())
		return
	}
	if c.mode == toCheck {
		return
	}
	c.name(f.Name)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		c.found.addKey(f.Name)
		c.dst = appendNonFinite(c.dst, v)
		return
	}
	c.dst = appendFloat(c.dst, v, 64)
}

// appendNonFinite appends NaN or an infinity as a text.
func appendNonFinite(dst []byte, v float64) []byte {
	switch {
	case v > 0:
		return append(dst, `"Infinity"`...)
	case v < 0:
		return append(dst, `"-Infinity"`...)
	}
	return append(dst, `"NaN"`...)
}

// text is a text that is left out when it is empty.
func (c *codec) text(v *string) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = string(c.value().Bytes())
	case *v != "":
		c.writeText(f, *v)
	case c.strict && f.Required:
		if c.absent == nil {
			c.absent = f // said last, as Parse does
		}
	}
}

// optionalText is a text that is left out when it is nil.
func (c *codec) optionalText(v **string) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = nil
		if !c.value().IsNull() {
			*v = new(string(c.value().Bytes()))
		}
	case *v != nil:
		c.writeText(f, **v)
	}
}

func (c *codec) writeText(f *Field, v string) {
	if c.strict {
		rule := textRule(v)
		if rule == "" && !f.allowsText([]byte(v)) {
			rule = f.Rule()
		}
		if rule != "" {
			c.refuse(f.Name, shorten(appendText(nil, v)), rule)
			return
		}
	}
	if c.mode == toEncode {
		c.name(f.Name)
		c.dst = appendText(c.dst, v)
	}
}

func (c *codec) uuid(v *string) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = string(c.value().Bytes())
	case *v == "":
	case c.strict && textRule(*v) != "":
		c.refuse(f.Name, shorten(appendText(nil, *v)), textRule(*v))
	case c.strict && !isUUID([]byte(*v)):
		c.refuse(f.Name, shorten(appendText(nil, *v)), f.Rule())
	case c.mode == toEncode:
		c.name(f.Name)
		c.dst = appendText(c.dst, *v)
	}
}

func (c *codec) time(v *time.Time) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = time.Time{}
		if !c.value().IsNull() {
			*v = c.value().Time()
		}
	case v.IsZero():
	case c.strict && !f.allowsTime(*v):
		c.refuse(f.Name, v.UTC().String(), f.Rule())
	case c.mode == toEncode:
		c.name(f.Name)
		c.dst = append(c.dst, '"')
		c.dst = v.UTC().Truncate(time.Microsecond).AppendFormat(c.dst, time.RFC3339Nano)
		c.dst = append(c.dst, '"')
	}
}

func (c *codec) vector(v *[]float32) {
	f := c.next()
	if f == nil || c.mode == toCheck {
		return
	}
	if c.mode == toDecode {
		*v = nil
		if value := c.value(); !value.IsNull() {
			*v = make([]float32, value.Len())
			for i := range *v {
				(*v)[i] = value.At(i)
			}
		}
		return
	}
	if *v == nil {
		return
	}
	c.name(f.Name)
	dst := append(c.dst, '[')
	for i, x := range *v {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case math.Float32bits(x) == 0: // most of many states
			dst = append(dst, '0')
		case x-x != 0: // NaN or infinite
			c.found.addElement(f.Name, i)
			dst = appendNonFinite(dst, float64(x))
		default:
			dst = appendFloat(dst, float64(x), 32)
		}
	}
	c.dst = append(dst, ']')
}
