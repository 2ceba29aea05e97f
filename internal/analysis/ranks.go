package analysis

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// SignedRank is the result of Wilcoxon's signed-rank test.
type SignedRank struct {
	N         int     // differences that are not zero
	Statistic float64 // the smaller of the sums of positive and negative ranks
	P         float64 // two-sided
	SmallestP float64 // that so many differences can give
	Exact     bool
}

// exactLimit is the number of differences up to which the distribution is computed
// in full.
const exactLimit = 50

// Wilcoxon tests whether differences are symmetric about zero (Wilcoxon 1945).
// Zeros are left out, equal differences share their mean rank. Up to 50 differences
// the p-value is exact over all signs, ties included; beyond, it is the normal
// approximation with the correction for ties.
func Wilcoxon(d []float64) (SignedRank, error) {
	var nonzero []float64
	for _, x := range d {
		if x != 0 {
			nonzero = append(nonzero, x)
		}
	}
	n := len(nonzero)
	if n == 0 {
		return SignedRank{}, errors.New("all differences are zero")
	}
	size := make([]float64, n)
	for i, x := range nonzero {
		size[i] = math.Abs(x)
	}
	rank2, ties := doubleRanks(size)
	plus, total := 0, 0
	for i, x := range nonzero {
		total += rank2[i]
		if x > 0 {
			plus += rank2[i]
		}
	}
	small := min(plus, total-plus)
	r := SignedRank{N: n, Statistic: float64(small) / 2}
	if n <= exactLimit {
		// ways[s] is the number of sign patterns whose positive doubled ranks sum to s.
		ways := make([]float64, total+1)
		ways[0] = 1
		for _, k := range rank2 {
			for s := total; s >= k; s-- {
				ways[s] += ways[s-k]
			}
		}
		tail := 0.0
		for s := 0; s <= small; s++ {
			tail += ways[s]
		}
		all := math.Exp2(float64(n))
		r.P, r.SmallestP, r.Exact = min(2*tail/all, 1), 2/all, true
		return r, nil
	}
	mean := float64(n*(n+1)) / 4
	variance := float64(n)*float64(n+1)*float64(2*n+1)/24 - ties/48
	normal := func(w float64) float64 { return 2 * distuv.UnitNormal.CDF((w-mean)/math.Sqrt(variance)) }
	r.P, r.SmallestP = min(normal(r.Statistic), 1), normal(0)
	return r, nil
}

// doubleRanks returns twice the mean rank of each number, which is whole, and the
// sum of t³ − t over groups of t equal numbers.
func doubleRanks(v []float64) (ranks []int, ties float64) {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	sortBy(order, v)
	ranks = make([]int, len(v))
	for from := 0; from < len(v); {
		to := from
		for to < len(v) && v[order[to]] == v[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = from + 1 + to
		}
		t := float64(to - from)
		ties += t*t*t - t
		from = to
	}
	return ranks, ties
}

// sortBy sorts places by the numbers there; equal ones keep their order.
func sortBy(order []int, v []float64) {
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case v[i] < v[j]:
			return -1
		case v[i] > v[j]:
			return 1
		}
		return 0
	})
}
