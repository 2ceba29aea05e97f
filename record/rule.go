package record

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Rule says in words what a value of the field must be, beginning with "must be":
// "must be an integer from 0 to 2147483647".
func (f *Field) Rule() string {
	var b strings.Builder
	b.WriteString("must be ")
	switch {
	case len(f.OneOf) > 0:
		last := len(f.OneOf) - 1
		b.WriteString(strings.Join(f.OneOf[:last], ", "))
		if last > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(f.OneOf[last])
	case f.Numbers:
		b.WriteString("a JSON object of numbers")
	case f.Object:
		b.WriteString("a JSON object")
	case f.Type == Text && f.Required:
		b.WriteString("text that is not empty")
	case f.Type == Time:
		b.WriteString("a time such as 2025-07-08T09:30:00Z")
	default:
		b.WriteString(f.Type.String())
	}
	if f.Type == Int || f.Type == Float {
		// A bound of 2^63 is the type's own, not the field's.
		min, max := f.Min > -math.MaxInt64, f.Max < math.MaxInt64
		switch {
		case min && max:
			fmt.Fprintf(&b, " from %s to %s", bound(f.Min), bound(f.Max))
		case min:
			fmt.Fprintf(&b, ", %s or more", bound(f.Min))
		case max:
			fmt.Fprintf(&b, ", %s or less", bound(f.Max))
		}
	}
	return b.String()
}

func bound(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// The following report whether a value keeps the rule of its field.

func (f *Field) allowsInt(v int64) bool {
	return float64(v) >= f.Min && float64(v) <= f.Max
}

// allowsFloat is true for NaN and infinity, which become null.
func (f *Field) allowsFloat(v float64) bool {
	return v >= f.Min && v <= f.Max || math.IsNaN(v) || math.IsInf(v, 0)
}

func (f *Field) allowsText(b []byte) bool {
	if len(f.OneOf) == 0 {
		return len(b) > 0 || !f.Required
	}
	for _, t := range f.OneOf {
		if string(b) == t {
			return true
		}
	}
	return false
}

// textRule returns the rule that a text breaks which no database can hold, or "".
func textRule(s string) string {
	switch {
	case !utf8.ValidString(s):
		return ruleUTF8
	case strings.IndexByte(s, 0) >= 0:
		return ruleNUL
	}
	return ""
}

// allowsTime is true for the years that RFC 3339 can write.
func (f *Field) allowsTime(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 1 && y <= 9999
}

// isUUID reports whether b is a UUID in its text form, in either case.
func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c-'0' < 10 || c|0x20 >= 'a' && c|0x20 <= 'f':
		default:
			return false
		}
	}
	return true
}

// shorten makes a value fit into a message: at most 60 bytes, nothing that a
// terminal would act on.
func shorten(b []byte) string {
	const most = 60
	if len(b) > most {
		cut := most
		for cut > most-4 && !utf8.RuneStart(b[cut]) {
			cut--
		}
		return clean(b[:cut]) + "…"
	}
	return clean(b)
}

func clean(b []byte) string {
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
