package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// guideStep is a step as the guide shows it, with a state of 48 numbers.
func guideStep() []byte {
	b := []byte(`{"episode_number":1,"step_number":60,"active_vehicles":45,` +
		`"queue_lengths":{"ECOLAND":{"north":3,"south":7,"east":2,"west":5},"JOHNPAUL":{"north":4,"south":6,"east":3,"west":2},"SANDAWA":{"north":2,"south":8,"east":4,"west":3}},` +
		`"waiting_times":{"ECOLAND":15.2,"JOHNPAUL":12.8,"SANDAWA":18.5},"speeds":{"ECOLAND":18.5,"JOHNPAUL":16.2,"SANDAWA":14.8},"state_vector":[`)
	for i := range 60 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "0.%04d", i*i%9973)
	}
	return append(b, `],"action_taken":3,"immediate_reward":2.34,"intersection_metrics":{"coordination_score":0.85,"efficiency_index":0.78},"simulation_time":360}`...)
}

// BenchmarkAppendStep appends a step of the guide's shape. BenchmarkBareWrite writes
// the same bytes with nothing else; the limit is twice its time.
func BenchmarkAppendStep(b *testing.B) {
	w, err := Create(b.TempDir(), testHeader(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	data := guideStep()
	b.SetBytes(int64(lineSize(1, "step", data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Append("step", data, false); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBareWrite(b *testing.B) {
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "f"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	var e encoder
	line := e.line(nil, 1, time.Now().UnixMicro(), "step", guideStep())
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Write(line); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
