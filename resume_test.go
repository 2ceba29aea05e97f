package greenwave

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

func resume(t *testing.T, cfg Config) *Run {
	t.Helper()
	run, err := Resume(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Finish() })
	return run
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestResumeKnowsWhereToGoOn(t *testing.T) {
	cfg := quiet(t)
	first := resume(t, cfg) // nothing to resume
	if _, ok := first.LastEpisode(); ok {
		t.Error("an experiment without runs has a last episode")
	}
	if c, err := first.LastCheckpoint(); c != nil || err != nil {
		t.Errorf("an experiment without runs has the last checkpoint %+v, %v", c, err)
	}
	for e := range 8 {
		must(t, first.LogEpisode(Episode{EpisodeNumber: e}))
		if e == 5 {
			_, err := first.LogCheckpoint(Checkpoint{EpisodeNumber: new(e), CheckpointType: "regular", ModelPath: "s3://models/5"})
			must(t, err)
		}
	}
	must(t, first.Pause("tomorrow"))

	second := resume(t, cfg)
	if n, ok := second.LastEpisode(); !ok || n != 7 {
		t.Errorf("the last episode is %d, %v", n, ok)
	}
	if c, err := second.LastCheckpoint(); err != nil || c.ModelPath != "s3://models/5" || *c.EpisodeNumber != 5 {
		t.Errorf("the last checkpoint is %+v, %v", c, err)
	}
	if second.ID() == first.ID() {
		t.Error("the runs have the same id")
	}
	must(t, second.LogEpisode(Episode{EpisodeNumber: 6})) // trained again, from the checkpoint
	must(t, second.Finish())

	// More lines than one look back covers, and no episode among them.
	third := resume(t, cfg)
	for step := range window + 10 {
		must(t, third.LogStep(Step{EpisodeNumber: 7, StepNumber: step}))
	}
	must(t, third.Finish())

	fourth := resume(t, cfg)
	if n, ok := fourth.LastEpisode(); !ok || n != 6 {
		t.Errorf("the last episode is %d, %v; the one logged last counts", n, ok)
	}
	if c, err := fourth.LastCheckpoint(); err != nil || c.ModelPath != "s3://models/5" {
		t.Errorf("the last checkpoint is %+v, %v", c, err)
	}
	info, err := journal.Stat(fourth.Dir())
	must(t, err)
	if info.Header.Continues != third.ID() {
		t.Errorf("it continues %s, want %s", info.Header.Continues, third.ID())
	}
	other := cfg
	other.Experiment = "another"
	if _, ok := resume(t, other).LastEpisode(); ok {
		t.Error("another experiment has the episodes of this one")
	}
}

// The episode before the window of the first look back is found in a later one.
func TestResumeLooksFurtherBack(t *testing.T) {
	cfg := quiet(t)
	first := begin(t, cfg)
	must(t, first.LogEpisode(Episode{EpisodeNumber: 41}))
	for step := range 3 * window {
		must(t, first.LogStep(Step{EpisodeNumber: 42, StepNumber: step}))
	}
	must(t, first.Finish())
	if n, ok := resume(t, cfg).LastEpisode(); !ok || n != 41 {
		t.Errorf("the last episode is %d, %v", n, ok)
	}
}

// Lines of a resumed run are later than those of the runs before, also when the
// clock was put back in between.
func TestResumeAfterTheClockWentBack(t *testing.T) {
	cfg := quiet(t)
	future := time.Now().Add(48 * time.Hour)
	w, err := journal.Create(cfg.Dir, journal.Header{RunID: newRunID(), Experiment: cfg.Experiment, StartedAt: future},
		journal.Options{Now: func() time.Time { return future }})
	must(t, err)
	_, err = w.Append("episode", []byte(`{"episode_number":1,"total_reward":1}`), true)
	must(t, err)
	must(t, w.Close())

	run := resume(t, cfg)
	must(t, run.LogEpisode(Episode{EpisodeNumber: 2}))
	must(t, run.Finish())
	info, err := journal.Stat(run.Dir())
	must(t, err)
	if got := read(t, run.Dir())[0].Time; !got.After(future) || info.Header.StartedAt.Before(future) {
		t.Errorf("the line is of %v and the run began %v, want both after %v", got, info.Header.StartedAt, future)
	}
	// And once more, now that the clock is right.
	if runs, errs := journal.Find(cfg.Dir); len(errs) > 0 || runs[len(runs)-1].Header.RunID != run.ID() {
		t.Errorf("the resumed run is not the last one: %v", errs)
	}
}

func TestResumeRepairsATornLine(t *testing.T) {
	cfg := quiet(t)
	first := begin(t, cfg)
	must(t, first.LogEpisode(Episode{EpisodeNumber: 1}))
	// What kill -9 leaves: the folder as it is now, with half a line.
	copied := cfg
	copied.Dir = t.TempDir()
	must(t, os.CopyFS(copied.Dir, os.DirFS(cfg.Dir)))
	must(t, first.Finish())
	segments, err := filepath.Glob(filepath.Join(copied.Dir, "*", "*", "*.jsonl"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("%v, %v", segments, err)
	}
	f, err := os.OpenFile(segments[0], os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(`{"seq":2,"time"`)
	must(t, err)
	must(t, f.Close())

	run := resume(t, copied)
	if n, ok := run.LastEpisode(); !ok || n != 1 {
		t.Errorf("the last episode is %d, %v", n, ok)
	}
	info, err := journal.Stat(filepath.Dir(segments[0]))
	must(t, err)
	if info.Torn != 0 || !info.Sealed {
		t.Errorf("the first run is not repaired: %+v", info)
	}
}
