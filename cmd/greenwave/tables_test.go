package main

import (
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

// onlyPostgres are columns that only PostgreSQL has: the owners of rows that are never
// copied to another database. Tables of what was put away are PostgreSQL's alone, too.
var onlyPostgres = map[string]bool{"model_files.created_by": true, "model_promotions.created_by": true}

// TestSameTables compares the tables, views, columns and their kinds of SQLite and
// PostgreSQL with each other: a column that a migration adds to one of them alone is found.
func TestSameTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenwave.db")
	lite, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	if _, err := lite.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t)
	pg, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	if _, err := pg.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	here := columnsOf(t, "sqlite", path, `SELECT m.name, p.name, p.type, m.type FROM sqlite_master m, pragma_table_xinfo(m.name) p
		WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'`)
	there := columnsOf(t, "pgx", url, `SELECT c.table_name, c.column_name, c.data_type, lower(replace(t.table_type, 'BASE ', ''))
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.table_schema = 'public'`)
	if len(here) < 100 {
		t.Errorf("SQLite has %d columns", len(here))
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		table, _, _ := strings.Cut(name, ".")
		switch theirs, ours := there[name], here[name]; {
		case onlyPostgres[name] || strings.HasSuffix(table, "_archive"):
			if ours != "" {
				t.Errorf("%s is in SQLite too: take it out of onlyPostgres", name)
			}
		case ours == "":
			t.Errorf("%s (%s) is in PostgreSQL alone", name, theirs)
		case ours != theirs:
			t.Errorf("%s is %s in SQLite, %s in PostgreSQL", name, ours, theirs)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if there[name] == "" {
			t.Errorf("%s (%s) is in SQLite alone", name, here[name])
		}
	}
}

// columnsOf returns "table.column" with what it is: its kind, and whether it is in a table
// or a view. Versions of tables are kept by each in its own way. Columns of views have no
// declared type in SQLite.
func columnsOf(t *testing.T, driver, source, query string) map[string]string {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var table, column, kind, in string
		if err := rows.Scan(&table, &column, &kind, &in); err != nil {
			t.Fatal(err)
		}
		if table == "greenwave_schema_version" {
			continue
		}
		found[table+"."+column] = in
		if in == "table" {
			found[table+"."+column] += " of " + kindOf(kind)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// kindOf is what a type of either database holds.
func kindOf(declared string) string {
	switch strings.ToLower(declared) {
	case "integer", "int", "bigint", "smallint":
		return "whole numbers"
	case "real", "double precision":
		return "numbers"
	case "boolean":
		return "truth"
	case "blob", "array", "bytea":
		return "vectors"
	default: // SQLite keeps times, UUIDs and JSON as text
		return "text"
	}
}
