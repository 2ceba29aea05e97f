package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

const runID = "018f3c5e-0000-7000-8000-000000000001"

var started = time.Date(2025, 7, 8, 9, 30, 0, 0, time.UTC)

// records are what the test's experiment consists of, one of everything that
// formats differ in.
var records = []struct {
	kind record.Kind
	data string
}{
	{record.KindEpisode, `{"episode_number":1,"total_reward":164.67,"scenario_info":{"day":"20250708","intersections":["ECOLAND","a, \"b\""]},"epsilon_value":0.885,"completed_trips":398,"avg_loss":NaN,"timestamp":"2025-07-08T09:31:00.5Z"}`},
	{record.KindEpisode, `{"episode_number":2,"total_reward":NaN,"agent":"=1+1","_row":"mine"}`},
	{record.KindStep, `{"episode_number":1,"step_number":0,"state_vector":[],"immediate_reward":-0.5,"real_timestamp":"2025-07-08T09:30:00.000001Z"}`},
	{record.KindStep, `{"episode_number":1,"step_number":1,"active_vehicles":45,"queue_lengths":{"ECOLAND":{"north":3,"south":NaN}},"waiting_times":{"ECOLAND":15.2},"state_vector":[0.15,0.23,NaN,-1],"action_taken":-3,"session_id":"x"}`},
	{record.KindCheckpoint, `{"checkpoint_type":"best","model_path":"=HYPERLINK(\"x\"), first\nsecond line","model_hash":"","model_size_mb":1.5}`},
	{record.KindCheckpoint, `{"checkpoint_type":"final","model_path":" Jürgen's \"model\" "}`},
	{record.KindValidation, `{"validation_episode":1,"total_reward":-3.25,"confidence_interval":[1,2.5],"statistical_significance":"none"}`},
	{record.KindBaseline, `{"baseline_type":"webster","d3qn_metrics":{"wait":12},"notes":""}`},
}

// database returns a database with the experiment "thesis/1" and more steps of
// episode 2.
func database(t testing.TB, moreSteps int) *sqlite.Store {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "greenwave.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	ctx := context.Background()
	if _, err := db.Migrate(ctx, -1); err != nil {
		t.Fatal(err)
	}
	state, err := db.Register(ctx, store.Run{
		ID: runID, Experiment: "thesis/1", Source: "journal", Host: "here", StartedAt: started,
		Header: json.RawMessage(`{}`), Config: json.RawMessage(`{"gamma": 0.99}`), Description: "two junctions, \"quoted\"",
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	b := store.Batch{RunID: runID, ExperimentID: state.ExperimentID}
	add := func(kind record.Kind, data string) {
		row, err := record.Parse(kind, []byte(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		b.To++
		b.Entries = append(b.Entries, store.Entry{Seq: b.To, Time: started.Add(time.Duration(b.To) * time.Second), Row: row})
	}
	for _, r := range records {
		add(r.kind, r.data)
	}
	for i := range moreSteps {
		add(record.KindStep, fmt.Sprintf(`{"episode_number":2,"step_number":%d,"active_vehicles":%d,"immediate_reward":%d.5}`, i, i%300, i))
	}
	if _, err := db.Apply(ctx, b); err != nil {
		t.Fatal(err)
	}
	return db
}

var options = export.Options{Version: "1.2.3", Database: "sqlite:greenwave.db", Now: func() time.Time { return started }}

func mustExport(t *testing.T, db store.Reader, format export.Format, dir string) export.Manifest {
	t.Helper()
	m, err := export.Export(context.Background(), db, "thesis/1", format, dir, options)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// names lists what is in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestManifest(t *testing.T) {
	db := database(t, 3)
	for _, format := range []export.Format{export.CSV, export.JSON, export.Parquet} {
		t.Run(string(format), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "export")
			m := mustExport(t, db, format, dir)
			rows := map[string]int64{}
			for _, f := range m.Files {
				rows[f.Table] = f.Rows
			}
			want := map[string]int64{"experiments": 1, "training_episodes": 2, "training_steps": 5, "model_checkpoints": 2, "validation_results": 1, "baseline_comparisons": 1, "run_resources": 0}
			if !reflect.DeepEqual(rows, want) {
				t.Errorf("rows %v, want %v", rows, want)
			}
			if m.Rows() != 12 || m.Experiment != "thesis/1" || m.Greenwave != "1.2.3" || m.Database != "sqlite:greenwave.db" || !m.CreatedAt.Equal(started) {
				t.Errorf("manifest %+v", m)
			}
			again, err := export.Verify(dir)
			if err != nil {
				t.Fatal(err)
			}
			a, _ := json.Marshal(m)
			b, _ := json.Marshal(again)
			if string(a) != string(b) {
				t.Errorf("written  %s\nread back %s", a, b)
			}
			if got := len(names(t, dir)); got != 8 {
				t.Errorf("the folder has %v", names(t, dir))
			}
			for _, f := range m.Files {
				for _, c := range f.Columns {
					if c.Type == "" || c.Description == "" {
						t.Errorf("%s.%s: %+v", f.Table, c.Name, c)
					}
				}
			}
		})
	}
}

func TestVerifyFindsChanges(t *testing.T) {
	dir := t.TempDir()
	mustExport(t, database(t, 0), export.CSV, dir)
	steps, episodes := filepath.Join(dir, "training_steps.csv"), filepath.Join(dir, "training_episodes.csv")
	data, err := os.ReadFile(steps)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(steps, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(episodes); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "experiments.csv"), 10); err != nil {
		t.Fatal(err)
	}
	_, err = export.Verify(dir)
	for _, want := range []string{steps + " has SHA-256", episodes + " is missing", "experiments.csv has 10 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, export.ManifestName), []byte(`{"manifest":1,"files":[{"name":"../x"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Verify(dir); err == nil || !strings.Contains(err.Error(), `"../x"`) {
		t.Errorf("a manifest that names other folders: %v", err)
	}
	if _, err := export.Verify(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder without a manifest: %v", err)
	}
}

func TestAnExportIsNotOverwritten(t *testing.T) {
	db, dir := database(t, 0), t.TempDir()
	mustExport(t, db, export.CSV, dir)
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := export.Export(context.Background(), db, "thesis/1", export.Parquet, dir, options)
	if !errors.Is(err, export.ErrExists) || !strings.Contains(err.Error(), "--force") {
		t.Fatalf("err %v", err)
	}
	if _, err := export.Verify(dir); err != nil {
		t.Errorf("the export that was there: %v", err)
	}

	// What a killed process has left.
	if err := os.Mkdir(filepath.Join(dir, ".partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	force := options
	force.Force = true
	if _, err := export.Export(context.Background(), db, "thesis/1", export.Parquet, dir, force); err != nil {
		t.Fatal(err)
	}
	want := []string{"baseline_comparisons.parquet", "experiments.parquet", "manifest.json", "model_checkpoints.parquet", "notes.txt",
		"run_resources.parquet", "training_episodes.parquet", "training_steps.parquet", "validation_results.parquet"}
	if got := names(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("the folder has %v, want %v", got, want)
	}
	if _, err := export.Verify(dir); err != nil {
		t.Error(err)
	}
}

func TestAnotherExportIsUnderWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := export.Export(context.Background(), database(t, 0), "thesis/1", export.CSV, dir, options)
	if !errors.Is(err, export.ErrExists) || !strings.Contains(err.Error(), ".partial") {
		t.Errorf("err %v", err)
	}
}

func TestFailuresLeaveNothing(t *testing.T) {
	db := database(t, 25_000)
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		opt, calls := options, 0
		opt.Progress = func(p export.Progress) {
			if calls++; p.Table == "training_steps" {
				cancel()
			}
		}
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := export.Export(ctx, db, "thesis/1", export.CSV, dir, opt); !errors.Is(err, context.Canceled) {
			t.Errorf("err %v", err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is still there: %v", names(t, dir))
		}
		if calls != 3 { // two whole tables, then the first 10,000 steps
			t.Errorf("progress was called %d times", calls)
		}
	})
	t.Run("database fails", func(t *testing.T) {
		dir := t.TempDir()
		broken := errors.New("connection lost")
		_, err := export.Export(context.Background(), breaking{db, broken}, "thesis/1", export.Parquet, dir, options)
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "training_steps") || !strings.Contains(err.Error(), "row 3") {
			t.Errorf("err %v", err)
		}
		if got := names(t, dir); len(got) > 0 {
			t.Errorf("left behind: %v", got)
		}
	})
	t.Run("no such experiment", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := export.Export(context.Background(), db, "thesis/2", export.CSV, dir, options); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), `"thesis/2"`) {
			t.Errorf("err %v", err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Error("the folder was made all the same")
		}
	})
	t.Run("folder cannot be made", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := export.Export(context.Background(), db, "thesis/1", export.CSV, filepath.Join(file, "out"), options); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("err %v", err)
		}
	})
	t.Run("unknown format", func(t *testing.T) {
		if _, err := export.Export(context.Background(), db, "thesis/1", "xlsx", t.TempDir(), options); err == nil || !strings.Contains(err.Error(), "must be csv, json, parquet, sqlite or tensorboard") {
			t.Errorf("err %v", err)
		}
	})
}

// breaking is a database that goes away after two steps.
type breaking struct {
	store.Reader
	err error
}

func (b breaking) Rows(ctx context.Context, id string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		n := 0
		for s, err := range b.Reader.Rows(ctx, id, kind) {
			if n++; n > 2 {
				yield(nil, b.err)
				return
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

func TestProgress(t *testing.T) {
	opt := options
	var steps []export.Progress
	opt.Progress = func(p export.Progress) {
		if p.Table == "training_steps" {
			steps = append(steps, p)
		}
	}
	if _, err := export.Export(context.Background(), database(t, 12_000), "thesis/1", export.JSON, t.TempDir(), opt); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[0].Rows != 10_000 || steps[0].Done || steps[1].Rows != 12_002 || !steps[1].Done || steps[0].Bytes >= steps[1].Bytes {
		t.Errorf("progress %+v", steps)
	}
}
