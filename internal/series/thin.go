package series

import "math"

// thin leaves about as many rows as points. The rows are divided into stretches of
// equal length; of each stretch stay the first row, the last row, and for each column
// the row of its minimum and that of its maximum (M4: Jugel, Jerzak, Hackenbroich and
// Markl, "M4: A Visualization-Oriented Time Series Data Aggregation", PVLDB 7(10),
// 2014), and of the gaps the first. With several columns up to as many times more rows
// stay, because all columns share their rows.
func (s *Series) thin(points int) {
	n := len(s.X)
	stretches := max(points/4, 1)
	if n <= points || n <= 4*stretches {
		return
	}
	keep := make([]bool, n)
	for b := range stretches {
		from, to := b*n/stretches, (b+1)*n/stretches
		keep[from], keep[to-1] = true, true
		for _, column := range s.Columns {
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
				keep[low], keep[high] = true, true
			}
		}
		for i := from; i < to; i++ {
			if s.empty(i) {
				keep[i] = true
				break
			}
		}
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

// empty reports whether no column has a value in a row.
func (s *Series) empty(i int) bool {
	for _, column := range s.Columns {
		if !math.IsNaN(column[i]) {
			return false
		}
	}
	return true
}
