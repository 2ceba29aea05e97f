package postgres_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// contents is what each table holds: how many rows, and a hash of them without the
// columns that came with the owners.
func contents(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range names(t, conn, `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
		AND relname NOT IN ('greenwave_schema_version', 'experiment_members', 'api_tokens')`) {
		without := "- 'owner' - 'created_by'"
		switch {
		case strings.HasPrefix(table, "experiments"):
			without = "- 'owner' - 'archived_at'"
		case table == "dead_letters":
			without += " - 'experiment_id'"
		}
		all[table] = value[string](t, conn, `SELECT count(*) || ' ' || coalesce(md5(string_agg(r, '' ORDER BY r)), '') FROM (SELECT (to_jsonb(x) `+without+`)::text AS r FROM `+table+` x) t`)
	}
	return all
}

// TestUpgradeWithData brings a database with rows of owners and of nobody from the
// version before owners to the newest, and back: no row is lost or changed, and each is
// whose experiment it is.
func TestUpgradeWithData(t *testing.T) {
	url := pgtest.Database(t)
	s := open(t, url)
	if _, err := s.Migrate(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, url)
	execute(t, conn, `INSERT INTO experiments (id, experiment_name, created_by, status, created_at, completed_at) VALUES ($1, 'A', $2, 'running', now(), NULL),
		($3, 'U', NULL, 'running', now(), NULL), ($4, 'old', $2, 'completed', now() - interval '300 days', now() - interval '200 days')`, expA, ana, expU, oldA)
	for n, e := range [][2]string{{expA, runA}, {expU, runU}, {oldA, runB}} {
		execute(t, conn, `INSERT INTO training_runs (id, experiment_id, experiment_name, source, started_at) VALUES ($1, $2, 'x', 'journal', now() - interval '250 days')`, e[1], e[0])
		for table, subject := range subjects {
			if subject.kind == "record" && table != "training_runs" && !laterOrByHash(table) {
				for i := range 5 {
					execute(t, conn, subject.insert(table, e[0], e[1], 10*n+i))
				}
			}
		}
	}
	execute(t, conn, `UPDATE training_episodes SET timestamp = now() - interval '250 days' WHERE experiment_id = $1`, oldA)
	execute(t, conn, `INSERT INTO alerts (id, rule, severity, state, opened_at, last_seen_at, message, what_to_do) VALUES (gen_random_uuid(), 'disk', 'info', 'firing', now(), now(), 'm', 'w')`)
	if n := value[int](t, conn, `SELECT archive_old_experiments()`); n != 1 {
		t.Fatalf("archived %d", n)
	}
	before := contents(t, conn)
	same := func(when string) {
		t.Helper()
		now := contents(t, conn)
		for _, table := range slices.Sorted(maps.Keys(before)) {
			if now[table] != before[table] {
				t.Errorf("%s, %s holds %s, before %s", when, table, now[table], before[table])
			}
		}
	}
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	same("after the upgrade")
	for table, subject := range subjects {
		if laterOrByHash(table) || subject.kind != "record" && subject.kind != "archive" || table == "experiments_archive" {
			continue
		}
		if n := value[int](t, conn, `SELECT count(*) FROM `+table+` WHERE coalesce(created_by, '00000000-0000-0000-0000-000000000000') <>
			CASE WHEN experiment_id IN ($1, $2) THEN $3 ELSE '00000000-0000-0000-0000-000000000000' END::uuid`, expA, oldA, ana); n > 0 && table != "training_runs" && table != "dead_letters" {
			t.Errorf("%d rows of %s have the wrong owner", n, table)
		}
	}
	recount(t, conn)

	// Somebody claims what was nobody's: all its rows follow, and back.
	for _, owner := range []*string{new(ben), new(wes), nil} {
		execute(t, conn, `UPDATE experiments SET created_by = $2 WHERE id = $1`, expU, owner)
		for table, subject := range subjects {
			if subject.kind != "record" || laterOrByHash(table) {
				continue
			}
			if n := value[int](t, conn, `SELECT count(*) FROM `+table+` WHERE experiment_id = $1 AND created_by <> coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')`, expU, owner); n > 0 {
				t.Errorf("%d rows of %s did not follow their experiment to %v", n, table, owner)
			}
		}
	}
	same("after changes of owner")
	if _, err := s.Migrate(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	same("after going down")
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	same("after coming up again")
}

// TestUpgradeWithoutAdministrator lays out the tables as somebody who may make no roles.
func TestUpgradeWithoutAdministrator(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	admin := connect(t, server.URL("postgres"))
	execute(t, admin, `CREATE ROLE plain LOGIN`)
	execute(t, admin, `CREATE DATABASE plain OWNER plain`)
	url := strings.Replace(server.URL("plain"), pgtest.User+"@", "plain@", 1)
	s := migrated(t, url)
	register(t, s, "as before")
	if n := value[int](t, connect(t, url), `SELECT count(*) FROM experiments`); n != 1 {
		t.Errorf("the owner of the tables sees %d experiments, want 1", n)
	}
	if n := value[int](t, admin, `SELECT count(*) FROM pg_roles WHERE rolname = 'authenticated'`); n != 0 {
		t.Error("a role was made")
	}
	// An administrator makes them later.
	execute(t, admin, `CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role; GRANT anon, authenticated, service_role TO plain`)
	conn := connect(t, url)
	execute(t, conn, `SELECT greenwave_protect_all()`)
	as(t, conn, caller{role: "authenticated", sub: eve}, func(tx pgx.Tx) {
		if got := does(t, tx, "SELECT 1 FROM experiments"); got != 0 {
			t.Errorf("a stranger sees %d experiments", got)
		}
	})
}

// TestRealtime: where Supabase's publication is, the tables join it, and leave it on the
// way down.
func TestRealtime(t *testing.T) {
	url := pgtest.Database(t)
	conn := connect(t, url)
	execute(t, conn, `CREATE PUBLICATION supabase_realtime`)
	s := migrated(t, url)
	published := names(t, conn, `SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime' ORDER BY 1`)
	if len(published) != 10 || !slices.Contains(published, "training_steps") || slices.Contains(published, "api_tokens") {
		t.Errorf("published are %v", published)
	}
	execute(t, conn, `INSERT INTO experiments (experiment_name) VALUES ('x')`)
	execute(t, conn, `UPDATE experiments SET status = 'paused'`) // needs a key to publish
	if _, err := s.Migrate(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if left := names(t, conn, `SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime'`); len(left) > 0 {
		t.Errorf("after going down %v are published", left)
	}
}

// laterOrByHash reports whether a table is not in the old version: it came later, or is
// the matrix's own.
func laterOrByHash(table string) bool {
	return strings.HasPrefix(table, "steps_by_hash") || strings.HasPrefix(table, "model_files") || strings.HasPrefix(table, "model_promotions") || table == "archives"
}
