package record

import (
	"math"
	"slices"
	"strings"
)

// numbers is a map of numbers that is left out when it is nil.
func (c *codec) numbers(v *map[string]float64) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = nil
		var m map[string]*float64
		if c.unmarshal(f, &m) && m != nil {
			*v = finite(m)
		}
	case *v != nil:
		c.begin(f)
		c.writeNumbers(*v)
	}
}

// numbersOfNumbers is a map of maps of numbers.
func (c *codec) numbersOfNumbers(v *map[string]map[string]float64) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = nil
		var m map[string]map[string]*float64
		if c.unmarshal(f, &m) && m != nil {
			*v = make(map[string]map[string]float64, len(m))
			for k, inner := range m {
				if (*v)[k] = nil; inner != nil {
					(*v)[k] = finite(inner)
				}
			}
		}
	case *v != nil:
		c.begin(f)
		c.dst = append(c.dst, '{')
		from := len(c.keys)
		for k := range *v {
			c.keys = append(c.keys, k)
		}
		slices.Sort(c.keys[from:])
		to := len(c.keys)
		for i := from; i < to; i++ {
			k := c.keys[i]
			depth := c.enter(k, i > from)
			if inner := (*v)[k]; inner != nil {
				c.writeNumbers(inner)
			} else {
				c.dst = append(c.dst, "null"...)
			}
			c.path = c.path[:depth]
		}
		c.keys = c.keys[:from]
		c.dst = append(c.dst, '}')
	}
}

// begin begins a field whose value may hold more values. Checking writes it too,
// into scratch, because only that shows whether it can be written.
func (c *codec) begin(f *Field) {
	if c.mode == toCheck {
		c.dst = c.dst[:0]
	} else {
		c.name(f.Name)
	}
	c.path = append(c.path[:0], f.Name...)
}

// enter writes the name of a member of a map and makes it the path's last part. It
// returns the length that the path had.
func (c *codec) enter(key string, comma bool) int {
	if comma {
		c.dst = append(c.dst, ',')
	}
	depth := len(c.path)
	c.path = appendKey(c.path, key)
	if strings.IndexByte(key, 0) >= 0 {
		c.refuse(string(c.path), shorten(appendText(nil, key)), ruleNUL)
	}
	c.dst = appendText(c.dst, key)
	c.dst = append(c.dst, ':')
	return depth
}

// pair is a member of a map of numbers.
type pair struct {
	key   string
	value float64
}

// writeNumbers writes a map of numbers, sorted by name. It is where a step spends
// its time, so a path is built only for a member that needs one.
func (c *codec) writeNumbers(m map[string]float64) {
	c.pairs = c.pairs[:0]
	for k, v := range m {
		c.pairs = append(c.pairs, pair{k, v})
	}
	slices.SortFunc(c.pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	c.dst = append(c.dst, '{')
	for i := range c.pairs {
		p := &c.pairs[i]
		if p.value-p.value == 0 && strings.IndexByte(p.key, 0) < 0 {
			if i > 0 {
				c.dst = append(c.dst, ',')
			}
			c.dst = appendText(c.dst, p.key)
			c.dst = append(c.dst, ':')
			c.dst = appendFloat(c.dst, p.value, 64)
			continue
		}
		depth := c.enter(p.key, i > 0)
		c.writeNumber(p.value, 64)
		c.path = c.path[:depth]
	}
	c.dst = append(c.dst, '}')
}

// writeNumber writes a number inside a JSON value.
func (c *codec) writeNumber(v float64, bits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		c.found.add(c.path)
		c.dst = appendNonFinite(c.dst, v)
		return
	}
	c.dst = appendFloat(c.dst, v, bits)
}

// object is a map of anything that is left out when it is nil.
func (c *codec) object(v *map[string]any) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = nil
		c.unmarshal(f, v)
	case *v != nil:
		c.begin(f)
		c.writeMap(*v, 0)
	}
}

// any is any value; nil is left out.
func (c *codec) any(v *any) {
	f := c.next()
	switch {
	case f == nil:
	case c.mode == toDecode:
		*v = nil
		c.unmarshal(f, v)
	case *v != nil:
		c.begin(f)
		c.write(*v, 0)
	}
}
