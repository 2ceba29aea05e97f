package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/record"
)

// recount compares the statistics with a count of what is there.
func recount(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT format('%s: total_episodes %s, counted %s; best_reward %s, found %s', e.experiment_name, e.total_episodes, c.n, e.best_reward, c.best)
		FROM experiments e CROSS JOIN LATERAL (SELECT count(*) AS n, max(total_reward) AS best FROM training_episodes WHERE experiment_id = e.id) c
		WHERE (e.total_episodes, e.best_reward) IS DISTINCT FROM (c.n, c.best)`)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// TestStatisticsUnderConcurrency lets writers insert, change, move and delete
// episodes of the same experiments by hand, several to a transaction.
func TestStatisticsUnderConcurrency(t *testing.T) {
	url := pgtest.Database(t)
	migrated(t, url)
	conn := connect(t, url)
	execute(t, conn, `INSERT INTO experiments (experiment_name) SELECT 'e' || n FROM generate_series(1, 3) n`)
	const writers, rounds = 6, 40
	conns := make([]*pgx.Conn, writers)
	for w := range conns {
		conns[w] = connect(t, url)
	}
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w, c := range conns {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for range rounds {
				sql := []string{
					fmt.Sprintf(`INSERT INTO training_episodes (experiment_id, episode_number, total_reward)
						SELECT id, n, %d + n FROM experiments, generate_series(%d, %d) n ON CONFLICT (experiment_id, episode_number) DO UPDATE SET total_reward = excluded.total_reward`,
						random.IntN(100), w*1000, w*1000+random.IntN(5)),
					fmt.Sprintf(`DELETE FROM training_episodes t USING (SELECT experiment_id, max(total_reward) AS best FROM training_episodes GROUP BY 1) b
						WHERE t.experiment_id = b.experiment_id AND t.total_reward = b.best AND t.episode_number BETWEEN %d AND %d`, w*1000, w*1000+999),
					fmt.Sprintf(`UPDATE training_episodes SET total_reward = CASE WHEN %d = 0 THEN NULL ELSE total_reward - 50 END WHERE episode_number BETWEEN %d AND %d`,
						random.IntN(4), w*1000, w*1000+2),
				}[random.IntN(3)]
				tx, err := c.Begin(t.Context())
				if err == nil {
					_, err = tx.Exec(t.Context(), sql)
				}
				if err == nil && random.IntN(4) == 0 {
					err = tx.Rollback(t.Context())
				} else if err == nil {
					err = tx.Commit(t.Context())
				}
				if err != nil {
					errs[w] = fmt.Errorf("%s: %w", sql, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for w, err := range errs {
		if err != nil {
			t.Errorf("writer %d: %v", w, err)
		}
	}
	recount(t, conn)
	execute(t, conn, `UPDATE training_episodes SET experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'e1'), episode_number = episode_number + 100000
		WHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = 'e2')`)
	recount(t, conn)
	execute(t, conn, `TRUNCATE training_episodes`)
	recount(t, conn)
}

// TestPartitioned turns the tables into hash-partitioned ones, as the guide suggests
// for large deployments, and goes on writing.
func TestPartitioned(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	for _, table := range []string{"training_episodes", "training_steps"} {
		execute(t, conn, "ALTER TABLE "+table+" RENAME TO "+table+"_old")
		execute(t, conn, "CREATE TABLE "+table+" (LIKE "+table+"_old INCLUDING ALL) PARTITION BY HASH (experiment_id)")
		for i := range 4 {
			execute(t, conn, fmt.Sprintf("CREATE TABLE %s_%d PARTITION OF %s FOR VALUES WITH (MODULUS 4, REMAINDER %d)", table, i, table, i))
		}
		execute(t, conn, "ALTER TABLE "+table+" ADD FOREIGN KEY (experiment_id) REFERENCES experiments (id) ON DELETE CASCADE")
	}
	execute(t, conn, `CREATE TRIGGER i AFTER INSERT ON training_episodes REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION episodes_inserted()`)
	execute(t, conn, `CREATE TRIGGER d AFTER DELETE ON training_episodes REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION episodes_deleted()`)
	execute(t, conn, `CREATE TRIGGER u AFTER UPDATE ON training_episodes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION episodes_updated()`)
	for i := range 5 {
		run := register(t, s, fmt.Sprint("experiment ", i))
		for from := uint64(0); from < 400; from += 100 {
			b := steps(t, run, from, 100)
			// The last is an episode, the same one every time: copied once, merged later.
			b.Entries[99].Row = row(t, record.KindEpisode, `{"episode_number": 1, "total_reward": %d}`, from)
			if _, err := s.Apply(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if n := countSteps(t, s, run); n != 396 {
			t.Errorf("%d steps, want 396", n)
		}
	}
	if n := value[int](t, conn, "SELECT count(*) FROM training_episodes"); n != 5 {
		t.Errorf("%d episodes, want 5", n)
	}
	recount(t, conn)
	execute(t, conn, "DELETE FROM training_episodes WHERE experiment_id = (SELECT id FROM experiments LIMIT 1)")
	recount(t, conn)
}
