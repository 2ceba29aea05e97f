package analysis

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// Comparison is the result of comparing pairs (a, b) of one measure. Differences are
// a − b. What cannot be computed from the data is null.
type Comparison struct {
	N          int        `json:"n"` // pairs
	MeanA      float64    `json:"mean_a"`
	MeanB      float64    `json:"mean_b"`
	DeviationA float64    `json:"sd_a"`
	DeviationB float64    `json:"sd_b"`
	Mean       float64    `json:"mean_difference"`   // in the measure's unit
	Deviation  float64    `json:"sd_of_differences"` // sample standard deviation
	Interval   [2]float64 `json:"confidence_interval_95"`
	Bootstrap  *Interval  `json:"bootstrap_interval,omitempty"`

	Method    string   `json:"method"`    // of P
	Choice    string   `json:"choice"`    // why this method
	Statistic float64  `json:"statistic"` // t, or the smaller sum of signed ranks
	P         float64  `json:"p"`         // two-sided
	SmallestP float64  `json:"smallest_possible_p"`
	Normality *float64 `json:"shapiro_wilk_p"`
	Tests     []Test   `json:"tests,omitempty"` // all that apply, the chosen one among them

	CohenDz    *float64    `json:"cohen_dz"` // mean difference over its standard deviation
	DzInterval *[2]float64 `json:"cohen_dz_interval_95,omitempty"`
	CohenD     *float64    `json:"cohen_d_pooled"` // mean difference over the arms' pooled standard deviation
	HedgesG    *float64    `json:"hedges_g"`       // CohenD without its bias
	CliffDelta float64     `json:"cliff_delta"`

	Power      *float64 `json:"achieved_power,omitempty"` // of a t-test, were the true effect CohenDz
	Required   int      `json:"required_pairs,omitempty"` // for a power of 0.8, were it so
	Detectable *float64 `json:"detectable_dz,omitempty"`  // smallest effect that so many pairs find with a power of 0.8
	Outlier    *Outlier `json:"outlier,omitempty"`        // pairs that decide the result
	Farthest   *int     `json:"farthest_pair,omitempty"`  // that Conclusion speaks of
	Conclusion string   `json:"note,omitempty"`           // what the data do not allow to say
	Version    string   `json:"version"`
}

// Options are what a comparison can be told. The zero value is the default.
type Options struct {
	Draws    int    // of the bootstrap; 0: 10,000; below 0: none
	Seed     uint64 // of everything random; 0: [Seed]
	Zeros    Zeros  // of the signed-rank test; "": [LeaveOut]
	OnlyThis bool   // the chosen test and no further ones, no look for outliers
}

// The levels at which decisions are made.
const (
	normalLevel = 0.05 // Shapiro-Wilk below this: not treated as normal
	Alpha       = 0.05 // a difference is significant below this
	wantedPower = 0.8
)

// fewPairs is the number of pairs below which a comparison says that they are few.
const fewPairs = 5

// Compare compares pairs with the defaults of [CompareWith] and without a bootstrap.
func Compare(a, b []float64) (Comparison, error) {
	return CompareWith(a, b, Options{Draws: -1})
}

// CompareWith compares pairs. When the Shapiro-Wilk test does not speak against normal
// differences, or there are more than 5,000, it takes the paired t-test, else the
// Wilcoxon signed-rank test. It is an error when a number is not finite or there are
// fewer than two pairs.
func CompareWith(a, b []float64, o Options) (Comparison, error) {
	if o.Seed == 0 {
		o.Seed = Seed
	}
	if o.Draws == 0 {
		o.Draws = Draws
	}
	if o.Zeros == "" {
		o.Zeros = LeaveOut
	}
	d, err := differences(a, b)
	if err != nil {
		return Comparison{}, err
	}
	c := Comparison{N: len(d), Version: Version}
	c.MeanA, c.DeviationA = stat.MeanStdDev(a, nil)
	c.MeanB, c.DeviationB = stat.MeanStdDev(b, nil)
	c.Mean, c.Deviation = stat.MeanStdDev(d, nil)
	c.CliffDelta = CliffDelta(a, b)
	c.CohenD, c.HedgesG = number(PooledD(a, b)), number(HedgesG(a, b))
	if c.Deviation == 0 || constant(d, a, b) {
		c.Deviation, c.Interval = 0, [2]float64{c.Mean, c.Mean}
		c.Method, c.P, c.SmallestP = MethodNone, 1, 1
		c.Choice = "all differences are equal"
		c.Conclusion = "all differences are equal: there is no chance to test"
		if c.Mean == 0 {
			c.Conclusion = "all differences are 0: both arms are the same"
		}
		return c, nil
	}
	c.Interval[0], c.Interval[1], _ = TInterval(d, 0.95)
	c.effect()
	if err := c.test(d, o); err != nil {
		return c, err
	}
	if o.OnlyThis {
		return c, nil
	}
	if o.Draws > 0 {
		if i, err := BootstrapMean(d, 0.95, o.Draws, o.Seed); err == nil {
			c.Bootstrap = &i
		}
	}
	c.Outlier = deciding(a, b, &c, o)
	c.conclude(d)
	return c, nil
}

// test runs the tests and chooses.
func (c *Comparison) test(d []float64, o Options) error {
	normal := true
	switch _, p, err := ShapiroWilk(d); {
	case err == nil:
		c.Normality = &p
		normal = p >= normalLevel
		c.Choice = fmt.Sprintf("Shapiro-Wilk on the differences gives p = %.3g: %s", p, map[bool]string{true: "normal enough for t", false: "not normal"}[normal])
	case len(d) > shapiroLimit:
		c.Choice = fmt.Sprintf("more than %d pairs: their mean is normal whatever they are", shapiroLimit)
	default:
		c.Choice = "too few pairs to test for normality"
	}
	t, err := PairedT(d)
	if err != nil {
		return err
	}
	chosen := t
	if !normal || !o.OnlyThis {
		w, err := Wilcoxon(d, o.Zeros)
		if err != nil {
			return err
		}
		if w.Zeros > 0 && !normal {
			c.Choice += fmt.Sprintf("; %d of the differences are zero, %s", w.Zeros, o.Zeros)
		}
		c.Tests = []Test{t, w.test()}
		if !normal {
			chosen = w.test()
		}
	}
	if !o.OnlyThis {
		p, err := SignFlips(d, o.Seed)
		if err != nil {
			return err
		}
		c.Tests = append(c.Tests, p)
	}
	c.Method, c.Statistic, c.P, c.SmallestP = chosen.Method, chosen.Statistic, chosen.P, chosen.SmallestP
	return nil
}

// effect fills in the sizes of the effect and of the sample.
func (c *Comparison) effect() {
	dz := c.Mean / c.Deviation
	c.CohenDz = &dz
	low, high := DzInterval(dz, c.N, 0.95)
	c.DzInterval = &[2]float64{low, high}
	c.Power = number(Power(dz, c.N, Alpha))
	c.Required = RequiredPairs(dz, wantedPower, Alpha)
	c.Detectable = number(Detectable(c.N, wantedPower, Alpha))
}

// conclude notes what so many pairs do not allow to say.
func (c *Comparison) conclude(d []float64) {
	switch {
	case c.SmallestP >= Alpha:
		c.Conclusion = fmt.Sprintf("too few pairs: with %d the test cannot reach p < 0.05", c.N)
	case c.N < fewPairs:
		c.Conclusion = fmt.Sprintf("too few pairs: %d say little, at least %d are wanted", c.N, fewPairs)
	case c.P >= Alpha && c.Required > c.N:
		c.Conclusion = fmt.Sprintf("no difference shown, which is not the same as none: %d pairs find effects from d = %.2f on; were the true effect the one seen, %d pairs would show it in 8 of 10 cases",
			c.N, *c.Detectable, c.Required)
	case c.P < Alpha && c.Bootstrap != nil && c.Bootstrap.Low < 0 && c.Bootstrap.High > 0:
		c.Conclusion = "the ranks show a difference, the mean alone does not: its bootstrap interval covers 0"
		if far := Outliers(d); len(far) > 0 {
			c.Farthest = &far[0]
			c.Conclusion += fmt.Sprintf(", because %d of %d pairs lie far from the others, one by %.4g", len(far), c.N, d[far[0]])
		}
	}
}

// differences are a − b of pairs that can be compared.
func differences(a, b []float64) ([]float64, error) {
	if len(a) != len(b) {
		return nil, fmt.Errorf("%d and %d numbers are no pairs", len(a), len(b))
	}
	switch len(a) {
	case 0:
		return nil, errors.New("no pairs: at least 2 are needed, 5 to say anything")
	case 1:
		return nil, errors.New("1 pair: at least 2 are needed, 5 to say anything")
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
		if math.IsNaN(d[i]) || math.IsInf(d[i], 0) {
			return nil, fmt.Errorf("pair %d is %g and %g: not finite", i+1, a[i], b[i])
		}
	}
	return d, nil
}

// constant reports whether differences of a and b are equal but for the rounding of a
// and b themselves.
func constant(d, a, b []float64) bool {
	low, high, size := d[0], d[0], 0.0
	for i, x := range d {
		low, high, size = min(low, x), max(high, x), max(size, math.Abs(a[i]), math.Abs(b[i]))
	}
	return high-low <= 1e-14*size
}

// number is a pointer to v, nil when v is not finite.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
