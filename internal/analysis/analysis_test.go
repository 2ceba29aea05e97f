package analysis

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

type reference struct {
	SciPy string `json:"scipy"`
	Cases []struct {
		Name          string
		A, B          []float64
		T, Low, High  float64
		TP            float64 `json:"t_p"`
		DZ            float64
		Shapiro       [2]float64
		WilcoxonRanks []float64 `json:"wilcoxon"`
	} `json:"cases"`
}

// near compares to a relative 1e-9 unless told otherwise.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance*max(1, math.Abs(want)) {
		t.Errorf("%s: %.12g, SciPy says %.12g", what, got, want)
	}
}

// testdata/reference.py computed the expected values with SciPy.
func TestResultsEqualSciPy(t *testing.T) {
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(text, &ref); err != nil {
		t.Fatal(err)
	}
	for _, c := range ref.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := Compare(c.A, c.B)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "interval's low end", got.Interval[0], c.Low, 1e-9)
			near(t, "interval's high end", got.Interval[1], c.High, 1e-9)
			near(t, "Cohen's d", *got.CohenDz, c.DZ, 1e-9)
			tt, p := pairedT(got)
			near(t, "t", tt, c.T, 1e-9)
			near(t, "p of t", p, c.TP, 1e-9)
			d := make([]float64, len(c.A))
			for i := range d {
				d[i] = c.A[i] - c.B[i]
			}
			// SciPy keeps the test's coefficients in single precision and normal
			// quantiles to seven digits, so the two agree to no more than this.
			w, p, err := ShapiroWilk(d)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "W", w, c.Shapiro[0], 2e-6)
			near(t, "p of W", p, c.Shapiro[1], 5e-4)
			r, err := Wilcoxon(d)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.WilcoxonRanks) == 2 {
				near(t, "signed ranks", r.Statistic, c.WilcoxonRanks[0], 1e-9)
				near(t, "p of signed ranks", r.P, c.WilcoxonRanks[1], 1e-9)
			}
			if strings.HasPrefix(got.Method, "Wilcoxon") && got.P != r.P {
				t.Errorf("p %g is not that of %s", got.P, got.Method)
			}
		})
	}
}

// With ties the exact distribution is over all signs of the tied ranks: here 1.5,
// 1.5, 3.5, 3.5 and 5 with the sum of negative ranks 1.5. Of 32 sign patterns 3 have
// at most that: none negative, and either of the two smallest.
func TestExactSignedRanksWithTies(t *testing.T) {
	r, err := Wilcoxon([]float64{1, -1, 2, 2, 3, 0})
	if err != nil {
		t.Fatal(err)
	}
	if r.N != 5 || r.Statistic != 1.5 || !r.Exact || math.Abs(r.P-6.0/32) > 1e-15 {
		t.Errorf("got %+v", r)
	}
}

func TestTheMethodFollowsTheData(t *testing.T) {
	zero := make([]float64, 8)
	normal, err := Compare([]float64{1.1, 0.7, 1.4, 0.9, 1.2, 0.8, 1.6, 0.5}, zero)
	if err != nil || !strings.HasPrefix(normal.Method, "paired t") {
		t.Errorf("%+v, %v", normal, err)
	}
	outlier, err := Compare([]float64{1, 1.1, 0.9, 1.2, 0.8, 1.3, 0.7, 95}, zero)
	if err != nil || !strings.HasPrefix(outlier.Method, "Wilcoxon") || !strings.Contains(outlier.Choice, "not normal") {
		t.Errorf("%+v, %v", outlier, err)
	}
	if outlier.P != 2.0/256 || outlier.SmallestP != 2.0/256 {
		t.Errorf("all of 8 signs equal: p %g, smallest %g", outlier.P, outlier.SmallestP)
	}
}

func TestUglyData(t *testing.T) {
	same, err := Compare([]float64{3, 3, 3}, []float64{1, 1, 1})
	if err != nil || same.P != 1 || same.CohenDz != nil || !strings.Contains(same.Conclusion, "equal") {
		t.Errorf("%+v, %v", same, err)
	}
	two, err := Compare([]float64{3, 4}, []float64{1, 1})
	if err != nil || !strings.Contains(two.Conclusion, "too few") {
		t.Errorf("%+v, %v", two, err)
	}
	few, err := Compare([]float64{1, 1, 1, 1, 40}, make([]float64, 5))
	if err != nil || !strings.Contains(few.Conclusion, "cannot reach") {
		t.Errorf("%+v, %v", few, err)
	}
	for name, pair := range map[string][2][]float64{
		"one":      {{1}, {2}},
		"lengths":  {{1, 2}, {2}},
		"NaN":      {{1, math.NaN()}, {2, 3}},
		"infinity": {{1, math.Inf(1)}, {2, 3}},
	} {
		if _, err := Compare(pair[0], pair[1]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The example of Holm 1979 in its usual form.
func TestHolm(t *testing.T) {
	got := Holm([]float64{0.04, 0.01, 0.03, 0.005})
	for i, want := range []float64{0.06, 0.03, 0.06, 0.02} {
		near(t, "p", got[i], want, 1e-12)
	}
	if got := Holm([]float64{0.9, 0.8}); got[0] != 1 || got[1] != 1 {
		t.Errorf("got %v", got)
	}
}
