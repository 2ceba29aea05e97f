package series

import (
	"math"
	"strings"
)

// meanSuffix ends the name of a column of means.
const meanSuffix = "~mean"

// thin leaves about as many rows as points, at most twice as many. The rows are divided
// into stretches of equal length; of each stretch stay the first row, the last row, and
// for each column the row of its minimum and that of its maximum (M4: Jugel, Jerzak,
// Hackenbroich and Markl, "M4: A Visualization-Oriented Time Series Data Aggregation",
// PVLDB 7(10), 2014), and of the gaps the first. All columns share their rows, so with
// many columns there are fewer stretches. The extremes of means are not looked for.
func (s *Series) thin(points int) {
	n := len(s.X)
	if n <= points {
		return
	}
	stretches := max(points/4, 1)
	keep, kept := s.extremes(stretches)
	for kept > 2*points && stretches > 1 {
		stretches = max(min(stretches*2*points/kept, stretches-1), 1)
		keep, kept = s.extremes(stretches)
	}
	out := 0
	for i, k := range keep {
		if !k {
			continue
		}
		s.X[out] = s.X[i]
		for _, column := range s.Columns {
			column[out] = column[i]
		}
		out++
	}
	s.Thinned = out < n
	s.X = s.X[:out]
	for i := range s.Columns {
		s.Columns[i] = s.Columns[i][:out]
	}
}

// extremes marks the rows that stay when there are so many stretches.
func (s *Series) extremes(stretches int) (keep []bool, kept int) {
	n := len(s.X)
	keep = make([]bool, n)
	mark := func(i int) {
		if !keep[i] {
			keep[i] = true
			kept++
		}
	}
	for b := range stretches {
		from, to := b*n/stretches, (b+1)*n/stretches
		if from == to {
			continue
		}
		mark(from)
		mark(to - 1)
		for c, column := range s.Columns {
			if strings.HasSuffix(s.Names[c], meanSuffix) {
				continue
			}
			low, high := -1, -1
			for i := from; i < to; i++ {
				if math.IsNaN(column[i]) {
					continue
				}
				if low < 0 || column[i] < column[low] {
					low = i
				}
				if high < 0 || column[i] > column[high] {
					high = i
				}
			}
			if low >= 0 {
				mark(low)
				mark(high)
			}
		}
		for i := from; i < to; i++ {
			if s.empty(i) {
				mark(i)
				break
			}
		}
	}
	return keep, kept
}

// empty reports whether no column has a value in a row.
func (s *Series) empty(i int) bool {
	for _, column := range s.Columns {
		if !math.IsNaN(column[i]) {
			return false
		}
	}
	return true
}
