package analysis

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Test is the result of one two-sided test.
type Test struct {
	Method    string   `json:"method"`
	Statistic float64  `json:"statistic"`
	Of        string   `json:"statistic_is"` // t, W, U or the mean difference
	Freedom   *float64 `json:"degrees_of_freedom,omitempty"`
	P         float64  `json:"p"`
	SmallestP float64  `json:"smallest_possible_p"` // that the method can give with so many numbers; 0: any
	Exact     bool     `json:"exact"`
}

// The names of the tests as results carry them.
const (
	MethodPairedT     = "paired t-test"
	MethodWelch       = "Welch's t-test"
	MethodWilcoxon    = "Wilcoxon signed-rank test"
	MethodMannWhitney = "Mann-Whitney U test"
	MethodPermutation = "permutation test"
	MethodNone        = "none"
)

// errConstant is data in which nothing varies.
var errConstant = errors.New("all numbers are equal")

// PairedT is Student's t-test of differences (Student 1908).
func PairedT(d []float64) (Test, error) {
	if err := finite(d); err != nil {
		return Test{}, err
	}
	if len(d) < 2 {
		return Test{}, fmt.Errorf("paired t-test of %d pair: at least 2 are needed", len(d))
	}
	mean, sd := stat.MeanStdDev(d, nil)
	if sd == 0 {
		return Test{}, errConstant
	}
	nu := float64(len(d) - 1)
	t := mean / (sd / math.Sqrt(float64(len(d))))
	return Test{Method: MethodPairedT, Statistic: t, Of: "t", Freedom: &nu, P: tTail(t, nu), Exact: true}, nil
}

// Welch is the t-test of two samples with variances of their own (Welch 1947).
func Welch(a, b []float64) (Test, error) {
	if err := twoSamples(a, b); err != nil {
		return Test{}, err
	}
	if len(a) < 2 || len(b) < 2 {
		return Test{}, fmt.Errorf("t-test of %d and %d numbers: at least 2 of each are needed", len(a), len(b))
	}
	meanA, varA := stat.MeanVariance(a, nil)
	meanB, varB := stat.MeanVariance(b, nil)
	ea, eb := varA/float64(len(a)), varB/float64(len(b))
	if ea+eb == 0 {
		return Test{}, errConstant
	}
	t := (meanA - meanB) / math.Sqrt(ea+eb)
	nu := (ea + eb) * (ea + eb) / (ea*ea/float64(len(a)-1) + eb*eb/float64(len(b)-1))
	return Test{Method: MethodWelch, Statistic: t, Of: "t", Freedom: &nu, P: tTail(t, nu)}, nil
}

// tTail is the two-sided p-value of t.
func tTail(t, nu float64) float64 {
	return min(2*distuv.StudentsT{Sigma: 1, Nu: nu}.CDF(-math.Abs(t)), 1)
}

// tQuantile is Student's t below which the probability is p.
func tQuantile(p, nu float64) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: nu}.Quantile(p)
}

// TInterval is the interval of the mean by Student's t.
func TInterval(x []float64, level float64) (low, high float64, err error) {
	if err := finite(x); err != nil {
		return 0, 0, err
	}
	if len(x) < 2 {
		return 0, 0, fmt.Errorf("interval of %d number: at least 2 are needed", len(x))
	}
	mean, sd := stat.MeanStdDev(x, nil)
	half := tQuantile((1+level)/2, float64(len(x)-1)) * sd / math.Sqrt(float64(len(x)))
	return mean - half, mean + half, nil
}

// finite refuses what is not a number, with its place.
func finite(x []float64) error {
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("number %d is %g: not finite", i+1, v)
		}
	}
	return nil
}

func twoSamples(a, b []float64) error {
	if err := finite(a); err != nil {
		return fmt.Errorf("first sample: %w", err)
	}
	if err := finite(b); err != nil {
		return fmt.Errorf("second sample: %w", err)
	}
	if len(a) == 0 || len(b) == 0 {
		return fmt.Errorf("samples of %d and %d numbers", len(a), len(b))
	}
	return nil
}

// HalfWidth is half of the interval by t of a mean of n numbers with a standard
// deviation; 0 when there is none.
func HalfWidth(deviation float64, n int, level float64) float64 {
	if n < 2 || deviation == 0 {
		return 0
	}
	return tQuantile((1+level)/2, float64(n-1)) * deviation / math.Sqrt(float64(n))
}
