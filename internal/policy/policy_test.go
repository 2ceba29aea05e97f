package policy

import (
	"errors"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/nn"
	"github.com/greenwave-traffic/greenwave/internal/safetensors"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

func environment(t *testing.T, cfg sumo.Config) *sumo.Env {
	t.Helper()
	n, err := sumo.ReadNetwork("../../scenarios/single/single.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	cfg.TempDir = t.TempDir()
	env, err := sumo.New(n, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	return env
}

// untrained is a policy with random weights for an environment.
func untrained(t *testing.T, env *sumo.Env) *Policy {
	t.Helper()
	p := &Policy{Spec: Spec{Layout: LayoutOf(env), Frames: 2, Episode: 7}}
	p.Interval, p.Timing = env.Rules()
	var m Measure
	frame := p.Features(1, Norm{})
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		x := make([]float32, frame.Len())
		for i := range x {
			x[i] = rng.Float32() * 10
		}
		m.Add(x)
	}
	p.Norm = m.Norm()
	p.Net = nn.Config{Inputs: p.Features(2, p.Norm).Len(), Hidden: []int{8}, Actions: frame.Phases(), Dueling: true}
	net, err := nn.New(p.Net, rng)
	if err != nil {
		t.Fatal(err)
	}
	p.Nets = []*nn.Net{net}
	return p
}

func play(t *testing.T, env *sumo.Env, c controller.Controller) (phases []int) {
	t.Helper()
	s := sumo.Scenario{Routes: []string{"../../scenarios/single/single.rou.xml"}, Seed: 4, Warmup: 20, Horizon: 200}
	_, err := controller.Evaluate(t.Context(), env, c, s, t.TempDir(), func(p []int, _ sumo.Step, _ *sumo.Observation) { phases = append(phases, p...) })
	if err != nil {
		t.Fatal(err)
	}
	return phases
}

func TestASavedPolicyActsTheSame(t *testing.T) {
	env := environment(t, sumo.Config{})
	p := untrained(t, env)
	path := filepath.Join(t.TempDir(), "a.safetensors")
	info, err := p.Save(path)
	if err != nil || info.Size == 0 || len(info.SHA256) != 64 {
		t.Fatal(info, err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	before, after := play(t, env, p.Controller()), play(t, env, loaded.Controller())
	if len(before) != 40 || len(after) != 40 {
		t.Fatalf("%d and %d decisions", len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] {
			t.Fatalf("decision %d is %d, after loading %d", i, before[i], after[i])
		}
	}
	if loaded.Episode != 7 || loaded.Frames != 2 {
		t.Errorf("%+v", loaded.Spec)
	}
}

// The weights and the configuration are readable from Python.
func TestPythonReadsACheckpoint(t *testing.T) {
	env := environment(t, sumo.Config{})
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if _, err := untrained(t, env).Save(path); err != nil {
		t.Fatal(err)
	}
	const script = `
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", raw[:8])
head = json.loads(raw[8:8+n])
config = json.loads(head["__metadata__"]["config"])
print(config["signals"][0]["id"], head["net0.dense0.weight"]["dtype"], config["net"]["inputs"] == head["net0.dense0.weight"]["shape"][0])
`
	out, err := exec.Command("python3", "-c", script, path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "J F32 True" {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	env := environment(t, sumo.Config{})
	p := untrained(t, env)
	begin := func(change func(*Policy), env *sumo.Env) error {
		q := *p
		q.Signals = append([]Signal(nil), p.Signals...)
		change(&q)
		return q.Controller().Begin(env)
	}
	other := environment(t, sumo.Config{Interval: 10})
	for want, err := range map[string]error{
		"its signal 1 is X and here it is J":    begin(func(q *Policy) { q.Signals[0].ID = "X" }, env),
		"had the green phases GG":               begin(func(q *Policy) { q.Signals[0].Phases = []string{"GG", "rr"} }, env),
		"it has 2 signals and the network here": begin(func(q *Policy) { q.Signals = append(q.Signals, q.Signals[0]) }, env),
		"trained with a decision each 5 s":      begin(func(*Policy) {}, other),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %s", err, want)
		}
	}
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.safetensors")
	if _, err := safetensors.Write(foreign, map[string]string{"format": "pt"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(foreign); err == nil || !strings.Contains(err.Error(), `its format is "pt"`) {
		t.Errorf("a foreign file: %v", err)
	}
	p.Nets[0].Params()[0].Data[0] = float32(math.Inf(1))
	if _, err := p.Save(filepath.Join(dir, "b")); !errors.Is(err, d3qn.ErrDiverged) {
		t.Errorf("infinite weights: %v", err)
	}
}

func TestFeatures(t *testing.T) {
	f := newFeatures([]int{2, 3}, 2, Norm{})
	o := &sumo.Observation{Signals: []sumo.SignalView{
		{Phase: 1, Age: 6, Mask: []bool{true, false}, Phases: []sumo.PhaseView{{Queue: 4, Speed: 0.5}, {Beyond: 3}}, Approaches: []sumo.ApproachView{{Vehicles: 9}}},
		{Phase: 0, Age: -2, Mask: []bool{true, false, false}, Phases: make([]sumo.PhaseView, 3)},
	}}
	first := f.See(o)
	frame := 3*perPhase + perSignal + 2
	if f.Len() != 2*frame || len(first[0]) != 2*frame {
		t.Fatalf("%d numbers, expected %d", len(first[0]), 2*frame)
	}
	x := first[0][frame:]
	if x[0] != 4 || x[5] != 0.5 || x[perPhase+8] != float32(math.Log1p(3)) || x[perPhase+9] != 1 || x[9] != 0 || x[11] != 1 {
		t.Errorf("phases %v", x[:2*perPhase])
	}
	if x[frame-2] != 1 || x[frame-1] != 0 || x[3*perPhase+3] != 9 || x[3*perPhase+2] != 1 {
		t.Errorf("signal %v", x[3*perPhase:])
	}
	if y := first[1][frame:]; y[3*perPhase+1] != 1 || y[frame-1] != 1 {
		t.Errorf("changing %v", y[3*perPhase:])
	}
	// After a reset the first observation fills all frames; later ones move on.
	if first[0][0] != 4 {
		t.Error("the first observation does not fill the older frame")
	}
	o.Signals[0].Phases[0].Queue = 8
	if second := f.See(o); second[0][0] != 4 || second[0][frame] != 8 {
		t.Errorf("queues %g and %g, expected 4 and 8", second[0][0], second[0][frame])
	}
	f.norm = Norm{Mean: make([]float32, frame), Deviation: make([]float32, frame)}
	for i := range f.norm.Deviation {
		f.norm.Deviation[i] = 0.5
	}
	if third := f.See(o); third[0][frame] != normLimit {
		t.Errorf("8 in half units is limited to %d, got %g", normLimit, third[0][frame])
	}
}
