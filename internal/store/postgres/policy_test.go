package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// The people of the matrix. Ana's experiment is shared with Rita and Wes.
const (
	ana  = "a0000000-0000-4000-8000-000000000001"
	ben  = "b0000000-0000-4000-8000-000000000002"
	rita = "c0000000-0000-4000-8000-000000000003"
	wes  = "d0000000-0000-4000-8000-000000000004"
	eve  = "e0000000-0000-4000-8000-000000000005"

	expA = "11111111-0000-4000-8000-000000000001" // Ana's
	expB = "22222222-0000-4000-8000-000000000002" // Ben's
	expU = "33333333-0000-4000-8000-000000000003" // nobody's
	oldA = "44444444-0000-4000-8000-000000000004" // Ana's, archived
	runA = "55555555-0000-4000-8000-000000000005"
	runB = "66666666-0000-4000-8000-000000000006"
	runU = "77777777-0000-4000-8000-000000000007"
)

type caller struct {
	name, role, sub string
	reads, writes   bool // Ana's experiment
}

var callers = []caller{
	{"owner", "authenticated", ana, true, true},
	{"reading member", "authenticated", rita, true, false},
	{"writing member", "authenticated", wes, true, true},
	{"owner of others", "authenticated", ben, false, false},
	{"stranger with a token", "authenticated", eve, false, false},
	{"token without a user", "authenticated", "", false, false},
	{"anonymous", "anon", "", false, false},
	{"server", "service_role", "", true, true},
}

// subject is a table of the matrix: what it is, and a row of it under an experiment as
// columns and values, where $e, $r and $n are the experiment, its run and a number.
type subject struct{ kind, columns, values string }

var subjects = map[string]subject{
	"experiments":                  {"experiment", "", ""},
	"experiment_members":           {"member", "experiment_id, user_id, role", "$e, gen_random_uuid(), 'read'"},
	"greenwave_schema_version":     {"version", "", ""},
	"api_tokens":                   {"private", "", ""},
	"training_runs":                {"record", "experiment_id, id, experiment_name, source, started_at", "$e, gen_random_uuid(), 'x', 'import', now()"},
	"dead_letters":                 {"record", "run_id, seq, kind, reason, location", "$r, $n, 'step', 'x', 'x'"},
	"alerts":                       {"record", "experiment_id, id, rule, severity, state, opened_at, last_seen_at, message, what_to_do", "$e, gen_random_uuid(), 'r', 'info', 'firing', now(), now(), 'm', 'w'"},
	"training_episodes":            {"record", "experiment_id, episode_number, total_reward", "$e, $n, $n"},
	"training_steps":               {"record", "experiment_id, episode_number, step_number", "$e, 1, $n"},
	"steps_by_hash":                {"record", "experiment_id, episode_number, step_number", "$e, 1, $n"},
	"steps_by_hash_0":              {"record", "experiment_id, episode_number, step_number", "$e, 1, $n"},
	"model_checkpoints":            {"record", "experiment_id, checkpoint_type, model_path", "$e, 'best', 'm'"},
	"validation_results":           {"record", "experiment_id, total_reward", "$e, $n"},
	"baseline_comparisons":         {"record", "experiment_id, baseline_type", "$e, 'fixed'"},
	"run_resources":                {"record", "experiment_id, host_cpu_percent", "$e, $n"},
	"model_files":                  {"record", "experiment_id, model_hash, location, size_bytes, stored_at", "$e, 'h$n', 'folder', 1, now()"},
	"model_promotions":             {"record", "id, name, stage, experiment_id, checkpoint_id, model_hash, set_at, set_by, reason", "gen_random_uuid(), 'm', 'staging', $e, gen_random_uuid(), 'h$n', now(), 'ana', 'r'"},
	"archives":                     {"archive", "", ""},
	"experiments_archive":          {"archive", "", ""},
	"training_episodes_archive":    {"archive", "", ""},
	"training_steps_archive":       {"archive", "", ""},
	"model_checkpoints_archive":    {"archive", "", ""},
	"validation_results_archive":   {"archive", "", ""},
	"baseline_comparisons_archive": {"archive", "", ""},
	"run_resources_archive":        {"archive", "", ""},
}

func (s subject) insert(table, experiment, run string, n int, more ...string) string {
	columns, values := s.columns, strings.NewReplacer("$e", "'"+experiment+"'", "$r", "'"+run+"'", "$n", fmt.Sprint(n)).Replace(s.values)
	if len(more) == 2 {
		columns, values = columns+", "+more[0], values+", "+more[1]
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, columns, values)
}

// under is the condition for the rows of an experiment.
func (s subject) under(experiment string) string {
	column := "experiment_id"
	if s.kind == "experiment" {
		column = "id"
	}
	return fmt.Sprintf("%s = '%s'", column, experiment)
}

// tenants fills every table with rows of three experiments.
func tenants(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	// All rows in the one partition, whatever the hash of an id.
	execute(t, conn, `CREATE TABLE steps_by_hash (LIKE training_steps INCLUDING ALL,
		FOREIGN KEY (experiment_id, created_by) REFERENCES experiments (id, owner) ON DELETE CASCADE ON UPDATE CASCADE) PARTITION BY HASH (experiment_id)`)
	execute(t, conn, `CREATE TABLE steps_by_hash_0 PARTITION OF steps_by_hash FOR VALUES WITH (MODULUS 1, REMAINDER 0)`)
	execute(t, conn, `CREATE TRIGGER steps_by_hash_owner BEFORE INSERT ON steps_by_hash FOR EACH ROW WHEN (NEW.created_by IS NULL) EXECUTE FUNCTION inherit_owner()`)
	execute(t, conn, `SELECT greenwave_protect('steps_by_hash', 'record'), greenwave_protect('steps_by_hash_0', 'record')`)

	execute(t, conn, `INSERT INTO experiments (id, experiment_name, created_by) VALUES ($1, 'A', $2), ($3, 'B', $4), ($5, 'U', NULL), ($6, 'old', $2)`, expA, ana, expB, ben, expU, oldA)
	execute(t, conn, `INSERT INTO training_runs (id, experiment_id, experiment_name, source, started_at) VALUES ($1, $2, 'A', 'import', now()), ($3, $4, 'B', 'import', now()), ($5, $6, 'U', 'import', now())`, runA, expA, runB, expB, runU, expU)
	for table, s := range subjects {
		if s.kind == "record" && table != "training_runs" && table != "steps_by_hash_0" {
			for n, e := range [][2]string{{expA, runA}, {expB, runB}, {expU, runU}} {
				execute(t, conn, s.insert(table, e[0], e[1], 1+10*n))
			}
			if table != "dead_letters" && table != "alerts" && table != "steps_by_hash" {
				execute(t, conn, s.insert(table, oldA, runA, 1))
			}
		}
	}
	execute(t, conn, `INSERT INTO experiment_members (experiment_id, user_id, role) VALUES ($1, $2, 'read'), ($1, $3, 'write')`, expA, rita, wes)
	for table := range subjects {
		if from, ok := strings.CutSuffix(table, "_archive"); ok {
			execute(t, conn, "INSERT INTO "+table+" SELECT * FROM "+from)
		}
	}
	execute(t, conn, `INSERT INTO archives (id, experiment_id, experiment_name, what, location, row_count, size_bytes, archived_at, created_by)
		VALUES (repeat('a', 64), $1, 'old', 'experiment', 'folder', 1, 1, now(), $2)`, oldA, ana)
	execute(t, conn, `DELETE FROM experiments WHERE id = $1`, oldA)
}

// as runs fn in a transaction of a caller, as the server and Supabase's own API do it,
// and undoes it.
func as(t *testing.T, conn *pgx.Conn, c caller, fn func(tx pgx.Tx)) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	claims := fmt.Sprintf(`{"role":%q}`, c.role)
	if c.sub != "" {
		claims = fmt.Sprintf(`{"role":%q,"sub":%q}`, c.role, c.sub)
	}
	if _, err := tx.Exec(t.Context(), `SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, c.role, claims); err != nil {
		t.Fatal(err)
	}
	fn(tx)
}

const refused = -1 // instead of a number of rows

// does runs a statement in a savepoint and returns how many rows it was about.
func does(t *testing.T, tx pgx.Tx, sql string) int {
	t.Helper()
	inner, err := tx.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Rollback(t.Context())
	tag, err := inner.Exec(t.Context(), sql)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && (pg.Code == "42501" || pg.Code == "23503" || pg.Code == "55000"):
		return refused // by a right or a policy, by the key to the experiment, by a view
	case err != nil:
		t.Errorf("%s: %v", sql, err)
		return refused - 1
	}
	return int(tag.RowsAffected())
}

// TestPolicies is the matrix: every role, table, operation and way in, in both forms of
// the policies. TestOldestAndNewest runs it on other versions.
func TestPolicies(t *testing.T) { testPolicies(t, pgtest.Database) }

func testPolicies(t *testing.T, database func(testing.TB) string) {
	for name, form := range map[string]string{"one server": "false", "sharded": "true"} {
		t.Run(name, func(t *testing.T) {
			url := database(t)
			migrated(t, url)
			conn := connect(t, url)
			tenants(t, conn)
			execute(t, conn, "SELECT greenwave_protect_all("+form+")")
			execute(t, conn, "SELECT greenwave_protect('steps_by_hash', 'record', "+form+"), greenwave_protect('steps_by_hash_0', 'record', "+form+")")
			invoker := value[bool](t, conn, `SELECT current_setting('server_version_num')::int >= 150000`)
			for _, table := range names(t, conn, `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`) {
				s, known := subjects[table]
				if !known {
					t.Errorf("table %s is not in the matrix: say there what it is, and protect it in a migration", table)
					continue
				}
				for _, c := range callers {
					as(t, conn, c, func(tx pgx.Tx) { checkTable(t, tx, c, table, s) })
				}
			}
			for _, c := range callers {
				as(t, conn, c, func(tx pgx.Tx) { checkViews(t, tx, c, invoker) })
				as(t, conn, c, func(tx pgx.Tx) { checkFunctions(t, tx, c) })
			}
		})
	}
}

// rows is how many a caller is to reach: n with the right, refused without any right on
// the table, else none.
func (c caller) rows(may bool, n int) int {
	switch {
	case may:
		return n
	case c.role == "anon":
		return refused
	}
	return 0
}

func checkTable(t *testing.T, tx pgx.Tx, c caller, table string, s subject) {
	expect := func(what, sql string, want int) {
		t.Helper()
		if got := does(t, tx, sql); got != want {
			t.Errorf("%s, %s of %s: %d, want %d\n%s", c.name, what, table, got, want, sql)
		}
	}
	may := func(ok bool) int {
		if ok {
			return 1
		}
		return refused
	}
	server := c.role == "service_role"
	owner := c.sub == ana || server
	mine := s.under(expA)
	switch s.kind {
	case "record":
		expect("select", "SELECT 1 FROM "+table+" WHERE "+mine, c.rows(c.reads, 1))
		expect("select of another's", "SELECT 1 FROM "+table+" WHERE "+s.under(expB), c.rows(c.sub == ben || server, 1))
		expect("select of nobody's", "SELECT 1 FROM "+table+" WHERE "+s.under(expU), c.rows(server, 1))
		expect("insert", s.insert(table, expA, runA, 2), may(c.writes))
		if c.sub != "" {
			// As the caller's own, which only the owner's is.
			forced := table == "training_runs" || table == "dead_letters" || table == "alerts" // a trigger knows better
			expect("insert as one's own", s.insert(table, expA, runA, 2, "created_by", "'"+c.sub+"'"), may(c.sub == ana || forced && c.writes))
		}
		expect("insert as the owner's", s.insert(table, expA, runA, 2, "created_by", "'"+ana+"'"), may(c.writes))
		expect("insert under nobody's", s.insert(table, expU, runU, 2), may(server))
		expect("insert under what is not there", s.insert(table, "99999999-0000-4000-8000-000000000009", "99999999-0000-4000-8000-000000000009", 2),
			map[bool]int{true: 1, false: refused}[server && (table == "training_runs")])
		set := "created_by = created_by"
		if table == "training_steps" {
			set = "simulation_time = 1"
		}
		expect("update", "UPDATE "+table+" SET "+set+" WHERE "+mine, c.rows(c.writes, 1))
		if table != "dead_letters" { // its experiment is that of its run, whatever is said
			expect("move to another's", fmt.Sprintf("UPDATE %s SET experiment_id = '%s', created_by = '%s' WHERE %s", table, expB, ben, mine),
				map[bool]int{true: map[bool]int{true: 1, false: refused}[server], false: c.rows(false, 0)}[c.writes])
		}
		expect("delete", "DELETE FROM "+table+" WHERE "+mine, c.rows(c.writes, 1))
		expect("delete of all", "DELETE FROM "+table+" WHERE "+s.under(expB), c.rows(c.sub == ben || server, 1))
	case "experiment":
		expect("select", "SELECT 1 FROM experiments WHERE "+mine, c.rows(c.reads, 1))
		expect("select of all", "SELECT 1 FROM experiments", map[bool]int{true: 3, false: c.rows(c.reads || c.sub == ben, 1)}[server])
		expect("insert", "INSERT INTO experiments (experiment_name) VALUES ('new')", may(c.sub != "" || server))
		expect("insert as another's", "INSERT INTO experiments (experiment_name, created_by) VALUES ('new', '"+expU+"')", may(server))
		expect("update", "UPDATE experiments SET status = 'paused' WHERE "+mine, c.rows(c.writes, 1))
		expect("giving away", "UPDATE experiments SET created_by = '"+wes+"' WHERE "+mine, may(server))
		expect("taking", "UPDATE experiments SET created_by = '"+ben+"' WHERE "+mine, may(server))
		expect("delete", "DELETE FROM experiments WHERE "+mine, c.rows(owner, 1))
	case "member":
		expect("select", "SELECT 1 FROM experiment_members", map[bool]int{true: 2, false: c.rows(c.reads, 1)}[owner])
		expect("insert", s.insert(table, expA, runA, 1), may(owner))
		if c.sub != "" {
			expect("insert of oneself", fmt.Sprintf("INSERT INTO experiment_members (experiment_id, user_id, role, created_by) VALUES ('%s', '%s', 'write', '%[2]s') ON CONFLICT (experiment_id, user_id) DO UPDATE SET role = 'write'", expA, c.sub), may(c.sub == ana))
		}
		expect("update", "UPDATE experiment_members SET role = 'write'", map[bool]int{true: 2, false: c.rows(false, 0)}[owner])
		expect("delete", "DELETE FROM experiment_members", map[bool]int{true: 2, false: c.rows(c.reads, 1)}[owner])
	case "archive":
		again := "INSERT INTO " + table + " SELECT * FROM " + table
		if table == "archives" { // it has a key
			again = "INSERT INTO archives SELECT (jsonb_populate_record(a, '{\"what\": \"steps\", \"id\": \"" + strings.Repeat("b", 64) + "\"}')).* FROM archives a"
		}
		for _, sql := range []string{"DELETE FROM " + table, again, "UPDATE " + table + " SET created_by = created_by"} {
			if got := does(t, tx, sql); server && got < 1 || !server && got != refused {
				t.Errorf("%s: %s: %d", c.name, sql, got)
			}
		}
		of := "experiment_id"
		if table == "experiments_archive" {
			of = "id"
		}
		expect("select", fmt.Sprintf("SELECT 1 FROM %s WHERE %s = '%s'", table, of, oldA), c.rows(owner, 1))
	case "private":
		expect("select", "SELECT 1 FROM "+table, map[bool]int{true: 0, false: refused}[server])
		expect("insert", "INSERT INTO api_tokens (id, name, token_hash, scopes, created_at, expires_at) VALUES (gen_random_uuid(), 'x', repeat('a', 64), 'read', now(), now())", may(server))
		expect("update", "UPDATE api_tokens SET revoked_at = NULL", map[bool]int{true: 0, false: refused}[server])
	case "version":
		want := c.rows(c.role == "authenticated" || server, 1)
		expect("select", "SELECT 1 FROM greenwave_schema_version WHERE version_id = 1", want)
		expect("delete", "DELETE FROM greenwave_schema_version WHERE version_id = 1", may(server))
	}
}

// checkViews: without security_invoker (before PostgreSQL 15) views are for servers only.
func checkViews(t *testing.T, tx pgx.Tx, c caller, invoker bool) {
	server := c.role == "service_role"
	rows := func(may bool) int {
		if !invoker && !server {
			return refused
		}
		return c.rows(may, 1)
	}
	for _, view := range []string{"real_time_training", "performance_analytics", "convergence_detection"} {
		if got, want := does(t, tx, "SELECT 1 FROM "+view+" WHERE experiment_name = 'A'"), rows(c.reads); got != want {
			t.Errorf("%s, select of %s: %d, want %d", c.name, view, got, want)
		}
		if got, want := does(t, tx, "SELECT 1 FROM "+view+" WHERE experiment_name = 'B'"), rows(c.sub == ben || server); got != want {
			t.Errorf("%s, select of another's in %s: %d, want %d", c.name, view, got, want)
		}
		if got := does(t, tx, "DELETE FROM "+view); got != refused {
			t.Errorf("%s deletes %d rows through %s", c.name, got, view)
		}
	}
}

func checkFunctions(t *testing.T, tx pgx.Tx, c caller) {
	server := c.role == "service_role"
	for sql, may := range map[string]bool{
		`SELECT insert_training_episode('A', '{"episode_number": 7}')`:                                 c.writes,
		`SELECT insert_training_episode('A', '{"episode_number": 1, "total_reward": 9}')`:              c.writes,
		`SELECT insert_training_episode('B', '{"episode_number": 7}')`:                                 c.sub == ben || server,
		`SELECT insert_training_episode('U', '{"episode_number": 7}')`:                                 server,
		`SELECT insert_training_episode('mine', '{"episode_number": 7, "created_by": "` + ana + `"}')`: c.sub != "" || server,
		`SELECT archive_old_experiments(0)`:                                                            server,
		`SELECT cleanup_old_steps(0)`:                                                                  server,
		`SELECT greenwave_protect('experiments', 'version')`:                                           false,
		`SELECT greenwave_protect_all()`:                                                               false,
		`TRUNCATE training_steps`:                                                                      false,
		`ALTER TABLE training_steps DISABLE ROW LEVEL SECURITY`:                                        false,
		`CREATE POLICY mine ON experiments USING (true)`:                                               false,
		`INSERT INTO training_episodes SELECT (jsonb_populate_record(t, '{"episode_number": 8}')).* FROM training_episodes t WHERE experiment_id = '` + expA + `'`: c.writes,
	} {
		got := does(t, tx, sql)
		if may && got < 1 || !may && got > 0 {
			t.Errorf("%s: %s: %d, may: %v", c.name, sql, got, may)
		}
	}
}
