package browsertest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/greenwave-traffic/greenwave"
)

// odd is a name that is markup, a picture and right-to-left text.
const odd = "<img src=x onerror=alert(1)> 🚌 \u202eright"

// filled records three experiments: two with something on every page, one of which has
// an alert, and one with an odd name.
func filled(t testing.TB, runs string) {
	t.Helper()
	for i, name := range []string{"corridor-s1", "corridor-s2"} {
		run := record(t, runs, name, map[string]any{"episodes": 60, "seed": i + 1, "learning_rate": 0.001})
		for n := range 40 {
			if i == 0 && n == 39 { // what the rule bad_loss looks for
				if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: n, TotalReward: -900, AvgLoss: new(math.NaN()), StepsCompleted: new(60), AvgWaitingTime: new(26.2)}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			episode(t, run, n)
		}
		steps(t, run, 39, 0, 60)
		judged(t, run, float64(i), 1800)
	}
	other := record(t, runs, odd, map[string]any{"episodes": 30, "seed": 2, "learning_rate": 0.01})
	for n := range 12 {
		episode(t, other, n)
	}
	if err := other.Finish(); err != nil {
		t.Fatal(err)
	}
}

// judged logs validations, checkpoints, a test of eight scenarios over so many seconds and
// a baseline. worse takes from what the controller gains.
func judged(t testing.TB, run *greenwave.Run, worse float64, horizon int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	metrics := func(k, better float64) map[string]any {
		return map[string]any{"full_delay": 61.5 - better + 9*math.Sin(k) + 0.4*math.Cos(7*k)*better, "waiting": 22 - better/3*(1+0.4*math.Sin(5*k)) + 3*math.Sin(k), "queue": 40 + 5*math.Cos(k) - 0.1*better*math.Sin(3*k),
			"passengers_per_hour": 9100 + 300*math.Cos(k) + 40*better*(1+math.Cos(3*k)), "pt_delay": 50 + 5*math.Sin(2*k) - 0.3*better*math.Cos(k), "speed": 21 + math.Sin(k) + better/10*(0.5+math.Cos(2*k))}
	}
	for _, after := range []int{9, 19, 29, 39} {
		must(run.LogValidation(greenwave.Validation{ValidationEpisode: new(after), TotalReward: new(-1000 + 5*float64(after)), TrafficMetrics: metrics(1, float64(after)/5),
			TestScenario: map[string]any{"split": "validation", "scenario": "morning-4", "sumo_seed": 1}}))
	}
	var last string
	for i, kind := range []string{"best", "final"} {
		var err error
		model := filepath.Join(t.TempDir(), fmt.Sprintf("%d.safetensors", 29+10*i))
		must(os.WriteFile(model, []byte(kind), 0o600))
		last, err = run.LogCheckpoint(greenwave.Checkpoint{EpisodeNumber: new(29 + 10*i), CheckpointType: kind, ModelPath: model, ValidationReward: new(-855.25)})
		must(err)
	}
	ours, theirs := map[string]any{}, map[string]any{}
	for k := range 4 {
		for seed := range 2 {
			name, at := fmt.Sprintf("morning-%d", k+5), float64(k)+0.3*float64(seed)
			ours, theirs = metrics(at, 8-4*worse), metrics(at, 0)
			must(run.LogValidation(greenwave.Validation{CheckpointID: last, ValidationEpisode: new(39), TotalReward: new(-800 - 10*at), TrafficMetrics: ours, ComparisonMetrics: map[string]any{"fixed_time": theirs},
				TestScenario: map[string]any{"split": "test", "scenario": name, "demand_sha256": hash(name), "network_sha256": hash("corridor"), "sumo_version": "1.18.0", "metrics_version": "2", "sumo_seed": seed + 1, "begin_s": 0, "warmup_s": 300, "horizon_s": horizon}}))
		}
	}
	must(run.LogBaseline(greenwave.Baseline{BaselineType: "fixed_time", D3QNMetrics: ours, BaselineMetrics: theirs, ImprovementPercentages: map[string]any{"full_delay": 13.1},
		StatisticalTests:    map[string]any{"full_delay": map[string]any{"method": "paired t-test", "n": 8, "mean_difference": -7.9, "p": 0.0004, "confidence_interval_95": []float64{-9.5, -6.3}}},
		SignificanceResults: map[string]any{"full_delay": map[string]any{"p_holm": 0.002, "significant_at_0.05": true}}}))
	must(run.Flush())
}
