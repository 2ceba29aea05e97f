// Package storetest is the suite that every database of Greenwave must pass: each
// sentence of the contract in package store, as a test. The SQL in it is what users
// write; it runs on all of them.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Database is a new, empty database that a test has for itself.
type Database struct {
	// Open returns a handle; every call a further one on the same database, as
	// another process would have it. The suite closes it.
	Open func(t *testing.T) store.Store
	// SQL runs what the owner of the database types by hand. The suite does not
	// close it.
	SQL *sql.DB
}

// Run runs the suite, its tests beside each other. fresh makes a database and cleans
// up after the test.
func Run(t *testing.T, fresh func(t *testing.T) Database) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"Register", testRegister},
		{"RegisterConcurrently", testRegisterConcurrently},
		{"RegisterRefuses", testRegisterRefuses},
		{"RoundTrip", testRoundTrip},
		{"RoundTripOfAnyText", testRoundTripOfAnyText},
		{"Order", testOrder},
		{"BigBatch", testBigBatch},
		{"Cursor", testCursor},
		{"CursorRace", testCursorRace},
		{"Refused", testRefused},
		{"Superseded", testSuperseded},
		{"SupersededInAnyOrder", testSupersededInAnyOrder},
		{"RowsByHand", testRowsByHand},
		{"Statistics", testStatistics},
		{"StatisticsConcurrently", testStatisticsConcurrently},
		{"DeadLetters", testDeadLetters},
		{"Replay", testReplay},
		{"ExperimentChanges", testExperimentChanges},
		{"Deleted", testDeleted},
		{"Life", testLife},
		{"LaterRun", testLaterRun},
		{"MarkInterrupted", testMarkInterrupted},
		{"Stale", testStale},
		{"Experiments", testExperiments},
		{"RealTimeTraining", testRealTimeTraining},
		{"PerformanceAnalytics", testPerformanceAnalytics},
		{"ConvergenceDetection", testConvergenceDetection},
		{"Guide", testGuide},
		{"Columns", testColumns},
		{"Page", testPage},
		{"Snapshot", testSnapshot},
		{"Watch", testWatch},
		{"Alerts", testAlerts},
		{"Tokens", testTokens},
		{"Models", testModels},
		{"Usage", testUsage},
		{"Archive", testArchive},
		{"Query", testQuery},
		{"QueryIsReadOnly", testQueryIsReadOnly},
		{"NotFound", testNotFound},
		{"Cancelled", testCancelled},
		{"Close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := fresh(t)
			b := &bench{T: t, ctx: t.Context(), db: db, s: open(t, db)}
			if _, err := b.s.Migrate(b.ctx, -1); err != nil {
				t.Fatalf("Migrate: %v", err)
			}
			test.run(b)
		})
	}
	for name, run := range map[string]func(*testing.T, Database){
		"Migrate": testMigrate, "MigrateConcurrently": testMigrateConcurrently, "Schema": testSchema,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, fresh(t))
		})
	}
}

func open(t *testing.T, db Database) store.Store {
	t.Helper()
	s := db.Open(t)
	t.Cleanup(s.Close)
	return s
}

// bench is a migrated database with what the tests do to it.
type bench struct {
	*testing.T
	ctx context.Context
	db  Database
	s   store.Store
}

// start is the time of the first record of a run, unless a test says otherwise.
var start = time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)

func newRun(experiment string) store.Run {
	return store.Run{ID: uuid.NewString(), Experiment: experiment, Source: "journal", Host: "host", PID: 4711, StartedAt: start}
}

func (b *bench) register(run store.Run) store.State {
	b.Helper()
	state, err := b.s.Register(b.ctx, run, false)
	if err != nil {
		b.Fatalf("Register(%q): %v", run.Experiment, err)
	}
	return state
}

// begin registers a new run of the experiment.
func (b *bench) begin(experiment string) store.State {
	b.Helper()
	return b.register(newRun(experiment))
}

func (b *bench) apply(batch store.Batch) store.Result {
	b.Helper()
	res, err := b.s.Apply(b.ctx, batch)
	if err != nil {
		b.Fatalf("Apply(%d to %d): %v", batch.From, batch.To, err)
	}
	return res
}

// log applies records to a run, after those that are there, one second apart.
func (b *bench) log(run store.State, records ...record.Row) store.Result {
	b.Helper()
	return b.apply(b.batch(run, records...))
}

func (b *bench) batch(run store.State, records ...record.Row) store.Batch {
	b.Helper()
	from := b.state(run.RunID).Cursor
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: from, To: from}
	for _, row := range records {
		batch.To++
		batch.Entries = append(batch.Entries, store.Entry{Seq: batch.To, Time: start.Add(time.Duration(batch.To) * time.Second), Row: row})
	}
	return batch
}

func (b *bench) state(runID string) store.State {
	b.Helper()
	states, err := b.s.States(b.ctx, []string{runID})
	if err != nil {
		b.Fatalf("States: %v", err)
	}
	state, ok := states[runID]
	if !ok {
		b.Fatalf("States does not know run %s", runID)
	}
	return state
}

func (b *bench) experiment(name string) store.Experiment {
	b.Helper()
	e, err := b.s.Experiment(b.ctx, name)
	if err != nil {
		b.Fatalf("Experiment(%q): %v", name, err)
	}
	return e
}

// rows returns copies of an experiment's rows of one kind in their order.
func (b *bench) rows(experimentID string, kind record.Kind) []store.Stored {
	b.Helper()
	var all []store.Stored
	for row, err := range b.s.Rows(b.ctx, experimentID, kind) {
		if err != nil {
			b.Fatalf("Rows(%s): %v", kind, err)
		}
		all = append(all, clone(row))
	}
	return all
}

func (b *bench) dead(runIDs ...string) []store.DeadLetter {
	b.Helper()
	var all []store.DeadLetter
	for d, err := range b.s.DeadLetters(b.ctx, runIDs) {
		if err != nil {
			b.Fatalf("DeadLetters: %v", err)
		}
		all = append(all, d)
	}
	return all
}

// exec runs a statement as the owner of the database would.
func (b *bench) exec(format string, args ...any) {
	b.Helper()
	statement := fmt.Sprintf(format, args...)
	if _, err := b.db.SQL.ExecContext(b.ctx, statement); err != nil {
		b.Fatalf("%s: %v", statement, err)
	}
}

// query returns the rows of a statement through the store's own Query.
func (b *bench) query(format string, args ...any) (columns []string, rows [][]any) {
	b.Helper()
	statement := fmt.Sprintf(format, args...)
	table, err := b.s.Query(b.ctx, statement)
	if err != nil {
		b.Fatalf("%s: %v", statement, err)
	}
	for row, err := range table.Rows {
		if err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
		rows = append(rows, append([]any(nil), row...))
	}
	return table.Columns, rows
}

// one returns the only value of the only row.
func (b *bench) one(format string, args ...any) any {
	b.Helper()
	_, rows := b.query(format, args...)
	if len(rows) != 1 || len(rows[0]) != 1 {
		b.Fatalf("%s: want one value, got %v", fmt.Sprintf(format, args...), rows)
	}
	return rows[0][0]
}

// equal reports a difference by name.
func equal[V comparable](t testing.TB, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// text quotes a text for SQL.
func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
