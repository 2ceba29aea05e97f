package importer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/importer"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

func database(t *testing.T) *sqlite.Store {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "greenwave.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	return db
}

// imported carries everything at the paths to the database, and tries again what
// was refused before.
func imported(t *testing.T, db *sqlite.Store, paths ...string) syncer.Summary {
	t.Helper()
	sources := sourcesOf(t, paths...)
	s, err := syncer.New(db, syncer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Sources(t.Context(), sources)
	if err != nil || len(sum.Failed) > 0 {
		t.Fatal(err, sum.Failed)
	}
	for _, src := range sources {
		if _, err := s.Retry(t.Context(), src, db); err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

func sourcesOf(t *testing.T, paths ...string) []syncer.Source {
	t.Helper()
	found, errs := importer.NewWatcher(paths, importer.Options{}).Scan()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	sources := make([]syncer.Source, len(found))
	for i, s := range found {
		t.Cleanup(func() { s.Close() })
		sources[i] = s
	}
	return sources
}

// rows writes down everything that the database holds, but for when it was written.
func rows(t *testing.T, db *sqlite.Store) string {
	t.Helper()
	ctx := context.Background()
	experiments, err := db.Experiments(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range experiments {
		fmt.Fprintf(&b, "%s %d %s %s\n", e.Name, e.TotalEpisodes, e.Config, e.Metadata)
		for _, schema := range record.Tabled() {
			for row, err := range db.Rows(ctx, e.ID, schema.Kind) {
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s/%d %s\n", row.RunID, row.Seq, record.AppendRow(nil, &row.Row))
			}
		}
	}
	for d, err := range db.DeadLetters(ctx, nil) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "dead %s/%d %s %s\n", d.RunID, d.Seq, filepath.Base(d.Where), d.Reason)
	}
	return b.String()
}

func verified(t *testing.T, db *sqlite.Store, sources []syncer.Source) (records, dead uint64) {
	t.Helper()
	for _, s := range sources {
		r, err := syncer.Verify(t.Context(), s, db, syncer.VerifyConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Verified() {
			t.Errorf("%s is not in the database as it is in the file: %s %+v", s.Run().Experiment, r, r.Faults)
		}
		records, dead = records+r.Records, dead+r.Dead
	}
	return records, dead
}

// TestImportTwice: a second import, or one of a copy, changes nothing.
func TestImportTwice(t *testing.T) {
	db := database(t)
	all := []string{"testdata/older", "testdata/guide", "testdata/mixed", "testdata/rerun", "testdata/results"}
	sum := imported(t, db, all...)
	if sum.Synced != sum.Logged || sum.Dead == 0 {
		t.Errorf("the first import: %s", sum)
	}
	before := rows(t, db)
	for _, name := range []string{"corridor", "arterial", "grid", "ring", "boulevard", "its episode never ended", "grid_episodes.jsonl:3"} {
		if !strings.Contains(before, name) {
			t.Errorf("no %s in the database:\n%s", name, before)
		}
	}
	verified(t, db, sourcesOf(t, all...))

	if sum := imported(t, db, all...); sum.New != 0 {
		t.Errorf("the second import: %s", sum)
	}
	elsewhere := t.TempDir()
	if err := os.CopyFS(elsewhere, os.DirFS("testdata/older")); err != nil {
		t.Fatal(err)
	}
	if sum := imported(t, db, elsewhere); sum.New != 0 {
		t.Errorf("a copy elsewhere: %s", sum)
	}
	if after := rows(t, db); after != before {
		t.Errorf("the rows changed from\n%s\nto\n%s", before, after)
	}
}

// TestEpisodeThatEndsBetweenImports: steps that were refused because their episode
// had not ended are stored by the import after it did, as if it had been the first.
func TestEpisodeThatEndsBetweenImports(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/older")); err != nil {
		t.Fatal(err)
	}
	twice, once := database(t), database(t)
	imported(t, twice, dir)
	f, err := os.OpenFile(filepath.Join(dir, "corridor_episodes.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"episode_id":"aaaaaaaa-0000-4000-8000-000000000003","episode_number":2,"total_reward":3,"end_time":"2026-01-05T08:03:00"}` + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	imported(t, twice, dir)
	imported(t, once, dir)
	if a, b := rows(t, twice), rows(t, once); a != b || strings.Contains(a, "dead") {
		t.Errorf("in two imports:\n%s\nin one:\n%s", a, b)
	}
}

// TestRealLogs imports the real logs that lie beside the repository where somebody
// put them: every line ends as a row or is reported.
func TestRealLogs(t *testing.T) {
	data := filepath.Join("..", "..", "..", "shared", "data")
	paths := []string{filepath.Join(data, "production_logs"), filepath.Join(data, "production_logs_rerun"), filepath.Join(data, "results", "complete_results.json")}
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			t.Logf("nothing was tested: the real logs are absent (%v)", err)
			return
		}
	}
	db := database(t)
	sum := imported(t, db, paths...)
	// Lines of the files, 350 and 23 entries of the results; the experiment and
	// its end are records of the summary and of the results.
	if want := uint64(50 + 147 + 5 + 3 + 8 + 3 + 350 + 23 + 2*2); sum.Logged != want || sum.Synced != want || sum.Dead != 0 || sum.Superseded != 1 {
		t.Errorf("%s, want %d records", sum, want)
	}
	for name, want := range map[string]map[record.Kind]int{
		"final_validation":            {record.KindEpisode: 50, record.KindStep: 147},
		"test_5ep":                    {record.KindEpisode: 5},
		"test_fixed":                  {record.KindEpisode: 3, record.KindStep: 8},
		"final_thesis_validation":     {record.KindEpisode: 2},
		"final_thesis_training_350ep": {record.KindEpisode: 350, record.KindValidation: 23},
	} {
		e, err := db.Experiment(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for kind, n := range want {
			got := 0
			for _, err := range db.Rows(t.Context(), e.ID, kind) {
				if err != nil {
					t.Fatal(err)
				}
				got++
			}
			if got != n {
				t.Errorf("%s has %d rows of %s, want %d", name, got, kind, n)
			}
		}
		if ended := name == "final_thesis_training_350ep"; ended != (e.Status == "completed") {
			t.Errorf("%s is %s", name, e.Status)
		}
	}
	// The episode that was run twice is the one of the second run.
	e, err := db.Experiment(t.Context(), "final_thesis_validation")
	if err != nil {
		t.Fatal(err)
	}
	key := store.Key{Episode: 0}
	if got, err := db.Lookup(t.Context(), e.ID, record.KindEpisode, []store.Key{key}); err != nil || got[key].Seq != 2 {
		t.Errorf("episode 0 is from line %d, want 2 (%v)", got[key].Seq, err)
	}

	before := rows(t, db)
	if sum := imported(t, db, paths...); sum.New != 0 {
		t.Errorf("the second import: %s", sum)
	}
	if rows(t, db) != before {
		t.Error("the second import changed rows")
	}
	verified(t, db, sourcesOf(t, paths...))
}

// TestFileWithoutTimes: when a file was last written stands in for the times that
// it lacks; a copy with another one is verified all the same.
func TestFileWithoutTimes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a_episodes.jsonl")
	line := `{"episode_number":%d,"total_reward":2}` + "\n"
	if err := os.WriteFile(path, fmt.Appendf(nil, line+line, 1, 2), 0o644); err != nil {
		t.Fatal(err)
	}
	db := database(t)
	imported(t, db, dir)
	before := rows(t, db)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if sum := imported(t, db, dir); sum.New != 0 || rows(t, db) != before {
		t.Errorf("the second import: %s", sum)
	}
	verified(t, db, sourcesOf(t, dir))
}
