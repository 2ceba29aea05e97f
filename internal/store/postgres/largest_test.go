package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// TestLargestKeyIsOneLookUp: what every batch asks first does not read the table,
// however large it is.
func TestLargestKeyIsOneLookUp(t *testing.T) {
	ctx, url := t.Context(), pgtest.Database(t)
	s, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(ctx, -1); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range []string{
		"INSERT INTO experiments (experiment_name) VALUES ('e')",
		"INSERT INTO training_episodes (experiment_id, episode_number, total_reward) SELECT id, n, n FROM experiments, generate_series(1, 20000) n",
		"INSERT INTO training_steps (experiment_id, episode_number, step_number) SELECT id, e, n FROM experiments, generate_series(1, 200) e, generate_series(1, 100) n",
		"ANALYZE",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	var id string
	if err := conn.QueryRow(ctx, "SELECT id::text FROM experiments").Scan(&id); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for i, table := range tables {
		sql := largestSQL(i)
		if sql == "" {
			continue
		}
		checked++
		rows, err := conn.Query(ctx, "EXPLAIN "+strings.Replace(sql, "$1", "'"+id+"'", 1))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, "Scan Backward using") || strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan on "+table.Table) {
			t.Errorf("the largest key of %s:\n%s", table.Table, plan)
		}
	}
	if checked != 2 {
		t.Errorf("%d tables have a key, want 2", checked)
	}
}
