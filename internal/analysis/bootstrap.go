package analysis

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// The defaults of everything that draws at random.
const (
	Draws = 10_000
	Seed  = 20261125
)

// bootstrapLimit is the number of values beyond which a bootstrap of the mean is left
// out: the mean is normal by then, and t gives the same interval.
const bootstrapLimit = 100_000

// Interval is an interval of confidence with how it was made.
type Interval struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Level  float64 `json:"level"`
	Method string  `json:"method"`
	Draws  int     `json:"draws,omitempty"`
	Seed   uint64  `json:"seed,omitempty"`
}

// BootstrapMean is the BCa interval of the mean (Efron 1987): percentiles of the means
// of random draws with replacement, corrected for bias and skewness.
func BootstrapMean(x []float64, level float64, wanted int, seed uint64) (Interval, error) {
	if err := finite(x); err != nil {
		return Interval{}, err
	}
	if len(x) > bootstrapLimit {
		return Interval{}, errors.New("more than 100,000 numbers: the t interval is the same")
	}
	n := draws(wanted, len(x))
	means := resampledMeans(x, n, seed)
	low, high, err := bca(stat.Mean(x, nil), means, jackknifeMeans(x), level)
	return Interval{Low: low, High: high, Level: level, Method: "BCa bootstrap", Draws: n, Seed: seed}, err
}

// resampledMeans are the means of draws with replacement. The same seed gives the same.
func resampledMeans(x []float64, draws int, seed uint64) []float64 {
	n := uint64(len(x))
	rng := rand.NewPCG(seed, n)
	means := make([]float64, draws)
	for k := range means {
		// Two indices from each random word; the bias of the multiplication is below
		// n / 2^32.
		sum, other := 0.0, 0.0
		for i := uint64(0); i < n/2; i++ {
			r := rng.Uint64()
			sum += x[(r>>32)*n>>32]
			other += x[(r&0xffffffff)*n>>32]
		}
		if n%2 == 1 {
			sum += x[(rng.Uint64()>>32)*n>>32]
		}
		means[k] = (sum + other) / float64(n)
	}
	return means
}

// jackknifeMeans are the means with one number left out.
func jackknifeMeans(x []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	means := make([]float64, len(x))
	for i, v := range x {
		means[i] = (sum - v) / float64(len(x)-1)
	}
	return means
}

// bca is the interval from an estimate, its bootstrap replicates and its jackknife
// values (Efron and Tibshirani 1993, 14.3). It sorts the replicates.
func bca(estimate float64, replicates, jackknife []float64, level float64) (low, high float64, err error) {
	slices.Sort(replicates)
	if len(jackknife) < 2 || replicates[0] == replicates[len(replicates)-1] {
		return 0, 0, errConstant
	}
	less, _ := slices.BinarySearch(replicates, estimate)
	atMost, _ := slices.BinarySearch(replicates, math.Nextafter(estimate, math.Inf(1)))
	z0 := distuv.UnitNormal.Quantile(float64(less+atMost) / float64(2*len(replicates)))
	n, center := float64(len(jackknife)), stat.Mean(jackknife, nil)
	cubes, squares := 0.0, 0.0
	for _, v := range jackknife {
		u := (n - 1) * (center - v)
		cubes += u * u * u
		squares += u * u
	}
	a := cubes / (n * n * n) / (6 * math.Pow(squares/(n*n), 1.5))
	at := func(p float64) float64 {
		z := z0 + distuv.UnitNormal.Quantile(p)
		return quantile(replicates, distuv.UnitNormal.CDF(z0+z/(1-a*z)))
	}
	low, high = at((1-level)/2), at((1+level)/2)
	if math.IsNaN(low) || math.IsNaN(high) {
		return 0, 0, errors.New("the bootstrap's replicates are all on one side of the estimate")
	}
	return low, high, nil
}

// quantile interpolates linearly between sorted numbers (definition 7 of Hyndman and
// Fan 1996, NumPy's default).
func quantile(sorted []float64, p float64) float64 {
	if math.IsNaN(p) {
		return p
	}
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
