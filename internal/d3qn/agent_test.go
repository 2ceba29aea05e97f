package d3qn

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/nn"
)

// chain is a corridor of n places: right from the last one ends with reward 1, left
// from the first one ends with reward 0.1, every other step gives nothing. With
// discount g the value of going right from place i is g^(n-1-i).
func chain(t *testing.T, cfg Config, n, episodes int) *Agent {
	t.Helper()
	a, err := New(cfg, []int{2}, n, 5)
	if err != nil {
		t.Fatal(err)
	}
	both := []bool{true, true}
	at := func(i int) []float32 {
		s := make([]float32, n)
		if i >= 0 && i < n {
			s[i] = 1
		}
		return s
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for e := range episodes {
		place := rng.IntN(n)
		done := float64(e) / float64(episodes)
		for step := 0; ; step++ {
			action := a.Act(0, at(place), both, -1, a.cfg.EpsilonAt(done))
			next := place - 1 + 2*action
			reward, ended := 0.0, false
			switch {
			case next >= n:
				reward, ended = 1, true
			case next < 0:
				reward, ended = 0.1, true
			}
			a.Observe(0, at(place), action, reward, at(next), both, ended, step == 50)
			if _, _, err := a.Update(done); err != nil {
				t.Fatal(err)
			}
			if place = next; ended || step == 50 {
				break
			}
		}
	}
	return a
}

func small(c Config) Config {
	c.Hidden, c.Gamma, c.LearningRate, c.Warmup, c.Memory, c.Tau, c.Average, c.Batch = []int{24}, 0.9, 3e-3, 64, 4000, 0.02, 0.02, 32
	return c
}

func TestAgentFindsTheKnownValues(t *testing.T) {
	const n = 6
	for name, cfg := range map[string]Config{
		"dueling double, 3 steps": {},
		"1 step":                  {Steps: 1},
		"prioritised":             {Prioritised: true, Steps: 1},
		"plain, single":           {Plain: true, Single: true, Steps: 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := chain(t, small(cfg), n, 900)
			for i := range n {
				s := make([]float32, n)
				s[i] = 1
				got := a.Values(0, s)
				want := math.Pow(0.9, float64(n-1-i))
				tolerance := 0.08
				if a.cfg.Steps > 1 {
					tolerance = 0.12 // uncorrected returns hold some of the exploration
				}
				if math.Abs(float64(got[1])-want) > tolerance || got[1] <= got[0] {
					t.Errorf("place %d: values %.3f, going right is worth %.3f", i, got, want)
				}
			}
		})
	}
}

func TestSameSeedSameBits(t *testing.T) {
	params := func() []float32 {
		var all []float32
		for _, p := range chain(t, small(Config{Prioritised: true}), 5, 60).online.Params() {
			all = append(all, p.Data...)
		}
		return all
	}
	if !slices.Equal(params(), params()) {
		t.Fatal("the same seed gave other weights")
	}
}

func TestNStepReturns(t *testing.T) {
	a, err := New(Config{Steps: 3, Gamma: 0.5, Warmup: 1}, []int{2, 2}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	mask := []bool{true, true}
	for i := range 4 {
		a.Observe(0, []float32{float32(i)}, i%2, float64(i+1), []float32{float32(i + 1)}, mask, false, false)
	}
	a.Observe(1, []float32{9}, 0, 7, []float32{9}, mask, false, false)
	if len(a.memory.ring) != 2 {
		t.Fatalf("%d transitions after 4 and 1 observations", len(a.memory.ring))
	}
	check := func(i int, state, reward, next, discount float32) {
		t.Helper()
		if tr := a.memory.ring[i]; tr.state[0] != state || tr.reward != reward || tr.next[0] != next || tr.discount != discount {
			t.Errorf("transition %d: state %g, return %g, next %g, discount %g", i, tr.state[0], tr.reward, tr.next[0], tr.discount)
		}
	}
	check(0, 0, 1+0.5*2+0.25*3, 3, 0.125)
	check(1, 1, 2+0.5*3+0.25*4, 4, 0.125)
	a.Observe(0, []float32{4}, 0, 5, []float32{5}, mask, true, false)
	check(2, 2, 3+0.5*4+0.25*5, 5, 0)
	check(3, 3, 4+0.5*5, 5, 0)
	check(4, 4, 5, 5, 0)
	a.Observe(1, []float32{8}, 0, 1, []float32{10}, mask, false, true)
	check(5, 9, 7+0.5, 10, 0.25)
	check(6, 8, 1, 10, 0.5)
}

func TestPrioritisedSamplingFollowsThePriorities(t *testing.T) {
	r := newReplay(8, true)
	for range 11 { // the ring goes round
		r.slot()
	}
	for i := range 8 {
		r.setPriority(i, float64(i))
	}
	counts := make([]int, 8)
	rng := rand.New(rand.NewPCG(1, 1))
	places, weights := make([]int, 28), make([]float32, 28)
	for range 1000 {
		r.sample(rng, 1, places, weights)
		for k, p := range places {
			counts[p]++
			if want := float32(1) / float32(p); slices.Contains(places, 1) && math.Abs(float64(weights[k]-want)) > 1e-5 {
				t.Fatalf("place %d has weight %g", p, weights[k])
			}
		}
	}
	for i, n := range counts {
		if math.Abs(float64(n)-1000*float64(i)) > 150 {
			t.Errorf("place %d with priority %d of 28 was drawn %d times of 28,000", i, i, n)
		}
	}
}

func TestMaskedActionsAreNeverChosen(t *testing.T) {
	a, err := New(Config{}, []int{4, 5}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	mask := []bool{false, true, false, true}
	for i := range 400 {
		if got := a.Act(0, []float32{1, float32(i)}, mask, 2, float64(i%2)); !mask[got] {
			t.Fatalf("action %d is not allowed", got)
		}
	}
}

func TestDivergenceIsAnError(t *testing.T) {
	a, err := New(Config{Warmup: 1, Batch: 4, Steps: 1}, []int{2}, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	a.Observe(0, []float32{1}, 0, math.NaN(), []float32{1}, []bool{true, true}, false, false)
	if _, _, err := a.Update(0); err == nil || !strings.Contains(err.Error(), "training diverged: the loss of update 1 is NaN") {
		t.Fatalf("got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, cfg := range map[string]Config{
		"agent: gamma is 1.5: must be from 0 to 1":    {Gamma: 1.5},
		"agent: batch is -1: must be from 1 to":       {Batch: -1},
		"agent: warmup is 200: must be from 1 to 100": {Warmup: 200, Memory: 100},
	} {
		if _, err := New(cfg, []int{1}, 1, 1); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	c := Config{}.WithDefaults()
	if got := []float64{c.EpsilonAt(0), c.EpsilonAt(0.2), c.EpsilonAt(0.4), c.EpsilonAt(1)}; math.Abs(got[1]-0.51) > 1e-9 || got[0] != 1 || got[2] != 0.02 || got[3] != 0.02 {
		t.Errorf("epsilon %v", got)
	}
	if got := c.RateAt(1); math.Abs(got-5e-5) > 1e-12 {
		t.Errorf("final rate %g", got)
	}
}

// What acts is the mean of the weights: a plain one at first, then a moving one.
func TestPolicyIsTheMeanOfTheWeights(t *testing.T) {
	for _, share := range []float64{1, 0.25} {
		a, err := New(Config{Hidden: []int{4}, Average: share, Warmup: 1, Batch: 4}, []int{2}, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		both := []bool{true, true}
		for i := range 8 {
			a.Observe(0, []float32{float32(i)}, i%2, float64(i%3), []float32{float32(i + 1)}, both, false, false)
		}
		last := func(n *nn.Net) float64 { p := n.Params(); return float64(p[0].Data[0]) }
		mean, moved := 0.0, false
		for update := 1; update <= 10; update++ {
			before := last(a.online)
			if _, ok, err := a.Update(0.5); !ok || err != nil {
				t.Fatal(ok, err)
			}
			moved = moved || last(a.online) != before
			mean += max(share, 1/float64(update)) * (last(a.online) - mean)
			if got := last(a.Net()); math.Abs(got-mean) > 1e-6 {
				t.Fatalf("share %g, update %d: the policy has %g, the mean is %g", share, update, got, mean)
			}
		}
		if !moved {
			t.Error("no update moved the weight that is looked at")
		}
	}
}
