package analysis

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"
)

// reference is what testdata/reference.py computed with SciPy.
type reference struct {
	SciPy string `json:"scipy"`
	Pairs []struct {
		Name           string
		A, B           []float64
		T, Low, High   float64
		TP             float64     `json:"t_p"`
		Dz             float64     `json:"dz"`
		DzInterval     *[2]float64 `json:"dz_interval"`
		Pooled, Hedges float64
		Cliff, Power   float64
		Shapiro        [2]float64
		Wilcoxon       *[2]float64
		Pratt          *[2]float64
		SignFlips      *float64 `json:"sign_flips"`
	}
	Samples []struct {
		Name           string
		A, B           []float64
		Welch          [2]float64
		Pooled, Hedges float64
		Cliff          float64
		MannWhitney    [2]float64 `json:"mann_whitney"`
		Permutation    *float64
	}
	NoncentralT [][4]float64 `json:"noncentral_t"`
	Required    [][3]float64
	Bootstrap   []struct {
		Name             string
		X                []float64
		Level, Low, High float64
		Indices          [][]int
	}
	Aggregates []struct {
		Name             string
		A, B             Scores
		IQM, Improvement float64
	}
	Correction struct{ P, Holm, Bonferroni []float64 }
}

func readReference(t *testing.T) reference {
	t.Helper()
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(text, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// near compares to a relative tolerance.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance*math.Abs(want) {
		t.Errorf("%s: %.12g, SciPy says %.12g", what, got, want)
	}
}

func TestPairsEqualSciPy(t *testing.T) {
	for _, c := range readReference(t).Pairs {
		t.Run(c.Name, func(t *testing.T) {
			got, err := CompareWith(c.A, c.B, Options{Draws: -1})
			if err != nil {
				t.Fatal(err)
			}
			d, err := differences(c.A, c.B)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "interval's low end", got.Interval[0], c.Low, 1e-9)
			near(t, "interval's high end", got.Interval[1], c.High, 1e-9)
			near(t, "Cohen's dz", *got.CohenDz, c.Dz, 1e-9)
			near(t, "pooled d", *got.CohenD, c.Pooled, 1e-9)
			near(t, "Hedges' g", *got.HedgesG, c.Hedges, 1e-9)
			near(t, "power", *got.Power, c.Power, 1e-9)
			if math.Abs(got.CliffDelta-c.Cliff) > 1e-12 {
				t.Errorf("Cliff's delta %g, SciPy says %g", got.CliffDelta, c.Cliff)
			}
			if c.DzInterval != nil {
				near(t, "low end of dz", got.DzInterval[0], c.DzInterval[0], 1e-8)
				near(t, "high end of dz", got.DzInterval[1], c.DzInterval[1], 1e-8)
			}
			p, err := PairedT(d)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "t", p.Statistic, c.T, 1e-9)
			near(t, "p of t", p.P, c.TP, 1e-9)
			// SciPy keeps the test's coefficients in single precision and normal
			// quantiles to seven digits, so the two agree to no more than this.
			w, pw, err := ShapiroWilk(d)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "W", w, c.Shapiro[0], 2e-6)
			near(t, "p of W", pw, c.Shapiro[1], 2e-3)
			for zeros, want := range map[Zeros]*[2]float64{LeaveOut: c.Wilcoxon, Pratt: c.Pratt} {
				if want == nil {
					continue
				}
				r, err := Wilcoxon(d, zeros)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(r.Statistic-want[0]) > 1e-9 {
					t.Errorf("signed ranks, zeros %s: %g, SciPy says %g", zeros, r.Statistic, want[0])
				}
				near(t, "p of signed ranks, zeros "+string(zeros), r.P, want[1], 1e-9)
				if got.Method == MethodWilcoxon && zeros == LeaveOut && got.P != r.P {
					t.Errorf("p %g is not that of %s", got.P, got.Method)
				}
			}
			if c.SignFlips != nil {
				r, err := SignFlips(d, 1)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "p of sign flips", r.P, *c.SignFlips, 1e-9)
			}
		})
	}
}

func TestSamplesEqualSciPy(t *testing.T) {
	for _, c := range readReference(t).Samples {
		t.Run(c.Name, func(t *testing.T) {
			w, err := Welch(c.A, c.B)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "t", w.Statistic, c.Welch[0], 1e-9)
			near(t, "p of t", w.P, c.Welch[1], 1e-9)
			u, err := MannWhitney(c.A, c.B)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "U", u.Statistic, c.MannWhitney[0], 1e-9)
			near(t, "p of U", u.P, c.MannWhitney[1], 1e-9)
			near(t, "pooled d", PooledD(c.A, c.B), c.Pooled, 1e-9)
			near(t, "Hedges' g", HedgesG(c.A, c.B), c.Hedges, 1e-9)
			if got := CliffDelta(c.A, c.B); math.Abs(got-c.Cliff) > 1e-12 {
				t.Errorf("Cliff's delta %g, SciPy says %g", got, c.Cliff)
			}
			p, err := Permutation(c.A, c.B, 1)
			if err != nil {
				t.Fatal(err)
			}
			if p.Exact != (c.Permutation != nil) {
				t.Errorf("exact: %v", p.Exact)
			}
			if c.Permutation != nil {
				near(t, "p of permutations", p.P, *c.Permutation, 1e-9)
			} else if math.Abs(p.P-w.P) > 0.05 {
				t.Errorf("p of permutations %g, of t %g", p.P, w.P)
			}
		})
	}
}

func TestRestEqualsSciPy(t *testing.T) {
	ref := readReference(t)
	for _, c := range ref.NoncentralT {
		near(t, "noncentral t", noncentralT(c[0], c[1], c[2]), c[3], 1e-9)
	}
	for _, c := range ref.Required {
		if got := RequiredPairs(c[0], c[1], 0.05); got != int(c[2]) {
			t.Errorf("pairs for d = %g with power %g: %d, want %g", c[0], c[1], got, c[2])
		}
	}
	for _, c := range ref.Bootstrap {
		means := make([]float64, len(c.Indices))
		sum := 0.0
		for _, x := range c.X {
			sum += x
		}
		for k, draw := range c.Indices {
			for _, i := range draw {
				means[k] += c.X[i]
			}
			means[k] /= float64(len(draw))
		}
		low, high, err := bca(sum/float64(len(c.X)), means, jackknifeMeans(c.X), c.Level)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "low end of BCa", low, c.Low, 1e-9)
		near(t, "high end of BCa", high, c.High, 1e-9)
	}
	for _, c := range ref.Aggregates {
		near(t, "interquartile mean, "+c.Name, c.A.IQM(), c.IQM, 1e-9)
		got, err := Improvement(c.A, c.B)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "probability of improvement, "+c.Name, got, c.Improvement, 1e-9)
	}
	for i, p := range Holm(ref.Correction.P) {
		near(t, "Holm", p, ref.Correction.Holm[i], 1e-12)
	}
	for i, p := range Bonferroni(ref.Correction.P) {
		near(t, "Bonferroni", p, ref.Correction.Bonferroni[i], 1e-12)
	}
}

// The table is what the script says today, with the SciPy that is installed.
func TestTheTableIsTheScripts(t *testing.T) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/reference.py")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("reference.py: %v: %s\n(scripts/need test installs python3-scipy)", err, errs.String())
	}
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var table, now any
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &now); err != nil {
		t.Fatal(err)
	}
	same(t, "", table, now)
}

// same compares two JSON values, numbers to a relative 1e-9.
func same(t *testing.T, path string, a, b any) {
	t.Helper()
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok || len(m) != len(a) {
			t.Errorf("%s: %v and %v", path, a, b)
			return
		}
		for k, v := range a {
			if k != "scipy" { // the version
				same(t, path+"."+k, v, m[k])
			}
		}
	case []any:
		l, ok := b.([]any)
		if !ok || len(l) != len(a) {
			t.Errorf("%s: %v and %v", path, a, b)
			return
		}
		for i, v := range a {
			same(t, path, v, l[i])
		}
	case float64:
		if f, ok := b.(float64); !ok || math.Abs(f-a) > 1e-9*max(math.Abs(a), 1e-300) {
			t.Errorf("%s: %v in the table, %v by the script", path, a, b)
		}
	default:
		if a != b {
			t.Errorf("%s: %v and %v", path, a, b)
		}
	}
}
