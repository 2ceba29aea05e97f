package analysis

import (
	"fmt"

	"gonum.org/v1/gonum/stat"
)

// Independent is the result of comparing two samples that are not paired.
type Independent struct {
	NA, NB       int
	MeanA, MeanB float64
	Method       string // of P
	Choice       string // why this method
	P            float64
	Tests        []Test
	CohenD       *float64 // pooled
	HedgesG      *float64
	CliffDelta   float64
	Conclusion   string // what the data do not allow to say
}

// CompareIndependent compares two samples without pairs, as two sets of training seeds
// are. When the Shapiro-Wilk test speaks against neither it takes Welch's t-test, else
// the Mann-Whitney test.
func CompareIndependent(a, b []float64) (Independent, error) {
	if err := twoSamples(a, b); err != nil {
		return Independent{}, err
	}
	if len(a) < 2 || len(b) < 2 {
		return Independent{}, fmt.Errorf("samples of %d and %d numbers: at least 2 of each are needed", len(a), len(b))
	}
	r := Independent{
		NA: len(a), NB: len(b), MeanA: stat.Mean(a, nil), MeanB: stat.Mean(b, nil),
		CohenD: number(PooledD(a, b)), HedgesG: number(HedgesG(a, b)), CliffDelta: CliffDelta(a, b),
	}
	normal, tested := true, false
	for _, x := range [][]float64{a, b} {
		if _, p, err := ShapiroWilk(x); err == nil {
			tested = true
			normal = normal && p >= normalLevel
		}
	}
	switch {
	case !tested:
		r.Choice = "too few numbers, or too many, to test for normality"
	case normal:
		r.Choice = "Shapiro-Wilk speaks against neither sample being normal"
	default:
		r.Choice = "Shapiro-Wilk: not normal"
	}
	w, err := Welch(a, b)
	if err != nil {
		r.Method, r.P, r.Choice = MethodNone, 1, err.Error()
		r.Conclusion = "nothing varies within the samples: there is no chance to test"
		return r, nil
	}
	u, err := MannWhitney(a, b)
	if err != nil {
		return r, err
	}
	p, err := Permutation(a, b, Seed)
	if err != nil {
		return r, err
	}
	r.Tests = []Test{w, u, p}
	chosen := w
	if !normal {
		chosen = u
	}
	r.Method, r.P = chosen.Method, chosen.P
	switch smallest := max(chosen.SmallestP, p.SmallestP); {
	case smallest >= Alpha:
		r.Conclusion = fmt.Sprintf("too few seeds: %d and %d cannot reach p < 0.05", len(a), len(b))
	case min(len(a), len(b)) < fewPairs:
		r.Conclusion = fmt.Sprintf("too few seeds: %d and %d say little, at least %d of each are wanted", len(a), len(b), fewPairs)
	}
	return r, nil
}
