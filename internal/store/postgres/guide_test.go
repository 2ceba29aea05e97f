package postgres_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// statements splits a script at the semicolons that end statements, outside of
// $$ … $$ and comments.
func statements(script string) []string {
	var all []string
	var b strings.Builder
	body := false
	for line := range strings.Lines(script) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		b.WriteString(line)
		if strings.Count(line, "$$")%2 == 1 {
			body = !body
		}
		if !body && strings.HasSuffix(strings.TrimSpace(line), ";") {
			all = append(all, strings.TrimSpace(b.String()))
			b.Reset()
		}
	}
	if rest := strings.TrimSpace(b.String()); rest != "" {
		all = append(all, rest)
	}
	return all
}

func guide(t *testing.T) []string {
	text, err := os.ReadFile("testdata/guide.sql")
	if err != nil {
		t.Fatal(err)
	}
	return statements(string(text))
}

var createIndex = regexp.MustCompile(`^CREATE INDEX (\w+) ON (\w+)`)

// TestGuide runs every statement of the guide, on an experiment with data.
func TestGuide(t *testing.T) {
	url := pgtest.Database(t)
	migrated(t, url)
	conn := connect(t, url)
	for i := range 30 {
		execute(t, conn, `SELECT insert_training_episode('thesis_final_run', jsonb_build_object('episode_number', $1::int, 'total_reward', 100 + $1::int,
			'passenger_throughput', 6512.73, 'buses_processed', 45, 'jeepneys_processed', 67, 'pt_passenger_throughput', 890.5))`, i)
	}
	execute(t, conn, `INSERT INTO training_steps (experiment_id, episode_number, step_number) SELECT id, 1, n FROM experiments, generate_series(1, 5) n`)
	ran := 0
	for _, sql := range guide(t) {
		if m := createIndex.FindStringSubmatch(sql); m != nil {
			checkIndex(t, conn, m[1], m[2], sql)
			ran++
			continue
		}
		rows, err := conn.Query(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s\n%v", sql, err)
		}
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s\n%v", sql, err)
		}
		if strings.HasPrefix(sql, "SELECT") && n == 0 {
			t.Errorf("no rows:\n%s", sql)
		}
		ran++
	}
	if ran != 14 {
		t.Errorf("ran %d statements; the guide has 14", ran)
	}
	// The guide's own archive_old_experiments has taken the place of ours.
	execute(t, conn, `UPDATE training_episodes SET timestamp = now() - interval '100 days' WHERE episode_number < 10`)
	if n := value[int](t, conn, `SELECT archive_old_experiments()`); n != 1 {
		t.Errorf("the guide's archive_old_experiments returned %d", n)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM training_episodes_archive`); n != 10 {
		t.Errorf("it archived %d episodes, want 10", n)
	}
	if n := value[int](t, conn, `SELECT total_episodes FROM experiments`); n != 20 {
		t.Errorf("total_episodes is %d after it, want 20", n)
	}
}

// checkIndex drops our index of the name, runs the guide's statement and compares
// what the two cover. idx_steps_interval is the primary key: the same columns, unique,
// with the owner carried along.
func checkIndex(t *testing.T, conn *pgx.Conn, name, table, sql string) {
	t.Helper()
	covers := func() string {
		def := value[string](t, conn, `SELECT indexdef FROM pg_indexes WHERE indexname = $1`, name)
		return strings.TrimSuffix(strings.Replace(def, "CREATE UNIQUE INDEX", "CREATE INDEX", 1), " INCLUDE (created_by)")
	}
	ours := covers()
	execute(t, conn, "BEGIN")
	if value[bool](t, conn, `SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = $1)`, name) {
		execute(t, conn, "ALTER TABLE "+table+" DROP CONSTRAINT "+name)
	} else {
		execute(t, conn, "DROP INDEX "+name)
	}
	execute(t, conn, sql)
	if theirs := covers(); theirs != ours {
		t.Errorf("index %s is\n%s, the guide's is\n%s", name, ours, theirs)
	}
	execute(t, conn, "ROLLBACK") // ours is back
}

// TestGuideIsWhole compares testdata/guide.sql with the guide itself, where it is.
func TestGuideIsWhole(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "guide.md"))
	if err != nil {
		t.Logf("the guide is not beside the repository, nothing to compare with: %v", err)
		return
	}
	have := map[string]bool{}
	for _, sql := range guide(t) {
		have[normal(sql)] = true
	}
	var want []string
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		want = append(want, statements(block[1])...)
	}
	for _, block := range regexp.MustCompile(`(?s)read_sql\("""(.*?)"""`).FindAllStringSubmatch(string(text), -1) {
		want = append(want, block[1])
	}
	if len(want) < 10 {
		t.Fatalf("found only %d statements in the guide", len(want))
	}
	for _, sql := range want {
		if !have[normal(sql)] {
			t.Errorf("the guide has a statement that testdata/guide.sql lacks:\n%s", sql)
		}
	}
}

func normal(sql string) string {
	return strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimSpace(sql), ";")), " ")
}
