package postgres_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/record"
)

// shapes are the steps that the benchmarks write: as narrow as a step may be, and
// with the state of 638 numbers of the logger that users come from.
var shapes = []struct {
	name  string
	state int
}{{"narrow", 0}, {"state638", 638}}

const batchSize = 10_000

// stepJSON returns a guide-shaped step.
func stepJSON(random *rand.Rand, n, state int) []byte {
	step := map[string]any{
		"episode_number": n / 300, "step_number": n % 300, "active_vehicles": 40 + n%20, "action_taken": n % 8, "immediate_reward": random.Float64(),
		"simulation_time": n % 300, "waiting_times": map[string]float64{"ECOLAND": 15.2, "JOHNPAUL": 12.8, "SANDAWA": 18.5},
		"speeds":        map[string]float64{"ECOLAND": 18.5, "JOHNPAUL": 16.2, "SANDAWA": 14.8},
		"queue_lengths": map[string]map[string]int{"ECOLAND": {"north": 3, "south": 7, "east": 2, "west": 5}},
	}
	if state > 0 {
		v := make([]float32, state)
		for i := range v {
			if random.IntN(10) >= 7 {
				v[i] = random.Float32()
			}
		}
		step["state_vector"] = v
	}
	text, err := json.Marshal(step)
	if err != nil {
		panic(err)
	}
	return text
}

func benchBatch(b *testing.B, run store.State, from, n, state int) store.Batch {
	random := rand.New(rand.NewPCG(1, uint64(from)))
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: uint64(from), To: uint64(from + n)}
	for i := range n {
		batch.Entries = append(batch.Entries, store.Entry{Seq: uint64(from + i + 1), Time: began, Row: row(b, record.KindStep, "%s", stepJSON(random, from+i, state))})
	}
	return batch
}

func perRow(b *testing.B, rows int) {
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkApply commits batches of parsed steps; one operation is a batch.
func BenchmarkApply(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			s := migrated(b, pgtest.Database(b))
			run := register(b, s, "corridor")
			rows := 0
			for b.Loop() {
				b.StopTimer()
				batch := benchBatch(b, run, rows, batchSize, shape.state)
				b.StartTimer()
				if _, err := s.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				rows += batchSize
			}
			perRow(b, rows)
		})
	}
}

// BenchmarkBareCopy is the limit: COPY of the same rows, encoded before the clock
// runs, into the same table, a transaction a batch.
func BenchmarkBareCopy(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			url := pgtest.Database(b)
			s := migrated(b, url)
			run := register(b, s, "corridor")
			conn := connect(b, url)
			rows := 0
			for b.Loop() {
				b.StopTimer()
				stream := encoded(b, conn, benchBatch(b, run, rows, batchSize, shape.state))
				b.StartTimer()
				if _, err := conn.PgConn().CopyFrom(b.Context(), bytes.NewReader(stream), copySteps); err != nil {
					b.Fatal(err)
				}
				rows += batchSize
			}
			perRow(b, rows)
		})
	}
}

const stepColumns = "experiment_id, episode_number, step_number, active_vehicles, queue_lengths, waiting_times, speeds, state_vector, action_taken, immediate_reward, intersection_metrics, simulation_time, real_timestamp, extra, run_id, seq, logged_at"

const copySteps = "COPY training_steps (" + stepColumns + ") FROM STDIN (FORMAT binary)"

// encoded returns the batch as a stream of COPY, made by the driver's own encoder.
func encoded(b *testing.B, conn *pgx.Conn, batch store.Batch) []byte {
	b.Helper()
	out := []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	types := conn.TypeMap()
	oids := []uint32{2950, 23, 23, 20, 3802, 3802, 3802, 1021, 20, 701, 3802, 701, 1184, 3802, 2950, 20, 1184}
	for i := range batch.Entries {
		out = binary.BigEndian.AppendUint16(out, uint16(len(oids)))
		for c, v := range arguments(batch, &batch.Entries[i]) {
			at := len(out)
			out = append(out, 0, 0, 0, 0)
			size := -1
			if v != nil {
				more, err := types.Encode(oids[c], 1, v, out)
				if err != nil {
					b.Fatal(err)
				}
				out, size = more, len(more)-at-4
			}
			binary.BigEndian.PutUint32(out[at:], uint32(size))
		}
	}
	return binary.BigEndian.AppendUint16(out, math.MaxUint16)
}

// arguments are the columns of a step as a driver takes them.
func arguments(batch store.Batch, e *store.Entry) []any {
	args := []any{uuid.MustParse(batch.ExperimentID)}
	for _, v := range e.Row.Values {
		switch v.Type {
		case record.Null:
			args = append(args, nil)
		case record.Int:
			args = append(args, v.Int())
		case record.Float:
			args = append(args, v.Float())
		case record.JSON:
			args = append(args, json.RawMessage(v.Bytes()))
		case record.Vector:
			state := make([]float32, v.Len())
			for i := range state {
				state[i] = v.At(i)
			}
			args = append(args, state)
		}
		if len(args) == 13 && args[12] == nil {
			args[12] = e.Time
		}
	}
	return append(args, nil, uuid.MustParse(batch.RunID), int64(e.Seq), e.Time)
}

// BenchmarkRowByRow is the logger that users come from: one INSERT a row, each its own
// transaction, the state as JSONB. One operation is a row.
func BenchmarkRowByRow(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			url := pgtest.Database(b)
			s := migrated(b, url)
			run := register(b, s, "corridor")
			conn := connect(b, url)
			execute(b, conn, `ALTER TABLE training_steps ALTER COLUMN state_vector TYPE jsonb USING NULL`)
			random := rand.New(rand.NewPCG(1, 2))
			rows := 0
			for b.Loop() {
				b.StopTimer()
				var step map[string]any
				if err := json.NewDecoder(bytes.NewReader(stepJSON(random, rows, shape.state))).Decode(&step); err != nil && err != io.EOF {
					b.Fatal(err)
				}
				b.StartTimer()
				_, err := conn.Exec(b.Context(), `INSERT INTO training_steps (experiment_id, episode_number, step_number, active_vehicles, queue_lengths, waiting_times,
					speeds, state_vector, action_taken, immediate_reward, simulation_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
					run.ExperimentID, step["episode_number"], step["step_number"], step["active_vehicles"], step["queue_lengths"], step["waiting_times"],
					step["speeds"], step["state_vector"], step["action_taken"], step["immediate_reward"], step["simulation_time"])
				if err != nil {
					b.Fatal(fmt.Errorf("row %d: %w", rows, err))
				}
				rows++
			}
			perRow(b, rows)
		})
	}
}
