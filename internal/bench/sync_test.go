package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	greenwave "github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

const (
	rows      = 100_000 // steps of a sync
	batchRows = 10_000
	stepsEach = 300 // steps of an episode
)

// recordRun writes a journal of n steps and returns its folder.
func recordRun(b *testing.B, dir, experiment string, n, state int) string {
	b.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	run, err := greenwave.Start(b.Context(), greenwave.Config{Experiment: experiment, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if err := run.LogStep(guideStep(rng, i/stepsEach, i%stepsEach, state)); err != nil {
			b.Fatal(err)
		}
	}
	if err := run.Finish(); err != nil {
		b.Fatal(err)
	}
	return run.Dir()
}

// syncRun syncs a run's journal and returns how long it took.
func syncRun(b *testing.B, dest store.Store, runDir string) time.Duration {
	b.Helper()
	s, err := syncer.New(dest, syncer.Config{MaxRows: batchRows})
	if err != nil {
		b.Fatal(err)
	}
	src, err := syncer.Journal(runDir)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	start := time.Now()
	report, err := s.Run(b.Context(), src)
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	if report.Dead > 0 || report.Pending > 0 {
		b.Fatalf("not everything was stored: %s", report)
	}
	return took
}

// BenchmarkSyncPostgres syncs guide-shaped steps, copies the same rows in binary
// into the same table in batches of the same size, and inserts some of them one by
// one, all into the same server with durable commits.
func BenchmarkSyncPostgres(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Fsync: true})
	for _, state := range []int{4, 600} {
		b.Run(fmt.Sprintf("state=%d", state), func(b *testing.B) {
			ctx := b.Context()
			n := rows
			if state > 100 {
				n = rows / 2
			}
			url := server.Database(b)
			db, err := postgres.Open(ctx, url, postgres.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Migrate(ctx, -1); err != nil {
				b.Fatal(err)
			}
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(ctx))
			runDir := recordRun(b, b.TempDir(), "bench", n, state)
			var ours, theirs []time.Duration
			for round := range 3 {
				if _, err := conn.Exec(ctx, "TRUNCATE experiments, training_runs CASCADE"); err != nil {
					b.Fatal(err)
				}
				ours = append(ours, syncRun(b, db, runDir))
				if round == 0 && state > 100 {
					stateSize(b, conn, state)
				}
				batches := copyOut(b, conn)
				if _, err := conn.Exec(ctx, "TRUNCATE training_steps"); err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				for _, batch := range batches {
					if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(batch), "COPY training_steps FROM STDIN (FORMAT binary)"); err != nil {
						b.Fatal(err)
					}
				}
				theirs = append(theirs, time.Since(start))
			}
			o, t := median(ours), median(theirs)
			ratio := float64(t) / float64(o)
			b.ReportMetric(ratio, "ratio")
			record(b, figure{
				name:     fmt.Sprintf("sync to PostgreSQL, %s steps, state of %d", thousands(float64(n)), state),
				measured: rate(n, o),
				against:  "bare binary COPY of the same rows in batches of " + thousands(batchRows) + ": " + rate(n, t),
				ratio:    fmt.Sprintf("%.2f", ratio), limit: "≥ 0.7", met: ratio >= 0.7,
			})
			single := rowByRow(b, conn, state)
			times := single.Seconds() / (o.Seconds() / float64(n))
			record(b, figure{
				name:     fmt.Sprintf("sync to PostgreSQL against a statement a row, state of %d", state),
				measured: rate(n, o),
				against:  "one INSERT a row, state as JSONB: " + rate(1, single),
				ratio:    fmt.Sprintf("%.0f×", times), limit: "≥ 50×", met: times >= 50,
			})
		})
	}
}

// copyOut reads all steps in binary and cuts them into batches.
func copyOut(b *testing.B, conn *pgx.Conn) [][]byte {
	b.Helper()
	var out bytes.Buffer
	if _, err := conn.PgConn().CopyTo(b.Context(), &out, "COPY training_steps TO STDOUT (FORMAT binary)"); err != nil {
		b.Fatal(err)
	}
	stream := out.Bytes()
	header := 19 + int(binary.BigEndian.Uint32(stream[15:]))
	head, at := stream[:header], header
	trailer := []byte{0xff, 0xff}
	var batches [][]byte
	batch, count := slices.Clone(head), 0
	for {
		fields := int16(binary.BigEndian.Uint16(stream[at:]))
		if fields < 0 {
			break
		}
		start := at
		at += 2
		for range fields {
			size := int32(binary.BigEndian.Uint32(stream[at:]))
			at += 4 + int(max(size, 0))
		}
		batch = append(batch, stream[start:at]...)
		if count++; count == batchRows {
			batches = append(batches, append(batch, trailer...))
			batch, count = slices.Clone(head), 0
		}
	}
	if count > 0 {
		batches = append(batches, append(batch, trailer...))
	}
	return batches
}

// rowByRow inserts steps as the logger does that users come from: a statement, and
// so a commit, for each row, with the state as JSONB. It returns the time of one.
func rowByRow(b *testing.B, conn *pgx.Conn, state int) time.Duration {
	b.Helper()
	ctx := b.Context()
	if _, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS plain_steps (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(), experiment_id uuid REFERENCES experiments(id), episode_number int, step_number int,
		active_vehicles int, queue_lengths jsonb, waiting_times jsonb, speeds jsonb, state_vector jsonb, action_taken int,
		immediate_reward double precision, intersection_metrics jsonb, simulation_time double precision, real_timestamp timestamptz DEFAULT now());
		CREATE INDEX IF NOT EXISTS plain_steps_key ON plain_steps (experiment_id, episode_number, step_number)`); err != nil {
		b.Fatal(err)
	}
	var experiment string
	if err := conn.QueryRow(ctx, "SELECT id::text FROM experiments").Scan(&experiment); err != nil {
		b.Fatal(err)
	}
	const n = 1500
	rng := rand.New(rand.NewPCG(5, 6))
	list := make([]greenwave.Step, n)
	for i := range list {
		list[i] = guideStep(rng, 0, i, state)
	}
	start := time.Now()
	for _, s := range list {
		if _, err := conn.Exec(ctx, `INSERT INTO plain_steps (experiment_id, episode_number, step_number, active_vehicles, queue_lengths,
			waiting_times, speeds, state_vector, action_taken, immediate_reward, intersection_metrics, simulation_time)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`, experiment, s.EpisodeNumber, s.StepNumber, s.ActiveVehicles, s.QueueLengths,
			s.WaitingTimes, s.Speeds, s.StateVector, s.ActionTaken, s.ImmediateReward, s.IntersectionMetrics, s.SimulationTime); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / n
}

// stateSize measures what the state takes of a row.
func stateSize(b *testing.B, conn *pgx.Conn, state int) {
	b.Helper()
	var size, row float64
	if err := conn.QueryRow(b.Context(), `SELECT avg(pg_column_size(state_vector)), pg_total_relation_size('training_steps')::float8 / count(*) FROM training_steps`).Scan(&size, &row); err != nil {
		b.Fatal(err)
	}
	record(b, figure{
		name:     fmt.Sprintf("size of a state of %d of which 70 %% is zero, PostgreSQL", state),
		measured: fmt.Sprintf("%.0f B a state", size),
		against:  fmt.Sprintf("the whole row with its other columns and indexes: %.0f B", row),
		ratio:    fmt.Sprintf("%.2f kB", size/1000), limit: "≤ 1.3 kB", met: size <= 1300,
	})
}

// BenchmarkSyncSQLite syncs guide-shaped steps and inserts the same rows by a
// prepared statement in one transaction, with the same driver into the same table.
func BenchmarkSyncSQLite(b *testing.B) {
	for _, state := range []int{4, 600} {
		b.Run(fmt.Sprintf("state=%d", state), func(b *testing.B) {
			ctx := b.Context()
			n := rows
			dir := b.TempDir()
			runDir := recordRun(b, dir, "bench", n, state)
			var ours, theirs []time.Duration
			for round := range 3 {
				path := filepath.Join(dir, fmt.Sprintf("bench%d.db", round))
				db, err := sqlite.Open(path, sqlite.Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := db.Migrate(ctx, -1); err != nil {
					b.Fatal(err)
				}
				ours = append(ours, syncRun(b, db, runDir))
				db.Close()
				theirs = append(theirs, preparedLoop(b, path))
			}
			o, t := median(ours), median(theirs)
			ratio := float64(t) / float64(o)
			b.ReportMetric(ratio, "ratio")
			record(b, figure{
				name:     fmt.Sprintf("sync to SQLite, %s steps, state of %d", thousands(float64(n)), state),
				measured: rate(n, o),
				against:  "prepared insert loop in one transaction: " + rate(n, t),
				ratio:    fmt.Sprintf("%.2f", ratio), limit: "≥ 0.7", met: ratio >= 0.7,
			})
		})
	}
}

// preparedLoop reads all steps, empties the table and inserts them again.
func preparedLoop(b *testing.B, path string) time.Duration {
	b.Helper()
	ctx := b.Context()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	result, err := db.QueryContext(ctx, "SELECT * FROM training_steps")
	if err != nil {
		b.Fatal(err)
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		b.Fatal(err)
	}
	var all [][]any
	for result.Next() {
		row, pointers := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			pointers[i] = &row[i]
		}
		if err := result.Scan(pointers...); err != nil {
			b.Fatal(err)
		}
		for i, v := range row {
			if t, ok := v.(time.Time); ok {
				row[i] = t.UTC().Format("2006-01-02T15:04:05.000000Z")
			}
		}
		all = append(all, row)
	}
	if err := result.Err(); err != nil {
		b.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "DELETE FROM training_steps"); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO training_steps VALUES (?"+strings.Repeat(",?", len(columns)-1)+")")
	if err != nil {
		b.Fatal(err)
	}
	defer insert.Close()
	for _, row := range all {
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}
