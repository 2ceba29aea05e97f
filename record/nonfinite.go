package record

import (
	"bytes"
	"strconv"
)

// nonFiniteField is the name under which a record lists the paths of its numbers
// that were NaN or infinite.
const nonFiniteField = "non_finite"

const rulePaths = `must be a list of paths such as "avg_loss"`

// A path names a value in a record: "avg_loss", "waiting_times.ECOLAND",
// "state_vector[3]". A name that is empty or has a dot, a bracket or a quote stands
// in brackets as JSON: `speeds["5th.Ave"]`.

// appendKey appends a member's name to the path of its object.
func appendKey[T string | []byte](path []byte, name T) []byte {
	if len(name) == 0 || oddName(name) {
		path = append(path, '[')
		path = appendText(path, name)
		return append(path, ']')
	}
	if len(path) > 0 {
		path = append(path, '.')
	}
	return append(path, name...)
}

// appendIndex appends an element's position to the path of its list.
func appendIndex(path []byte, i int) []byte {
	path = append(path, '[')
	path = strconv.AppendInt(path, int64(i), 10)
	return append(path, ']')
}

func elementPath(field string, i int) string {
	return string(appendIndex(appendKey(nil, []byte(field)), i))
}

// pathList is a set of paths in the order in which they were added.
type pathList struct {
	json  []byte // the paths as JSON texts with commas between them
	ends  []int  // where each ends in json
	index map[string]struct{}
	next  int // where the last look-up was found, plus one
}

func (l *pathList) reset() {
	l.json, l.ends, l.index, l.next = l.json[:0], l.ends[:0], nil, 0
}

func (l *pathList) len() int { return len(l.ends) }

// at returns path i as a JSON text.
func (l *pathList) at(i int) []byte {
	start := 0
	if i > 0 {
		start = l.ends[i-1] + 1
	}
	return l.json[start:l.ends[i]]
}

func (l *pathList) begin() {
	if len(l.ends) > 0 {
		l.json = append(l.json, ',')
	}
}

func (l *pathList) end() {
	l.ends = append(l.ends, len(l.json))
	if l.index != nil {
		l.index[string(l.at(len(l.ends)-1))] = struct{}{}
	}
}

// add appends a path without asking whether it is there.
func (l *pathList) add(path []byte) {
	l.begin()
	l.json = appendText(l.json, path)
	l.end()
}

// addText appends a path that is a JSON text already.
func (l *pathList) addText(text []byte) {
	l.begin()
	l.json = append(l.json, text...)
	l.end()
}

// addKey and addElement append the path of a field and of an element of a vector
// field. The names of fields need no escapes.
func (l *pathList) addKey(field string) {
	l.begin()
	l.json = append(append(append(l.json, '"'), field...), '"')
	l.end()
}

func (l *pathList) addElement(field string, i int) {
	l.begin()
	l.json = append(append(l.json, '"'), field...)
	l.json = append(appendIndex(l.json, i), '"')
	l.end()
}

// has reports whether a path, as a JSON text, is in the list. Looking the paths up
// in the order of the list costs nothing.
func (l *pathList) has(text []byte) bool {
	if l.next < len(l.ends) && bytes.Equal(l.at(l.next), text) {
		l.next++
		return true
	}
	if len(l.ends) <= 16 {
		for i := range l.ends {
			if bytes.Equal(l.at(i), text) {
				l.next = i + 1
				return true
			}
		}
		return false
	}
	if l.index == nil {
		l.index = make(map[string]struct{}, len(l.ends))
		for i := range l.ends {
			l.index[string(l.at(i))] = struct{}{}
		}
	}
	_, ok := l.index[string(text)]
	return ok
}

// merge appends the paths of m that are not there yet.
func (l *pathList) merge(m *pathList) {
	l.next = 0
	for i := range m.ends {
		if text := m.at(i); !l.has(text) {
			l.addText(text)
		}
	}
}

// rewriter copies JSON that has been scanned, without white space, and replaces
// the numbers that are not finite.
type rewriter struct {
	scanner
	dst     []byte
	path    []byte
	found   *pathList
	listed  *pathList // texts at these paths are not finite numbers; nil for none
	numbers bool      // texts anywhere are not finite numbers
	texts   bool      // write "NaN", "Infinity" and "-Infinity" instead of null
}

// value copies the value at i and returns the offset behind it.
func (w *rewriter) value(i int) int {
	d := w.data
	switch d[i] {
	case '{', '[':
		open, depth := d[i], len(w.path)
		w.dst = append(w.dst, open)
		i = w.space(i + 1)
		for n := 0; d[i] != '}' && d[i] != ']'; n++ {
			if n > 0 {
				w.dst = append(w.dst, ',')
				i = w.space(i + 1)
			}
			if open == '{' {
				end := w.text(i)
				w.dst = append(append(w.dst, d[i:end]...), ':')
				name := d[i+1 : end-1]
				if w.escaped {
					name = unescape(nil, name)
				}
				w.path = appendKey(w.path, name)
				i = w.space(w.space(end) + 1)
			} else {
				w.path = appendIndex(w.path, n)
			}
			i = w.space(w.value(i))
			w.path = w.path[:depth]
		}
		w.dst = append(w.dst, d[i])
		return i + 1
	case '"':
		end := w.text(i)
		if isNonFiniteText(d[i:end]) {
			if w.numbers {
				w.find()
				w.replace(d[i+1 : end-1])
				return end
			}
			if w.listed != nil && w.listed.has(appendText(nil, w.path)) {
				w.replace(d[i+1 : end-1])
				return end
			}
		}
		w.dst = append(w.dst, d[i:end]...)
		return end
	}
	if n := w.nonFinite(i); n > 0 {
		w.find()
		w.replace(d[i : i+n])
		return i + n
	}
	end := w.scanner.value(i, 0)
	w.dst = append(w.dst, d[i:end]...)
	return end
}

// find lists the path once, also when a member of an object stands there twice.
func (w *rewriter) find() {
	if !w.found.has(appendText(nil, w.path)) {
		w.found.add(w.path)
	}
}

func (w *rewriter) replace(word []byte) {
	if w.texts {
		w.dst = append(append(append(w.dst, '"'), word...), '"')
		return
	}
	w.dst = append(w.dst, "null"...)
}

// pathTo returns the path of the value in data that holds the byte at target. The
// data is valid up to there.
func pathTo(path, data []byte, target int) string {
	s := scanner{data: data}
	i := 0
	for i < target && i < len(data) && (data[i] == '{' || data[i] == '[') {
		open, depth := data[i], len(path)
		i = s.space(i + 1)
		for n := 0; i < target && i < len(data); n++ {
			path = path[:depth]
			if n > 0 {
				i = s.space(i + 1)
			}
			if open == '{' {
				if i >= len(data) || data[i] != '"' {
					return string(path)
				}
				end := s.text(i)
				if end < 0 {
					return string(path)
				}
				path = appendKey(path, unescape(nil, data[i+1:end-1]))
				i = s.space(s.space(end) + 1)
			} else {
				path = appendIndex(path, n)
			}
			end := s.value(i, 0)
			if end < 0 || end > target {
				break
			}
			i = s.space(end)
		}
		if i >= len(data) || i < target && data[i] != '{' && data[i] != '[' {
			break
		}
	}
	return string(path)
}

func oddName[T string | []byte](name T) bool {
	for i := range len(name) {
		switch name[i] {
		case '.', '[', ']', '"':
			return true
		}
	}
	return false
}
