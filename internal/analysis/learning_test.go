package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
)

func curve(n int, at func(i int) float64) []float64 {
	rng := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, n)
	for i := range x {
		x[i] = at(i) + rng.NormFloat64()
	}
	return x
}

func TestShapesOfLearningCurves(t *testing.T) {
	rise := func(i int) float64 { return -50 * math.Exp(-float64(i)/40) }
	l, ok := Learn(curve(300, rise))
	if !ok || l.Converged == nil || *l.Converged < 80 || *l.Converged > 240 || l.Collapse != nil || *l.ToThreshold > *l.Converged+30 || l.Efficiency < 0.5 {
		t.Errorf("a curve that settles: %+v", l)
	}
	if l, _ := Learn(curve(300, func(i int) float64 { return float64(i) / 3 })); l.Converged != nil {
		t.Errorf("a curve that still rises: %+v", l)
	}
	if l, _ := Learn(curve(300, func(i int) float64 { return -float64(i) / 10 })); l.Converged != nil {
		t.Errorf("a curve that falls: %+v", l)
	}
	l, _ = Learn(curve(300, func(i int) float64 {
		if i > 200 {
			return -45
		}
		return rise(i)
	}))
	if l.Collapse == nil || *l.Collapse < 200 || *l.Collapse > 240 || l.Recovered || l.Converged != nil {
		t.Errorf("a curve that collapses: %+v", l)
	}
	l, _ = Learn(curve(400, func(i int) float64 {
		switch {
		case i < 50:
			return float64(i)
		case i < 250:
			return 50
		}
		return min(50+float64(i-250), 100)
	}))
	if len(l.Plateaus) == 0 || l.Plateaus[0][1]-l.Plateaus[0][0] < 80 {
		t.Errorf("a curve with a plateau: %+v", l)
	}
	if _, ok := Learn(make([]float64, 29)); ok {
		t.Error("29 episodes say nothing")
	}
	if l, ok := Learn(make([]float64, 100)); !ok || l.Converged != nil || l.Collapse != nil {
		t.Errorf("all zero: %+v", l)
	}
	if _, ok := Learn(append(make([]float64, 50), math.NaN())); ok {
		t.Error("NaN")
	}
}

func TestMovingMeanIsTheGuides(t *testing.T) {
	got := MovingMean([]float64{1, 2, 3, 4, 5}, 3)
	for i, want := range []float64{1, 1.5, 2, 3, 4} {
		if got[i] != want {
			t.Errorf("%v", got)
		}
	}
	if r := Spearman([]float64{1, 2, 3, 4}, []float64{10, 30, 20, 90}); math.Abs(r-0.8) > 1e-12 {
		t.Errorf("rank correlation %g", r)
	}
}
