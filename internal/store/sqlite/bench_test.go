package sqlite_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

const benchBatch = 10_000

// guideStep is a step as the guide shows it, with a state of n numbers of which
// seven of ten are zero.
func guideStep(t testing.TB, number, n int) record.Row {
	t.Helper()
	state := make([]string, n)
	for i := range state {
		state[i] = "0"
		if i%10 < 3 {
			state[i] = fmt.Sprint(float32(i+number%97) / 641)
		}
	}
	row, err := record.Parse(record.KindStep, fmt.Appendf(nil, `{"episode_number":%d,"step_number":%d,"active_vehicles":45,
		"queue_lengths":{"ECOLAND":{"north":3,"south":7,"east":2,"west":5},"JOHNPAUL":{"north":4,"south":6,"east":3,"west":2},"SANDAWA":{"north":2,"south":8,"east":4,"west":3}},
		"waiting_times":{"ECOLAND":15.2,"JOHNPAUL":12.8,"SANDAWA":18.5},"speeds":{"ECOLAND":18.5,"JOHNPAUL":16.2,"SANDAWA":14.8},
		"state_vector":[%s],"action_taken":3,"immediate_reward":2.34,"intersection_metrics":{"coordination_score":0.85,"efficiency_index":0.78},
		"simulation_time":%d,"real_timestamp":"2026-03-01T08:00:00Z"}`, number/300, number%300, strings.Join(state, ","), number), nil)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func guideSteps(t testing.TB, n, state int) []store.Entry {
	entries := make([]store.Entry, n)
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for i := range entries {
		entries[i] = store.Entry{Seq: uint64(i + 1), Time: start.Add(time.Duration(i) * time.Millisecond), Row: guideStep(t, i, state)}
	}
	return entries
}

// shift makes the entries those of the next batch.
func shift(entries []store.Entry) {
	for i := range entries {
		e := &entries[i]
		e.Seq += uint64(len(entries))
		e.Row.Values[0] = record.IntValue(e.Row.Values[0].Int() + int64(len(entries)/300+1))
	}
}

func prepared(b testing.TB) (*sqlite.Store, string, store.State) {
	path := filepath.Join(b.TempDir(), "bench.db")
	s := open(b, path)
	if _, err := s.Migrate(b.Context(), -1); err != nil {
		b.Fatal(err)
	}
	run, err := s.Register(b.Context(), store.Run{ID: uuid.NewString(), Experiment: "bench", Source: "journal"}, false)
	if err != nil {
		b.Fatal(err)
	}
	return s, path, run
}

// applier returns what a sync does with a batch of new steps.
func applier(b *testing.B) func([]store.Entry) {
	s, _, run := prepared(b)
	cursor := uint64(0)
	return func(entries []store.Entry) {
		batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: cursor, To: cursor + uint64(len(entries)), Entries: entries}
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		cursor = batch.To
	}
}

// preparedLoop returns the limit that Apply is measured against: the same rows into
// the same table by a prepared insert in a loop, one transaction for a batch, with
// the same driver and the same durability.
func preparedLoop(b *testing.B) func([]store.Entry) {
	_, path, run := prepared(b)
	u := url.URL{Scheme: "file", Path: path, RawQuery: "_synchronous=FULL&_foreign_keys=1"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	var names []string
	for _, f := range record.Steps.Fields {
		names = append(names, f.Name)
	}
	insert := fmt.Sprintf("INSERT INTO training_steps (experiment_id, run_id, seq, logged_at, %s) VALUES (?%s)",
		strings.Join(names, ", "), strings.Repeat(", ?", len(names)+3))
	row := make([]any, 0, 32)
	return func(entries []store.Entry) {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		stmt, err := tx.PrepareContext(b.Context(), insert)
		if err != nil {
			b.Fatal(err)
		}
		for i := range entries {
			e := &entries[i]
			row = append(row[:0], run.ExperimentID, run.RunID, int64(e.Seq), e.Time.Format(timeLayout))
			for _, v := range e.Row.Values {
				switch v.Type {
				case record.Null:
					row = append(row, nil)
				case record.Int:
					row = append(row, v.Int())
				case record.Float:
					row = append(row, v.Float())
				case record.Vector:
					row = append(row, sqlite.AppendVector(nil, v.Bytes()))
				case record.Time:
					row = append(row, v.Time().Format(timeLayout))
				default:
					row = append(row, string(v.Bytes()))
				}
			}
			if _, err := stmt.Exec(row...); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

// spent is wall-clock and processor time.
type spent struct{ wall, cpu time.Duration }

func (s *spent) add(b *testing.B, work func()) {
	usage := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	cpu, wall := usage(), time.Now()
	work()
	s.wall += time.Since(wall)
	s.cpu += usage() - cpu
}

// BenchmarkApply measures batches of 10,000 new steps of the guide's shape, each
// beside the same batch by a prepared insert loop. ratio is Apply's rate over the
// loop's, ratio-cpu the same in processor time, which depends less on what else the
// machine does.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{10, 600} {
		b.Run(fmt.Sprintf("state=%d", n), func(b *testing.B) {
			apply, loop := applier(b), preparedLoop(b)
			entries := guideSteps(b, benchBatch, n)
			var applied, looped spent
			for i := 0; b.Loop(); i++ {
				// Who goes first finds the entries cold, so they take turns.
				if i%2 == 0 {
					looped.add(b, func() { loop(entries) })
				}
				applied.add(b, func() { apply(entries) })
				if i%2 == 1 {
					looped.add(b, func() { loop(entries) })
				}
				shift(entries)
			}
			rows := float64(b.N) * benchBatch
			b.ReportMetric(rows/applied.wall.Seconds(), "rows/s")
			b.ReportMetric(rows/looped.wall.Seconds(), "loop-rows/s")
			b.ReportMetric(float64(looped.wall)/float64(applied.wall), "ratio")
			b.ReportMetric(float64(looped.cpu)/float64(applied.cpu), "ratio-cpu")
			b.ReportMetric(0, "ns/op")
		})
	}
}
