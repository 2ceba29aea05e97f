package d3qn

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/safetensors"
)

// train lets an agent of two actors go through episodes of a world that only depends
// on the episode's number.
func train(t *testing.T, a *Agent, from, to int) {
	t.Helper()
	for e := from; e < to; e++ {
		rng := rand.New(rand.NewPCG(uint64(e), 1))
		for actor, choices := range []int{2, 3} {
			state := []float32{rng.Float32(), rng.Float32(), float32(actor), 0}
			for step := range 12 {
				mask := make([]bool, choices)
				mask[rng.IntN(choices)], mask[step%choices] = true, true
				action := a.Act(actor, state, mask, step%choices, 0.5)
				next := []float32{rng.Float32(), rng.Float32(), float32(actor), float32(step)}
				a.Observe(actor, state, action, float64(state[0])*float64(action), next, mask, false, step == 11)
				if _, _, err := a.Update(float64(e) / 40); err != nil {
					t.Fatal(err)
				}
				state = next
			}
		}
	}
}

func save(t *testing.T, a *Agent) string {
	t.Helper()
	tensors, err := a.Tensors("x.")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "agent.safetensors")
	if _, err := safetensors.Write(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func weights(a *Agent) (all []float32) {
	for _, p := range append(a.online.Params(), a.policy.Params()...) {
		all = append(all, p.Data...)
	}
	return all
}

func TestARestoredAgentGoesOnWithTheSameBits(t *testing.T) {
	for name, cfg := range map[string]Config{
		"uniform":     {},
		"prioritised": {Prioritised: true},
		"plain":       {Plain: true, Single: true},
		"LSTM":        {LSTM: 6, Frames: 2},
		"full ring":   {Memory: 150, Prioritised: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg = cfg.WithDefaults()
			cfg.Hidden, cfg.Warmup, cfg.Batch = []int{8}, 40, 16
			fresh := func() *Agent {
				a, err := New(cfg, []int{2, 3}, 4, 7)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			through := fresh()
			train(t, through, 0, 20)
			path := save(t, through)
			train(t, through, 20, 40)

			f, err := safetensors.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			resumed := fresh()
			train(t, resumed, 90, 93) // what it did before does not matter
			if err := resumed.Restore(f, "x."); err != nil {
				t.Fatal(err)
			}
			train(t, resumed, 20, 40)
			if !slices.Equal(weights(through), weights(resumed)) {
				t.Error("the resumed agent has other weights")
			}
			if through.Updates() != resumed.Updates() || through.Memory() != resumed.Memory() {
				t.Errorf("%d updates and %d transitions, resumed %d and %d", through.Updates(), through.Memory(), resumed.Updates(), resumed.Memory())
			}
		})
	}
}

func TestAnotherShapeIsRefused(t *testing.T) {
	a, err := New(Config{Hidden: []int{8}}, []int{2, 3}, 4, 7)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(save(t, a))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := New(Config{Hidden: []int{8}}, []int{2, 3}, 5, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(f, "x."); err == nil || !strings.Contains(err.Error(), "[4 8]") || !strings.Contains(err.Error(), "[5 8]") {
		t.Fatalf("got %v", err)
	}
	if err := a.Restore(f, "y."); err == nil {
		t.Fatal("nothing is saved under y.")
	}
}

func TestWhatCannotBeSavedIsTold(t *testing.T) {
	a, err := New(Config{Hidden: []int{8}}, []int{2}, 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	a.Observe(0, []float32{1}, 0, 1, []float32{1}, []bool{true, true}, false, false)
	if _, err := a.Tensors(""); err == nil || !strings.Contains(err.Error(), "actor 0") {
		t.Errorf("in the middle of an episode: %v", err)
	}
	a.Forget(0)
	a.online.Params()[0].Data[0] = float32(math.NaN())
	if _, err := a.Tensors(""); !errors.Is(err, ErrDiverged) {
		t.Errorf("NaN: %v", err)
	}
}

// A shared network serves actors with different numbers of actions: the values of
// the one with fewer are not moved by actions that it does not have.
func TestActorsWithDifferentNumbersOfActions(t *testing.T) {
	cfg := small(Config{Steps: 1})
	a, err := New(cfg, []int{2, 4}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	states := [][]float32{{1, 0}, {0, 1}}
	for range 3000 {
		actor := rng.IntN(2)
		action := rng.IntN([]int{2, 4}[actor])
		a.Observe(actor, states[actor], action, float64(action+1+10*actor)/10, states[actor], []bool{true, true, true, true}[:2+2*actor], true, false)
		if _, _, err := a.Update(0.5); err != nil {
			t.Fatal(err)
		}
	}
	for actor, n := range []int{2, 4} {
		for i, v := range a.Values(actor, states[actor])[:n] {
			if want := float64(i+1+10*actor) / 10; math.Abs(float64(v)-want) > 0.05 {
				t.Errorf("actor %d, action %d is worth %.2f, known is %.2f", actor, i, v, want)
			}
		}
	}
}
