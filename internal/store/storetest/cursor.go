package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

func testCursor(b *bench) {
	run := b.begin("cursor")
	first := b.batch(run, step(0, 0), step(0, 1), heartbeat())
	equal(b, "result", b.apply(first), store.Result{Stored: 3})
	before := b.state(run.RunID)
	equal(b, "cursor", before.Cursor, 3)

	// The answer to the commit was lost, so it is sent again.
	if _, err := b.s.Apply(b.ctx, first); !errors.Is(err, store.ErrCursorMoved) {
		b.Errorf("the same batch again: %v, want ErrCursorMoved", err)
	}
	ahead := b.batch(run, step(0, 2))
	ahead.From, ahead.To = 5, 6
	if _, err := b.s.Apply(b.ctx, ahead); !errors.Is(err, store.ErrCursorMoved) {
		b.Errorf("a batch with a gap before it: %v, want ErrCursorMoved", err)
	}
	after := b.state(run.RunID)
	equal(b, "state after batches that did not fit", after, before)
	equal(b, "steps", len(b.rows(run.ExperimentID, record.KindStep)), 2)

	// Sequence numbers may be missing: the journal was damaged there.
	b.apply(store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: 3, To: 10})
	equal(b, "cursor", b.state(run.RunID).Cursor, 10)

	// The cursor was set back by hand: the rows are known.
	b.exec(`UPDATE training_runs SET cursor = 0 WHERE id = '%s'`, run.RunID)
	res := b.apply(first)
	equal(b, "result of records that are there", res, store.Result{Stored: 1, Repeated: 2})
}

func testCursorRace(b *bench) {
	run := b.begin("race")
	stores := []store.Store{b.s, open(b.T, b.db)}
	const rounds, racers = 10, 6
	for round := range uint64(rounds) {
		batch := b.batch(run, step(int(round), 0), episode(int(round), float64(round)))
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() { _, errs[i] = stores[i%len(stores)].Apply(b.ctx, batch) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrCursorMoved):
				b.Errorf("Apply: %v, want ErrCursorMoved", err)
			}
		}
		equal(b, "racers that won", won, 1)
		equal(b, "cursor", b.state(run.RunID).Cursor, 2*round+2)
	}
	e := b.experiment("race")
	equal(b, "episodes", e.TotalEpisodes, rounds)
	equal(b, "steps", e.Steps, rounds)
}

// testRefused: a value that the database cannot hold fails the batch whole, with
// the error that lets the syncer look for it.
func testRefused(b *bench) {
	run := b.begin("refused")
	b.log(run, step(0, 0))
	before := b.state(run.RunID)
	bad := checkpoint()
	bad.Values[record.Checkpoints.Index("checkpoint_type")] = record.TextValue([]byte("odd"))
	_, err := b.s.Apply(b.ctx, b.batch(run, step(0, 1), episode(0, 1), bad, heartbeat()))
	if !errors.Is(err, store.ErrRefused) {
		b.Errorf("Apply: %v, want ErrRefused", err)
	}
	equal(b, "state", b.state(run.RunID), before)
	equal(b, "steps", len(b.rows(run.ExperimentID, record.KindStep)), 1)
	equal(b, "episodes", b.experiment("refused").TotalEpisodes, 0)
	// The connection is as good as before.
	equal(b, "result", b.log(run, step(0, 1)), store.Result{Stored: 1})
}

func testNotFound(b *bench) {
	if _, err := b.s.Experiment(b.ctx, "nobody"); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("Experiment: %v, want ErrNotFound", err)
	}
	unknown := store.Batch{RunID: uuid.NewString(), ExperimentID: uuid.NewString(), To: 1}
	if _, err := b.s.Apply(b.ctx, unknown); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("Apply: %v, want ErrNotFound", err)
	}
	if _, err := b.s.Replay(b.ctx, unknown); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("Replay: %v, want ErrNotFound", err)
	}
	if err := b.s.MarkInterrupted(b.ctx, unknown.RunID, start); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("MarkInterrupted: %v, want ErrNotFound", err)
	}
	states, err := b.s.States(b.ctx, []string{unknown.RunID})
	if err != nil || len(states) != 0 {
		b.Errorf("States: %v, %v", states, err)
	}
	if states, err = b.s.States(b.ctx, nil); err != nil || len(states) != 0 {
		b.Errorf("States of none: %v, %v", states, err)
	}
	for _, err := range b.s.Rows(b.ctx, unknown.ExperimentID, record.KindStep) {
		b.Errorf("Rows of an unknown experiment: %v", err)
	}
	equal(b, "dead letters of an unknown run", len(b.dead(unknown.RunID)), 0)
}

func testCancelled(b *bench) {
	run := b.begin("cancelled")
	batch := b.batch(run, step(0, 0))
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.s.Apply(ctx, batch); !errors.Is(err, store.ErrTemporary) || !errors.Is(err, context.Canceled) {
		b.Errorf("Apply: %v, want ErrTemporary and context.Canceled", err)
	}
	late, cancelLate := context.WithDeadline(b.ctx, time.Unix(1, 0))
	defer cancelLate()
	if _, err := b.s.Register(late, newRun("late"), false); !errors.Is(err, store.ErrTemporary) || !errors.Is(err, context.DeadlineExceeded) {
		b.Errorf("Register: %v, want ErrTemporary and context.DeadlineExceeded", err)
	}
	equal(b, "cursor", b.state(run.RunID).Cursor, 0)
	b.apply(batch)
}

func testClose(b *bench) {
	run := b.begin("closed")
	b.s.Close()
	b.s.Close()
	if _, err := b.s.Apply(b.ctx, store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID}); err == nil {
		b.Error("Apply after Close: no error")
	}
	if _, err := b.s.Experiments(b.ctx); err == nil {
		b.Error("Experiments after Close: no error")
	}
	// A handle that was never used closes as well.
	open(b.T, b.db).Close()
}
