package pythontest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func example(path ...string) string {
	return filepath.Join(append([]string{"..", "..", "examples"}, path...)...)
}

// TestExamples runs the example of a trainer, goes on with it, compares the database with
// its journals, and gives what is exported to the examples of analysis.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs, db := filepath.Join(dir, "runs"), "sqlite:"+filepath.Join(dir, "example.db")
	for _, episodes := range []string{"3", "20"} {
		out, err := python(t, example("python", "corridor.py"), "--dir", runs, "--db", db, "--episodes", episodes).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "completed: ") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := run(t, "verify", runs, "--db", db); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	query := func(statement string) string {
		t.Helper()
		out, err := run(t, "query", statement, "--csv", "--db", db)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		_, row, _ := strings.Cut(strings.TrimSpace(out), "\n")
		return row
	}
	if got := query("SELECT total_episodes, status FROM experiments"); got != "20,completed" {
		t.Errorf("recorded: %s", got)
	}
	export := func(format, name string) string {
		t.Helper()
		into := filepath.Join(dir, name)
		if out, err := run(t, "export", "python-corridor", "--format", format, "--out", into, "--db", db); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return into
	}

	t.Run("curves", func(t *testing.T) {
		one, two := export("csv", "one"), export("csv", "two")
		for name, folders := range map[string][]string{"one.png": {one}, "two.svg": {one, two}} {
			picture := filepath.Join(dir, name)
			out, err := python(t, append([]string{example("analysis", "curves.py"), "--out", picture}, folders...)...).CombinedOutput()
			if want := fmt.Sprintf("%d experiments, %d episodes", len(folders), 20*len(folders)); err != nil || !strings.Contains(string(out), want) {
				t.Fatalf("%v, want %q\n%s", err, want, out)
			}
			data, err := os.ReadFile(picture)
			if err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) && !bytes.Contains(data, []byte("standard deviation</text>")) {
				t.Errorf("%s is no picture: %v, %d bytes", name, err, len(data))
			}
		}
		out, err := python(t, example("analysis", "curves.py"), "--metric", "nothing", one).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "no number called 'nothing'") || !strings.Contains(string(out), "total_reward") {
			t.Errorf("a metric that is not there: %v\n%s", err, out)
		}
	})
	t.Run("tables", func(t *testing.T) {
		file := filepath.Join(export("sqlite", "file"), "greenwave.db")
		out, err := python(t, example("analysis", "tables.py"), file, "--csv", filepath.Join(dir, "validations.csv")).CombinedOutput()
		mean := query("SELECT printf('%.2f', avg(total_reward)) FROM training_episodes WHERE episode_number > 10")
		if err != nil || !strings.Contains(string(out), strings.TrimSuffix(strings.TrimRight(mean, "0"), ".")) {
			t.Errorf("%v, want the mean %s\n%s", err, mean, out)
		}
		if table, err := os.ReadFile(filepath.Join(dir, "validations.csv")); err != nil || !strings.Contains(string(table), "python-corridor,20,") {
			t.Errorf("%v: %s", err, table)
		}
	})
	t.Run("queues", func(t *testing.T) {
		fetched, err := filepath.Abs("../../build/duckdb")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(fetched, "fetched")); err != nil {
			t.Fatal("DuckDB is missing: run scripts/need test: ", err)
		}
		program, err := filepath.Abs("testdata/duckdb/run.cjs")
		if err != nil {
			t.Fatal(err)
		}
		statements, err := filepath.Abs(example("analysis", "queues.sql"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "node", program, statements)
		cmd.Dir, cmd.Env = export("parquet", "parquet"), append(os.Environ(), "NODE_PATH="+filepath.Join(fetched, "node_modules"))
		out, err := cmd.CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err != nil || len(lines) != 3 {
			t.Fatalf("%v\n%s", err, out)
		}
		var approaches []struct {
			Intersection, Approach string
			Longest                float64
			Steps                  string
		}
		if err := json.Unmarshal([]byte(lines[1]), &approaches); err != nil || len(approaches) != 8 {
			t.Fatalf("%v: %s", err, lines[1])
		}
		longest := query("SELECT max(json_extract(queue_lengths, '$.ECOLAND.north')) FROM training_steps")
		for _, a := range approaches {
			if a.Intersection == "ECOLAND" && a.Approach == "north" && fmt.Sprint(a.Longest) == longest && a.Steps == "600" {
				return
			}
		}
		t.Errorf("want ECOLAND north with 600 steps and at most %s:\n%s", longest, lines[1])
	})
}
