package analysis

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// shapes is what testdata/learning.py computed with NumPy and SciPy.
type shapes struct {
	Curves []struct {
		Name    string
		Rewards []float64
		Learning
	}
	Influences []struct {
		Name     string
		Numbers  []float64
		Labels   []string
		Outcomes []float64
		Method   string
		Share, P float64
		Rho      *float64
		Exact    bool
		Within   *float64
	}
}

func readShapes(t *testing.T) shapes {
	t.Helper()
	text, err := os.ReadFile("testdata/learning.json")
	if err != nil {
		t.Fatal(err)
	}
	var s shapes
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLearningCurvesEqualNumPy(t *testing.T) {
	for _, c := range readShapes(t).Curves {
		t.Run(c.Name, func(t *testing.T) {
			got, ok := Learn(c.Rewards)
			if !ok {
				t.Fatal("nothing is said of it")
			}
			want := c.Learning
			for _, x := range []struct {
				name      string
				got, want float64
			}{
				{"first", got.First, want.First}, {"last", got.Last, want.Last}, {"best", got.Best, want.Best}, {"band", got.Band, want.Band}, {"stability", got.Stability, want.Stability},
			} {
				if math.Abs(x.got-x.want) > 1e-9*math.Max(math.Abs(x.want), 1) {
					t.Errorf("%s: %v, NumPy says %v", x.name, x.got, x.want)
				}
			}
			if (got.Efficiency == nil) != (want.Efficiency == nil) || got.Efficiency != nil && math.Abs(*got.Efficiency-*want.Efficiency) > 1e-9 {
				t.Errorf("sample efficiency %v, NumPy says %v", got.Efficiency, want.Efficiency)
			}
			at := func(p *int) int {
				if p == nil {
					return -1
				}
				return *p
			}
			if got.Window != want.Window || got.BestAt != want.BestAt || at(got.Converged) != at(want.Converged) || at(got.ToThreshold) != at(want.ToThreshold) ||
				at(got.Collapse) != at(want.Collapse) || got.Recovered != want.Recovered || !slices.Equal(got.Plateaus, want.Plateaus) {
				t.Errorf("%+v\nNumPy says %+v", got, want)
			}
			if (got.Why == "") != (got.Converged != nil) {
				t.Errorf("converged at %d, and why not: %q", at(got.Converged), got.Why)
			}
		})
	}
}

// A curve that is scaled and moved has the same shape.
func TestShapesAreOfNoUnit(t *testing.T) {
	for _, c := range readShapes(t).Curves {
		moved := make([]float64, len(c.Rewards))
		for i, r := range c.Rewards {
			moved[i] = 1024*r + 4096
		}
		a, _ := Learn(c.Rewards)
		b, _ := Learn(moved)
		for _, p := range [][2]*int{{a.Converged, b.Converged}, {a.ToThreshold, b.ToThreshold}, {a.Collapse, b.Collapse}} {
			if (p[0] == nil) != (p[1] == nil) || p[0] != nil && *p[0] != *p[1] {
				t.Errorf("%s: %+v and scaled %+v", c.Name, a, b)
			}
		}
	}
}

func TestWhatIsNoLearningCurve(t *testing.T) {
	if _, ok := Learn(make([]float64, 29)); ok {
		t.Error("29 episodes have a shape")
	}
	bad := make([]float64, 40)
	bad[7] = math.NaN()
	if _, ok := Learn(bad); ok {
		t.Error("a curve with NaN has a shape")
	}
	l, ok := Learn(make([]float64, 40))
	if !ok || l.Converged != nil || l.Efficiency != nil || l.ToThreshold != nil || len(l.Plateaus) != 0 || l.Collapse != nil {
		t.Errorf("a curve of zeros: %+v", l)
	}
}

func TestMovingMeanIsTheGuides(t *testing.T) {
	if got := MovingMean([]float64{1, 2, 3, 4, 5}, 3); !slices.Equal(got, []float64{1, 1.5, 2, 3, 4}) {
		t.Errorf("%v", got)
	}
	x := []float64{9, 1, 2, 3, 4, 5}
	if at := Reach(x, 3, 4); at == nil || *at != 2 {
		t.Errorf("a mean of 4 is reached at %v", at) // 9 alone is no window
	}
	if at := Reach(x, 3, 4.5); at != nil {
		t.Errorf("a mean of 4.5 is reached at %d", *at)
	}
}

func TestInfluencesEqualSciPy(t *testing.T) {
	for _, c := range readShapes(t).Influences {
		t.Run(c.Name, func(t *testing.T) {
			list, err := Influences(c.Outcomes, []Factor{{Name: "x", Numbers: c.Numbers, Labels: c.Labels}})
			if err != nil || len(list) != 1 {
				t.Fatalf("%v, %v", list, err)
			}
			got := list[0]
			if got.Method != c.Method || got.PHolm != got.P || math.Abs(got.Share-c.Share) > 1e-9 {
				t.Errorf("%+v, SciPy says %+v", got, c)
			}
			if c.Rho != nil && math.Abs(*got.Rho-*c.Rho) > 1e-9 {
				t.Errorf("rank correlation %g, SciPy says %g", *got.Rho, *c.Rho)
			}
			// The table enumerates up to 7 runs only: Python is slow.
			if got.Exact == c.Exact {
				near(t, "p", got.P, c.P, 1e-9)
			}
			if c.Within != nil {
				within, err := WithinShare(c.Outcomes, c.Labels)
				if err != nil || math.Abs(within-*c.Within) > 1e-9 {
					t.Errorf("share within %g, %v; SciPy says %g", within, err, *c.Within)
				}
			}
		})
	}
}

func TestInfluencesOfSeveralFactors(t *testing.T) {
	outcomes := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	rate := Factor{Name: "rate", Numbers: []float64{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}}
	list, err := Influences(outcomes, []Factor{
		{Name: "noise", Numbers: []float64{1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2}}, rate,
		{Name: "same", Numbers: make([]float64, 12)},
		{Name: "kind", Labels: strings.Split("aaaabbbbcccc", "")},
		{Name: "name", Labels: strings.Split("abcdefghijkl", "")},
	})
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if list[0].Factor != "rate" || list[2].Factor != "noise" || list[0].Share < 0.8 || list[2].Share != 0 || list[0].PHolm <= list[0].P {
		t.Errorf("%+v", list)
	}
	// What was changed together cannot be told apart.
	if !slices.Equal(list[0].Together, []string{"kind"}) || list[2].Together != nil {
		t.Errorf("together: %v, %v", list[0].Together, list[2].Together)
	}
	for name, c := range map[string]struct {
		outcomes []float64
		factor   Factor
		says     string
	}{
		"two runs":   {[]float64{1, 2}, Factor{}, "at least 3"},
		"all equal":  {[]float64{2, 2, 2}, rate, "equal"},
		"NaN":        {[]float64{1, math.NaN(), 2}, rate, "not finite"},
		"fewer":      {outcomes, Factor{Name: "rate", Numbers: []float64{1, 2}}, "rate: 2 values of 12 runs"},
		"NaN factor": {[]float64{1, 2, 3}, Factor{Name: "rate", Numbers: []float64{1, math.Inf(1), 2}}, "rate: number 2"},
	} {
		if _, err := Influences(c.outcomes, []Factor{c.factor}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, settings := range [][]string{{"a", "b", "c"}, {"a", "a", "a"}, {"a"}} {
		if _, err := WithinShare([]float64{1, 2, 3}, settings); err == nil {
			t.Errorf("%v: a share within", settings)
		}
	}
}

// The table is what the script computes.
func TestShapesAreUpToDate(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/learning.py").Output()
	if err != nil {
		t.Fatalf("learning.py (scripts/need test installs SciPy): %v", err)
	}
	old, err := os.ReadFile("testdata/learning.json")
	if err != nil {
		t.Fatal(err)
	}
	var table, now any
	if err := json.Unmarshal(old, &table); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &now); err != nil {
		t.Fatal(err)
	}
	same(t, "", table, now)
}
