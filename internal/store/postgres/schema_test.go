package postgres_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/record"
)

// connect opens a plain connection, as a user of the database has it.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

func execute(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// value returns the one value that a query yields.
func value[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestPrintedSchemaIsUpToDate(t *testing.T) {
	server := pgtest.Shared(t)
	url := server.Database(t)
	var schema bytes.Buffer
	if err := postgres.PrintSchema(&schema); err != nil {
		t.Fatal(err)
	}
	if out, err := server.Psql(t, url, bytes.NewReader(schema.Bytes())); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	s := open(t, url)
	current, newest, err := s.Version(t.Context())
	if err != nil || current != newest {
		t.Fatalf("version is %d of %d, %v", current, newest, err)
	}
	if applied, err := s.Migrate(t.Context(), -1); err != nil || len(applied) > 0 {
		t.Fatalf("migrate applied %v, %v; want nothing", applied, err)
	}
	if got, want := describe(t, server, url), describe(t, server, migratedURL(t, server)); got != want {
		t.Errorf("the printed schema differs from the migrated one:\n%s", firstDifference(got, want))
	}
	out, err := server.Psql(t, url, bytes.NewReader(schema.Bytes()))
	if err == nil || !strings.Contains(out, "is here already") {
		t.Errorf("a second paste: %v\n%s", err, out)
	}
	if _, err := s.Migrate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	left := value[int](t, connect(t, url), `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname <> 'greenwave_schema_version'`)
	if left != 0 {
		t.Errorf("after going down all the way %d tables and views are left", left)
	}
	if left := value[int](t, connect(t, url), `SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace`); left != 0 {
		t.Errorf("after going down all the way %d functions are left", left)
	}
}

func migratedURL(t *testing.T, server *pgtest.Server) string {
	url := server.Database(t)
	migrated(t, url)
	return url
}

// describe returns everything that is defined in a database.
func describe(t *testing.T, server *pgtest.Server, url string) string {
	t.Helper()
	out, err := server.Psql(t, url, nil, "-A", "-c", `\d public.*`, "-c", `\df+ public.*`, "-c", `\dv+ public.*`,
		"-c", `\d+ training_steps`, "-c", `SELECT version_id, is_applied FROM greenwave_schema_version ORDER BY id`)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return out
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return "- " + x[i] + "\n+ " + y[i]
		}
	}
	return "one is longer"
}

// TestComments holds the comments of tables and columns to the schema of the records.
func TestComments(t *testing.T) {
	conn := connect(t, migratedURL(t, pgtest.Shared(t)))
	for _, s := range record.Tabled() {
		for _, f := range s.Fields {
			want := f.Doc
			if f.Unit != "" {
				want += " [" + f.Unit + "]"
			}
			got := value[*string](t, conn, `SELECT col_description($1::text::regclass, (SELECT attnum FROM pg_attribute
				WHERE attrelid = $1::text::regclass AND attname = $2))`, s.Table, f.Name)
			if got == nil || *got != want {
				t.Errorf("%s.%s: comment is %v, want %q", s.Table, f.Name, got, want)
			}
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c
		LEFT JOIN LATERAL (SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 UNION ALL SELECT NULL, 0) a ON c.relkind IN ('r', 'p') AND NOT c.relispartition OR a.attnum = 0
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND c.relname <> 'greenwave_schema_version'
		  AND col_description(c.oid, a.attnum) IS NULL AND (a.attnum > 0 OR obj_description(c.oid, 'pg_class') IS NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(bare) > 0 {
		t.Errorf("without a comment: %v, %v", bare, err)
	}
}

// TestSupabaseAuthIsKept runs the migrations where auth.uid() exists already.
func TestSupabaseAuthIsKept(t *testing.T) {
	url := pgtest.Database(t)
	conn := connect(t, url)
	execute(t, conn, `CREATE SCHEMA auth`)
	execute(t, conn, `CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT '11111111-2222-3333-4444-555555555555'::uuid $$`)
	s := migrated(t, url)
	execute(t, conn, `INSERT INTO experiments (experiment_name) VALUES ('mine')`)
	if owner := value[string](t, conn, `SELECT created_by::text FROM experiments`); owner != "11111111-2222-3333-4444-555555555555" {
		t.Errorf("owner is %s", owner)
	}
	if _, err := s.Migrate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if !value[bool](t, conn, `SELECT to_regprocedure('auth.uid()') IS NOT NULL`) {
		t.Error("going down took the auth.uid() that was there before")
	}
}

// TestNewerSchema is a database that a later version of this program has migrated.
func TestNewerSchema(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	execute(t, connect(t, url), `INSERT INTO greenwave_schema_version (version_id, is_applied) VALUES (99, true)`)
	_, err := s.Migrate(t.Context(), -1)
	if err == nil || !strings.Contains(err.Error(), "upgrade greenwave") {
		t.Errorf("migrate: %v", err)
	}
	if _, err := s.Down(t.Context()); err == nil {
		t.Error("down undid what it does not know")
	}
}
