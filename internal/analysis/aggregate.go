package analysis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Scores are measures of one arm: for each scenario one number per seed.
type Scores [][]float64

func (s Scores) check() error {
	if len(s) == 0 {
		return errors.New("no scenarios")
	}
	for i, seeds := range s {
		if len(seeds) == 0 {
			return fmt.Errorf("scenario %d has no numbers", i+1)
		}
		if err := finite(seeds); err != nil {
			return fmt.Errorf("scenario %d: %w", i+1, err)
		}
	}
	return nil
}

// IQM is the interquartile mean of all numbers: a quarter of them is cut off at each
// end (Agarwal et al. 2021).
func (s Scores) IQM() float64 {
	all := slices.Concat(s...)
	return iqm(all)
}

// iqm sorts its numbers.
func iqm(all []float64) float64 {
	slices.Sort(all)
	cut := len(all) / 4
	return stat.Mean(all[cut:len(all)-cut], nil)
}

// iqmOfCounts is the interquartile mean of size numbers, the i-th of which is there
// times[i] times.
func iqmOfCounts(sorted []float64, times []int, size int) float64 {
	skip := size / 4
	left := size - 2*skip
	sum := 0.0
	for i, n := range times {
		if n <= skip {
			skip -= n
			continue
		}
		n = min(n-skip, left)
		skip = 0
		sum += float64(n) * sorted[i]
		if left -= n; left == 0 {
			break
		}
	}
	return sum / float64(size-2*(size/4))
}

// IQMInterval is the percentile interval of the interquartile mean. The bootstrap is
// stratified: seeds are drawn with replacement within each scenario (Agarwal et al.
// 2021). With one seed per scenario there is nothing to draw from within it, and
// scenarios are drawn instead; Method says which.
func (s Scores) IQMInterval(level float64, wanted int, seed uint64) (Interval, error) {
	if err := s.check(); err != nil {
		return Interval{}, err
	}
	total, several := 0, false
	for _, seeds := range s {
		total += len(seeds)
		several = several || len(seeds) > 1
	}
	// The numbers are sorted once and drawn by rank, so that no draw has to be sorted.
	sorted := slices.Sorted(slices.Values(slices.Concat(s...)))
	ranks := make([][]int, len(s))
	for i, seeds := range s {
		for _, v := range seeds {
			rank, _ := slices.BinarySearch(sorted, v)
			ranks[i] = append(ranks[i], rank)
		}
	}
	n := draws(wanted, total)
	rng := rand.New(rand.NewPCG(seed, uint64(total)))
	replicates := make([]float64, n)
	times := make([]int, total)
	for k := range replicates {
		clear(times)
		size := 0
		for i := range ranks {
			seeds := ranks[i]
			if !several {
				seeds = ranks[rng.IntN(len(ranks))]
			}
			for range seeds {
				times[seeds[rng.IntN(len(seeds))]]++
			}
			size += len(seeds)
		}
		replicates[k] = iqmOfCounts(sorted, times, size)
	}
	slices.Sort(replicates)
	method := "percentile bootstrap, stratified by scenario"
	if !several {
		method = "percentile bootstrap over scenarios"
	}
	return Interval{
		Low: quantile(replicates, (1-level)/2), High: quantile(replicates, (1+level)/2), Level: level,
		Method: method, Draws: n, Seed: seed,
	}, nil
}

// Improvement is the probability that a number of a is larger than one of b in the same
// scenario, ties counted half, averaged over the scenarios (Agarwal et al. 2021). Both
// have the same scenarios in the same order.
func Improvement(a, b Scores) (float64, error) {
	if len(a) != len(b) {
		return 0, fmt.Errorf("%d and %d scenarios", len(a), len(b))
	}
	if err := errors.Join(a.check(), b.check()); err != nil {
		return 0, err
	}
	return improvement(a, b), nil
}

func improvement(a, b Scores) float64 {
	sum := 0.0
	for i := range a {
		sum += (CliffDelta(a[i], b[i]) + 1) / 2
	}
	return sum / float64(len(a))
}

// ImprovementInterval is the percentile interval of [Improvement], with the bootstrap
// of [Scores.IQMInterval].
func ImprovementInterval(a, b Scores, level float64, wanted int, seed uint64) (Interval, error) {
	if _, err := Improvement(a, b); err != nil {
		return Interval{}, err
	}
	total, several := 0, false
	for i := range a {
		total += len(a[i]) + len(b[i])
		several = several || len(a[i]) > 1 || len(b[i]) > 1
	}
	n := draws(wanted, 20*total)
	rng := rand.New(rand.NewPCG(seed, uint64(total)))
	replicates := make([]float64, n)
	if !several {
		// Each scenario has one answer: 0, a half or 1. Scenarios are drawn.
		each := make([]float64, len(a))
		for i := range a {
			each[i] = (CliffDelta(a[i], b[i]) + 1) / 2
		}
		replicates = resampledMeans(each, n, seed)
	} else {
		x, y := clone(a), clone(b)
		for k := range replicates {
			for i := range a {
				redraw(rng, x[i], a[i])
				redraw(rng, y[i], b[i])
			}
			replicates[k] = improvement(x, y)
		}
	}
	slices.Sort(replicates)
	method := "percentile bootstrap, stratified by scenario"
	if !several {
		method = "percentile bootstrap over scenarios"
	}
	return Interval{
		Low: quantile(replicates, (1-level)/2), High: quantile(replicates, (1+level)/2), Level: level,
		Method: method, Draws: n, Seed: seed,
	}, nil
}

func clone(s Scores) Scores {
	c := make(Scores, len(s))
	for i := range s {
		c[i] = slices.Clone(s[i])
	}
	return c
}

// redraw fills to with draws from from.
func redraw(rng *rand.Rand, to, from []float64) {
	for i := range to {
		to[i] = from[rng.IntN(len(from))]
	}
}
