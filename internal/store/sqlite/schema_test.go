package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/store/storetest"
	"github.com/greenwave-traffic/greenwave/record"
)

// TestSchemaFollowsRecord: every field of every kind has its column, in its order,
// with its type, and a comment that says what package record says, with the unit.
func TestSchemaFollowsRecord(t *testing.T) {
	_, path, _ := prepared(t)
	db := byHand(t, path)
	types := map[record.Type]string{
		record.Int: "INTEGER", record.Float: "REAL", record.Text: "TEXT", record.JSON: "JSON TEXT",
		record.Vector: "BLOB", record.Time: "TIMESTAMP TEXT", record.UUID: "UUID TEXT",
	}
	column := regexp.MustCompile(`(?m)^    (\w+) +((?:[A-Z]+ )*[A-Z]+).*? -- (.*)$`)
	for _, schema := range record.Tabled() {
		var text string
		if err := db.QueryRowContext(t.Context(), `SELECT sql FROM sqlite_master WHERE name = ?`, schema.Table).Scan(&text); err != nil {
			t.Fatal(err)
		}
		var names []string
		found := map[string][]string{}
		for _, m := range column.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
			found[m[1]] = m
		}
		var want []string
		for _, f := range schema.Fields {
			want = append(want, f.Name)
			doc := f.Doc
			if f.Unit != "" {
				doc += " [" + f.Unit + "]"
			}
			m := found[f.Name]
			if m == nil {
				t.Errorf("%s has no column %s", schema.Table, f.Name)
				continue
			}
			if !strings.HasPrefix(m[2], types[f.Type]) {
				t.Errorf("%s.%s is %s, want %s", schema.Table, f.Name, m[2], types[f.Type])
			}
			if !strings.HasPrefix(m[3], doc) {
				t.Errorf("%s.%s: the comment is %q, package record says %q", schema.Table, f.Name, m[3], doc)
			}
		}
		if !strings.Contains(strings.Join(names, " "), " "+strings.Join(want, " ")+" extra run_id seq logged_at") {
			t.Errorf("%s: columns are %v, want the order %v", schema.Table, names, want)
		}
	}
}

func TestIndexes(t *testing.T) {
	_, path, _ := prepared(t)
	db := byHand(t, path)
	for name, columns := range map[string]string{
		"idx_episodes_exp_time": "training_episodes (experiment_id, timestamp)",
		"idx_steps_interval":    "training_steps (experiment_id, episode_number, step_number)",
		"idx_episodes_reward":   "training_episodes (total_reward DESC)",
	} {
		var text string
		if err := db.QueryRowContext(t.Context(), `SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?`, name).Scan(&text); err != nil || !strings.HasSuffix(text, columns) {
			t.Errorf("%s is %q, %v; want it on %s", name, text, err, columns)
		}
	}
}

// TestPlans: what is asked often is answered from an index, whatever the table's
// size.
func TestPlans(t *testing.T) {
	_, path, _ := prepared(t)
	db := byHand(t, path)
	for _, statement := range []string{
		`SELECT * FROM real_time_training WHERE experiment_name = 'x'`,
		`SELECT * FROM performance_analytics WHERE experiment_name = 'x'`,
		`SELECT * FROM convergence_detection WHERE experiment_name = 'x'`,
		`DELETE FROM training_episodes WHERE experiment_id = 'x' AND episode_number = 1`,
		`SELECT max(total_reward) FROM training_episodes WHERE experiment_id = 'x'`,
		`SELECT count(*) FROM training_steps WHERE experiment_id = 'x'`,
		`SELECT * FROM training_steps WHERE experiment_id = 'x' ORDER BY episode_number, step_number`,
	} {
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			// These are what a view has found so far.
			scan, isScan := strings.CutPrefix(detail, "SCAN ")
			found := scan == "m" || scan == "performance_analytics" || scan == "convergence_detection" || strings.HasPrefix(scan, "(subquery-")
			if isScan && !found || strings.Contains(detail, "TEMP B-TREE") {
				t.Errorf("%s: %s", statement, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// python runs a script with Debian's Python and returns what it prints.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"-c", script}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v: %s\nThe test needs Debian's packages python3-pandas and python3-sqlalchemy: apt-get install python3-pandas python3-sqlalchemy", err, errs.String())
	}
	return string(out)
}

// TestPrintSchema: the printed schema, run by another SQLite, is the schema that
// Migrate makes.
func TestPrintSchema(t *testing.T) {
	var text bytes.Buffer
	if err := sqlite.PrintSchema(&text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "printed.db")
	file := filepath.Join(t.TempDir(), "schema.sql")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	python(t, `import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())`, path, file)
	s := open(t, path)
	current, newest, err := s.Version(t.Context())
	if err != nil || current != newest {
		t.Errorf("version is %d, %v; want %d", current, err, newest)
	}
	if applied, err := s.Migrate(t.Context(), -1); err != nil || len(applied) != 0 {
		t.Errorf("Migrate applied %v, %v", applied, err)
	}
	if _, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false); err != nil {
		t.Error(err)
	}
	_, migrated, _ := prepared(t)
	if got, want := objects(t, path), objects(t, migrated); got != want {
		t.Errorf("the printed schema differs:\n%s\nwant:\n%s", got, want)
	}
}

// objects lists what is in a database, without the layout of its text.
func objects(t *testing.T, path string) string {
	t.Helper()
	rows, err := byHand(t, path).QueryContext(t.Context(), `SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, kind, name, strings.Join(strings.Fields(text), " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPandas: pandas with SQLAlchemy, as Debian ships them, reads the file with the
// guide's query while it is open for writing, and a state vector as documented.
func TestPandas(t *testing.T) {
	s, path, _ := prepared(t)
	run, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "thesis_final_run", Source: "journal"}, false)
	if err != nil {
		t.Fatal(err)
	}
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: 3}
	for i, c := range []struct {
		kind record.Kind
		text string
	}{
		{record.KindEpisode, `{"episode_number":1,"total_reward":164.67,"passenger_throughput":6512.73,"timestamp":"2026-03-01T16:00:00.5+08:00"}`},
		{record.KindStep, `{"episode_number":1,"step_number":1,"state_vector":[0.5,-2,null,0.25]}`},
		{record.KindStep, `{"episode_number":1,"step_number":2,"state_vector":[0,0,0,0,0,0,0,0,0,1.5,0,0,0,0,0,0,0,0,0,0,-3]}`},
	} {
		row, err := record.Parse(c.kind, []byte(c.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		batch.Entries = append(batch.Entries, store.Entry{Seq: uint64(i + 1), Row: row})
	}
	if _, err := s.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	got := python(t, `
import sys
import numpy as np
import pandas as pd
from sqlalchemy import create_engine

engine = create_engine("sqlite:///" + sys.argv[1])
df = pd.read_sql(sys.argv[2], engine)
print(list(df.columns), df.values.tolist())
df = pd.read_sql("SELECT timestamp FROM training_episodes", engine, parse_dates=["timestamp"])
print(df.timestamp[0].isoformat())
print(len(pd.read_sql("SELECT * FROM real_time_training", engine)), len(pd.read_sql("SELECT * FROM performance_analytics", engine)))
for b in pd.read_sql("SELECT state_vector FROM training_steps ORDER BY step_number", engine).state_vector:
    n = len(b)//4 if b[0] == 0 else int.from_bytes(b[1:5], "little")
    on = np.ones(n, bool) if b[0] == 0 else np.unpackbits(np.frombuffer(b, "u1", (n+7)//8, 5), bitorder="little")[:n].astype(bool)
    v = np.zeros(n, "<f4"); v[on] = np.frombuffer(b[len(b)-4*on.sum():], "<f4")
    print(v.tolist())
`, path, storetest.GuideSelects[5])
	want := `['episode_number', 'total_reward', 'passenger_throughput'] [[1.0, 164.67, 6512.73]]
2026-03-01T08:00:00.500000+00:00
2 2
[0.5, -2.0, nan, 0.25]
[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -3.0]
`
	if got != want {
		t.Errorf("pandas says\n%swant\n%s", got, want)
	}
}

// TestStateSize: a step with a state of 600 numbers, of which seven of ten are zero.
func TestStateSize(t *testing.T) {
	const n = 8000 // enough that the empty tables do not count
	for _, c := range []struct {
		name  string
		keep  func(string) bool
		limit int64
	}{
		{"the state alone", func(name string) bool {
			return name == "state_vector" || name == "episode_number" || name == "step_number"
		}, 1331},
		{"every field of the guide", func(string) bool { return true }, 1600},
	} {
		s, path, run := prepared(t)
		entries := guideSteps(t, n, 600)
		for i := range entries {
			for f := range entries[i].Row.Values {
				if !c.keep(record.Steps.Fields[f].Name) {
					entries[i].Row.Values[f] = record.Value{}
				}
			}
		}
		if _, err := s.Apply(t.Context(), store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: n, Entries: entries}); err != nil {
			t.Fatal(err)
		}
		s.Close()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes a row", c.name, info.Size()/n)
		if info.Size()/n > c.limit {
			t.Errorf("%s: %d bytes a row, want at most %d", c.name, info.Size()/n, c.limit)
		}
	}
}
