// Package words writes numbers, times and names as people read them on a terminal.
package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Count writes a number with thousands separators: 1,204.
func Count[T int | int64 | uint64](n T) string {
	s := fmt.Sprint(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Of writes a number with its noun: "1 record", "1,204 records".
func Of[T int | int64 | uint64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return Count(n) + " " + stem + "ies"
	}
	return Count(n) + " " + noun + "s"
}

// Number writes a measure with no more digits than mean something.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	case a >= 1e15 || a < 1e-4:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// Optional is Number, and a dash for what was not measured.
func Optional(v *float64) string {
	if v == nil {
		return "–"
	}
	return Number(*v)
}

// Size writes bytes in decimal units.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// Duration writes a length of time in one or two units.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Ago says how long before now something was.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := now.Sub(t)
	switch {
	case d < 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Clock writes an instant in UTC.
func Clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + "Z"
}

// Short is the end of a run's UUID, which tells runs apart; the beginning is the time.
func Short(id string) string {
	if len(id) == 36 {
		return id[28:]
	}
	return id
}

// Visible keeps text from a record or a file from steering the terminal: control
// characters are written as escapes.
func Visible(s string) string {
	clean := true
	for _, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, w := 0, 0; i < len(s); i += w {
		var r rune
		r, w = utf8.DecodeRuneInString(s[i:])
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || (r == utf8.RuneError && w == 1) {
			q := strconv.QuoteToASCII(s[i : i+w])
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteString(s[i : i+w])
	}
	return b.String()
}

// Columns counts the columns that s takes on a terminal, without escape sequences: a
// character that is made of several code points, as many emoji are, counts once.
func Columns(s string) int { return ansi.StringWidth(s) }

// Clip shortens text to n columns; escape sequences stay whole.
func Clip(s string, n int) string { return ansi.Truncate(s, n, "…") }

// Pad fills text with blanks to n columns, or shortens it to them.
func Pad(s string, n int) string {
	s = Clip(s, n)
	return s + strings.Repeat(" ", max(0, n-Columns(s)))
}

// PadLeft is Pad for numbers.
func PadLeft(s string, n int) string {
	s = Clip(s, n)
	return strings.Repeat(" ", max(0, n-Columns(s))) + s
}

// ClipLeft shortens plain text, such as a path, to n columns and keeps its end.
func ClipLeft(s string, n int) string {
	if over := Columns(s) - n; over > 0 {
		return ansi.TruncateLeft(s, over+1, "…")
	}
	return s
}

// Wrap breaks plain text into lines of at most n columns, between words where it can.
func Wrap(s string, n int) []string {
	lines := strings.Split(ansi.Wrap(s, max(1, n), ""), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// Spark draws the means sum/n as blocks of eight heights; a cell with n of zero is a gap.
func Spark(sum []float64, n []int) string {
	const blocks = "▁▂▃▄▅▆▇█"
	heights := []rune(blocks)
	low, high := math.Inf(1), math.Inf(-1)
	for i := range sum {
		if n[i] > 0 {
			v := sum[i] / float64(n[i])
			low, high = min(low, v), max(high, v)
		}
	}
	var b strings.Builder
	for i := range sum {
		switch {
		case n[i] == 0:
			b.WriteByte(' ')
		case high == low:
			b.WriteRune(heights[3])
		default:
			v := sum[i] / float64(n[i])
			b.WriteRune(heights[min(7, int((v-low)/(high-low)*8))])
		}
	}
	return b.String()
}
