package figure

import (
	"fmt"
	"math"
)

// Curve is a line over episodes, with a band where there are several seeds and raw
// values behind it.
type Curve struct {
	Name      string
	X, Y      []float64
	Low, High []float64 // the band; may be nil
	Raw       [][2]float64
	Dots      bool // points that are joined by a thin line, such as validations
}

// Mark is a vertical line with a name, such as the episode of convergence.
type Mark struct {
	X    float64
	Name string
}

// Learning draws curves over episodes.
func Learning(heading, axis string, curves []Curve, marks []Mark, src Source) []byte {
	const width, height = 680.0, 380.0
	left, right, top, bottom := 84.0, width-24, 62.0, height-52
	c := newCanvas(width, height)
	c.bold(12, 24, title, heading)
	var xs, ys [][]float64
	for _, k := range curves {
		xs, ys = append(xs, k.X), append(ys, k.Y, k.Low, k.High)
		for _, r := range k.Raw {
			xs, ys = append(xs, r[:1]), append(ys, r[1:])
		}
	}
	low, high := spread(false, ys...)
	first, last := math.Inf(1), math.Inf(-1)
	for _, l := range xs {
		for _, v := range l {
			first, last = min(first, v), max(last, v)
		}
	}
	if !(last > first) {
		first, last = first-1, first+1
	}
	x, y := scale{first, last, left, right}, scale{low, high, bottom, top}
	c.axes(axes{x: x, y: y, xName: "episode", yName: axis, left: left, right: right, top: top, bottom: bottom})
	for i, k := range curves {
		colour := Colours[i%len(Colours)]
		raw := thin(k.Raw, 1200)
		// Few dots must be seen, many must not hide the line.
		faintness := fmt.Sprintf(` fill-opacity="%.2f"`, min(max(90/float64(len(raw)+1), 0.22), 0.6))
		for _, r := range raw {
			c.dot(x.at(r[0]), y.at(r[1]), map[bool]float64{true: 2.4, false: 1.5}[len(raw) < 300], colour, faintness)
		}
		if len(k.Low) == len(k.X) && len(k.High) == len(k.X) {
			var band []point
			for j := range k.X {
				band = append(band, point{x.at(k.X[j]), y.at(k.High[j])})
			}
			for j := len(k.X) - 1; j >= 0; j-- {
				band = append(band, point{x.at(k.X[j]), y.at(k.Low[j])})
			}
			if len(band) > 2 {
				c.area(band, colour, ` fill-opacity="0.18"`)
			}
		}
	}
	legend := left
	for i, k := range curves {
		colour, dash := Colours[i%len(Colours)], []string{"", "7 3", "2 3", "9 3 2 3"}[i%4]
		if dash != "" {
			dash = ` stroke-dasharray="` + dash + `"`
		}
		var line []point
		for j := range k.X {
			if math.IsNaN(k.Y[j]) { // a gap is a gap
				c.path(line, 2, colour, dash)
				line = nil
				continue
			}
			line = append(line, point{x.at(k.X[j]), y.at(k.Y[j])})
		}
		weight := 2.0
		if k.Dots {
			weight = 1
			for _, p := range line {
				c.dot(p.x, p.y, 3.4, "#ffffff", ` stroke="`+colour+`" stroke-width="1.8"`)
			}
		}
		c.path(line, weight, colour, dash)
		name := short(k.Name, small, 190)
		c.path([]point{{legend, 44}, {legend + 22, 44}}, weight, colour, dash)
		c.letters(legend+27, 48, small, "start", ink, name)
		legend += 45 + broad(name, small)
	}
	for _, m := range marks {
		c.line(x.at(m.X), top, x.at(m.X), bottom, 1.2, ink, "5 3")
		anchor, dx := "start", 4.0
		if x.at(m.X) > (left+right)/2 {
			anchor, dx = "end", -4
		}
		c.letters(x.at(m.X)+dx, top+12, small, anchor, ink, m.Name)
	}
	return c.done(src)
}

// thin keeps at most so many points, evenly, with the least and the greatest.
func thin(points [][2]float64, most int) [][2]float64 {
	if len(points) <= most {
		return points
	}
	size := (len(points) + most/2 - 1) / (most / 2)
	var kept [][2]float64
	for i := 0; i < len(points); i += size {
		part := points[i:min(i+size, len(points))]
		low, high := part[0], part[0]
		for _, p := range part {
			if p[1] < low[1] {
				low = p
			}
			if p[1] > high[1] {
				high = p
			}
		}
		kept = append(kept, low)
		if high != low {
			kept = append(kept, high)
		}
	}
	return kept
}
