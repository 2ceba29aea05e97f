package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Outlier is pairs without which the result is another.
type Outlier struct {
	Pairs   []int      `json:"pairs"` // places in the input, from 0
	Without Comparison `json:"without"`
	Says    string     `json:"says"`
}

const (
	outlying  = 3.5 // modified z-score from which a difference is an outlier
	mostLooks = 5   // outliers that are left out one by one
)

// Outliers are the places of differences that lie far from the others, the farthest
// first: those with a modified z-score above 3.5 (Iglewicz and Hoaglin 1993), by the
// median absolute deviation, or by the mean one where that is 0.
func Outliers(d []float64) []int {
	sorted := slices.Sorted(slices.Values(d))
	middle := quantile(sorted, 0.5)
	far := make([]float64, len(d))
	mean := 0.0
	for i, x := range d {
		far[i] = math.Abs(x - middle)
		mean += far[i] / float64(len(d))
	}
	scale := quantile(slices.Sorted(slices.Values(far)), 0.5) / 0.6745
	if scale == 0 {
		scale = mean * 1.253314
	}
	if scale == 0 {
		return nil
	}
	var places []int
	for i := range d {
		if far[i]/scale > outlying {
			places = append(places, i)
		}
	}
	slices.SortStableFunc(places, func(i, j int) int { return cmp.Compare(far[j], far[i]) })
	return places
}

// deciding looks for an outlier, or all of them together, without which significance or
// direction is another.
func deciding(a, b []float64, c *Comparison, o Options) *Outlier {
	d, err := differences(a, b)
	if err != nil {
		return nil
	}
	places := Outliers(d)
	if len(places) == 0 || len(places) > len(d)/4+1 {
		return nil // a quarter of the data is no exception
	}
	o.OnlyThis = true
	look := func(out []int) *Outlier {
		x, y := without(a, out), without(b, out)
		if len(x) < 3 {
			return nil
		}
		r, err := CompareWith(x, y, o)
		if err != nil || (r.P < Alpha) == (c.P < Alpha) && (r.Mean > 0) == (c.Mean > 0) {
			return nil
		}
		what := "pair decides"
		if len(out) > 1 {
			what = fmt.Sprintf("%d pairs decide", len(out))
		} else {
			what = "one " + what
		}
		return &Outlier{Pairs: out, Without: r, Says: fmt.Sprintf("%s the result: with it the mean difference is %.4g (p = %.3g), without it %.4g (p = %.3g, %s)",
			what, c.Mean, c.P, r.Mean, r.P, r.Method)}
	}
	for _, i := range places[:min(len(places), mostLooks)] {
		if r := look([]int{i}); r != nil {
			return r
		}
	}
	if len(places) > 1 {
		return look(places)
	}
	return nil
}

// without leaves out the numbers at some places.
func without(x []float64, places []int) []float64 {
	kept := make([]float64, 0, len(x))
	for i, v := range x {
		if !slices.Contains(places, i) {
			kept = append(kept, v)
		}
	}
	return kept
}
