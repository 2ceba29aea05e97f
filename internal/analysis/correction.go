package analysis

// Holm corrects p-values for being a family (Holm 1979, Scandinavian Journal of
// Statistics 6): the i-th smallest of n is multiplied by n − i + 1, and none is
// smaller than one before it.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sortBy(order, p)
	out := make([]float64, len(p))
	largest := 0.0
	for rank, i := range order {
		largest = max(largest, min(p[i]*float64(len(p)-rank), 1))
		out[i] = largest
	}
	return out
}

// Bonferroni corrects p-values for being a family by multiplying each with their
// number (Dunn 1961). Holm's correction is never weaker.
func Bonferroni(p []float64) []float64 {
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = min(v*float64(len(p)), 1)
	}
	return out
}
