package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// member is one member of a JSON object, as it is written.
type member struct {
	name  []byte // decoded, without quotes
	key   []byte // with quotes, as written
	value []byte // as written
}

// members splits a JSON object into its members without looking deeper than it
// must: record.Parse checks the values. It takes bare NaN and Infinity for values,
// as Python writes them.
func members(data []byte, into []member) ([]member, error) {
	into = into[:0]
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '{' {
		return into, fmt.Errorf("column %d: not a JSON object", i+1)
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == '}' {
		return into, nothingAfter(data, i+1)
	}
	for {
		if i == len(data) || data[i] != '"' {
			return into, fmt.Errorf("column %d: expected the name of a field", i+1)
		}
		end := skipString(data, i)
		if end < 0 {
			return into, fmt.Errorf("column %d: text that does not end", i+1)
		}
		m := member{key: data[i:end]}
		name, err := decodeName(m.key)
		if err != nil {
			return into, fmt.Errorf("column %d: field name %s: %w", i+1, m.key, err)
		}
		m.name = name
		i = skipSpace(data, end)
		if i == len(data) || data[i] != ':' {
			return into, fmt.Errorf("column %d: expected a colon after %s", i+1, m.key)
		}
		i = skipSpace(data, i+1)
		end = skipValue(data, i)
		if end <= i {
			return into, fmt.Errorf("column %d: no whole value for %s", i+1, m.key)
		}
		m.value = data[i:end]
		into = append(into, m)
		i = skipSpace(data, end)
		if i == len(data) {
			return into, fmt.Errorf("column %d: the object does not end", i+1)
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case '}':
			return into, nothingAfter(data, i+1)
		default:
			return into, fmt.Errorf("column %d: expected a comma or the end of the object", i+1)
		}
	}
}

func nothingAfter(data []byte, i int) error {
	if i = skipSpace(data, i); i < len(data) {
		return fmt.Errorf("column %d: something follows the object", i+1)
	}
	return nil
}

func decodeName(key []byte) ([]byte, error) {
	if bytes.IndexByte(key, '\\') < 0 {
		return key[1 : len(key)-1], nil
	}
	var s string
	err := json.Unmarshal(key, &s)
	return []byte(s), err
}

// find returns the position of the first member with the name, or -1.
func find(ms []member, name string) int {
	for i := range ms {
		if string(ms[i].name) == name {
			return i
		}
	}
	return -1
}

// value returns the value of the first member with the name that is not null; nil
// when there is none.
func value(ms []member, name string) []byte {
	if i := find(ms, name); i >= 0 && !isNull(ms[i].value) {
		return ms[i].value
	}
	return nil
}

func isNull(v []byte) bool { return string(v) == "null" }

// number returns a JSON number; false when the value is none.
func number(v []byte) (float64, bool) {
	if len(v) == 0 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// object writes a JSON object member by member.
type object struct{ buf []byte }

func (o *object) reset() { o.buf = append(o.buf[:0], '{') }

// add appends a member whose name is already quoted.
func (o *object) add(key, value []byte) {
	if len(o.buf) > 1 {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(append(append(o.buf, key...), ':'), value...)
}

// put appends a member whose name needs no escapes.
func (o *object) put(name string, value []byte) {
	if len(o.buf) > 1 {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(append(append(append(o.buf, '"'), name...), '"', ':'), value...)
}

func (o *object) empty() bool { return len(o.buf) <= 1 }

// close ends the object; the bytes are valid until reset.
func (o *object) close() []byte {
	o.buf = append(o.buf, '}')
	return o.buf
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func skipSpace(data []byte, i int) int {
	for i < len(data) && isSpace(data[i]) {
		i++
	}
	return i
}

// skipString returns the position behind the text that begins at i, or -1.
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue returns the position behind the value that begins at i; -1 or i when
// there is no whole one.
func skipValue(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch c := data[i]; c {
		case '"':
			if i = skipString(data, i); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			i++
		default:
			if depth == 0 {
				return skipScalar(data, i)
			}
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

func skipScalar(data []byte, i int) int {
	for i < len(data) && !isSpace(data[i]) && data[i] != ',' && data[i] != '}' && data[i] != ']' {
		i++
	}
	return i
}

// whole reports whether data is one object from brace to brace. What is cut off
// somewhere never is.
func whole(data []byte) bool {
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '{' {
		return false
	}
	end := skipValue(data, i)
	return end > 0 && skipSpace(data, end) == len(data)
}

// text returns the content of a JSON text; false when the value is none.
func text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	s, err := decodeName(value)
	return string(s), err == nil
}
