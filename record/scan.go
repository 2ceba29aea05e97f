package record

import (
	"bytes"
	"unicode/utf8"
)

// maxDepth is how deep objects and lists may be nested. SQLite stops at 1000,
// PostgreSQL at the size of its stack.
const maxDepth = 500

// Rules that any JSON value keeps because the databases cannot hold it otherwise.
const (
	ruleSyntax    = "must be valid JSON"
	ruleControl   = "must have its control characters escaped"
	ruleUTF8      = "must be UTF-8"
	ruleNUL       = "must not contain the character U+0000, which PostgreSQL cannot store"
	ruleSurrogate = "must not contain half of a surrogate pair, which PostgreSQL cannot store"
	ruleDepth     = "must not be nested deeper than 500 levels"
	ruleRange     = "must be a number that fits in double precision"
	ruleScale     = "must be a number with at most 16383 digits behind the point"
	ruleNumber    = "must be a number"
	ruleInt64     = "must be an integer of 64 bits"
)

// scanner walks over JSON text in place. Its methods take the offset where a
// token begins and return the offset behind it, or -1 after fail.
//
// Beyond RFC 8259 it takes the tokens NaN, Infinity and -Infinity, which Python's
// json module writes.
type scanner struct {
	data []byte

	numbers bool // every leaf must be a number: texts and booleans fail
	dirty   bool // there was a NaN, an infinity or a line break outside of texts
	escaped bool // the last text has an escape

	at   int    // where it failed
	rule string // what was broken there
}

func (s *scanner) fail(at int, rule string) int {
	s.at, s.rule = at, rule
	return -1
}

// plain marks the bytes that a text may hold as they are and that need no look.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// space skips white space.
func (s *scanner) space(i int) int {
	for ; i < len(s.data); i++ {
		switch s.data[i] {
		case ' ', '\t':
		case '\n', '\r':
			s.dirty = true
		default:
			return i
		}
	}
	return i
}

// text scans a text with its quotes.
func (s *scanner) text(i int) int {
	d, start, ascii := s.data, i, true
	s.escaped = false
	for i++; i < len(d); {
		c := d[i]
		switch {
		case plain[c]:
			i++
		case c == '"':
			if !ascii && !utf8.Valid(d[start:i]) {
				return s.fail(start, ruleUTF8)
			}
			return i + 1
		case c == '\\':
			s.escaped = true
			if i = s.escape(i); i < 0 {
				s.at = min(s.at, start)
				return i
			}
		case c < 0x20:
			return s.fail(start, ruleControl)
		default:
			ascii = false
			i++
		}
	}
	return s.fail(len(d), ruleSyntax)
}

func (s *scanner) escape(i int) int {
	if i+1 >= len(s.data) {
		return s.fail(i, ruleSyntax)
	}
	switch s.data[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		return s.fail(i, ruleSyntax)
	}
	r := hex4(s.data, i+2)
	switch {
	case r < 0:
		return s.fail(i, ruleSyntax)
	case r == 0:
		return s.fail(i, ruleNUL)
	case r < 0xD800 || r > 0xDFFF:
		return i + 6
	}
	if r < 0xDC00 && bytes.HasPrefix(s.data[i+6:], []byte(`\u`)) {
		if low := hex4(s.data, i+8); low >= 0xDC00 && low <= 0xDFFF {
			return i + 12
		}
	}
	return s.fail(i, ruleSurrogate)
}

// hex4 reads four hexadecimal digits; -1 when they are not.
func hex4(d []byte, i int) rune {
	if i+4 > len(d) {
		return -1
	}
	var r rune
	for _, c := range d[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape appends the characters of a text that has been scanned, without its
// quotes.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		i++
		switch text[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(text, i+1)
			i += 4
			if r >= 0xD800 && r <= 0xDFFF {
				r = (r-0xD800)<<10 | (hex4(text, i+3) - 0xDC00) + 0x10000
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, text[i])
		}
	}
	return dst
}

// number scans a number without taking its value.
func (s *scanner) number(i int) int {
	d, start := s.data, i
	if d[i] == '-' {
		i++
	}
	first := i
	for i < len(d) && d[i]-'0' < 10 {
		i++
	}
	if i == first || d[first] == '0' && i > first+1 {
		return s.fail(start, ruleSyntax)
	}
	if i < len(d) && d[i] == '.' {
		i++
		first = i
		for i < len(d) && d[i]-'0' < 10 {
			i++
		}
		if i == first {
			return s.fail(start, ruleSyntax)
		}
	}
	digits := 0
	if i < len(d) && (d[i] == 'e' || d[i] == 'E') {
		i++
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		first = i
		for i < len(d) && d[i]-'0' < 10 {
			i++
		}
		if digits = i - first; digits == 0 {
			return s.fail(start, ruleSyntax)
		}
	}
	if digits > 2 || i-start > 300 {
		if rule := extreme(d[start:i]); rule != "" {
			return s.fail(start, rule)
		}
	}
	return i
}

// nonFinite returns the length of a bare NaN, Infinity or -Infinity at i, or 0.
func (s *scanner) nonFinite(i int) int {
	for _, t := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if len(s.data)-i >= len(t) && string(s.data[i:i+len(t)]) == t {
			return len(t)
		}
	}
	return 0
}

// isNonFiniteText reports whether a text with its quotes stands for NaN or an
// infinity where a number is expected: as Greenwave and Python's str write them.
func isNonFiniteText(text []byte) bool {
	switch string(text) {
	case `"NaN"`, `"Infinity"`, `"-Infinity"`, `"nan"`, `"inf"`, `"-inf"`:
		return true
	}
	return false
}

// value scans any value.
func (s *scanner) value(i, depth int) int {
	d := s.data
	if i >= len(d) {
		return s.fail(i, ruleSyntax)
	}
	switch c := d[i]; c {
	case '"':
		end := s.text(i)
		if s.numbers && end >= 0 {
			if !isNonFiniteText(d[i:end]) {
				return s.fail(i, ruleNumber)
			}
			s.dirty = true
		}
		return end
	case '{':
		if depth >= maxDepth {
			return s.fail(i, ruleDepth)
		}
		return s.object(i, depth+1)
	case '[':
		if depth >= maxDepth {
			return s.fail(i, ruleDepth)
		}
		return s.list(i, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c-'0' < 10 || c == '-' && i+1 < len(d) && d[i+1] != 'I' {
			return s.number(i)
		}
		if n := s.nonFinite(i); n > 0 {
			s.dirty = true
			return i + n
		}
		return s.fail(i, ruleSyntax)
	}
}

func (s *scanner) literal(i int, word string) int {
	if len(s.data)-i < len(word) || string(s.data[i:i+len(word)]) != word {
		return s.fail(i, ruleSyntax)
	}
	if s.numbers && word != "null" {
		return s.fail(i, ruleNumber)
	}
	return i + len(word)
}

func (s *scanner) object(i, depth int) int {
	d := s.data
	if i = s.space(i + 1); i < len(d) && d[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(d) || d[i] != '"' {
			return s.fail(i, ruleSyntax)
		}
		if i = s.text(i); i < 0 {
			return i
		}
		if i = s.space(i); i >= len(d) || d[i] != ':' {
			return s.fail(i, ruleSyntax)
		}
		if i = s.value(s.space(i+1), depth); i < 0 {
			return i
		}
		if i = s.space(i); i >= len(d) {
			return s.fail(i, ruleSyntax)
		}
		switch d[i] {
		case ',':
			i = s.space(i + 1)
		case '}':
			return i + 1
		default:
			return s.fail(i, ruleSyntax)
		}
	}
}

func (s *scanner) list(i, depth int) int {
	d := s.data
	if i = s.space(i + 1); i < len(d) && d[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth); i < 0 {
			return i
		}
		if i = s.space(i); i >= len(d) {
			return s.fail(i, ruleSyntax)
		}
		switch d[i] {
		case ',':
			i = s.space(i + 1)
		case ']':
			return i + 1
		default:
			return s.fail(i, ruleSyntax)
		}
	}
}

// tokenEnd returns where the token at i ends, for showing it. The token need not
// be valid.
func tokenEnd(d []byte, i int) int {
	if d[i] == '"' {
		for j := i + 1; j < len(d); j++ {
			if d[j] == '\\' {
				j++
			} else if d[j] == '"' {
				return j + 1
			}
		}
		return len(d)
	}
	for j := i + 1; j < len(d); j++ {
		switch d[j] {
		case ' ', '\t', '\n', '\r', ',', ':', ']', '}', '"', '{', '[':
			return j
		}
	}
	return len(d)
}
