package figure

import (
	"cmp"
	"math"
	"slices"
)

// Effect is a row of a forest plot.
type Effect struct {
	Name      string
	Value     float64
	Low, High float64
	Note      string // at the right, such as p and stars
	Sure      bool   // a difference was shown
}

// Forest draws effects with their intervals, one below the other. The vertical line is
// no difference.
func Forest(heading, axis string, effects []Effect, src Source) []byte {
	const row, width = 27.0, 680.0
	left := 150.0
	right := width - 120
	top, bottom := 50.0, 50+row*float64(len(effects))+6
	for _, e := range effects {
		left = max(left, min(broad(e.Name, normal)+20, 250))
	}
	c := newCanvas(width, bottom+48)
	c.bold(12, 24, title, heading)
	values := []float64{0}
	for _, e := range effects {
		values = append(values, e.Value, e.Low, e.High)
	}
	low, high := spread(false, values)
	x := scale{low, high, left, right}
	c.axes(axes{x: x, y: scale{0, 1, bottom, top}, xName: axis, noY: true, left: left, right: right, top: top, bottom: bottom})
	c.line(x.at(0), top, x.at(0), bottom, 1.2, ink, "4 3")
	for i, e := range effects {
		y := top + row*(float64(i)+0.5) + 3
		colour, fill := Colours[0], Colours[0]
		if !e.Sure {
			colour, fill = grey, "#ffffff"
		}
		c.letters(left-10, y+4, normal, "end", ink, short(e.Name, normal, left-16))
		c.line(x.at(e.Low), y, x.at(e.High), y, 2, colour, "")
		for _, end := range []float64{e.Low, e.High} {
			c.line(x.at(end), y-4, x.at(end), y+4, 2, colour, "")
		}
		c.rect(x.at(e.Value)-4.5, y-4.5, 9, 9, fill, ` stroke="`+colour+`" stroke-width="1.6"`)
		c.letters(right+10, y+4, small, "start", ink, e.Note)
	}
	return c.done(src)
}

// PairedPoint is a scenario in a plot of paired differences.
type PairedPoint struct {
	Name       string
	Difference float64
	Outlier    bool
}

// Paired draws the differences of pairs, sorted, with their mean and its interval.
func Paired(heading, axis string, points []PairedPoint, mean, low, high float64, src Source) []byte {
	const width, height = 680.0, 360.0
	left, right, top, bottom := 74.0, width-24, 58.0, height-52
	c := newCanvas(width, height)
	c.bold(12, 24, title, heading)
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b PairedPoint) int { return cmp.Compare(a.Difference, b.Difference) })
	values := make([]float64, 0, len(sorted))
	for _, p := range sorted {
		values = append(values, p.Difference)
	}
	bottomOf, topOf := spread(true, values, []float64{low, high})
	y := scale{bottomOf, topOf, bottom, top}
	x := scale{0, float64(len(sorted)), left, right}
	c.axes(axes{x: x, y: y, xName: "pairs, sorted by their difference", yName: axis, noX: true, left: left, right: right, top: top, bottom: bottom})
	c.rect(left, y.at(high), right-left, max(y.at(low)-y.at(high), 1), Colours[0], ` fill-opacity="0.15"`)
	c.line(left, y.at(mean), right, y.at(mean), 1.6, Colours[0], "")
	c.line(left, y.at(0), right, y.at(0), 1.2, ink, "4 3")
	bar := max((right-left)/float64(max(len(sorted), 1))*0.72, 0.5)
	for i, p := range sorted {
		colour := Colours[5]
		if p.Outlier {
			colour = Colours[1]
		}
		at, zero := y.at(p.Difference), y.at(0)
		c.rect(x.at(float64(i)+0.5)-bar/2, min(at, zero), bar, max(math.Abs(at-zero), 0.6), colour, "")
		if p.Outlier {
			c.letters(min(max(x.at(float64(i)+0.5), left+60), right-60), min(at, zero)-5, small, "middle", Colours[1], short(p.Name, small, 150))
		}
	}
	c.line(12, 37, 34, 37, 1.6, Colours[0], "")
	c.letters(40, 41, small, "start", ink, "mean, with its 95 % interval")
	return c.done(src)
}

// Sample is a set of numbers with a name.
type Sample struct {
	Name   string
	Values []float64
}

// Distributions draws each number of each sample as a dot, with the quartiles as a box
// and the mean as a line.
func Distributions(heading, axis string, samples []Sample, src Source) []byte {
	const width, row = 680.0, 78.0
	left, right, top := 74.0, width-24, 54.0
	for _, s := range samples {
		left = max(left, min(broad(s.Name, normal)+22, 210))
	}
	bottom := top + row*float64(len(samples))
	c := newCanvas(width, bottom+52)
	c.bold(12, 24, title, heading)
	var all []float64
	for _, s := range samples {
		all = append(all, s.Values...)
	}
	low, high := spread(false, all)
	x := scale{low, high, left, right}
	c.axes(axes{x: x, y: scale{0, 1, bottom, top}, xName: axis, noY: true, left: left, right: right, top: top, bottom: bottom})
	for i, s := range samples {
		if len(s.Values) == 0 {
			continue
		}
		colour := Colours[i%len(Colours)]
		middle := top + row*(float64(i)+0.5)
		c.letters(left-10, middle+4, normal, "end", ink, short(s.Name, normal, left-16))
		sorted := slices.Sorted(slices.Values(s.Values))
		at := func(p float64) float64 {
			k := p * float64(len(sorted)-1)
			j := int(k)
			if j+1 >= len(sorted) {
				return sorted[len(sorted)-1]
			}
			return sorted[j] + (k-float64(j))*(sorted[j+1]-sorted[j])
		}
		mean := 0.0
		for _, v := range sorted {
			mean += v / float64(len(sorted))
		}
		// Dots in lanes, so that equal ones do not hide each other.
		const lanes = 11
		next := make([]float64, lanes)
		for k := range next {
			next[k] = math.Inf(-1)
		}
		for _, v := range sorted {
			lane := 0
			for lane < lanes-1 && x.at(v) < next[lane] {
				lane++
			}
			next[lane] = x.at(v) + 4.4
			c.dot(x.at(v), middle+8+float64(lane)*2.9, 2.1, colour, ` fill-opacity="0.55"`)
		}
		c.rect(x.at(at(0.25)), middle-24, max(x.at(at(0.75))-x.at(at(0.25)), 1), 18, "#ffffff", ` stroke="`+colour+`" stroke-width="1.6"`)
		c.line(x.at(at(0.5)), middle-24, x.at(at(0.5)), middle-6, 2.4, colour, "")
		c.line(x.at(mean), middle-28, x.at(mean), middle-2, 1.2, ink, "2 2")
	}
	c.letters(12, 42, small, "start", grey, "box: quartiles and median · dashes: mean · dots: each pair")
	return c.done(src)
}
