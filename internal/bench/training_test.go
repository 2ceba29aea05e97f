package bench

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/nn"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
	"github.com/greenwave-traffic/greenwave/internal/trainer"
)

// network is the network and demand of the measurements: recorded ones where they
// are, else the corridor that ships.
func network(b *testing.B) (name, net string, routes []string) {
	b.Helper()
	name, net, pattern := "davao", "../../../shared/data/davao/ThesisNetowrk.net.xml", "../../../shared/data/davao/*.rou.xml"
	if _, err := os.Stat(net); err != nil {
		b.Log("the recorded network is not here: the corridor is measured")
		name, net, pattern = "corridor", "../../scenarios/davao-corridor/corridor.net.xml", "../../scenarios/davao-corridor/morning-*.rou.xml"
	}
	routes, err := filepath.Glob(pattern)
	if err != nil || len(routes) < 5 {
		b.Fatal(routes, err)
	}
	return name, net, routes
}

// BenchmarkSimulation compares an environment that observes every five seconds, its
// trip data read, with plain SUMO over the same simulation, in turns.
func BenchmarkSimulation(b *testing.B) {
	const warmup, horizon, rounds = 30, 300, 9
	name, net, routes := network(b)
	n, err := sumo.ReadNetwork(net)
	if err != nil {
		b.Fatal(err)
	}
	env, err := sumo.New(n, sumo.Config{TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer env.Close()
	var ours, plain []time.Duration
	for round := range rounds {
		s := sumo.Scenario{Routes: routes[round%3 : round%3+1], Seed: round, Warmup: warmup, Horizon: horizon}
		start := time.Now()
		if out, err := exec.Command("sumo", "-n", net, "-r", s.Routes[0], "--seed", strconv.Itoa(round), "--end", strconv.Itoa(warmup+horizon),
			"--time-to-teleport", "-1", "--no-step-log", "--no-warnings", "--xml-validation", "never", "--duration-log.disable").CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		plain = append(plain, time.Since(start))
		start = time.Now()
		if _, err := env.Reset(b.Context(), s, false); err != nil {
			b.Fatal(err)
		}
		for {
			step, _, err := env.Step(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			if step.Done {
				break
			}
		}
		if _, err := env.End(b.Context()); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(start))
	}
	o, p := median(ours), median(plain)
	ratio := o.Seconds() / p.Seconds()
	record(b, figure{
		name:     fmt.Sprintf("an episode over TraCI (%s, %d + %d s, observed each 5 s, start and trip data included)", name, warmup, horizon),
		measured: fmt.Sprintf("%.2f s", o.Seconds()), against: fmt.Sprintf("plain SUMO, the same simulation: %.2f s", p.Seconds()),
		ratio: fmt.Sprintf("%.2f", ratio), limit: "≤ 1.3", met: ratio <= 1.3,
	})
}

// BenchmarkTraining trains as a user does, everything recorded.
func BenchmarkTraining(b *testing.B) {
	const episodes = 80
	name, net, routes := network(b)
	cfg := trainer.Config{Net: net, Routes: routes[:3], Episodes: episodes, ValidateEvery: episodes, ValidationSeeds: 1, Validation: routes[3:4]}
	start := time.Now()
	res, err := trainer.Train(b.Context(), nil, cfg, trainer.Options{Experiment: "bench", Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	perHour := episodes / time.Since(start).Hours()
	record(b, figure{
		name:     fmt.Sprintf("training (%s, 30 + 300 s, a decision each 5 s, 2 simulations side by side, kernel %s)", name, nn.Kernel()),
		measured: fmt.Sprintf("%s episodes/h, %s records", thousands(perHour), thousands(float64(res.Report.Logged))), against: "the Python trainer that users have: 14 episodes/h",
		ratio: fmt.Sprintf("%.0f×", perHour/14), limit: "≥ 2,000/h", met: perHour >= 2000,
	})
}

// BenchmarkUpdate is one update of the learner.
func BenchmarkUpdate(b *testing.B) {
	const inputs, updates, rounds = 176, 200, 9
	a, err := d3qn.New(d3qn.Config{Hidden: []int{256, 128}, Batch: 64}, []int{8}, inputs, 1)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	mask := make([]bool, 8)
	for i := range mask {
		mask[i] = true
	}
	state := func() []float32 {
		s := make([]float32, inputs)
		for i := range s {
			s[i] = float32(rng.NormFloat64())
		}
		return s
	}
	for range 2000 {
		a.Observe(0, state(), rng.IntN(8), rng.NormFloat64(), state(), mask, false, false)
	}
	var times []time.Duration
	for range rounds {
		start := time.Now()
		for range updates {
			if _, ok, err := a.Update(0.5); err != nil || !ok {
				b.Fatal(ok, err)
			}
		}
		times = append(times, time.Since(start)/updates)
	}
	m := median(times)
	limit := 4.0
	record(b, figure{
		name:     fmt.Sprintf("an update (batch 64, 176 inputs, 256 and 128 hidden, dueling double), kernel %s", nn.Kernel()),
		measured: fmt.Sprintf("%.2f ms", 1e3*m.Seconds()), against: "the clock",
		ratio: fmt.Sprintf("%.2f ms", 1e3*m.Seconds()), limit: "≤ 4 ms", met: 1e3*m.Seconds() <= limit,
	})
}
