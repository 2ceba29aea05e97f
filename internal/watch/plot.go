package watch

import (
	"math"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// plot draws a curve in braille: each cell of the terminal is two by four dots. Raw
// values are single dots; their mean is a line, so that the two can be told apart
// without colour. Between values that are not there, nothing is drawn.
type plot struct {
	title    string
	x        []float64
	raw      []float64
	mean     []float64
	fromZero bool // counts and times begin at zero; rewards where they are
}

// axis is how many columns the numbers beside a plot take.
const axis = 9

// lines draws the plot in w columns and h lines, title and axis included.
func (p *plot) lines(w, h int, st style) []string {
	out := make([]string, 0, h)
	last := len(p.mean) - 1
	for last >= 0 && math.IsNaN(p.mean[last]) {
		last--
	}
	head := p.title
	if last >= 0 {
		head += "  " + words.Number(p.mean[last])
	}
	out = append(out, st.paint(strong, words.Pad(head, w)))
	rows, columns := h-2, w-axis
	low, high, ok := p.span()
	if !ok || rows < 1 || columns < 4 {
		for len(out) < h {
			text := ""
			if len(out) == 1 {
				text = "  nothing yet"
			}
			out = append(out, st.paint(grey, words.Pad(text, w)))
		}
		return out[:max(h, 0)]
	}
	first, end := p.x[0], p.x[len(p.x)-1]
	dots := canvas{w: columns, h: rows, raw: make([]uint8, columns*rows), mean: make([]uint8, columns*rows)}
	at := func(i int, values []float64) (x, y int, ok bool) {
		if i < 0 || math.IsNaN(values[i]) || math.IsInf(values[i], 0) {
			return 0, 0, false
		}
		if end > first {
			x = int(math.Round((p.x[i] - first) / (end - first) * float64(2*columns-1)))
		}
		share := (values[i] - low) / (high - low)
		return x, int(math.Round((1 - min(max(share, 0), 1)) * float64(4*rows-1))), true
	}
	for i := range p.x {
		if x, y, ok := at(i, p.raw); ok {
			dots.set(dots.raw, x, y)
		}
		x, y, ok := at(i, p.mean)
		if !ok {
			continue
		}
		if fx, fy, ok := at(i-1, p.mean); ok {
			dots.line(dots.mean, fx, fy, x, y)
		} else {
			dots.set(dots.mean, x, y)
		}
	}
	for row := range rows {
		label := ""
		switch row {
		case 0:
			label = brief(high)
		case rows - 1:
			label = brief(low)
		}
		out = append(out, st.paint(grey, words.PadLeft(label, axis-2)+" ┤")+dots.row(row, st))
	}
	foot := brief(first)
	right := brief(end)
	if gap := columns - words.Columns(foot) - words.Columns(right); end > first && gap > 1 {
		foot += strings.Repeat(" ", gap) + right
	}
	out = append(out, st.paint(grey, words.Pad(strings.Repeat(" ", axis)+foot, w)))
	return out
}

// brief is a number in at most seven columns.
func brief(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e5, a >= 1e3 && a < 1e4:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 1e4 && a < 1e6:
		return strconv.FormatFloat(v/1e3, 'f', 1, 64) + "k"
	case a >= 1e6 && a < 1e9:
		return strconv.FormatFloat(v/1e6, 'f', 1, 64) + "M"
	case a >= 1e9 || a < 1e-3:
		return strconv.FormatFloat(v, 'e', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// span is what the vertical axis covers.
func (p *plot) span() (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range p.raw {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			low, high, ok = min(low, v), max(high, v), true
		}
	}
	if p.fromZero {
		low, high = min(low, 0), max(high, 0)
	}
	if ok && low == high {
		low, high = low-1, high+1
	}
	return low, high, ok
}

// canvas holds the dots of the cells.
type canvas struct {
	w, h      int
	raw, mean []uint8
}

func (c *canvas) set(on []uint8, x, y int) {
	bits := [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}
	if x < 0 || y < 0 || x >= 2*c.w || y >= 4*c.h {
		return
	}
	on[y/4*c.w+x/2] |= bits[y%4][x%2]
}

// line is Bresenham's.
func (c *canvas) line(on []uint8, x0, y0, x1, y1 int) {
	dx, dy := abs(x1-x0), -abs(y1-y0)
	sx, sy := 1, 1
	if x0 > x1 {
		sx = -1
	}
	if y0 > y1 {
		sy = -1
	}
	for e := dx + dy; ; {
		c.set(on, x0, y0)
		if x0 == x1 && y0 == y1 {
			return
		}
		if twice := 2 * e; twice >= dy {
			e += dy
			x0 += sx
		} else {
			e += dx
			y0 += sy
		}
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// row is a line of cells: the mean's colour where it goes through, else the raw one's.
func (c *canvas) row(y int, st style) string {
	var b strings.Builder
	was := ""
	for x := range c.w {
		raw, mean := c.raw[y*c.w+x], c.mean[y*c.w+x]
		colour := ""
		switch {
		case mean != 0:
			colour = blue
		case raw != 0:
			colour = grey
		}
		if st.Colour && colour != was {
			if was != "" {
				b.WriteString(plain)
			}
			b.WriteString(colour)
			was = colour
		}
		if raw|mean == 0 {
			b.WriteByte(' ')
		} else {
			b.WriteRune(rune(0x2800 + int(raw|mean)))
		}
	}
	if was != "" {
		b.WriteString(plain)
	}
	return b.String()
}

// sparkline draws means as blocks of eight heights in w cells; what is not there is a
// gap.
func sparkline(values []*float64, w int) string {
	cells := min(w, len(values))
	if cells == 0 {
		return ""
	}
	sum, n := make([]float64, cells), make([]int, cells)
	for i, v := range values {
		if v != nil {
			sum[i*cells/len(values)] += *v
			n[i*cells/len(values)]++
		}
	}
	return words.Spark(sum, n)
}
