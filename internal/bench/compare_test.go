package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	records "github.com/greenwave-traffic/greenwave/record"
)

// BenchmarkComparison compares the first of 20 experiments with each other one over 66
// scenarios with 5 seeds, with 10,000 draws of every bootstrap.
func BenchmarkComparison(b *testing.B) {
	const experiments, scenarios, seeds = 20, 66, 5
	rng := rand.New(rand.NewPCG(1, 1))
	arms := make([]*comparison.Arm, experiments)
	for i := range arms {
		arms[i] = &comparison.Arm{Name: fmt.Sprint("e", i), Source: "memory"}
		for s := range scenarios {
			for k := range seeds {
				arms[i].Measured = append(arms[i].Measured, comparison.Measurement{
					Scenario: fmt.Sprint("s", s), Seed: fmt.Sprint(k), Where: "memory", Conditions: map[string]string{comparison.Horizon: "300"},
					Metrics: map[string]float64{"full_delay": 40 + float64(s%7) + float64(i)/10 + rng.NormFloat64()},
				})
			}
		}
	}
	var contests []comparison.Contest
	for _, other := range arms[1:] {
		contests = append(contests, comparison.Contest{A: arms[0], B: other})
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := comparison.Compare(contests, comparison.Options{}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	const limit = 3 * time.Second
	best := shortest(took)
	record(b, figure{
		name: "comparison of 20 experiments, 66 scenarios × 5 seeds, 10,000 draws", measured: best.Round(10 * time.Millisecond).String(),
		against: "limit", ratio: fmt.Sprintf("%.2f", best.Seconds()/limit.Seconds()), limit: "< 3 s", met: best < limit,
	})
}

// BenchmarkReport writes the report of an experiment of 10,000 episodes from a SQLite
// database to HTML, figures included.
func BenchmarkReport(b *testing.B) {
	const episodes = 10_000
	ctx := b.Context()
	db, err := sqlite.Open(filepath.Join(b.TempDir(), "r.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(ctx, -1); err != nil {
		b.Fatal(err)
	}
	run, err := db.Register(ctx, store.Run{ID: uuid.NewString(), Experiment: "long", Source: "journal", Metadata: json.RawMessage(`{}`)}, false)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID}
	add := func(kind records.Kind, text string) {
		row, err := records.Parse(kind, []byte(text), nil)
		if err != nil {
			b.Fatal(err)
		}
		batch.To++
		batch.Entries = append(batch.Entries, store.Entry{Seq: batch.To, Time: time.Unix(1_780_000_000, 0).Add(time.Duration(batch.To) * time.Second), Row: row})
	}
	for i := 1; i <= episodes; i++ {
		reward := -50*math.Exp(-float64(i)/1000) + rng.NormFloat64()
		add(records.KindEpisode, fmt.Sprintf(`{"episode_number":%d,"total_reward":%v,"steps_completed":60,"episode_duration_minutes":0.2,"reward_components":{"waiting":%v,"queue":%v,"speed":%v,"buses":%v,"throughput":%v,"switching":%v}}`,
			i, reward, reward/2, reward/3, rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()))
		if i%100 == 0 {
			add(records.KindValidation, fmt.Sprintf(`{"validation_episode":%d,"total_reward":%v,"test_scenario":{"split":"validation","files":["v"]}}`, i, reward))
		}
	}
	checkpoint := uuid.NewString()
	for i := range 330 {
		delay := 40 + float64(i%66) + rng.NormFloat64()
		add(records.KindValidation, fmt.Sprintf(`{"checkpoint_id":%q,"validation_episode":%d,"total_reward":-1,"test_scenario":{"split":"test","scenario":"s%d","sumo_seed":%d,"horizon_s":300,"intersections":["A"]},
			"traffic_metrics":{"full_delay":%v,"queue":%v},"comparison_metrics":{"fixed_time":{"full_delay":%v,"queue":%v},"max_pressure":{"full_delay":%v,"queue":%v}}}`,
			checkpoint, episodes, i/5, i%5, delay, delay/2, delay+4+rng.NormFloat64(), delay/2+2, delay+rng.NormFloat64(), delay/2+rng.NormFloat64()))
	}
	if _, err := db.Apply(ctx, batch); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		f, err := report.Read(ctx, db, "long", report.Options{Hours: 4}, report.Origin{Command: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Document().HTML(io.Discard); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	const limit = 5 * time.Second
	best := shortest(took)
	record(b, figure{
		name: "report of an experiment of 10,000 episodes, as HTML with figures", measured: best.Round(10 * time.Millisecond).String(),
		against: "limit", ratio: fmt.Sprintf("%.2f", best.Seconds()/limit.Seconds()), limit: "< 5 s", met: best < limit,
	})
}

// shortest is what the program takes when nothing else runs.
func shortest(took []time.Duration) time.Duration {
	best := took[0]
	for _, d := range took {
		best = min(best, d)
	}
	return best
}
