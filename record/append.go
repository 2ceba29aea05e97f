package record

import (
	"bytes"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendRow appends a row as the JSON object that Parse would read back to the same
// row: fields in schema order, null fields left out, then the members of Extra.
// Fields of type Vector are written as JSON arrays, times as RFC 3339 in UTC.
func AppendRow(dst []byte, r *Row) []byte {
	dst = append(dst, '{')
	first := true
	for i := range r.Values {
		v := &r.Values[i]
		if v.Type == Null {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendName(dst, r.Schema.Fields[i].Name)
		dst = v.AppendJSON(dst)
	}
	if n := len(r.Extra); n > 2 {
		if !first {
			dst = append(dst, ',')
		}
		dst = appendRaw(dst, r.Extra[1:n-1])
	}
	return append(dst, '}')
}

// AppendJSON appends the value as JSON, as AppendRow writes it.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Type {
	case Int:
		return strconv.AppendInt(dst, v.Int(), 10)
	case Float:
		return appendFloat(dst, v.Float(), 64)
	case Text, UUID:
		return appendText(dst, v.raw)
	case JSON:
		return appendRaw(dst, v.raw)
	case Vector:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendFloat(dst, float64(v.At(i)), 32)
		}
		return append(dst, ']')
	case Time:
		dst = append(dst, '"')
		dst = v.Time().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"')
	}
	return append(dst, "null"...)
}

// appendRaw appends JSON that is valid as it is, but on one line. Parse leaves no
// line breaks, a database may.
func appendRaw(dst, raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return append(dst, raw...)
	}
	for _, c := range raw {
		if c == '\n' || c == '\r' { // inside of texts they are escaped
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// appendName appends the name of a field, which needs no escapes, and a colon.
func appendName(dst []byte, name string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// appendFloat appends the shortest number that reads back as f, in the form of
// encoding/json; null when f is not finite.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<24 && (f != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	if dst, ok := appendThousandths(dst, f, bits); ok {
		return dst
	}
	format, abs := byte('f'), math.Abs(f)
	if abs != 0 {
		small, large := 1e-6, 1e21
		if bits == 32 {
			small, large = float64(float32(1e-6)), float64(float32(1e21))
		}
		if abs < small || abs >= large {
			format = 'e'
		}
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 becomes e-9
		dst = dst[:n-1]
	}
	return dst
}

// appendThousandths appends a number that has at most three digits behind the point.
// Two decimals of so few digits are never the same number, so it is the shortest.
func appendThousandths(dst []byte, f float64, bits int) ([]byte, bool) {
	abs, limit := math.Abs(f), 1e9
	if bits == 32 {
		limit = 1e3 // 6 digits in all
	}
	if abs >= limit {
		return dst, false
	}
	k := uint64(abs*1000 + 0.5)
	short := float64(k) / 1000
	if bits == 32 {
		short = float64(float32(short))
	}
	rest := k % 1000
	if short != abs || rest == 0 {
		return dst, false
	}
	if f < 0 {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, k/1000, 10)
	dst = append(dst, '.', byte('0'+rest/100))
	if rest %= 100; rest > 0 {
		dst = append(dst, byte('0'+rest/10))
		if rest %= 10; rest > 0 {
			dst = append(dst, byte('0'+rest))
		}
	}
	return dst, true
}

const hexDigits = "0123456789abcdef"

// appendText appends s as a JSON text. Bytes that are not UTF-8 become U+FFFD.
func appendText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := decodeRune(s, i)
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func decodeRune[T string | []byte](s T, i int) (rune, int) {
	end := min(i+utf8.UTFMax, len(s))
	return utf8.DecodeRuneInString(string(s[i:end]))
}

// Default sets the kind's own time field to t where the record has none, so that
// a row always says when it was logged.
func (r *Row) Default(t time.Time) {
	if i := r.Schema.time; i >= 0 && r.Values[i].IsNull() {
		r.Values[i] = TimeValue(t)
	}
}
