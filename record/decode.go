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
		var extra struct {
			Paths []string `json:"non_finite"`
		}
		if c.err = json.Unmarshal(row.Extra, &extra); c.err == nil {
			for _, p := range extra.Paths {
				c.found.add([]byte(p))
			}
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
	if len(c.row.Extra) <= 2 {
		return
	}
	members := map[string]json.RawMessage{}
	if c.err = json.Unmarshal(c.row.Extra, &members); c.err != nil {
		return
	}
	delete(members, nonFiniteField)
	*v = make(Extra, len(members)+1)
	for k, raw := range members {
		(*v)[k] = raw
	}
	for i := range c.found.len() {
		if text := c.found.at(i); !c.holds(text) {
			if c.kept.len() > 0 {
				c.kept.json = append(c.kept.json, ',')
			}
			c.kept.json = append(c.kept.json, text...)
			c.kept.ends = append(c.kept.ends, len(c.kept.json))
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
