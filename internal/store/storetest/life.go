package storetest

import (
	"encoding/json"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// alive applies one record that is logged now.
func (b *bench) alive(run store.State, row record.Row) {
	b.Helper()
	b.logAt(run, time.Now(), row)
}

func (b *bench) logAt(run store.State, at time.Time, row record.Row) {
	b.Helper()
	batch := b.batch(run, row)
	batch.Entries[0].Time = at
	b.apply(batch)
}

func testLife(b *bench) {
	for _, status := range []string{"completed", "failed", "interrupted", "paused"} {
		run := b.begin(status)
		b.alive(run, step(0, 0))
		equal(b, "status while running", b.experiment(status).Status, "running")
		seen := b.state(run.RunID).LastHeartbeat
		if time.Since(seen) > time.Minute {
			b.Errorf("last sign of life is %v", seen)
		}
		b.logAt(run, start, heartbeat()) // a clock that jumped back
		later := time.Now().Add(time.Millisecond)
		b.logAt(run, later, heartbeat())
		b.logAt(run, later, parse(record.KindResource, `{"disk_free_mb":1}`))
		equal(b, "last record, heartbeats and resources aside", b.state(run.RunID).LastRecord, seen)
		equal(b, "last sign of life", b.state(run.RunID).LastHeartbeat, later.UTC().Truncate(time.Microsecond))
		at := later.Add(time.Second).Truncate(time.Microsecond)
		b.logAt(run, at, parse(record.KindEnd, `{"status":%q,"reason":"said so","peak_mb":12}`, status))
		state, e := b.state(run.RunID), b.experiment(status)
		equal(b, "status of the run", state.Status, status)
		equal(b, "status of the experiment", e.Status, status)
		equal(b, status+": is completed", !e.CompletedAt.IsZero(), status == "completed" || status == "failed")
		if !e.CompletedAt.IsZero() && !e.CompletedAt.Equal(at) {
			b.Errorf("completed at %v, want %v", e.CompletedAt, at)
		}
		_, rows := b.query(`SELECT reason, ended_at, extra FROM training_runs WHERE id = '%s'`, run.RunID)
		equal(b, "reason", rows[0][0], any("said so"))
		if ended, ok := rows[0][1].(time.Time); !ok || !ended.Equal(at) {
			b.Errorf("ended at %v, want %v", rows[0][1], at)
		}
		if extra, ok := rows[0][2].(json.RawMessage); !ok || !sameJSON(extra, []byte(`{"peak_mb":12}`)) {
			b.Errorf("extra is %s", rows[0][2])
		}
	}
}

// testLaterRun: an experiment is what its latest run says, in whatever order the
// runs are synced.
func testLaterRun(b *bench) {
	first, second := newRun("resumed"), newRun("resumed")
	second.StartedAt = start.Add(time.Hour)
	a := b.register(first)
	b.log(a, end("failed"))
	equal(b, "status", b.experiment("resumed").Status, "failed")
	c := b.register(second)
	e := b.experiment("resumed")
	if e.Status == "failed" || !e.CompletedAt.IsZero() {
		b.Errorf("after a later run started: status %s, completed at %v", e.Status, e.CompletedAt)
	}
	b.log(c, end("completed"))
	b.log(a, end("failed"))
	equal(b, "status after the end of the first run came again", b.experiment("resumed").Status, "completed")
	equal(b, "status of the first run", b.state(a.RunID).Status, "failed")

	// An earlier run that is synced last does not make it run again.
	earlier := newRun("resumed")
	earlier.StartedAt = start.Add(-time.Hour)
	d := b.register(earlier)
	e = b.experiment("resumed")
	equal(b, "status after an earlier run was registered", e.Status, "completed")
	equal(b, "is completed", e.CompletedAt.IsZero(), false)
	b.log(d, end("interrupted"))
	equal(b, "status after an earlier run ended", b.experiment("resumed").Status, "completed")
	// Registering a run that has ended does not start it.
	b.register(second)
	equal(b, "status after registering again", b.experiment("resumed").Status, "completed")
}

func testMarkInterrupted(b *bench) {
	run := b.begin("killed")
	now := time.Now()
	b.logAt(run, now, step(0, 0))
	mark := func(since time.Time) {
		b.Helper()
		if err := b.s.MarkInterrupted(b.ctx, run.RunID, since); err != nil {
			b.Fatalf("MarkInterrupted: %v", err)
		}
	}
	mark(now.Add(-time.Second))
	equal(b, "status with a later sign of life", b.state(run.RunID).Status, "running")
	mark(now.Add(time.Second))
	equal(b, "status of the run", b.state(run.RunID).Status, "interrupted")
	equal(b, "status of the experiment", b.experiment("killed").Status, "interrupted")
	mark(now.Add(time.Second))

	// What was left of its journal does not bring it back, but a sign of life does.
	b.logAt(run, now.Add(-time.Hour), step(0, 1))
	equal(b, "status after old records", b.state(run.RunID).Status, "interrupted")
	b.logAt(run, now.Add(time.Second), heartbeat())
	equal(b, "status after a heartbeat", b.state(run.RunID).Status, "running")
	equal(b, "status of the experiment", b.experiment("killed").Status, "running")

	b.logAt(run, now.Add(2*time.Second), end("completed"))
	mark(now.Add(time.Hour))
	equal(b, "status after its end", b.state(run.RunID).Status, "completed")
	equal(b, "status of the experiment", b.experiment("killed").Status, "completed")

	// Of an earlier run it says nothing about the experiment.
	later := newRun("killed")
	later.StartedAt = start.Add(time.Hour)
	state := b.register(later)
	b.alive(state, heartbeat())
	mark(now.Add(time.Hour))
	equal(b, "status of the experiment", b.experiment("killed").Status, "running")
}

// testStale: a run that has been silent for longer than StaleAfter is shown as
// interrupted, though nobody has said so.
func testStale(b *bench) {
	silent, talking := b.begin("silent"), b.begin("talking")
	b.logAt(silent, time.Now().Add(-store.StaleAfter-10*time.Second), heartbeat())
	b.logAt(talking, time.Now().Add(-store.StaleAfter+time.Minute), heartbeat())
	b.exec(`INSERT INTO experiments (experiment_name) VALUES ('by hand')`)
	want := map[string]string{"silent": "interrupted", "talking": "running", "by hand": "running"}
	all, err := b.s.Experiments(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range all {
		equal(b, "status of "+e.Name, e.Status, want[e.Name])
	}
	for name, status := range want {
		equal(b, "status of "+name, b.experiment(name).Status, status)
		equal(b, "status of "+name+" in the view", b.one(`SELECT status FROM real_time_training WHERE experiment_name = %s`, text(name)), any(status))
	}
	equal(b, "status as stored", b.one(`SELECT status FROM experiments WHERE experiment_name = 'silent'`), any("running"))
	equal(b, "status of the run", b.state(silent.RunID).Status, "running")
}

func testExperiments(b *bench) {
	if all, err := b.s.Experiments(b.ctx); err != nil || len(all) != 0 {
		b.Errorf("experiments of a new database: %v, %v", all, err)
	}
	older, newer := newRun("older"), newRun("newer")
	newer.StartedAt = start.Add(time.Hour)
	a := b.register(newer)
	b.register(older)
	b.log(a, episode(3, -4), episode(1, 7.5), episode(2, 2), step(1, 0), step(1, 1))
	all, err := b.s.Experiments(b.ctx)
	if err != nil || len(all) != 2 || all[0].Name != "newer" || all[1].Name != "older" {
		b.Fatalf("experiments: %+v, %v", all, err)
	}
	e := all[0]
	equal(b, "id", e.ID, a.ExperimentID)
	equal(b, "episodes", e.TotalEpisodes, 3)
	equal(b, "best reward", *e.BestReward, 7.5)
	equal(b, "latest reward", *e.LatestReward, -4)
	equal(b, "steps in the list", e.Steps, -1)
	equal(b, "last record", e.LastRecord.Equal(start.Add(5*time.Second)), true)
	equal(b, "runs in the list", len(e.Runs), 0)
	if all[1].BestReward != nil || all[1].LatestReward != nil || all[1].ConvergenceEpisode != nil || !all[1].LastRecord.IsZero() || all[1].Description != "" {
		b.Errorf("an experiment without records is %+v", all[1])
	}
	e = b.experiment("newer")
	equal(b, "steps", e.Steps, 2)
	equal(b, "state", e.Runs[0], b.state(a.RunID))
	if e.CreatedBy != "" {
		b.Errorf("created by %q", e.CreatedBy)
	}
}
