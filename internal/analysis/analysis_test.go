package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// With ties the exact distribution is over all signs of the tied ranks: here 1.5,
// 1.5, 3.5, 3.5 and 5 with the sum of negative ranks 1.5. Of 32 sign patterns 3 have
// at most that: none negative, and either of the two smallest.
func TestExactSignedRanksWithTies(t *testing.T) {
	r, err := Wilcoxon([]float64{1, -1, 2, 2, 3, 0}, LeaveOut)
	if err != nil {
		t.Fatal(err)
	}
	if r.N != 5 || r.Zeros != 1 || r.Statistic != 1.5 || !r.Exact || math.Abs(r.P-6.0/32) > 1e-15 {
		t.Errorf("got %+v", r)
	}
}

func TestTheMethodFollowsTheData(t *testing.T) {
	zero := make([]float64, 8)
	normal, err := Compare([]float64{1.1, 0.7, 1.4, 0.9, 1.2, 0.8, 1.6, 0.5}, zero)
	if err != nil || normal.Method != MethodPairedT {
		t.Errorf("%+v, %v", normal, err)
	}
	outlier, err := Compare([]float64{1, 1.1, 0.9, 1.2, 0.8, 1.3, 0.7, 95}, zero)
	if err != nil || outlier.Method != MethodWilcoxon || !strings.Contains(outlier.Choice, "not normal") {
		t.Errorf("%+v, %v", outlier, err)
	}
	if outlier.P != 2.0/256 || outlier.SmallestP != 2.0/256 || len(outlier.Tests) != 3 {
		t.Errorf("all of 8 signs equal: %+v", outlier)
	}
}

func TestBadData(t *testing.T) {
	for name, pair := range map[string][2][]float64{
		"none":     {{}, {}},
		"one":      {{1}, {2}},
		"lengths":  {{1, 2}, {2}},
		"NaN":      {{1, math.NaN()}, {2, 3}},
		"infinity": {{1, math.Inf(1)}, {2, 3}},
	} {
		if _, err := Compare(pair[0], pair[1]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, c := range map[string]struct {
		a, b []float64
		says string
	}{
		"a constant difference":         {[]float64{3, 3, 3}, []float64{1, 1, 1}, "equal"},
		"constant but for rounding":     {[]float64{0.3, 0.4, 1e3 + 0.1}, []float64{0.2, 0.3, 1e3}, "equal"},
		"all zero":                      {[]float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}, "both arms are the same"},
		"two pairs":                     {[]float64{3, 4}, []float64{1, 1}, "too few"},
		"ranks that cannot reach 0.05":  {[]float64{1, 1, 1, 1, 40}, make([]float64, 5), "cannot reach"},
		"an effect too small for these": {[]float64{1, -1, 2, -1, 0.5, -0.7}, make([]float64, 6), "not the same as none"},
	} {
		r, err := CompareWith(c.a, c.b, Options{})
		if err != nil || !strings.Contains(r.Conclusion, c.says) || math.IsNaN(r.P) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if r.Method == MethodNone && (r.P != 1 || r.CohenDz != nil) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := Welch([]float64{1}, []float64{1, 2}); err == nil {
		t.Error("Welch of one number")
	}
	if _, err := MannWhitney(nil, []float64{1}); err == nil {
		t.Error("Mann-Whitney of nothing")
	}
	if r, err := CompareIndependent([]float64{1, 1, 1}, []float64{2, 2, 2}); err != nil || r.Method != MethodNone {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := CompareIndependent([]float64{1, 2}, []float64{4, 5}); err != nil || !strings.Contains(r.Conclusion, "too few seeds") {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Improvement(Scores{{1}}, Scores{{1}, {2}}); err == nil {
		t.Error("arms with other scenarios")
	}
	if _, err := (Scores{{1}, {}}).IQMInterval(0.95, 100, 1); err == nil {
		t.Error("a scenario without numbers")
	}
}

// The result hangs on one pair: it is said, with the result without it.
func TestAnOutlierThatDecides(t *testing.T) {
	a := []float64{1, 1.2, 0.8, 1.1, 0.9, 1.3, 0.7, 1, 1.1, 0.9}
	b := make([]float64, len(a))
	r, err := CompareWith(a, b, Options{})
	if err != nil || r.Outlier != nil {
		t.Fatalf("%+v, %v", r.Outlier, err)
	}
	a[3] = -60
	r, err = CompareWith(a, b, Options{})
	if err != nil || r.Outlier == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Outlier.Pairs[0] != 3 || r.Outlier.Without.N != 9 || r.Outlier.Without.Mean < 0.9 || !strings.Contains(r.Outlier.Says, "one pair decides") {
		t.Errorf("%+v", r.Outlier)
	}
	if got := Outliers([]float64{5, 5, 5, 5, 5, 5, 9}); len(got) != 1 || got[0] != 6 {
		t.Errorf("equal but one: %v", got)
	}
	if got := Outliers([]float64{5, 5, 5}); got != nil {
		t.Errorf("all equal: %v", got)
	}
}

// 10^6 pairs take seconds, not minutes.
func TestAMillionPairs(t *testing.T) {
	if testing.Short() {
		t.Skip("a million pairs")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	a, b := make([]float64, 1e6), make([]float64, 1e6)
	for i := range a {
		b[i] = rng.NormFloat64()
		a[i] = b[i] + 0.01 + rng.NormFloat64()
	}
	begun := time.Now()
	r, err := CompareWith(a, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != MethodPairedT || r.P > 1e-12 || r.Bootstrap != nil || !strings.Contains(r.Choice, "more than 5000") {
		t.Errorf("%+v", r)
	}
	t.Logf("%v", time.Since(begun))
}

// The example of Holm 1979 in its usual form.
func TestHolm(t *testing.T) {
	for i, p := range Holm([]float64{0.04, 0.01, 0.03, 0.005}) {
		near(t, "p", p, []float64{0.06, 0.03, 0.06, 0.02}[i], 1e-12)
	}
	if got := Holm([]float64{0.9, 0.8}); got[0] != 1 || got[1] != 1 {
		t.Errorf("got %v", got)
	}
}

// Cohen 1988, table 2.4.1, by way of G*Power: 34 pairs find d = 0.5 with a power of 0.8.
func TestPublishedSampleSize(t *testing.T) {
	if n := RequiredPairs(0.5, 0.8, 0.05); n != 34 {
		t.Errorf("%d pairs", n)
	}
	if p := Power(0.5, 34, 0.05); math.Abs(p-0.8078) > 1e-4 {
		t.Errorf("power %g", p)
	}
	if d := Detectable(34, 0.8, 0.05); d > 0.5 || d < 0.49 {
		t.Errorf("detectable %g", d)
	}
	if n := RequiredPairs(1e-9, 0.8, 0.05); n != 0 {
		t.Errorf("%d pairs for nothing", n)
	}
}

// The laws that every comparison keeps.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 14).Draw(t, "n")
		// Whole numbers: scaling by a power of two and negation are exact.
		draw := rapid.SliceOfN(rapid.Map(rapid.IntRange(-40, 40), func(i int) float64 { return float64(i) }), n, n)
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		o := Options{Draws: 200}
		r, err := CompareWith(a, b, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.P < 0 || r.P > 1 || math.Abs(r.CliffDelta) > 1 || r.Interval[0] > r.Mean || r.Interval[1] < r.Mean {
			t.Fatalf("%+v", r)
		}
		for _, test := range r.Tests {
			if test.P < 0 || test.P > 1 || test.P < test.SmallestP*(1-1e-9) {
				t.Fatalf("%+v", test)
			}
		}
		swapped, err := CompareWith(b, a, o)
		if err != nil {
			t.Fatal(err)
		}
		if swapped.Mean != -r.Mean || swapped.CliffDelta != -r.CliffDelta || swapped.Method != r.Method || !close(swapped.P, r.P) ||
			!close(swapped.Interval[0], -r.Interval[1]) || !opposite(swapped.CohenDz, r.CohenDz) || !opposite(swapped.HedgesG, r.HedgesG) {
			t.Fatalf("swapped: %+v\n%+v", swapped, r)
		}
		scaled, err := CompareWith(times(a, 8), times(b, 8), o)
		if err != nil {
			t.Fatal(err)
		}
		if !close(scaled.P, r.P) || scaled.Method != r.Method || scaled.CliffDelta != r.CliffDelta || !close(scaled.Mean, 8*r.Mean) ||
			!close(scaled.Interval[1], 8*r.Interval[1]) {
			t.Fatalf("scaled: %+v\n%+v", scaled, r)
		}
		if r.Bootstrap != nil && (!close(scaled.Bootstrap.Low, 8*r.Bootstrap.Low) || !close(scaled.Bootstrap.High, 8*r.Bootstrap.High)) {
			t.Fatalf("scaled: %+v, %+v", scaled.Bootstrap, r.Bootstrap)
		}
		again, err := CompareWith(a, b, o)
		if err != nil || text(again) != text(r) {
			t.Fatal("not the same twice")
		}
		u, err := MannWhitney(a, b)
		if err != nil {
			t.Fatal(err)
		}
		v, err := MannWhitney(b, a)
		if err != nil {
			t.Fatal(err)
		}
		if u.Statistic+v.Statistic != float64(n*n) || !close(u.P, v.P) {
			t.Fatalf("U: %+v, %+v", u, v)
		}
	})
}

func TestAggregatesKeepTheirLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scenarios, seeds := rapid.IntRange(1, 6).Draw(t, "scenarios"), rapid.IntRange(1, 5).Draw(t, "seeds")
		draw := rapid.SliceOfN(rapid.SliceOfN(rapid.Float64Range(-100, 100), seeds, seeds), scenarios, scenarios)
		a, b := Scores(draw.Draw(t, "a")), Scores(draw.Draw(t, "b"))
		x, err := Improvement(a, b)
		if err != nil {
			t.Fatal(err)
		}
		y, err := Improvement(b, a)
		if err != nil || !close(x+y, 1) {
			t.Fatalf("%g and %g, %v", x, y, err)
		}
		i, err := a.IQMInterval(0.95, 100, 7)
		if err != nil || i.Low > i.High {
			t.Fatalf("%+v, %v", i, err)
		}
		p, err := ImprovementInterval(a, b, 0.95, 100, 7)
		if err != nil || p.Low < -1e-12 || p.High > 1+1e-12 || p.Low > p.High {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}

// The counted interquartile mean is that of the numbers written out.
func TestCountedIQM(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sorted := []float64{1, 2, 4, 8, 16, 32}
		times := rapid.SliceOfN(rapid.IntRange(0, 5), len(sorted), len(sorted)).Draw(t, "times")
		var all []float64
		for i, n := range times {
			for range n {
				all = append(all, sorted[i])
			}
		}
		if len(all) == 0 {
			t.Skip("no numbers")
		}
		if got, want := iqmOfCounts(sorted, times, len(all)), iqm(all); !close(got, want) {
			t.Fatalf("%g, want %g", got, want)
		}
	})
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func close(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

func opposite(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || close(*a, -*b)) }

func times(x []float64, k float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = k * v
	}
	return y
}

func BenchmarkCompare330(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float64, 330), make([]float64, 330)
	for i := range x {
		y[i] = rng.NormFloat64()
		x[i] = y[i] + 0.3 + rng.NormFloat64()
	}
	for b.Loop() {
		if _, err := CompareWith(x, y, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
