package record

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// decode fills a typed record from a row.
func decode(r Record, row *Row) error {
	c := newCodec(toDecode, row.Schema.Kind)
	c.row = row
	if len(row.Extra) > 2 {
		// Not into a struct: encoding/json would take NON_FINITE for the list.
		var paths []string
		if c.err = json.Unmarshal(row.Extra, &c.members); c.err == nil && c.members[nonFiniteField] != nil {
			c.err = json.Unmarshal(c.members[nonFiniteField], &paths)
		}
		for _, p := range paths {
			c.found.add([]byte(p))
		}
	}
	r.fields(c)
	err := c.err
	c.release()
	return err
}

func unmarshal(data []byte, r Record) error {
	row, err := Parse(r.Kind(), slices.Clone(data), nil)
	if err != nil {
		return err
	}
	return decode(r, &row)
}

// unmarshal decodes the JSON value of the visited field; false when it is null.
func (c *codec) unmarshal(f *Field, v any) bool {
	value := c.value()
	if value.IsNull() {
		return false
	}
	if err := json.Unmarshal(value.Bytes(), v); err != nil {
		c.refuse(f.Name, shorten(value.Bytes()), "must fit the Go type: "+err.Error())
		return false
	}
	return true
}

// finite gives NaN to the members that are null, as those are that were not finite.
func finite(m map[string]*float64) map[string]float64 {
	out := make(map[string]float64, len(m))
	for k, x := range m {
		if out[k] = math.NaN(); x != nil {
			out[k] = *x
		}
	}
	return out
}

// wasNonFinite reports whether the row lists a field as NaN or infinite.
func (c *codec) wasNonFinite(f *Field) bool {
	return c.found.len() > 0 && c.found.has(appendText(nil, f.Name))
}

// decodeExtra fills Extra. Paths stay in its non_finite unless the typed record
// holds NaN there itself.
func (c *codec) decodeExtra(v *Extra) {
	*v = nil
	if len(c.members) == 0 {
		return
	}
	*v = make(Extra, len(c.members))
	for k, raw := range c.members {
		if k != nonFiniteField {
			(*v)[k] = raw
		}
	}
	for i := range c.found.len() {
		if text := c.found.at(i); !c.holds(text) {
			c.kept.addText(text)
		}
	}
	if c.kept.len() > 0 {
		(*v)[nonFiniteField] = json.RawMessage(fmt.Sprintf("[%s]", c.kept.json))
	}
	if len(*v) == 0 {
		*v = nil
	}
}

// holds reports whether the typed record has NaN at a path: numbers, vectors and
// maps of numbers do, integers and values in an any do not.
func (c *codec) holds(text []byte) bool {
	path := string(text[1 : len(text)-1])
	name := path
	if end := strings.IndexAny(path, ".["); end > 0 {
		name = path[:end]
	}
	at := c.schema.Index(name)
	if at < 0 {
		return false
	}
	switch f := &c.schema.Fields[at]; {
	case f.Type == Float:
		return name == path && (c.row.Values[at].IsNull() || math.IsNaN(c.row.Values[at].Float()))
	case f.Type == Vector, f.Numbers:
		return name != path && !c.row.Values[at].IsNull()
	}
	return false
}
