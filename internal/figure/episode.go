package figure

import (
	"fmt"
	"math"
)

// Place is an approach of a junction with its queue at each time.
type Place struct {
	Name   string
	Values []float64 // at the times of the figure; NaN is a gap
}

// shade is a colour of one light-to-dark scale for 0 to 1, which prints in grey too.
func shade(v float64) string {
	v = min(max(v, 0), 1)
	// From nearly white over blue to nearly black.
	r := 247 - 230*math.Pow(v, 0.8)
	g := 251 - 205*v
	b := 255 - 150*v*v
	return fmt.Sprintf("#%02x%02x%02x", int(r), int(g), int(b))
}

// SpaceTime draws the queue of each approach over time: one row an approach, darker is
// longer.
func SpaceTime(heading string, times []float64, places []Place, src Source) []byte {
	const width, row = 680.0, 20.0
	left, right, top := 90.0, width-90, 46.0
	for _, p := range places {
		left = max(left, min(broad(p.Name, small)+18, 200))
	}
	bottom := top + row*float64(len(places))
	c := newCanvas(width, max(bottom, top+120)+50)
	c.bold(12, 24, title, heading)
	largest := 1.0
	for _, p := range places {
		for _, v := range p.Values {
			if !math.IsNaN(v) {
				largest = max(largest, v)
			}
		}
	}
	x := scale{0, 1, left, right}
	if n := len(times); n > 0 {
		step := 1.0
		if n > 1 {
			step = times[1] - times[0]
		}
		x = scale{times[0] - step, times[n-1], left, right}
	}
	c.axes(axes{x: x, y: scale{0, 1, bottom, top}, xName: "time since the scenario began, s", noY: true, left: left, right: right, top: top, bottom: bottom})
	for i, p := range places {
		y := top + row*float64(i)
		c.letters(left-8, y+row/2+4, small, "end", ink, short(p.Name, small, left-14))
		from := x.low
		for k, t := range times {
			if k < len(p.Values) && !math.IsNaN(p.Values[k]) {
				c.rect(x.at(from), y+0.5, x.at(t)-x.at(from)+0.25, row-1, shade(p.Values[k]/largest), "")
			}
			from = t
		}
	}
	const levels = 20
	for k := range levels {
		c.rect(right+22, top+100-float64(k+1)*5, 14, 5.2, shade((float64(k)+0.5)/levels), "")
	}
	c.letters(right+40, top+100, small, "start", ink, "0")
	c.letters(right+40, top+8, small, "start", ink, label(largest, 1))
	c.letters(right+18, top+118, small, "start", grey, "halting")
	c.letters(right+18, top+131, small, "start", grey, "vehicles")
	return c.done(src)
}

// onColour is the colour of text on that of a phase.
func onColour(phase int) string {
	switch phase % len(Colours) {
	case 3, 4, 5: // the light ones
		return ink
	}
	return "#ffffff"
}

// Signal is a junction with the phase that it showed at each time.
type Signal struct {
	Name   string
	Phases []int // -1 is a gap
}

// Phases draws the phase of each signal over time: a band a junction.
func Phases(heading string, times []float64, signals []Signal, src Source) []byte {
	const width, row = 680.0, 40.0
	left, right, top := 90.0, width-24, 62.0
	for _, s := range signals {
		left = max(left, min(broad(s.Name, normal)+18, 200))
	}
	bottom := top + row*float64(len(signals))
	c := newCanvas(width, bottom+50)
	c.bold(12, 24, title, heading)
	x := scale{0, 1, left, right}
	if n := len(times); n > 0 {
		step := 1.0
		if n > 1 {
			step = times[1] - times[0]
		}
		x = scale{times[0] - step, times[n-1], left, right}
	}
	most := 0
	c.axes(axes{x: x, y: scale{0, 1, bottom, top}, xName: "time since the scenario began, s", noY: true, left: left, right: right, top: top, bottom: bottom})
	for i, s := range signals {
		y := top + row*float64(i) + 6
		c.letters(left-8, y+row/2-2, normal, "end", ink, short(s.Name, normal, left-14))
		from := x.low
		for k := 0; k < len(times) && k < len(s.Phases); {
			j := k
			for j+1 < len(times) && j+1 < len(s.Phases) && s.Phases[j+1] == s.Phases[k] {
				j++
			}
			if p := s.Phases[k]; p >= 0 {
				most = max(most, p)
				w := x.at(times[j]) - x.at(from)
				c.rect(x.at(from), y, w, row-12, Colours[p%len(Colours)], ` stroke="#ffffff" stroke-width="1"`)
				if w > 14 {
					c.letters(x.at(from)+w/2, y+row/2-2, small, "middle", onColour(p), fmt.Sprint(p))
				}
			}
			from = times[j]
			k = j + 1
		}
	}
	at := left
	for p := range most + 1 {
		name := fmt.Sprintf("phase %d", p)
		if at > right-broad(name, small)-16 {
			break
		}
		c.rect(at, 38, 12, 12, Colours[p%len(Colours)], "")
		c.letters(at+16, 48, small, "start", ink, name)
		at += broad(name, small) + 34
	}
	return c.done(src)
}
