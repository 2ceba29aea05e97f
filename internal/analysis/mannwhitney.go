package analysis

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// exactTogether is the number of values in both samples up to which the distribution
// of U is computed in full.
const exactTogether = 60

// MannWhitney tests whether the numbers of one sample tend to be larger than those of
// the other (Mann and Whitney 1947). The statistic is U of a: the pairs in which a is
// larger, ties counted half. With up to 60 numbers in all the p-value is exact over all
// ways to deal out the ranks, ties included; beyond, it is the normal approximation
// with corrections for ties and continuity.
func MannWhitney(a, b []float64) (Test, error) {
	if err := twoSamples(a, b); err != nil {
		return Test{}, err
	}
	n, m := len(a), len(b)
	both := make([]float64, 0, n+m)
	both = append(append(both, a...), b...)
	rank2, ties := doubleRanks(both)
	sum2 := 0 // doubled rank sum of a
	for _, k := range rank2[:n] {
		sum2 += k
	}
	least2 := n * (n + 1) // what the doubled rank sum is when a has the smallest ranks
	u := float64(sum2-least2) / 2
	r := Test{Method: MethodMannWhitney, Statistic: u, Of: "U"}
	if n+m <= exactTogether {
		r.P, r.SmallestP, r.Exact = exactRankSum(rank2, n, sum2)
		return r, nil
	}
	fn, fm, all := float64(n), float64(m), float64(n+m)
	sd := math.Sqrt(fn * fm / 12 * (all + 1 - ties/(all*(all-1))))
	if sd == 0 {
		return Test{}, errConstant
	}
	normal := func(u float64) float64 {
		return min(2*distuv.UnitNormal.Survival((max(u, fn*fm-u)-fn*fm/2-0.5)/sd), 1)
	}
	r.P, r.SmallestP = normal(u), normal(0)
	return r, nil
}

// exactRankSum is the two-sided p-value of a doubled rank sum of n of the ranks, over
// all choices of n, and the smallest that is possible.
func exactRankSum(rank2 []int, n, sum2 int) (p, smallest float64, exact bool) {
	total := 0
	for _, k := range rank2 {
		total += k
	}
	// ways[c][s] is the number of choices of c ranks with the doubled sum s.
	ways := make([][]float64, n+1)
	for c := range ways {
		ways[c] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for i, k := range rank2 {
		for c := min(i+1, n); c >= 1; c-- {
			for s := total; s >= k; s-- {
				ways[c][s] += ways[c-1][s-k]
			}
		}
	}
	all, low, high, extreme := 0.0, 0.0, 0.0, 0.0
	for s, w := range ways[n] {
		all += w
		if s <= sum2 {
			low += w
		}
		if s >= sum2 {
			high += w
		}
		if extreme == 0 {
			extreme = w
		}
	}
	return min(2*min(low, high)/all, 1), min(2*extreme/all, 1), true
}
