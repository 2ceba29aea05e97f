package trainer

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
)

func TestLastEpisodesOfACurve(t *testing.T) {
	c := Curve{Program: 40}
	// A repeated episode replaces itself, and episodes may end out of order.
	for _, e := range []struct {
		episode     int
		full, plain float64
	}{{1, 900, 300}, {3, 30, 29}, {2, 50, 48}, {4, 130, 100}, {5, 20, 20}, {3, 24, 23}, {6, 119, 90}} {
		c.add(e.episode, e.full, e.plain, -e.full)
	}
	s := c.Last(4)
	if s.Episodes != 4 || math.Abs(s.FullDelay-73.25) > 1e-9 || s.FullDelayMedian != 71.5 || math.Abs(s.Delay-58.25) > 1e-9 || s.DelayMedian != 56.5 || s.Gridlocked != 1 {
		t.Errorf("last 4: %+v", s)
	}
	if got := c.rewards(); !slices.Equal(got, []float64{-900, -50, -24, -130, -20, -119}) {
		t.Errorf("rewards: %v", got)
	}
	// Where an older program trained the first episodes, their rewards are not known.
	old := Curve{Program: 40, FullDelay: []float64{50}, Delay: []float64{40}}
	if old.add(2, 45, 40, -45); old.rewards() != nil {
		t.Errorf("rewards of some episodes for all: %v", old.rewards())
	}
	if all := c.Last(100); all.Episodes != 6 || all.Gridlocked != 2 || all.FullDelayMedian != 84.5 {
		t.Errorf("all: %+v", all)
	}
	if none := (Curve{}).Last(10); none != (Summary{}) {
		t.Errorf("of none: %+v", none)
	}
}

func TestLearningFromChangesOfTheReward(t *testing.T) {
	var last []float64
	plain := Config{}
	if got := plain.learned([]float64{-3, 2}, &last); !slices.Equal(got, []float64{-3, 2}) || last != nil {
		t.Errorf("rewards as they are: %v, %v", got, last)
	}
	changes := Config{RewardChanges: true}
	for i, step := range []struct{ rewards, want []float64 }{
		{[]float64{-3, 2}, []float64{0, 0}}, // nothing came before
		{[]float64{-5, 2}, []float64{-2, 0}},
		{[]float64{-1, 0}, []float64{4, -2}},
	} {
		if got := changes.learned(step.rewards, &last); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %v, expected %v", i, got, step.want)
		}
	}
	// In another episode nothing is left of the one before.
	last = nil
	if got := changes.learned([]float64{-9, 9}, &last); !slices.Equal(got, []float64{0, 0}) {
		t.Errorf("first step of another episode: %v", got)
	}
}

func TestRewardsAreLimited(t *testing.T) {
	l := learner{cfg: Config{RewardScale: 0.1, RewardLimit: 5}, reward: scale{Mean: []float64{-10, 0}, Deviation: []float64{2, 4}}}
	for _, c := range []struct {
		signal       int
		reward, want float64
	}{
		{0, -12, -0.1}, {0, -20, -0.5}, {0, -2000, -0.5}, {0, 2000, 0.5}, {1, -2, -0.05},
	} {
		if got := l.standardise(c.signal, c.reward); got != c.want {
			t.Errorf("signal %d, reward %v: %v, expected %v", c.signal, c.reward, got, c.want)
		}
	}
	l.cfg.RewardLimit = 0
	if got := l.standardise(0, -2010); got != -100 {
		t.Errorf("without a limit: %v, expected -100", got)
	}
}

func TestRewardsAreShared(t *testing.T) {
	l := learner{cfg: Config{RewardScale: 1}, reward: scale{Mean: []float64{-10, 0}, Deviation: []float64{2, 4}}}
	for _, c := range []struct {
		share float64
		want  []float64
	}{
		{0, []float64{-1, 3}}, {0.5, []float64{0, 2}}, {1, []float64{1, 1}},
	} {
		l.cfg.RewardShared = c.share
		if got := l.standardised([]float64{-12, 12}); !slices.Equal(got, c.want) {
			t.Errorf("share %v: %v, expected %v", c.share, got, c.want)
		}
	}
}

// Training files that ship are complete but for the paths of the data.
func TestShippedTrainings(t *testing.T) {
	files, err := filepath.Glob("../../examples/training/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		cfg, err := ReadConfig(f)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Net, cfg.Routes = "net", []string{"routes"}
		if err := cfg.WithDefaults().Check(); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}
