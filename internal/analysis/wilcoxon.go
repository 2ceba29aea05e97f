package analysis

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Zeros says what a signed-rank test does with differences that are zero.
type Zeros string

// The two ways of handling zeros.
const (
	LeaveOut Zeros = "left out (Wilcoxon 1945)"
	Pratt    Zeros = "ranked, then dropped (Pratt 1959)"
)

// SignedRank is the result of Wilcoxon's signed-rank test.
type SignedRank struct {
	N         int     // differences that are not zero
	Zeros     int     // differences that are
	Statistic float64 // the smaller of the sums of positive and negative ranks
	P         float64 // two-sided
	SmallestP float64 // that so many differences can give
	Exact     bool
}

// exactLimit is the number of differences up to which the distribution is computed
// in full.
const exactLimit = 50

// Wilcoxon tests whether differences are symmetric about zero (Wilcoxon 1945). Equal
// differences share their mean rank. Up to 50 differences the p-value is exact over all
// signs, ties included; beyond, it is the normal approximation with the correction for
// ties, without one for continuity.
func Wilcoxon(d []float64, zeros Zeros) (SignedRank, error) {
	if err := finite(d); err != nil {
		return SignedRank{}, err
	}
	ranked := make([]float64, 0, len(d))
	for _, x := range d {
		if x != 0 || zeros == Pratt {
			ranked = append(ranked, x)
		}
	}
	size := make([]float64, len(ranked))
	for i, x := range ranked {
		size[i] = math.Abs(x)
	}
	rank2, _ := doubleRanks(size)
	var signed []int // doubled ranks of what is not zero
	plus, total := 0, 0
	for i, x := range ranked {
		if x == 0 {
			continue
		}
		signed = append(signed, rank2[i])
		total += rank2[i]
		if x > 0 {
			plus += rank2[i]
		}
	}
	n := len(signed)
	if n == 0 {
		return SignedRank{}, errors.New("all differences are zero")
	}
	small := min(plus, total-plus)
	r := SignedRank{N: n, Zeros: len(d) - n, Statistic: float64(small) / 2}
	if n <= exactLimit {
		r.P, r.SmallestP, r.Exact = exactSignedRanks(signed, small, total), math.Exp2(float64(1-n)), true
		return r, nil
	}
	// Of a rank r with a random sign the sum has mean r/2 and variance r²/4, so that
	// the ranks' own squares already have what ties take away.
	mean, variance := float64(total)/4, 0.0
	for _, k := range signed {
		variance += float64(k) * float64(k) / 16
	}
	normal := func(w float64) float64 { return 2 * distuv.UnitNormal.CDF((w-mean)/math.Sqrt(variance)) }
	r.P, r.SmallestP = min(normal(r.Statistic), 1), normal(0)
	return r, nil
}

// exactSignedRanks is the two-sided p-value over all signs of the doubled ranks.
func exactSignedRanks(rank2 []int, small, total int) float64 {
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
	return min(2*tail/math.Exp2(float64(len(rank2))), 1)
}

// test is the result as one of several tests.
func (r SignedRank) test() Test {
	return Test{Method: MethodWilcoxon, Statistic: r.Statistic, Of: "W", P: r.P, SmallestP: r.SmallestP, Exact: r.Exact}
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
