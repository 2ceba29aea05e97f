package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// num writes a measure with no more digits than mean something.
func num(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	case a >= 1e6:
		return minus(strconv.FormatFloat(v, 'g', 4, 64))
	case a >= 1000:
		return thousands(v)
	case a >= 100:
		return minus(strconv.FormatFloat(v, 'f', 1, 64))
	case a >= 1:
		return minus(strconv.FormatFloat(v, 'f', 2, 64))
	case a >= 0.001:
		return minus(strconv.FormatFloat(v, 'f', 3, 64))
	}
	return minus(strconv.FormatFloat(v, 'g', 2, 64))
}

func thousands(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "−" + s
	}
	return s
}

func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

func optional(v *float64) string {
	if v == nil {
		return "–"
	}
	return num(*v)
}

// signed is num with a plus for what is above 0.
func signed(v float64) string {
	if v > 0 {
		return "+" + num(v)
	}
	return num(v)
}

// probability writes a p-value.
func probability(p float64) string {
	switch {
	case p >= 0.9995:
		return "1"
	case p >= 0.001:
		return strconv.FormatFloat(p, 'f', 3, 64)
	case p == 0:
		return "< 1e-300"
	}
	return strconv.FormatFloat(p, 'e', 1, 64)
}

func interval(low, high float64) string { return fmt.Sprintf("[%s, %s]", num(low), num(high)) }

func of(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(float64(n)) + " " + noun + "s"
}
