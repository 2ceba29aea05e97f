package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

//go:generate go test -run TestSchemaIsDocumented -update .

var update = flag.Bool("update", false, "write docs/schema.md again")

// relation is a table or view with what the database says about it.
type relation struct {
	Name, Kind, Comment string
	Columns             []column
	Indexes             []string
}

type column struct{ Name, Type, Comment string }

// TestSchemaIsDocumented holds docs/schema.md against the comments in the database, and
// demands one on every table, view, column and function.
func TestSchemaIsDocumented(t *testing.T) {
	url := pgtest.Shared(t).Database(t)
	if _, err := open(t, url).Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, url)
	relations := relationsOf(t, conn)
	for _, r := range relations {
		if r.Comment == "" {
			t.Errorf("%s %s has no comment", r.Kind, r.Name)
		}
		for _, c := range r.Columns {
			if c.Comment == "" {
				t.Errorf("column %s.%s has no comment", r.Name, c.Name)
			}
		}
	}
	type function struct{ Name, Arguments, Result, Comment string }
	functions := collect[function](t, conn, `SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), coalesce(obj_description(p.oid, 'pg_proc'), '')
		FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype ORDER BY 1`)
	var b strings.Builder
	b.WriteString(schemaIntroduction)
	section := func(title, kind string, archive bool) {
		fmt.Fprintf(&b, "\n## %s\n", title)
		for _, r := range relations {
			if r.Kind != kind || strings.HasSuffix(r.Name, "_archive") != archive {
				continue
			}
			if archive {
				fmt.Fprintf(&b, "\n`%s`: %s\n", r.Name, r.Comment)
				continue
			}
			r.write(&b)
		}
	}
	section("Tables", "table", false)
	section("Views", "view", false)
	section("Archive", "table", true)
	b.WriteString("\n## Functions\n\n| function | returns | |\n|---|---|---|\n")
	for _, f := range functions {
		if f.Comment == "" {
			t.Errorf("function %s has no comment", f.Name)
		}
		fmt.Fprintf(&b, "| `%s(%s)` | %s | %s |\n", f.Name, f.Arguments, f.Result, cell(f.Comment))
	}
	path := filepath.Join("..", "..", "..", "docs", "schema.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("docs/schema.md is not what the database says: run go generate ./internal/store/postgres")
	}
}

const schemaIntroduction = `# The schema

This page is written by ` + "`make generate`" + ` from the comments in a PostgreSQL database; do not edit it. ` + "`\\d+ training_episodes`" + ` in psql shows the same. SQLite has the same tables, columns and views: there a timestamp is text in UTC, JSON is text, a UUID is text, and ` + "`state_vector`" + ` is a blob that the function ` + "`state_json`" + ` of ` + "`greenwave query`" + ` shows as a list. Rules about what a record may hold are in [records.md](records.md), who may see which row in [security.md](security.md).
`

func (r *relation) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n| column | type | unit | |\n|---|---|---|---|\n", r.Name, r.Comment)
	for _, c := range r.Columns {
		text, unit := c.Comment, ""
		if m := unitOf.FindStringSubmatch(text); m != nil {
			text, unit = strings.TrimSpace(strings.TrimSuffix(text, m[0])), m[1]
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", c.Name, c.Type, unit, cell(text))
	}
	if len(r.Indexes) > 0 {
		fmt.Fprintf(b, "\nIndexes: %s.\n", strings.Join(r.Indexes, "; "))
	}
}

// unitOf is the unit at the end of a comment: "Mean speed. [km/h]".
var unitOf = regexp.MustCompile(`\[([^\]]+)\]$`)

func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

func relationsOf(t *testing.T, conn *pgx.Conn) []relation {
	t.Helper()
	type row struct {
		OID                 uint32
		Name, Kind, Comment string
	}
	var all []relation
	for _, r := range collect[row](t, conn, `SELECT c.oid, c.relname, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, coalesce(obj_description(c.oid, 'pg_class'), '')
		FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND c.relname <> 'greenwave_schema_version' ORDER BY c.oid`) {
		columns := collect[column](t, conn, `SELECT a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN '' ELSE ', null' END, coalesce(col_description(a.attrelid, a.attnum), '')
			FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, r.OID)
		if r.Kind == "view" {
			for i := range columns { // whether a view's column may be null is not known
				columns[i].Type = strings.TrimSuffix(columns[i].Type, ", null")
			}
		}
		type index struct{ Definition string }
		var indexes []string
		for _, x := range collect[index](t, conn, `SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = $1 ORDER BY i.indisprimary DESC, i.indexrelid::regclass::text`, r.OID) {
			m := indexOf.FindStringSubmatch(x.Definition)
			if m == nil {
				t.Fatalf("index %s", x.Definition)
			}
			indexes = append(indexes, fmt.Sprintf("`%s` %s", m[1], m[2]))
		}
		all = append(all, relation{r.Name, r.Kind, r.Comment, columns, indexes})
	}
	return all
}

var indexOf = regexp.MustCompile(`INDEX (\S+) ON \S+ USING \w+ (.*)$`)

func collect[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		t.Fatal(err)
	}
	return list
}
