package analysis

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Comparison is the result of comparing pairs (a, b) of one measure. Differences are
// a − b.
type Comparison struct {
	N          int        `json:"n"`                 // pairs
	Mean       float64    `json:"mean_difference"`   // in the measure's unit
	Deviation  float64    `json:"sd_of_differences"` // sample standard deviation
	Interval   [2]float64 `json:"confidence_interval_95"`
	Method     string     `json:"method"`    // of P
	Choice     string     `json:"choice"`    // why this method
	Statistic  float64    `json:"statistic"` // t, or the smaller sum of signed ranks
	P          float64    `json:"p"`         // two-sided
	CohenDz    *float64   `json:"cohen_dz"`  // mean difference over its standard deviation; null when that is 0
	Normality  *float64   `json:"shapiro_wilk_p"`
	SmallestP  float64    `json:"smallest_possible_p"` // that the method can give with so many pairs
	Conclusion string     `json:"note,omitempty"`      // what the data do not allow to say
	Version    string     `json:"version"`
}

// normalLevel is the p-value of the Shapiro-Wilk test below which differences are
// not treated as normal.
const normalLevel = 0.05

// Compare compares pairs. When the Shapiro-Wilk test does not speak against normal
// differences it takes the paired t-test, else the Wilcoxon signed-rank test. It is
// an error when a number is not finite or there are fewer than two pairs.
func Compare(a, b []float64) (Comparison, error) {
	if len(a) != len(b) {
		return Comparison{}, fmt.Errorf("%d and %d numbers are no pairs", len(a), len(b))
	}
	if len(a) < 2 {
		return Comparison{}, fmt.Errorf("%d pair: at least 2 are needed, 5 to say anything", len(a))
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
		if math.IsNaN(d[i]) || math.IsInf(d[i], 0) {
			return Comparison{}, fmt.Errorf("pair %d is %g and %g: not finite", i+1, a[i], b[i])
		}
	}
	c := Comparison{N: len(d), Version: Version}
	c.Mean, c.Deviation = stat.MeanStdDev(d, nil)
	half := distuv.StudentsT{Sigma: 1, Nu: float64(c.N - 1)}.Quantile(0.975) * c.Deviation / math.Sqrt(float64(c.N))
	c.Interval = [2]float64{c.Mean - half, c.Mean + half}
	if c.Deviation == 0 {
		c.Method, c.P, c.SmallestP = "none", 1, 1
		c.Choice = "all differences are equal"
		c.Conclusion = "all differences are equal: there is no chance to test"
		return c, nil
	}
	c.CohenDz = new(c.Mean / c.Deviation)
	normal := false
	if _, p, err := ShapiroWilk(d); err == nil {
		c.Normality = new(p)
		normal = p >= normalLevel
		c.Choice = fmt.Sprintf("Shapiro-Wilk on the differences gives p = %.3g: %s", p, map[bool]string{true: "normal enough for t", false: "not normal"}[normal])
	} else {
		normal = true
		c.Choice = "too few pairs to test for normality"
	}
	if normal {
		c.Method = "paired t-test, two-sided"
		c.Statistic, c.P = pairedT(c)
		return c, c.few()
	}
	c.Method = "Wilcoxon signed-rank test, two-sided"
	w, err := Wilcoxon(d)
	if err != nil {
		return c, err
	}
	c.Statistic, c.P, c.SmallestP = w.Statistic, w.P, w.SmallestP
	return c, c.few()
}

// few notes when there are too few pairs.
func (c *Comparison) few() error {
	switch {
	case c.SmallestP >= 0.05:
		c.Conclusion = fmt.Sprintf("too few pairs: with %d the test cannot reach p < 0.05", c.N)
	case c.N < 5:
		c.Conclusion = fmt.Sprintf("too few pairs: %d say little, at least 5 are wanted", c.N)
	}
	return nil
}

// pairedT is Student's t-test on the differences.
func pairedT(c Comparison) (t, p float64) {
	t = c.Mean / (c.Deviation / math.Sqrt(float64(c.N)))
	return t, 2 * distuv.StudentsT{Sigma: 1, Nu: float64(c.N - 1)}.CDF(-math.Abs(t))
}

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

// errConstant is data in which nothing varies.
var errConstant = errors.New("all numbers are equal")
