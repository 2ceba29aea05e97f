package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// maxUnknown bounds the memory that a record of 16 MB can ask for.
const maxUnknown = 10_000

// extra keeps a field that has no column.
func (p *parser) extra(key, name []byte, i int) (int, error) {
	if i >= len(p.data) {
		return 0, p.syntax(i, "a value is expected")
	}
	if string(name) == nonFiniteField {
		return p.ownList(i)
	}
	if bytes.IndexByte(key, '\\') >= 0 {
		key = p.quoted(name)
	}
	if p.isKnown(key) {
		return 0, p.twice(string(name))
	}
	if len(p.unknown) >= maxUnknown {
		return 0, &FieldError{Kind: p.schema.Kind, Field: string(name), Value: "too much",
			Rule: fmt.Sprintf("must be one of at most %d fields without a column", maxUnknown)}
	}
	p.dirty = false
	end := p.value(i, 0)
	if end < 0 {
		return 0, p.broken(name, i)
	}
	value := p.data[i:end]
	if p.dirty {
		value = p.rewritten(name, value, false)
	}
	p.unknown = append(p.unknown, member{key, value})
	return end, nil
}

// isKnown reports whether a field without a column was there before.
func (p *parser) isKnown(key []byte) bool {
	if len(p.unknown) <= 32 {
		for _, m := range p.unknown {
			if bytes.Equal(m.key, key) {
				return true
			}
		}
		return false
	}
	if p.keys == nil {
		p.keys = make(map[string]struct{}, 2*len(p.unknown))
		for _, m := range p.unknown {
			p.keys[string(m.key)] = struct{}{}
		}
	}
	_, ok := p.keys[string(key)]
	p.keys[string(key)] = struct{}{}
	return ok
}

// quoted writes a name as JSON in the one form that AppendJSON uses, so that two
// spellings of a name are found to be the same.
func (p *parser) quoted(name []byte) []byte {
	start := len(p.row.buf)
	p.row.buf = appendText(p.row.buf, name)
	return p.row.buf[start:len(p.row.buf):len(p.row.buf)]
}

// ownList reads the record's own list of paths.
func (p *parser) ownList(i int) (int, error) {
	if p.list > 0 {
		return 0, p.twice(nonFiniteField)
	}
	p.list = i
	start := i
	end := p.value(i, 0)
	if end < 0 {
		return 0, p.broken([]byte(nonFiniteField), i)
	}
	d := p.data
	if d[i] == 'n' {
		return end, nil
	}
	if d[i] != '[' {
		return 0, p.refuse(nonFiniteField, start, end, rulePaths)
	}
	for i = p.space(i + 1); d[i] != ']'; {
		if d[i] == ',' {
			i = p.space(i + 1)
		}
		if d[i] != '"' {
			return 0, p.refuse(nonFiniteField, start, end, rulePaths)
		}
		from := i
		i = p.text(i)
		p.path = unescape(p.path[:0], d[from+1:i-1])
		quoted := appendText(nil, p.path)
		if !p.listed.has(quoted) {
			p.listed.add(p.path)
		}
		i = p.space(i)
	}
	p.listed.next = 0
	return end, nil
}

// rewritten copies a value without line breaks and with null for every number that
// is not finite.
func (p *parser) rewritten(field, raw []byte, numbers bool) []byte {
	return p.rewrite(field, raw, numbers, nil)
}

func (p *parser) rewrite(field, raw []byte, numbers bool, listed *pathList) []byte {
	start := len(p.row.buf)
	w := rewriter{
		scanner: scanner{data: raw},
		dst:     p.row.buf,
		path:    appendKey(p.path[:0], field),
		found:   &p.found,
		listed:  listed,
		numbers: numbers,
	}
	w.value(0)
	p.row.buf, p.path = w.dst, w.path
	return w.dst[start:len(w.dst):len(w.dst)]
}

// finish looks at what can only be seen at the end of the record: the texts that
// its own non_finite lists, fields that are missing, and Extra as a whole.
func (p *parser) finish() error {
	if p.listed.len() > 0 {
		p.replaceListed()
		p.found.merge(&p.listed)
	}
	for at := range p.schema.Fields {
		f := &p.schema.Fields[at]
		if !f.Required || !p.row.Values[at].IsNull() {
			continue
		}
		if f.Type == Float && p.found.len() > 0 && p.found.has(appendText(nil, []byte(f.Name))) {
			continue
		}
		return &FieldError{Kind: p.schema.Kind, Field: f.Name, Value: "missing", Rule: f.Rule()}
	}
	if len(p.unknown) == 0 && p.found.len() == 0 {
		return nil
	}
	buf := p.row.buf
	start := len(buf)
	buf = append(buf, '{')
	for i, m := range p.unknown {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(append(append(buf, m.key...), ':'), m.value...)
	}
	if p.found.len() > 0 {
		if len(p.unknown) > 0 {
			buf = append(buf, ',')
		}
		buf = append(append(append(buf, `"non_finite":[`...), p.found.json...), ']')
	}
	buf = append(buf, '}')
	p.row.buf, p.row.Extra = buf, buf[start:len(buf):len(buf)]
	return nil
}

// replaceListed makes null of the texts that non_finite lists. Where numbers are
// expected that has been done.
func (p *parser) replaceListed() {
	for at := range p.schema.Fields {
		f, v := &p.schema.Fields[at], &p.row.Values[at]
		if v.Type != JSON || f.Numbers || !p.mentioned([]byte(f.Name)) {
			continue
		}
		if *v = JSONValue(p.rewrite([]byte(f.Name), v.raw, false, &p.listed)); string(v.raw) == "null" {
			*v = Value{}
		}
	}
	for i := range p.unknown {
		m := &p.unknown[i]
		name := m.key[1 : len(m.key)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = unescape(nil, name)
		}
		if p.mentioned(name) {
			m.value = p.rewrite(name, m.value, false, &p.listed)
		}
	}
}

// mentioned reports whether the record's own non_finite has a path that begins
// with the field.
func (p *parser) mentioned(field []byte) bool {
	p.path = appendKey(p.path[:0], field)
	prefix := appendText(nil, p.path)
	prefix = prefix[:len(prefix)-1]
	for i := range p.listed.len() {
		if bytes.HasPrefix(p.listed.at(i), prefix) {
			return true
		}
	}
	return false
}

// extra writes the fields without a column and, last, the list of the numbers that
// were not finite.
func (c *codec) extra(v *Extra) {
	switch {
	case c.err != nil:
		return
	case c.mode == toDecode:
		c.decodeExtra(v)
		return
	}
	from := len(c.keys)
	for k := range *v {
		c.keys = append(c.keys, k)
	}
	to := len(c.keys)
	slices.Sort(c.keys[from:])
	for i := from; i < to && c.err == nil; i++ {
		k := c.keys[i]
		if k == nonFiniteField {
			c.ownList((*v)[k])
			continue
		}
		if c.schema.Index(k) >= 0 {
			c.refuse(k, "in Extra", "must be set in its own field")
			return
		}
		if rule := textRule(k); rule != "" {
			c.refuse(shorten([]byte(k)), "a name in Extra", rule)
			return
		}
		if c.mode == toCheck {
			c.dst = c.dst[:0]
		}
		c.path = c.path[:0]
		c.enter(k, c.member)
		c.member = true
		c.write((*v)[k], 0)
	}
	c.keys = c.keys[:from]
	c.found.merge(&c.kept)
	if c.mode == toEncode && c.found.len() > 0 {
		c.name(nonFiniteField)
		c.dst = append(append(append(c.dst, '['), c.found.json...), ']')
	}
}

// ownList takes the paths that Extra's non_finite lists.
func (c *codec) ownList(v any) {
	raw, err := json.Marshal(v)
	var paths []string
	if err == nil {
		err = json.Unmarshal(raw, &paths)
	}
	if err != nil {
		c.refuse(nonFiniteField, shorten(raw), rulePaths)
		return
	}
	for _, p := range paths {
		if rule := textRule(p); rule != "" {
			c.refuse(nonFiniteField, shorten(raw), rule)
			return
		}
		if !c.kept.has(appendText(nil, p)) {
			c.kept.add([]byte(p))
		}
	}
}
