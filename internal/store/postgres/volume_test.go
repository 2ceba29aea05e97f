package postgres_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/record"
)

// TestStateSize holds a state of 600 numbers, 70 % of them zero at random places and
// the others random, to 1.3 KB a row: what the table with its index and TOAST grows
// by when the same steps have such a state.
func TestStateSize(t *testing.T) {
	with, without := bytesPerStep(t, true), bytesPerStep(t, false)
	t.Logf("%d bytes a row with the state, %d without: the state takes %d", with, without, with-without)
	if with-without > 1300 {
		t.Errorf("a state takes %d bytes, want at most 1300", with-without)
	}
}

func bytesPerStep(t *testing.T, withState bool) int {
	url := pgtest.Database(t)
	s := migrated(t, url)
	run := register(t, s, "corridor")
	random := rand.New(rand.NewPCG(1, 2))
	const n = 4000
	for from := uint64(0); from < n; from += 1000 {
		b := steps(t, run, from, 1000)
		for i := range b.Entries {
			if !withState {
				continue
			}
			state := make([]float32, 600)
			for j := range state {
				if random.IntN(10) >= 7 {
					state[j] = random.Float32()
				}
			}
			text, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			seq := b.Entries[i].Seq
			b.Entries[i].Row = row(t, record.KindStep, `{"episode_number": %d, "step_number": %d, "immediate_reward": 0.5, "state_vector": %s}`, seq/100, seq%100, text)
		}
		if _, err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return value[int](t, connect(t, url), `SELECT pg_total_relation_size('training_steps')`) / n
}

// TestRealTimeTrainingPlan holds the view to a few look-ups per experiment, at a
// volume where reading a table would show.
func TestRealTimeTrainingPlan(t *testing.T) {
	url := pgtest.Database(t)
	migrated(t, url)
	conn := connect(t, url)
	const experiments = 20
	execute(t, conn, `INSERT INTO experiments (experiment_name) SELECT 'e' || n FROM generate_series(1, $1::int) n`, experiments)
	execute(t, conn, `INSERT INTO training_runs (id, experiment_id, experiment_name, source, started_at) SELECT gen_random_uuid(), id, experiment_name, 'journal', now() FROM experiments`)
	execute(t, conn, `INSERT INTO training_episodes (experiment_id, episode_number, total_reward) SELECT id, n, n FROM experiments, generate_series(1, 300) n`)
	execute(t, conn, `INSERT INTO training_steps (experiment_id, episode_number, step_number) SELECT id, e, n FROM experiments, generate_series(1, 50) e, generate_series(1, 100) n`)
	execute(t, conn, `ANALYZE`)
	for _, sql := range []string{
		`SELECT * FROM real_time_training`,
		`SELECT * FROM real_time_training WHERE experiment_name = 'e7'`,
	} {
		plan := value[string](t, conn, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+sql)
		for _, table := range []string{"training_episodes", "training_steps"} {
			if strings.Contains(strings.Join(strings.Fields(plan), " "), `"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Parallel Aware": false, "Async Capable": false, "Relation Name": "`+table) {
				t.Errorf("%s reads all of %s:\n%s", sql, table, plan)
			}
		}
		var parsed []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
				Rows int `json:"Actual Rows"`
			}
		}
		if err := json.Unmarshal([]byte(plan), &parsed); err != nil {
			t.Fatal(err)
		}
		p := parsed[0].Plan
		t.Logf("%s: %d rows, %d pages", sql, p.Rows, p.Hit+p.Read)
		if p.Rows == 0 || p.Hit+p.Read > 20*p.Rows+20 {
			t.Errorf("%s: %d pages for %d rows:\n%s", sql, p.Hit+p.Read, p.Rows, plan)
		}
	}
}
