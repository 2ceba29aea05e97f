package storetest

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// digests sums an experiment's selected rows.
func (b *bench) digests(experimentID string, sel store.Selection) map[record.Kind]store.Digest {
	b.Helper()
	all := map[record.Kind]store.Digest{}
	var h store.Hasher
	for _, schema := range record.Tabled() {
		if !sel.Whole && schema.Kind != record.KindStep {
			continue
		}
		var d store.Digest
		for _, row := range b.rows(experimentID, schema.Kind) {
			if sel.Takes(&row.Row) {
				if err := h.AddTo(&d, &row); err != nil {
					b.Fatal(err)
				}
			}
		}
		all[schema.Kind] = d
	}
	return all
}

// testArchive: rows leave, the experiment stays as it was reached, and they come back.
func testArchive(b *bench) {
	run := b.begin("old")
	b.log(run, parse(record.KindStep, `{"episode_number":1,"step_number":0,"state_vector":[1,null,0],"queue_lengths":{"b":1,"a":{"n":1.50}},"real_timestamp":"2026-01-01T00:00:00Z"}`),
		parse(record.KindStep, `{"episode_number":1,"step_number":1,"state_vector":[],"mine":"x","immediate_reward":NaN}`),
		parse(record.KindEpisode, `{"episode_number":1,"total_reward":7.25,"reward_components":{"a":1}}`),
		parse(record.KindEpisode, `{"episode_number":2,"total_reward":-1}`),
		parse(record.KindCheckpoint, `{"checkpoint_type":"best","model_path":"m"}`),
		parse(record.KindResource, `{"host_cpu_percent":12.5}`))
	b.exec(`INSERT INTO training_episodes (experiment_id, episode_number, total_reward) VALUES (%s, 3, 9)`, text(run.ExperimentID)) // by hand
	whole := store.Selection{Whole: true}
	all := b.digests(run.ExperimentID, whole)
	at := start.Add(time.Hour)
	a := store.Archived{ID: strings.Repeat("a", 64), ExperimentID: run.ExperimentID, Experiment: "old", What: "experiment", Location: "folder", Rows: 7, Bytes: 1000, ArchivedAt: at}

	// Not while it runs, nor when the rows are others, nor what is not there.
	b.exec(`UPDATE training_runs SET last_heartbeat = %s`, text(time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")))
	if _, err := b.s.Remove(b.ctx, a, whole, all); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "runs") {
		b.Errorf("Remove of a running experiment: %v", err)
	}
	b.log(run, parse(record.KindEnd, `{"status":"completed"}`))
	wrong := b.digests(run.ExperimentID, whole)
	wrong[record.KindStep] = store.Digest{Rows: 2}
	if _, err := b.s.Remove(b.ctx, a, whole, wrong); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "training_steps") {
		b.Errorf("Remove of other rows: %v", err)
	}
	gone := a
	gone.ExperimentID = "00000000-0000-4000-8000-000000000009"
	if _, err := b.s.Remove(b.ctx, gone, whole, all); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("Remove of no experiment: %v", err)
	}
	equal(b, "rows after what was refused", len(b.rows(run.ExperimentID, record.KindStep)), 2)

	kept := map[record.Kind][]store.Stored{}
	for _, schema := range record.Tabled() {
		kept[schema.Kind] = b.rows(run.ExperimentID, schema.Kind)
	}
	described, err := b.s.Describe(b.ctx, run.ExperimentID)
	if err != nil || len(described.Runs) != 1 || string(described.Experiment["experiment_name"]) != `"old"` {
		b.Fatalf("Describe: %+v, %v", described, err)
	}
	n, err := b.s.Remove(b.ctx, a, whole, all)
	if err != nil {
		b.Fatal(err)
	}
	equal(b, "rows that were removed", n, 6) // the checkpoint stays
	for kind, rows := range kept {
		want := len(rows)
		if store.Leaves(kind) {
			want = 0
		}
		equal(b, "rows left of "+string(kind), len(b.rows(run.ExperimentID, kind)), want)
	}
	e := b.experiment("old")
	if e.TotalEpisodes != 3 || e.BestReward == nil || *e.BestReward != 9 || !e.ArchivedAt.Equal(at) || e.Status != "completed" {
		b.Errorf("the archived experiment is %+v", e)
	}
	list, err := b.s.Archives(b.ctx, run.ExperimentID)
	if err != nil || len(list) != 1 || list[0] != a {
		b.Errorf("Archives: %+v, %v; want %+v", list, err, a)
	}
	if _, err := b.s.Remove(b.ctx, a, whole, all); !errors.Is(err, store.ErrConflict) {
		b.Errorf("a second Remove: %v", err)
	}

	// Something comes later under a key that went.
	late := b.begin("old")
	b.apply(store.Batch{RunID: late.RunID, ExperimentID: late.ExperimentID, To: 2, Entries: []store.Entry{
		{Seq: 1, Time: start.Add(24 * time.Hour), Row: parse(record.KindEpisode, `{"episode_number":2,"total_reward":100}`)},
		{Seq: 2, Time: start.Add(25 * time.Hour), Row: parse(record.KindEnd, `{"status":"completed"}`)},
	}})

	held := map[record.Kind]int{}
	newer := 0
	restoration := store.Restoration{
		Archived: a, Description: described, Kinds: []record.Kind{record.KindEpisode, record.KindStep, record.KindCheckpoint, record.KindResource},
		Rows: func(kind record.Kind) iter.Seq2[*store.Stored, error] {
			return func(yield func(*store.Stored, error) bool) {
				for i := range kept[kind] {
					if !yield(&kept[kind][i], nil) {
						return
					}
				}
			}
		},
		Held: func(kind record.Kind, _ *store.Stored, wins bool) {
			held[kind]++
			if wins {
				newer++
			}
		},
		Check: func() error { return store.ErrConflict },
	}
	if _, err := b.s.BringBack(b.ctx, restoration); !errors.Is(err, store.ErrConflict) {
		b.Errorf("Restore with a check that fails: %v", err)
	}
	equal(b, "steps after a restoration that failed", len(b.rows(run.ExperimentID, record.KindStep)), 0)
	restoration.Check = func() error { return nil }
	clear(held)
	newer = 0
	done, err := b.s.BringBack(b.ctx, restoration)
	if err != nil {
		b.Fatal(err)
	}
	equal(b, "what was restored", done, store.Restored{Stored: 5, There: 1, Newer: 1})
	if held[record.KindEpisode] != 3 || held[record.KindStep] != 2 || newer == 0 {
		b.Errorf("held %v, newer %d", held, newer)
	}
	for _, kind := range []record.Kind{record.KindStep, record.KindCheckpoint, record.KindResource} {
		got := b.rows(run.ExperimentID, kind)
		if !slices.EqualFunc(got, kept[kind], sameStored) {
			b.Errorf("%s came back as %+v, want %+v", kind, got, kept[kind])
		}
	}
	e = b.experiment("old")
	if e.TotalEpisodes != 3 || *e.BestReward != 100 || !e.ArchivedAt.IsZero() {
		b.Errorf("the restored experiment is %+v", e)
	}
	if list, err = b.s.Archives(b.ctx, ""); err != nil || len(list) != 1 || list[0].RestoredAt.IsZero() {
		b.Errorf("Archives: %+v, %v", list, err)
	}

	// Steps that are old, for good.
	n, err = b.s.Remove(b.ctx, store.Archived{ExperimentID: run.ExperimentID}, store.Selection{StepsBefore: start}, nil)
	if err != nil || n != 1 {
		b.Errorf("discarded %d steps, %v; want 1", n, err)
	}
	equal(b, "steps left", len(b.rows(run.ExperimentID, record.KindStep)), 1)

	// An experiment that was deleted comes back with its runs.
	b.exec(`DELETE FROM experiments WHERE id = %s`, text(run.ExperimentID))
	b.exec(`DELETE FROM training_runs WHERE id = %s`, text(run.RunID))
	if done, err = b.s.BringBack(b.ctx, restoration); err != nil || done.Stored != 7 {
		b.Fatalf("Restore of a deleted experiment: %+v, %v", done, err)
	}
	e = b.experiment("old")
	if e.ID != run.ExperimentID || e.TotalEpisodes != 3 || *e.BestReward != 9 || len(e.Runs) != 2 || e.Runs[0].Cursor != 7 && e.Runs[1].Cursor != 7 {
		b.Errorf("the experiment came back as %+v", e)
	}
}

func sameStored(x, y store.Stored) bool {
	var h store.Hasher
	a, errA := h.Sum(&x)
	b, errB := h.Sum(&y)
	return a == b && errA == nil && errB == nil
}
