package figure

import (
	"math"
	"strconv"
	"strings"
)

// scale maps numbers to pixels.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	if s.high == s.low {
		return (s.from + s.to) / 2
	}
	return s.from + (v-s.low)/(s.high-s.low)*(s.to-s.from)
}

// spread is the range of numbers with some room at both ends; with zero it holds 0.
func spread(zero bool, lists ...[]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range lists {
		for _, v := range l {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		low, high = 0, 1
	}
	if zero {
		low, high = min(low, 0), max(high, 0)
	}
	if low == high {
		low, high = low-max(math.Abs(low)*0.1, 1), high+max(math.Abs(high)*0.1, 1)
	}
	room := (high - low) * 0.05
	if !zero || low < 0 {
		low -= room
	}
	if !zero || high > 0 {
		high += room
	}
	return low, high
}

// ticks are round numbers in a range, about so many.
func ticks(low, high float64, about int) []float64 {
	if !(high > low) {
		return []float64{low}
	}
	raw := (high - low) / float64(max(about, 1))
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= raw*0.99 {
			step = m * power
			break
		}
	}
	var out []float64
	for k := math.Ceil(low/step - 1e-9); k*step <= high+step*1e-9; k++ {
		out = append(out, k*step)
	}
	return out
}

// label writes a tick's number as short as the step allows, with thin spaces between
// thousands.
func label(v, step float64) string {
	if math.Abs(v) < step*1e-9 {
		return "0"
	}
	if math.Abs(v) >= 1e7 || math.Abs(step) < 1e-4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := 0
	for s := step; digits < 6 && math.Abs(s-math.Round(s)) > 1e-6*s; s *= 10 {
		digits++
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	whole, rest, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "\u2009" + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if v < 0 {
		return "−" + whole
	}
	return whole
}

// axes draws a frame with ticks and names.
type axes struct {
	x, y          scale
	xName, yName  string
	noX, noY      bool // no ticks
	left, right   float64
	top, bottom   float64
	xTicks, yTick []float64
}

func (c *canvas) axes(a axes) {
	a.xTicks = ticks(a.x.low, a.x.high, int((a.right-a.left)/75))
	a.yTick = ticks(a.y.low, a.y.high, int((a.bottom-a.top)/45))
	stepOf := func(t []float64) float64 {
		if len(t) < 2 {
			return 1
		}
		return t[1] - t[0]
	}
	if !a.noY {
		for _, v := range a.yTick {
			y := a.y.at(v)
			c.line(a.left, y, a.right, y, 0.6, faint, "")
			c.letters(a.left-6, y+4, small, "end", ink, label(v, stepOf(a.yTick)))
		}
	}
	if !a.noX {
		for _, v := range a.xTicks {
			x := a.x.at(v)
			c.line(x, a.top, x, a.bottom, 0.6, faint, "")
			c.letters(x, a.bottom+16, small, "middle", ink, label(v, stepOf(a.xTicks)))
		}
	}
	c.line(a.left, a.bottom, a.right, a.bottom, 1, ink, "")
	c.line(a.left, a.top, a.left, a.bottom, 1, ink, "")
	if a.xName != "" {
		c.letters((a.left+a.right)/2, a.bottom+35, normal, "middle", ink, a.xName)
	}
	if a.yName != "" {
		c.upright(16, (a.top+a.bottom)/2, normal, a.yName)
	}
}
