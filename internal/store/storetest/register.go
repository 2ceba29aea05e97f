package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

func testRegister(b *bench) {
	name := `München/ß "quoted" 100% 路口 🚦 ` + strings.Repeat("x", 300)
	run := newRun(name)
	run.Description, run.Config = "what it is", json.RawMessage(`{"lr":0.001,"layers":[64,64]}`)
	run.Metadata, run.Header = json.RawMessage(`{"tag":"a"}`), json.RawMessage(`{"format":1}`)
	first := b.register(run)
	equal(b, "cursor", first.Cursor, 0)
	equal(b, "status", first.Status, "running")
	equal(b, "experiment", first.Experiment, name)
	equal(b, "run", first.RunID, run.ID)
	if first.ExperimentID == "" || !first.LastHeartbeat.IsZero() || first.UpdatedAt.IsZero() {
		b.Errorf("state is %+v", first)
	}

	b.log(first, step(0, 0))
	again := b.register(run)
	equal(b, "cursor after registering again", again.Cursor, 1)
	equal(b, "experiment id", again.ExperimentID, first.ExperimentID)

	e := b.experiment(name)
	equal(b, "id", e.ID, first.ExperimentID)
	equal(b, "description", e.Description, run.Description)
	if !sameJSON(e.Config, run.Config) || !sameJSON(e.Metadata, run.Metadata) {
		b.Errorf("config %s, metadata %s", e.Config, e.Metadata)
	}
	if !e.CreatedAt.Equal(start) {
		b.Errorf("created at %v, want the start of the run %v", e.CreatedAt, start)
	}

	// A second run joins the experiment and leaves its description as it is.
	second := newRun(name)
	second.Description, second.Config = "other", json.RawMessage(`{"lr":1}`)
	state := b.register(second)
	equal(b, "experiment id of the second run", state.ExperimentID, first.ExperimentID)
	e = b.experiment(name)
	equal(b, "description", e.Description, run.Description)
	equal(b, "runs", len(e.Runs), 2)
	if !sameJSON(e.Config, run.Config) {
		b.Errorf("config is %s", e.Config)
	}

	// Names that differ only a little are different experiments.
	equal(b, "same experiment for another case", b.begin(strings.ToUpper(name)).ExperimentID == first.ExperimentID, false)
	equal(b, "same experiment for a trailing blank", b.begin(name+" ").ExperimentID == first.ExperimentID, false)
}

func testRegisterConcurrently(b *bench) {
	other := open(b.T, b.db)
	shared := newRun("one")
	var wg sync.WaitGroup
	states, errs := make([]store.State, 12), make([]error, 12)
	for i := range states {
		wg.Go(func() {
			s, run := b.s, newRun("one")
			if i%2 == 1 {
				s = other
			}
			if i < 6 {
				run = shared
			}
			states[i], errs[i] = s.Register(b.ctx, run, false)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			b.Fatalf("Register: %v", err)
		}
		equal(b, "experiment id", states[i].ExperimentID, states[0].ExperimentID)
	}
	equal(b, "runs", len(b.experiment("one").Runs), 7)
}

func testRegisterRefuses(b *bench) {
	for what, change := range map[string]func(*store.Run){
		"a run id that is no UUID":  func(r *store.Run) { r.ID = "seven" },
		"no name":                   func(r *store.Run) { r.Experiment = "" },
		"a NUL in the name":         func(r *store.Run) { r.Experiment = "a\x00b" },
		"a name that is not UTF-8":  func(r *store.Run) { r.Experiment = "a\xff" },
		"a config that is no JSON":  func(r *store.Run) { r.Config = json.RawMessage(`{`) },
		"a config that is a list":   func(r *store.Run) { r.Config = json.RawMessage(`[]`) },
		"metadata that is a number": func(r *store.Run) { r.Metadata = json.RawMessage(`1`) },
	} {
		run := newRun("refused")
		change(&run)
		if _, err := b.s.Register(b.ctx, run, false); !errors.Is(err, store.ErrRefused) {
			b.Errorf("%s: %v, want ErrRefused", what, err)
		}
	}
	all, err := b.s.Experiments(b.ctx)
	if err != nil || len(all) != 0 {
		b.Errorf("experiments: %v, %v", all, err)
	}
}

func testDeleted(b *bench) {
	runA, runB := newRun("doomed"), newRun("doomed")
	a, c := b.register(runA), b.register(runB)
	b.log(a, episode(0, 1), step(0, 0), checkpoint())
	b.log(c, episode(1, 2))
	batch := b.batch(c, episode(2, 3))
	batch.Dead = []store.DeadLetter{{RunID: c.RunID, Seq: batch.To + 1, Reason: "r", Where: "w", Time: start}}
	batch.To++
	b.apply(batch)
	next := b.batch(a, step(0, 1))

	b.exec(`DELETE FROM experiments WHERE experiment_name = 'doomed'`)
	for _, table := range []string{"training_episodes", "training_steps", "model_checkpoints"} {
		equal(b, "rows of "+table, b.one(`SELECT count(*) FROM %s`, table), any(int64(0)))
	}
	if _, err := b.s.Apply(b.ctx, next); !errors.Is(err, store.ErrExperimentDeleted) {
		b.Errorf("Apply: %v, want ErrExperimentDeleted", err)
	}
	if _, err := b.s.Replay(b.ctx, next); !errors.Is(err, store.ErrExperimentDeleted) {
		b.Errorf("Replay: %v, want ErrExperimentDeleted", err)
	}
	_, err := b.s.Register(b.ctx, runA, false)
	if !errors.Is(err, store.ErrExperimentDeleted) || !strings.Contains(err.Error(), "doomed") {
		b.Errorf("Register: %v, want ErrExperimentDeleted with the name", err)
	}
	state := b.state(a.RunID)
	equal(b, "experiment id of a deleted experiment", state.ExperimentID, "")
	equal(b, "experiment", state.Experiment, "doomed")
	if _, err := b.s.Experiment(b.ctx, "doomed"); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("Experiment: %v, want ErrNotFound", err)
	}

	// Restored, all runs of it begin anew.
	restored, err := b.s.Register(b.ctx, runA, true)
	if err != nil {
		b.Fatalf("Register with restore: %v", err)
	}
	equal(b, "cursor", restored.Cursor, 0)
	if restored.ExperimentID == "" || restored.ExperimentID == a.ExperimentID {
		b.Errorf("experiment id is %q, before %q", restored.ExperimentID, a.ExperimentID)
	}
	other := b.register(runB)
	equal(b, "experiment of the other run", other.ExperimentID, restored.ExperimentID)
	equal(b, "cursor of the other run", other.Cursor, 0)
	equal(b, "dead of the other run", other.Dead, 0)
	equal(b, "dead letters", len(b.dead()), 0)
	b.log(restored, episode(0, 1), step(0, 0), checkpoint())
	b.log(other, episode(1, 2), episode(2, 3))
	equal(b, "episodes", b.experiment("doomed").TotalEpisodes, 3)

	// A batch that was read before still speaks of the old one.
	stale := b.batch(restored, step(0, 1))
	stale.ExperimentID = a.ExperimentID
	if _, err := b.s.Apply(b.ctx, stale); !errors.Is(err, store.ErrCursorMoved) {
		b.Errorf("Apply to the old experiment: %v, want ErrCursorMoved", err)
	}
	// Restoring what is not deleted changes nothing.
	if again, err := b.s.Register(b.ctx, runA, true); err != nil || again.Cursor != 3 {
		b.Errorf("Register with restore again: %+v, %v", again, err)
	}
	// A new run under the name of a deleted experiment is a new experiment.
	b.exec(`DELETE FROM experiments WHERE experiment_name = 'doomed'`)
	equal(b, "status of a new run", b.begin("doomed").Status, "running")
	if _, err := b.s.Register(b.ctx, runB, false); !errors.Is(err, store.ErrExperimentDeleted) {
		b.Errorf("Register of the old run: %v, want ErrExperimentDeleted", err)
	}
}

func testExperimentChanges(b *bench) {
	older, newer := b.begin("changed"), b.begin("changed")
	change := func(run store.State, at time.Time, data string) {
		b.Helper()
		batch := b.batch(run, parse(record.KindExperiment, "%s", data))
		batch.Entries[0].Time = at
		res := b.apply(batch)
		equal(b, "stored", res.Stored, 1)
	}
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	change(newer, at(10), `{"description":"new","metadata":{"tag":"new","only":1},"odd":{"x":1}}`)
	change(older, at(5), `{"description":"old","config":{"lr":1},"metadata":{"tag":"old","mine":true},"convergence_episode":7}`)
	e := b.experiment("changed")
	equal(b, "description", e.Description, "new")
	if !sameJSON(e.Metadata, []byte(`{"tag":"new","only":1,"mine":true}`)) {
		b.Errorf("metadata is %s", e.Metadata)
	}
	if !sameJSON(e.Config, []byte(`{"lr":1}`)) {
		b.Errorf("config is %s", e.Config)
	}
	if e.ConvergenceEpisode == nil || *e.ConvergenceEpisode != 7 {
		b.Errorf("convergence episode is %v", e.ConvergenceEpisode)
	}
	extra, _ := b.one(`SELECT extra FROM experiments WHERE experiment_name = 'changed'`).(json.RawMessage)
	if !sameJSON(extra, []byte(`{"odd":{"x":1}}`)) {
		b.Errorf("extra is %s", extra)
	}
	change(older, at(11), `{"description":"newest"}`)
	equal(b, "description", b.experiment("changed").Description, "newest")
}
