package archive_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/archive"
	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
	"github.com/greenwave-traffic/greenwave/internal/artifact/s3"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

func openStore(ctx context.Context, url string) (store.Store, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return sqlite.Open(path, sqlite.Options{})
	}
	return postgres.Open(ctx, url, postgres.Options{})
}

func migrated(t *testing.T, url string) store.Store {
	t.Helper()
	db, err := openStore(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	return db
}

// contents are the digests of experiments by name and kind.
type contents map[string]map[record.Kind]store.Digest

func equalContents(a, b contents) bool {
	return maps.EqualFunc(a, b, func(x, y map[record.Kind]store.Digest) bool { return maps.Equal(x, y) })
}

// fill records experiments with some of everything and returns what they hold.
func fill(t *testing.T, db store.Store, experiments, steps int) contents {
	t.Helper()
	for n := range experiments {
		run := store.Run{ID: uuid.NewString(), Experiment: fmt.Sprintf("old-%d", n), Source: "journal", StartedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		state, err := db.Register(t.Context(), run, false)
		if err != nil {
			t.Fatal(err)
		}
		b := store.Batch{RunID: state.RunID, ExperimentID: state.ExperimentID}
		add := func(kind record.Kind, format string, args ...any) {
			row, err := record.Parse(kind, fmt.Appendf(nil, format, args...), nil)
			if err != nil {
				t.Fatal(err)
			}
			b.To++
			b.Entries = append(b.Entries, store.Entry{Seq: b.To, Time: run.StartedAt.Add(time.Duration(b.To) * time.Second), Row: row})
		}
		for i := range steps {
			add(record.KindStep, `{"episode_number":%d,"step_number":%d,"active_vehicles":%d,"immediate_reward":%d.25,"state_vector":[0,1.5,null,%d],"queue_lengths":{"A":{"north":%d}},"mine":%d}`, i/50, i%50, i, i, i, i%7, i)
			if i%50 == 49 {
				add(record.KindEpisode, `{"episode_number":%d,"total_reward":%d,"scenario_info":{"day":"2026"}}`, i/50, i)
			}
		}
		add(record.KindCheckpoint, `{"checkpoint_type":"best","model_path":"m.pt","validation_reward":3}`)
		add(record.KindValidation, `{"validation_episode":1,"total_reward":-3.25}`)
		add(record.KindBaseline, `{"baseline_type":"webster"}`)
		add(record.KindResource, `{"host_cpu_percent":50}`)
		add(record.KindEnd, `{"status":"completed"}`)
		if _, err := db.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return digests(t, db)
}

// digests sums what a database holds.
func digests(t *testing.T, db store.Store) contents {
	t.Helper()
	all := contents{}
	list, err := db.Experiments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		all[e.Name] = sums(t, db, e.ID)
	}
	return all
}

func sums(t *testing.T, r store.Reader, id string) map[record.Kind]store.Digest {
	t.Helper()
	found := map[record.Kind]store.Digest{}
	for _, schema := range record.Tabled() {
		var d store.Digest
		var h store.Hasher
		for row, err := range r.Rows(t.Context(), id, schema.Kind) {
			if err == nil {
				err = h.AddTo(&d, row)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		found[schema.Kind] = d
	}
	return found
}

func shelf(t *testing.T, dir string) *artifact.Folder {
	t.Helper()
	f, err := artifact.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// everywhere demands that each experiment has all its rows, in the database or in its
// archives, and none of them half.
func everywhere(t *testing.T, db store.Store, dir string, want contents) {
	t.Helper()
	f, err := artifact.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a := &archive.Archive{DB: db, Shelf: f}
	for name, kinds := range want {
		e, err := db.Experiment(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if e.Steps != 0 && e.Steps != kinds[record.KindStep].Rows {
			t.Errorf("%s is half there: %d steps", name, e.Steps)
		}
		if e.TotalEpisodes != kinds[record.KindEpisode].Rows {
			t.Errorf("%s has %d episodes, reached %d", name, e.TotalEpisodes, kinds[record.KindEpisode].Rows)
		}
		r, err := a.Reader(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if got := sums(t, r, e.ID); !maps.Equal(got, kinds) {
			t.Errorf("%s has %v with its archives, want %v", name, got, kinds)
		}
		r.Close()
	}
}

var whole = archive.Rules{Rules: []archive.Rule{{What: "experiments"}}}

func plan(t *testing.T, db store.Store, rules archive.Rules) []archive.Item {
	t.Helper()
	items, err := archive.Plan(t.Context(), db, rules, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// TestFromOneDatabaseToAnother: an archive of one kind of database is restored into a new
// one of each kind.
func TestFromOneDatabaseToAnother(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, url string) {
		db := migrated(t, url)
		before := fill(t, db, 1, 120)
		f := shelf(t, t.TempDir())
		a := &archive.Archive{DB: db, Shelf: f}
		done, removed, err := a.Run(t.Context(), plan(t, db, whole)[0])
		if err != nil {
			t.Fatal(err)
		}
		if done.Rows != 126 || removed != 123 { // checkpoint, validation and baseline stay
			t.Errorf("archived %d rows, removed %d", done.Rows, removed)
		}
		for _, into := range []string{"sqlite:" + filepath.Join(t.TempDir(), "new.db"), pgtest.Database(t)} {
			other := migrated(t, into)
			b := &archive.Archive{DB: other, Shelf: f}
			found, err := b.Found(t.Context())
			if err != nil || len(found) != 1 || found[0].ID != done.ID {
				t.Fatalf("found %+v, %v", found, err)
			}
			if _, got, err := b.Restore(t.Context(), done.ID); err != nil || got.Stored != 126 {
				t.Fatalf("restored into %s: %+v, %v", other.Name(), got, err)
			}
			e, err := other.Experiment(t.Context(), "old-0")
			if err != nil || e.TotalEpisodes != 2 || len(e.Runs) != 1 || e.Runs[0].Cursor != 127 || e.Status != "completed" {
				t.Errorf("in %s it is %+v, %v", other.Name(), e, err)
			}
			if strings.HasPrefix(into, "sqlite:") == strings.HasPrefix(url, "sqlite:") && !equalContents(digests(t, other), before) {
				t.Errorf("%s holds other rows", other.Name())
			}
		}
	})
}

// TestFlippedBit: each file of an archive, damaged or gone, is refused by its name, and
// the database stays as it is.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"))
	fill(t, db, 1, 60)
	dir := t.TempDir()
	a := &archive.Archive{DB: db, Shelf: shelf(t, dir)}
	done, _, err := a.Run(t.Context(), plan(t, db, whole)[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Verify(t.Context(), done.ID)
	if err != nil {
		t.Fatal(err)
	}
	empty := digests(t, db)
	files := map[string]string{"the manifest": done.ID}
	for _, f := range m.Files {
		files[f.Name] = f.SHA256
	}
	if len(files) != 7 {
		t.Errorf("the archive has %v", files)
	}
	for name, hash := range files {
		path := filepath.Join(dir, hash[:2], hash)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			flipped := append([]byte(nil), data...)
			flipped[i*(len(data)-1)/7] ^= 1 << i
			if err := os.WriteFile(path, flipped, 0o644); err != nil {
				t.Fatal(err)
			}
			_, _, err := a.Restore(t.Context(), done.ID)
			if !errors.Is(err, archive.ErrDamaged) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s with a flipped bit: %v", name, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Verify(t.Context(), done.ID); !errors.Is(err, artifact.ErrNotFound) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s gone: %v", name, err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := digests(t, db); !equalContents(got, empty) {
		t.Errorf("the database changed: %v", got)
	}
	if _, _, err := a.Restore(t.Context(), done.ID); err != nil {
		t.Error(err)
	}
}

// TestBucketVanishes: a real S3 server goes away half way; nothing is lost, and the next
// attempt sends only what is missing.
func TestBucketVanishes(t *testing.T) {
	t.Parallel()
	server := artifacttest.NewServer(t)
	bucket, err := s3.Open(server.URL("archives"), artifacttest.Env)
	if err != nil {
		t.Fatal(err)
	}
	db := migrated(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"))
	before := fill(t, db, 1, 200)
	for _, at := range []string{"exported", "stored", "noted"} {
		a := &archive.Archive{DB: db, Shelf: bucket, Stage: func(name string) {
			if name == at {
				server.Stop()
			}
		}}
		_, _, err := a.Run(t.Context(), plan(t, db, whole)[0])
		if err == nil {
			t.Fatalf("archived without a bucket behind %s", at)
		}
		if got := digests(t, db); !equalContents(got, before) {
			t.Fatalf("something was deleted though the bucket vanished behind %s: %v", at, err)
		}
		server.Start()
	}
	a := &archive.Archive{DB: db, Shelf: bucket}
	done, _, err := a.Run(t.Context(), plan(t, db, whole)[0])
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, _, err := a.Restore(t.Context(), done.ID); err == nil {
		t.Error("restored without a bucket")
	}
	server.Start()
	if _, _, err := a.Restore(t.Context(), done.ID); err != nil {
		t.Fatal(err)
	}
	if got := digests(t, db); !equalContents(got, before) {
		t.Errorf("came back as %v, was %v", got, before)
	}
}

// TestWrittenMeanwhile: rows that change while they are archived keep all of them in the
// database.
func TestWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, url string) {
		db := migrated(t, url)
		fill(t, db, 1, 100)
		item := plan(t, db, whole)[0]
		a := &archive.Archive{DB: db, Shelf: shelf(t, t.TempDir()), Stage: func(name string) {
			if name != "checked" {
				return
			}
			run := store.Run{ID: uuid.NewString(), Experiment: "old-0", Source: "journal"}
			state, err := db.Register(t.Context(), run, false)
			if err != nil {
				t.Fatal(err)
			}
			row, err := record.Parse(record.KindEpisode, []byte(`{"episode_number":0,"total_reward":1}`), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Apply(t.Context(), store.Batch{RunID: run.ID, ExperimentID: state.ExperimentID, To: 1, Entries: []store.Entry{{Seq: 1, Time: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Row: row}}}); err != nil {
				t.Fatal(err)
			}
		}}
		if _, _, err := a.Run(t.Context(), item); !errors.Is(err, store.ErrConflict) {
			t.Errorf("archived rows that had changed: %v", err)
		}
		if e, err := db.Experiment(t.Context(), "old-0"); err != nil || e.Steps != 100 || !e.ArchivedAt.IsZero() {
			t.Errorf("the experiment is %+v, %v", e, err)
		}
	})
}

func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		`{"rules": []}`: "rules is empty",
		`{"rules": [{"what": "steps", "older_than_days": -1}]}`:                       "older_than_days is -1",
		`{"rules": [{"what": "experiments", "older_than_days": 1, "keep_every": 2}]}`: "keep_every is for steps",
		`{"rules": [{"what": "experiments", "older_than_days": 1, "discard": true}]}`: "discard is for steps",
		`{"rules": [{"what": "steps", "days": 1}]}`:                                   "days",
		`{"rules": [{"what": "steps"}]} x`:                                            "behind the JSON object",
	} {
		path := filepath.Join(t.TempDir(), "retention.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := archive.Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, _, err := archive.Load(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is named and is not there: %v", err)
	}
	if got := (archive.Rule{What: "steps", OlderThanDays: 7, KeepEvery: 22}).String(); got != "steps older than 7 days, but each 22nd of an episode" {
		t.Error(got)
	}
}
