package analysis

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/combin"
)

const (
	signsLimit   = 20      // pairs up to which all signs are tried
	dealsLimit   = 200_000 // ways to deal two samples up to which all are tried
	permutations = 10_000  // tried at random beyond that
)

// SignFlips is the permutation test of paired differences (Fisher 1935): under the
// hypothesis each difference could as well have had the other sign. The statistic is
// the mean difference. Up to 20 pairs all signs are tried; beyond, 10,000 at random
// with the given seed, and p = (hits + 1) / (draws + 1) (Phipson and Smyth 2010).
func SignFlips(d []float64, seed uint64) (Test, error) {
	if err := finite(d); err != nil {
		return Test{}, err
	}
	n := len(d)
	if n < 1 {
		return Test{}, fmt.Errorf("permutation test of %d pairs", n)
	}
	sum, size := 0.0, 0.0
	for _, x := range d {
		sum += x
		size += math.Abs(x)
	}
	r := Test{Method: MethodPermutation, Statistic: sum / float64(n), Of: "mean difference"}
	// Sums that differ by rounding only are equal.
	limit := math.Abs(sum) - 1e-12*size
	if n <= signsLimit {
		hits := 0
		// In Gray code each pattern differs from the one before in one sign.
		s, sign := sum, make([]float64, n)
		for i := range sign {
			sign[i] = 1
		}
		for k := 1; ; k++ {
			if math.Abs(s) >= limit {
				hits++
			}
			if k == 1<<n {
				break
			}
			i := bits.TrailingZeros(uint(k))
			sign[i] = -sign[i]
			s += 2 * sign[i] * d[i]
		}
		r.P, r.SmallestP, r.Exact = float64(hits)/float64(int(1)<<n), math.Exp2(float64(1-n)), true
		return r, nil
	}
	draws := draws(permutations, n)
	rng := rand.NewPCG(seed, uint64(n))
	hits := 0
	for range draws {
		s := 0.0
		var word uint64
		for i, x := range d {
			if i%64 == 0 {
				word = rng.Uint64()
			}
			s += math.Float64frombits(math.Float64bits(x) ^ word&1<<63)
			word >>= 1
		}
		if math.Abs(s) >= limit {
			hits++
		}
	}
	r.P, r.SmallestP = float64(hits+1)/float64(draws+1), 1/float64(draws+1)
	return r, nil
}

// Permutation tests whether two samples could have been dealt from one (Fisher 1935).
// The statistic is the difference of the means. Up to 200,000 ways to deal them all are
// tried; beyond, 10,000 at random as in [SignFlips].
func Permutation(a, b []float64, seed uint64) (Test, error) {
	if err := twoSamples(a, b); err != nil {
		return Test{}, err
	}
	n, m := len(a), len(b)
	both := append(append(make([]float64, 0, n+m), a...), b...)
	sum, size, sumA := 0.0, 0.0, 0.0
	for i, x := range both {
		sum += x
		size += math.Abs(x)
		if i < n {
			sumA += x
		}
	}
	difference := func(sumA float64) float64 { return sumA/float64(n) - (sum-sumA)/float64(m) }
	r := Test{Method: MethodPermutation, Statistic: stat.Mean(a, nil) - stat.Mean(b, nil), Of: "mean difference"}
	limit := math.Abs(difference(sumA)) - 1e-12*size
	if ways := combin.GeneralizedBinomial(float64(n+m), float64(n)); ways <= dealsLimit {
		hits, all := 0, 0
		gen := combin.NewCombinationGenerator(n+m, n)
		chosen := make([]int, n)
		for gen.Next() {
			s := 0.0
			for _, i := range gen.Combination(chosen) {
				s += both[i]
			}
			all++
			if math.Abs(difference(s)) >= limit {
				hits++
			}
		}
		r.P, r.SmallestP, r.Exact = float64(hits)/float64(all), min(2/float64(all), 1), true
		return r, nil
	}
	draws := draws(permutations, n+m)
	rng := rand.New(rand.NewPCG(seed, uint64(n+m)))
	hits := 0
	for range draws {
		s := 0.0
		for i := range n { // the first n of a Fisher-Yates shuffle
			j := i + rng.IntN(n+m-i)
			both[i], both[j] = both[j], both[i]
			s += both[i]
		}
		if math.Abs(difference(s)) >= limit {
			hits++
		}
	}
	r.P, r.SmallestP = float64(hits+1)/float64(draws+1), 1/float64(draws+1)
	return r, nil
}

// draws is the number of random draws from n numbers: what was asked for, fewer when
// that would take many seconds, never below 1,000.
func draws(wanted, n int) int {
	const budget = 200_000_000
	return min(wanted, max(budget/max(n, 1), 1000))
}
