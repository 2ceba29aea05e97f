package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"
)

// ParseOptions change how a record is read. The zero value is what Parse uses.
type ParseOptions struct {
	// Zone is where times without a zone were written. Defaults to UTC.
	Zone *time.Location
}

// Parse reads a record in its JSON form and checks it against the schema of its
// kind. The row keeps slices of data, so the caller must not change data while the
// row is used. Parse reuses the memory of into when it is not nil; into is then
// not to be used any more.
//
//   - Unknown fields go to Extra as they were written.
//   - NaN, Infinity and -Infinity, written bare as Python does, become null and
//     their paths go to Extra's non_finite. So do the texts "NaN", "Infinity" and
//     "-Infinity" (also "nan", "inf" and "-inf") where a number is expected, and
//     anywhere else when the record's own non_finite lists their path. Elements of
//     a vector that single precision cannot hold count as infinite.
//   - A required number may be null when non_finite lists it; the fields of the
//     key may not.
//   - Integers may be written as 3, 3.0 or 3e0; numbers as texts are refused.
//   - Times are RFC 3339, or the same without a zone.
//   - A null is a field left out. A field that stands there twice is refused.
//   - Refused is what PostgreSQL or SQLite cannot hold: text that is not UTF-8, the
//     character U+0000, half a surrogate pair, numbers beyond double precision,
//     nesting deeper than 500 levels.
//
// The error is a *FieldError when a field breaks a rule, or a plain error when data
// is not one JSON object or the kind is unknown.
func Parse(kind Kind, data []byte, into *Row) (Row, error) {
	return ParseOptions{}.Parse(kind, data, into)
}

// Parse is the function Parse with options.
func (o ParseOptions) Parse(kind Kind, data []byte, into *Row) (Row, error) {
	schema := schemas[kind]
	if schema == nil {
		return Row{}, fmt.Errorf("unknown kind of record %q", kind)
	}
	p := parsers.Get().(*parser)
	if into != nil {
		p.row = *into
	}
	p.reset(schema, data, o.Zone)
	err := p.record()
	row := p.row
	p.release()
	if err != nil {
		return Row{}, err
	}
	return row, nil
}

// parser is the state of one call of Parse.
type parser struct {
	scanner
	schema *Schema
	row    Row
	zone   *time.Location

	unknown []member            // fields without a column, in their order
	listed  pathList            // the record's own non_finite
	found   pathList            // numbers that became null
	path    []byte              // of the value that is being looked at
	seen    uint64              // known fields that were there, by position
	list    int                 // offset of the record's own non_finite, 0 where there is none
	keys    map[string]struct{} // names of unknown, once there are many
}

// member is a field without a column. The value is in data unless it had to be
// written anew.
type member struct {
	key   []byte // with its quotes
	value []byte
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// reset begins a record. The row may hold memory that can be used again.
func (p *parser) reset(schema *Schema, data []byte, zone *time.Location) {
	p.scanner = scanner{data: data}
	p.schema, p.zone = schema, zone
	p.seen, p.list, p.keys = 0, 0, nil
	r := &p.row
	r.Schema, r.Extra, r.buf = schema, nil, r.buf[:0]
	if n := len(schema.Fields); cap(r.Values) >= n {
		r.Values = r.Values[:n]
		clear(r.Values)
	} else {
		r.Values = make([]Value, n)
	}
}

// release gives the parser back without anything of the caller's.
func (p *parser) release() {
	clear(p.unknown)
	p.unknown = p.unknown[:0]
	p.listed.reset()
	p.found.reset()
	p.scanner, p.row = scanner{}, Row{}
	parsers.Put(p)
}

// record reads the object that is the record.
func (p *parser) record() error {
	d := p.data
	i := p.space(0)
	if i >= len(d) || d[i] != '{' {
		return p.syntax(i, "it must be one JSON object")
	}
	i = p.space(i + 1)
	next := 0 // the field that is expected: writers keep the order of the schema
	for first := true; i >= len(d) || d[i] != '}'; first = false {
		if !first {
			if i >= len(d) || d[i] != ',' {
				return p.syntax(i, "',' or '}' is expected")
			}
			i = p.space(i + 1)
		}
		if i >= len(d) || d[i] != '"' {
			return p.syntax(i, "the name of a field is expected")
		}
		start := i
		if i = p.text(i); i < 0 {
			return p.syntax(p.at, "a field's name "+p.rule)
		}
		key := d[start:i]
		name := key[1 : len(key)-1]
		if p.escaped {
			name = p.unescaped(name)
		}
		if i = p.space(i); i >= len(d) || d[i] != ':' {
			return p.syntax(i, "':' is expected")
		}
		i = p.space(i + 1)

		at := next
		if at >= len(p.schema.Fields) || p.schema.Fields[at].Name != string(name) {
			at = p.schema.Index(string(name))
		}
		var err error
		if at >= 0 {
			next = at + 1
			i, err = p.field(at, i)
		} else {
			i, err = p.extra(key, name, i)
		}
		if err != nil {
			return err
		}
		i = p.space(i)
	}
	if i = p.space(i + 1); i < len(d) {
		return p.syntax(i, "nothing may follow the object")
	}
	return p.finish()
}

func (p *parser) syntax(at int, what string) error {
	return fmt.Errorf("%s: not a valid record at byte %d: %s", p.schema.Kind, at, what)
}

// refuse says that the value at [i, end) breaks a rule.
func (p *parser) refuse(field string, i, end int, rule string) error {
	return &FieldError{Kind: p.schema.Kind, Field: field, Value: shorten(p.data[i:end]), Rule: rule}
}

// broken turns a failure of the scanner inside the value of a field into an error
// that names the path to it.
func (p *parser) broken(field []byte, start int) error {
	path := string(appendKey(nil, field))
	if p.at-start < 1<<16 { // looking for the path reads each level again
		path = pathTo([]byte(path), p.data[start:], p.at-start)
	}
	if len(path) > 200 {
		path = shorten([]byte(path))
	}
	rule := p.rule
	if rule == ruleSyntax {
		rule = fmt.Sprintf("%s (byte %d of the record)", rule, p.at)
	}
	if p.at >= len(p.data) {
		return &FieldError{Kind: p.schema.Kind, Field: path, Value: "cut off", Rule: rule}
	}
	return p.refuse(path, p.at, tokenEnd(p.data, p.at), rule)
}

// unescaped writes the characters of a text into the row's own memory.
func (p *parser) unescaped(text []byte) []byte {
	start := len(p.row.buf)
	p.row.buf = unescape(p.row.buf, text)
	return p.row.buf[start:len(p.row.buf):len(p.row.buf)]
}

// field reads the value at i of a field of the schema.
func (p *parser) field(at, i int) (int, error) {
	f := &p.schema.Fields[at]
	if p.seen&(1<<at) != 0 {
		return 0, p.twice(f.Name)
	}
	p.seen |= 1 << at
	d := p.data
	if i >= len(d) {
		return 0, p.syntax(i, "a value is expected")
	}
	if d[i] == 'n' {
		if i = p.literal(i, "null"); i < 0 {
			return 0, p.syntax(p.at, "a value is expected")
		}
		return i, nil
	}
	v := &p.row.Values[at]
	switch f.Type {
	case Int, Float:
		return p.numeric(f, v, i)
	case JSON:
		return p.json(f, v, i)
	case Vector:
		return p.vector(f, v, i)
	}
	if d[i] != '"' {
		return 0, p.wrong(f, i)
	}
	start := i
	if i = p.text(i); i < 0 {
		return 0, p.broken([]byte(f.Name), start)
	}
	text := d[start+1 : i-1]
	if p.escaped {
		text = p.unescaped(text)
	}
	switch f.Type {
	case Text:
		if !f.allowsText(text) {
			return 0, p.refuse(f.Name, start, i, f.Rule())
		}
		*v = TextValue(text)
	case Time:
		t, ok := parseInstant(text, p.zone)
		if !ok {
			return 0, p.refuse(f.Name, start, i, f.Rule())
		}
		*v = Value{Type: Time, num: uint64(t)}
	case UUID:
		if !isUUID(text) {
			return 0, p.refuse(f.Name, start, i, f.Rule())
		}
		*v = UUIDValue(p.lower(text))
	}
	return i, nil
}

func (p *parser) twice(name string) error {
	return &FieldError{Kind: p.schema.Kind, Field: name, Value: "there twice", Rule: "must be written once"}
}

// wrong says that the value at i has another type than its field.
func (p *parser) wrong(f *Field, i int) error {
	end := p.value(i, 0)
	if end < 0 {
		return p.broken([]byte(f.Name), i)
	}
	return p.refuse(f.Name, i, end, f.Rule())
}

// lower returns a UUID in lower case.
func (p *parser) lower(text []byte) []byte {
	for _, c := range text {
		if c >= 'A' && c <= 'F' {
			start := len(p.row.buf)
			for _, c := range text {
				if c >= 'A' && c <= 'F' {
					c |= 0x20
				}
				p.row.buf = append(p.row.buf, c)
			}
			return p.row.buf[start:len(p.row.buf):len(p.row.buf)]
		}
	}
	return text
}

func (p *parser) numeric(f *Field, v *Value, i int) (int, error) {
	d, start := p.data, i
	if c := d[i]; c-'0' < 10 || c == '-' && i+1 < len(d) && d[i+1] != 'I' {
		n, end := p.decimal(i)
		if end < 0 {
			return 0, p.broken([]byte(f.Name), start)
		}
		token := d[start:end]
		if f.Type == Int {
			n, ok := n.int(token)
			if !ok && f.Max >= math.MaxInt64 && !bytes.ContainsAny(token, ".eE") {
				return 0, p.refuse(f.Name, start, end, ruleInt64)
			}
			if !ok || !f.allowsInt(n) {
				return 0, p.refuse(f.Name, start, end, f.Rule())
			}
			*v = IntValue(n)
			return end, nil
		}
		x, ok := n.float(token)
		if !ok {
			return 0, p.refuse(f.Name, start, end, ruleRange)
		}
		if !f.allowsFloat(x) {
			return 0, p.refuse(f.Name, start, end, f.Rule())
		}
		*v = FloatValue(x)
		return end, nil
	}
	end := i + p.nonFinite(i)
	if d[i] == '"' {
		if end = p.text(i); end < 0 {
			return 0, p.broken([]byte(f.Name), start)
		}
		if !isNonFiniteText(d[i:end]) {
			return 0, p.refuse(f.Name, i, end, f.Rule())
		}
	}
	if end == i {
		return 0, p.wrong(f, i)
	}
	if f.Required && f.Type == Int {
		return 0, p.refuse(f.Name, i, end, f.Rule())
	}
	p.found.addKey(f.Name)
	return end, nil
}

// json keeps the value as it was written, unless it has a NaN or a line break.
func (p *parser) json(f *Field, v *Value, i int) (int, error) {
	if f.Object && p.data[i] != '{' {
		return 0, p.wrong(f, i)
	}
	p.dirty, p.numbers = false, f.Numbers
	end := p.value(i, 0)
	if end < 0 {
		return 0, p.broken([]byte(f.Name), i)
	}
	p.numbers = false
	raw := p.data[i:end]
	if p.dirty {
		raw = p.rewritten([]byte(f.Name), raw, f.Numbers)
		if string(raw) == "null" {
			return end, nil
		}
	}
	*v = JSONValue(raw)
	return end, nil
}

// vector turns a list of numbers into single precision.
func (p *parser) vector(f *Field, v *Value, i int) (int, error) {
	d, start := p.data, i
	if d[i] != '[' {
		return 0, p.wrong(f, i)
	}
	buf := p.row.buf
	from := len(buf)
	i = p.space(i + 1)
	for n := 0; i >= len(d) || d[i] != ']'; n++ {
		if n > 0 {
			if i >= len(d) || d[i] != ',' {
				p.fail(i, ruleSyntax)
				return 0, p.broken([]byte(f.Name), start)
			}
			i = p.space(i + 1)
		}
		if i >= len(d) {
			p.fail(i, ruleSyntax)
			return 0, p.broken([]byte(f.Name), start)
		}
		if d[i] == '0' && i+1 < len(d) && (d[i+1] == ',' || d[i+1] == ']') { // most of many states
			buf = append(buf, 0, 0, 0, 0)
			i++
			continue
		}
		x := float32(math.NaN())
		end := i
		switch c := d[i]; {
		case c-'0' < 10 || c == '-' && i+1 < len(d) && d[i+1] != 'I':
			var number decimal
			if number, end = p.decimal(i); end < 0 {
				return 0, p.broken([]byte(f.Name), start)
			}
			var ok bool
			if x, ok = number.float32(d[i:end]); !ok {
				return 0, p.refuse(elementPath(f.Name, n), i, end, ruleRange)
			}
			if math.IsInf(float64(x), 0) {
				x = float32(math.NaN())
				p.found.addElement(f.Name, n)
			}
		case c == 'n':
			if end = p.literal(i, "null"); end < 0 {
				return 0, p.broken([]byte(f.Name), start)
			}
		default:
			if end = i + p.nonFinite(i); end == i {
				p.numbers = true
				end = p.value(i, 1)
				p.numbers = false
				if end < 0 {
					return 0, p.broken([]byte(f.Name), start)
				}
				if c != '"' {
					return 0, p.refuse(elementPath(f.Name, n), i, end, ruleNumber)
				}
			}
			p.found.addElement(f.Name, n)
		}
		buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		i = p.space(end)
	}
	p.row.buf = buf
	*v = VectorValue(buf[from:len(buf):len(buf)])
	return i + 1, nil
}
