package syncer

import (
	"context"
	"flag"
	"runtime"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

var backlog = flag.Int("backlog", 60_000, "steps in the backlog of TestMemoryStaysFlat and the benchmark")

// guideStep is about as large as a step of the guide.
func guideStep(tr *trainer, episode, step int) {
	tr.log(record.KindStep, `{"episode_number":%d,"step_number":%d,"active_vehicles":45,"queue_lengths":{"ECOLAND":{"north":3,"south":7,"east":2,"west":5},"JOHNPAUL":{"north":4,"south":6,"east":3,"west":2},"SANDAWA":{"north":2,"south":8,"east":4,"west":3}},"waiting_times":{"ECOLAND":15.2,"JOHNPAUL":12.8,"SANDAWA":18.5},"speeds":{"ECOLAND":18.5,"JOHNPAUL":16.2,"SANDAWA":14.8},"state_vector":[0.15,0.23,0.45,0.5],"action_taken":3,"immediate_reward":2.34,"intersection_metrics":{"coordination_score":0.85,"efficiency_index":0.78},"simulation_time":%d}`,
		episode, step, 10*step)
}

// discard takes everything and keeps nothing but the cursor.
type discard struct {
	store.Destination
	state store.State
	peak  uint64 // largest heap that was seen, in bytes
	batch int
}

func (d *discard) Register(_ context.Context, run store.Run, _ bool) (store.State, error) {
	d.state.RunID, d.state.ExperimentID, d.state.Status = run.ID, "x", "completed"
	return d.state, nil
}

func (d *discard) Apply(_ context.Context, b store.Batch) (store.Result, error) {
	d.state.Cursor = b.To
	if d.batch++; d.batch%16 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		d.peak = max(d.peak, m.HeapInuse)
	}
	return store.Result{Stored: len(b.Entries), Dead: len(b.Dead)}, nil
}

// TestMemoryStaysFlat syncs a backlog with records of very different sizes; what is
// in memory does not depend on how many there are. What the databases need on top
// is measured by make bench with five million steps.
func TestMemoryStaysFlat(t *testing.T) {
	dir := t.TempDir()
	tr := startRun(t, dir, "corridor")
	large := strings.Repeat("0.125,", 200_000)
	for i := range *backlog {
		guideStep(tr, i/300, i%300)
		if i%(*backlog/20) == 0 {
			tr.log(record.KindStep, `{"episode_number":100000,"step_number":%d,"state_vector":[%s1]}`, i, large)
		}
	}
	tr.end()
	runtime.GC()
	dest := &discard{}
	r, err := newSyncer(t, dest, Config{MaxRows: 500}).Run(t.Context(), tr.source())
	if err != nil || r.Stored != tr.records {
		t.Fatalf("%+v, %v", r, err)
	}
	if limit := uint64(100 << 20); dest.peak == 0 || dest.peak > limit {
		t.Errorf("the heap grew to %d MiB, want at most %d", dest.peak>>20, limit>>20)
	}
	t.Logf("%d records, heap at most %d MiB", tr.records, dest.peak>>20)
}

// BenchmarkReadAndParse is what the syncer itself costs: a journal is read, parsed
// and batched for a destination that keeps nothing.
func BenchmarkReadAndParse(b *testing.B) {
	tr := startRun(b, b.TempDir(), "corridor")
	for i := range *backlog {
		guideStep(tr, i/300, i%300)
	}
	tr.end()
	b.ReportAllocs()
	for b.Loop() {
		r, err := newSyncer(b, &discard{}, Config{}).Run(b.Context(), tr.source())
		if err != nil || r.Stored != tr.records {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(float64(tr.records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
