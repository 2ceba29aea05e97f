package export_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// steps is a database of n steps that costs nothing to read, so that what is
// measured is the export. They are equal, or hold 4 KB of noise each.
type steps struct {
	store.Reader
	n     int
	row   record.Row
	noise []byte
}

func (s *steps) Experiment(context.Context, string) (store.Experiment, error) {
	return store.Experiment{ID: "018f3c5e-0000-7000-8000-0000000000ee", Name: "bench", Status: "completed"}, nil
}

func (s *steps) Rows(_ context.Context, _ string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		if kind != record.KindStep {
			return
		}
		var text []byte
		stored := store.Stored{RunID: runID, Time: started, Row: s.row}
		for i := range s.n {
			stored.Seq = uint64(i + 1)
			s.row.Values[0], s.row.Values[1] = record.IntValue(int64(i/360)), record.IntValue(int64(i%360))
			if s.noise != nil {
				from := i * 997 % (len(s.noise) - 4096)
				text = append(append(append(text[:0], `{"noise":"`...), s.noise[from:from+4096]...), `"}`...)
				s.row.Values[record.Steps.Index("intersection_metrics")] = record.JSONValue(text)
			}
			if !yield(&stored, nil) {
				return
			}
		}
	}
}

func benchmark(b *testing.B, format export.Format, data string, n int) {
	row, err := record.Parse(record.KindStep, []byte(data), nil)
	if err != nil {
		b.Fatal(err)
	}
	db, size, i := &steps{n: n, row: row}, int64(0), 0
	dir := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		m, err := export.Export(context.Background(), db, "bench", format, filepath.Join(dir, fmt.Sprint(i)), export.Options{})
		if err != nil {
			b.Fatal(err)
		}
		size = m.Files[2].Bytes
		i++
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(size)/float64(n), "B/row")
}

const simple = `{"episode_number":1,"step_number":60,"active_vehicles":45,"action_taken":3,"immediate_reward":2.34,"simulation_time":360}`

const guide = `{"episode_number": 1, "step_number": 60, "active_vehicles": 45, "queue_lengths": ` +
	`{"ECOLAND": {"north": 3, "south": 7, "east": 2, "west": 5}, "JOHNPAUL": {"north": 4, "south": 6, "east": 3, "west": 2}, ` +
	`"SANDAWA": {"north": 2, "south": 8, "east": 4, "west": 3}}, "waiting_times": {"ECOLAND": 15.2, "JOHNPAUL": 12.8, "SANDAWA": 18.5}, ` +
	`"speeds": {"ECOLAND": 18.5, "JOHNPAUL": 16.2, "SANDAWA": 14.8}, "state_vector": [0.15, 0.23, 0.45], "action_taken": 3, ` +
	`"immediate_reward": 2.34, "intersection_metrics": {"coordination_score": 0.85, "efficiency_index": 0.78}, "simulation_time": 360}`

// wide is a step with 600 elements of state, 70 % of them zero.
func wide() string {
	r := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, 600)
	for i := range v {
		if r.Float64() > 0.7 {
			v[i] = r.Float32()
		}
	}
	data, err := (&record.Step{StateVector: v}).AppendJSON(nil)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func BenchmarkExport(b *testing.B) {
	for _, format := range []export.Format{export.Parquet, export.CSV, export.JSON} {
		b.Run(string(format)+"/simple", func(b *testing.B) { benchmark(b, format, simple, 300_000) })
		b.Run(string(format)+"/guide", func(b *testing.B) { benchmark(b, format, guide, 100_000) })
		b.Run(string(format)+"/600", func(b *testing.B) { benchmark(b, format, wide(), 10_000) })
	}
}

// BenchmarkExportSQLite includes the reading.
func BenchmarkExportSQLite(b *testing.B) {
	const n = 100_000
	db, dir, i := database(b, n), b.TempDir(), 0
	for b.Loop() {
		if _, err := export.Export(context.Background(), db, "thesis/1", export.Parquet, filepath.Join(dir, fmt.Sprint(i)), export.Options{}); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
