package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	records "github.com/greenwave-traffic/greenwave/record"
)

// BenchmarkPolicies asks what the dashboard asks, of a million steps of 100 owners, as
// the owner of the tables, whom no policy holds, and as one of the owners; and inserts
// in bulk in both ways.
func BenchmarkPolicies(b *testing.B) {
	ctx := b.Context()
	url := pgtest.Start(b, pgtest.Options{}).Database(b)
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
	defer conn.Close(ctx)
	exec := func(sql string, args ...any) {
		b.Helper()
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			b.Fatalf("%s: %v", sql, err)
		}
	}
	exec(`INSERT INTO experiments (experiment_name, created_by) SELECT 'e' || n, ('a0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid FROM generate_series(1, 100) n`)
	exec(`INSERT INTO training_episodes (experiment_id, created_by, episode_number, total_reward) SELECT e.id, e.owner, n, n FROM experiments e, generate_series(0, 99) n`)
	exec(`INSERT INTO training_steps (experiment_id, created_by, episode_number, step_number, active_vehicles, immediate_reward)
		SELECT e.id, e.owner, n / 100, n % 100, n, 1.5 FROM experiments e, generate_series(0, 9999) n ORDER BY e.id, n`) // an experiment's steps come in stretches
	exec(`VACUUM ANALYZE`)
	const me = "a0000000-0000-4000-8000-000000000042"
	var mine string
	if err := conn.QueryRow(ctx, `SELECT id::text FROM experiments WHERE created_by = $1`, me).Scan(&mine); err != nil {
		b.Fatal(err)
	}
	// in runs a statement n times in a transaction and returns the time of one.
	in := func(caller bool, n int, sql string, args ...any) time.Duration {
		b.Helper()
		tx, err := conn.Begin(ctx)
		if err != nil {
			b.Fatal(err)
		}
		defer tx.Rollback(ctx)
		if caller {
			if _, err := tx.Exec(ctx, `SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`, fmt.Sprintf(`{"sub":%q}`, me)); err != nil {
				b.Fatal(err)
			}
		}
		began := time.Now()
		for range n {
			if _, err := tx.Exec(ctx, sql, args...); err != nil {
				b.Fatalf("%s: %v", sql, err)
			}
		}
		return time.Since(began) / time.Duration(n)
	}
	// both measures by turns, so that a busy moment meets both.
	both := func(n int, sql string, args ...any) (with, without time.Duration) {
		b.Helper()
		var w, o []time.Duration
		for range 9 {
			o = append(o, in(false, n, sql, args...))
			w = append(w, in(true, n, sql, args...))
		}
		return median(w), median(o)
	}
	var sumWith, sumWithout time.Duration
	for _, sql := range []string{
		`SELECT * FROM real_time_training WHERE experiment_name = 'e42'`,
		`SELECT * FROM performance_analytics WHERE experiment_name = 'e42'`,
		`SELECT * FROM training_episodes WHERE experiment_id = '` + mine + `' ORDER BY episode_number`,
		`SELECT * FROM training_steps WHERE experiment_id = '` + mine + `' AND episode_number = 50 ORDER BY step_number`,
		`SELECT count(*) FROM training_steps WHERE experiment_id = '` + mine + `'`,
	} {
		with, without := both(50, sql)
		b.Logf("%v with policies, %v without: %s", with, without, sql)
		sumWith, sumWithout = sumWith+with, sumWithout+without
	}
	cost := float64(sumWith)/float64(sumWithout) - 1
	record(b, figure{
		name: "policies on the dashboard's five queries, 1,000,000 steps, 100 owners", measured: fmt.Sprintf("%.2f ms as one of the owners", sumWith.Seconds()*1e3),
		against: fmt.Sprintf("the same without policies: %.2f ms", sumWithout.Seconds()*1e3), ratio: fmt.Sprintf("%+.0f %%", 100*cost), limit: "≤ 15 %", met: cost <= 0.15,
	})
	b.ReportMetric(100*cost, "%")

	askAsDashboard(b, conn, db, mine, me)

	const n = 20_000
	with, without := both(1, `INSERT INTO training_steps (experiment_id, created_by, episode_number, step_number, immediate_reward)
		SELECT $1::uuid, $2::uuid, 1000 + x / 100, x % 100, x FROM unnest((SELECT array_agg(g) FROM generate_series(1, $3::int) g)) x`, mine, me, n)
	ratio := float64(without) / float64(with)
	record(b, figure{
		name: "bulk insert of 20,000 steps under policies (INSERT … SELECT FROM unnest)", measured: rate(n, with) + " as one of the owners",
		against: "the same without policies: " + rate(n, without), ratio: fmt.Sprintf("%.2f", ratio), limit: "≥ 0.8", met: ratio >= 0.8,
	})
}

// askAsDashboard asks what the page of an experiment asks, through the store as the server
// does it for a user, with row level security and without.
func askAsDashboard(b *testing.B, conn *pgx.Conn, db *postgres.Store, experiment, user string) {
	b.Helper()
	ctx := store.As(b.Context(), store.Identity{Role: "authenticated", Claims: fmt.Sprintf(`{"sub":%q,"role":"authenticated"}`, user)})
	page := func(kind records.Kind, r store.Range, want int) {
		n := 0
		for _, err := range db.Page(ctx, experiment, kind, r) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != want {
			b.Fatalf("%d rows of %s, want %d", n, kind, want)
		}
	}
	query := func(sql string) {
		table, err := db.Query(ctx, sql)
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range table.Rows {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	ask := func() {
		page(records.KindEpisode, store.Range{Limit: 2000, Columns: []string{"total_reward", "avg_waiting_time"}}, 100)
		page(records.KindEpisode, store.Range{Newest: true, Limit: 1, Columns: []string{"avg_waiting_time"}}, 1)
		page(records.KindStep, store.Range{After: &store.Key{Episode: 50, Step: -1}, Until: &store.Key{Episode: 50, Step: 1 << 30}, Limit: 101}, 100)
		query(`SELECT experiment_name, episodes_completed, avg_reward, best_reward, reward_std, first_reward, latest_reward FROM performance_analytics WHERE experiment_name = 'e42'`)
		query(`SELECT r.id, coalesce(e.experiment_name, r.experiment_name), r.status, r.cursor, r.updated_at
			FROM training_runs r LEFT JOIN experiments e ON e.id = r.experiment_id WHERE r.experiment_id = '` + experiment + `' ORDER BY r.started_at, r.id`)
	}
	held := func(hold string) time.Duration {
		for _, table := range []string{"experiments", "experiment_members", "training_runs", "training_episodes", "training_steps"} {
			if _, err := conn.Exec(b.Context(), "ALTER TABLE "+table+" "+hold+" ROW LEVEL SECURITY"); err != nil {
				b.Fatal(err)
			}
		}
		ask()
		began := time.Now()
		for range 30 {
			ask()
		}
		return time.Since(began) / 30
	}
	var with, without []time.Duration
	for range 9 {
		without = append(without, held("DISABLE"))
		with = append(with, held("ENABLE"))
	}
	w, o := median(with), median(without)
	cost := float64(w)/float64(o) - 1
	record(b, figure{
		name: "policies on what the dashboard asks the server of an experiment, 1,000,000 steps, 100 owners", measured: fmt.Sprintf("%.2f ms as its owner", w.Seconds()*1e3),
		against: fmt.Sprintf("the same user without policies: %.2f ms", o.Seconds()*1e3), ratio: fmt.Sprintf("%+.0f %%", 100*cost), limit: "≤ 15 %", met: cost <= 0.15,
	})
}
