package syncer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// cursorOf asks the database how far a run is settled.
func cursorOf(t testing.TB, db store.Store, tr *trainer) uint64 {
	t.Helper()
	states, err := db.States(t.Context(), []string{tr.w.Header().RunID})
	if err != nil {
		t.Fatal(err)
	}
	return states[tr.w.Header().RunID].Cursor
}

func TestWhenABatchGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		var sent []int
		dest := &faulty{Store: db, before: func(_ context.Context, b store.Batch) error {
			sent = append(sent, len(b.Entries))
			return nil
		}}
		tr := startRun(t, dir, "corridor")
		_, wait := following(t, t.Context(), dest, tr, Config{})
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		for i := range 10 { // steps wait for each other
			tr.step(1, i)
			time.Sleep(10 * time.Millisecond)
		}
		if got := cursorOf(t, db, tr); got != 0 {
			t.Errorf("%d steps were sent after %s", got, time.Since(began))
		}
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if got := cursorOf(t, db, tr); got != 10 {
			t.Errorf("%d steps were sent after %s, want 10", got, time.Since(began))
		}
		// The end of an episode goes at once.
		tr.episode(1, 5)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if got := cursorOf(t, db, tr); got != 16 {
			t.Errorf("50 ms after the episode %d records were sent, want 16", got)
		}
		for i := range 11_000 { // a full batch goes at once
			tr.step(2+i/1000, i%1000)
		}
		tr.end()
		if r, err := wait(); err != nil || r.Pending != 0 || !r.Ended || r.Live {
			t.Errorf("%+v, %v", r, err)
		}
		for _, n := range sent {
			if n > 10_000 {
				t.Errorf("a batch of %d records", n)
			}
		}
		if len(sent) < 4 {
			t.Errorf("batches %v", sent)
		}
		wantVerified(t, db, dir)
	})
}

func TestASourceThatTellsIsNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		tr := startRun(t, dir, "corridor")
		src, err := JournalWatched(tr.dir, tr.w.Appended())
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		s := newSyncer(t, db, Config{Follow: true, Poll: time.Hour})
		done := make(chan error, 1)
		go func() { _, err := s.Run(t.Context(), src); done <- err }()
		time.Sleep(time.Second)
		tr.episode(1, 5)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := cursorOf(t, db, tr); got != 6 {
			t.Errorf("%d records were sent at once, want 6", got)
		}
		tr.end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestStopDrainsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		tr := startRun(t, dir, "corridor")
		ctx, stop := context.WithCancel(t.Context())
		_, wait := following(t, ctx, db, tr, Config{})
		time.Sleep(time.Second)
		for i := range 3000 {
			tr.step(1, i)
		}
		stop() // as SIGTERM does
		r, err := wait()
		if err != nil || r.Pending != 0 || r.Synced != tr.records {
			t.Errorf("%+v, %v", r, err)
		}
		if got := cursorOf(t, db, tr); got != 3000 {
			t.Errorf("%d records in the database, want 3000", got)
		}
		if e, err := db.Experiment(t.Context(), "corridor"); err != nil || e.Runs[0].Status != "running" {
			t.Errorf("%+v, %v: the run is still being written", e.Runs, err)
		}
	})
}

func TestStopWhileTheDatabaseIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		down := &faulty{Store: db, register: func(context.Context, store.Run) error {
			return fmt.Errorf("connection refused: %w", store.ErrTemporary)
		}}
		hangs := &faulty{Store: db, before: func(ctx context.Context, _ store.Batch) error {
			<-ctx.Done()
			return fmt.Errorf("canceled: %w", store.ErrTemporary)
		}}
		for _, c := range []struct {
			dest  store.Destination
			limit time.Duration
		}{{down, time.Millisecond}, {hangs, 10 * time.Second}} {
			tr := startRun(t, dir, "corridor")
			tr.episode(1, 5)
			ctx, stop := context.WithCancel(t.Context())
			_, wait := following(t, ctx, c.dest, tr, Config{})
			time.Sleep(time.Minute)
			began := time.Now()
			stop()
			r, err := wait()
			if took := time.Since(began); err == nil || r.Pending != 6 || r.Failed() || took > c.limit {
				t.Errorf("it took %s to stop: %+v, %v", took, r, err)
			}
		}
	})
}

func TestABatchIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		tr := startRun(t, dir, "corridor")
		for i := range 1000 {
			tr.step(1, i)
		}
		tr.end()
		ctx, stop := context.WithCancelCause(t.Context())
		dest := &faulty{Store: db, after: func(b store.Batch, err error) error {
			if b.To == 300 {
				stop(errors.New("terminated"))
				synctest.Wait()
			}
			return err
		}}
		sum, err := newSyncer(t, dest, Config{MaxRows: 100}).Folder(ctx, dir)
		if err == nil || err.Error() != "terminated" || len(sum.Failed) != 0 || sum.Pending == 0 || sum.Synced < 300 || sum.Synced > 500 {
			t.Errorf("%s, %v", sum, err)
		}
		syncFolder(t, db, dir)
		wantVerified(t, db, dir)
	})
}

func TestAFollowedFolderPicksUpNewRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		old := startRun(t, dir, "old")
		old.episode(1, 10)
		old.end()
		ctx, stop := context.WithCancel(t.Context())
		s := newSyncer(t, db, Config{Follow: true, Parallel: 1})
		type result struct {
			sum Summary
			err error
		}
		done := make(chan result, 1)
		go func() { sum, err := s.Folder(ctx, dir); done <- result{sum, err} }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var live []*trainer
		for i := range 5 {
			tr := startRun(t, dir, fmt.Sprintf("live %d", i%2)) // more than Parallel
			tr.episode(i, 10)
			live = append(live, tr)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, tr := range append(live, old) {
			if got := cursorOf(t, db, tr); got != tr.records {
				t.Errorf("%s: %d of %d records after 10 s", tr.w.Header().Experiment, got, tr.records)
			}
		}
		for _, tr := range live[1:] {
			tr.end()
		}
		time.Sleep(time.Minute)
		live[0].episode(100, 10)
		stop()
		r := <-done
		if r.err != nil || !r.sum.Complete() || r.sum.Runs != 6 {
			t.Errorf("%s, %v", r.sum, r.err)
		}
		if n := len(s.Reports()); n != 6 {
			t.Errorf("%d reports", n)
		}
		wantVerified(t, db, dir)
	})
}

func TestTwoSyncersOnOneFolder(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	var records uint64
	for i := range 4 {
		tr := startRun(t, dir, fmt.Sprintf("line %d", i%2))
		for e := range 10 {
			tr.episode(10*i+e, 100)
		}
		tr.end()
		records += tr.records
	}
	var wg sync.WaitGroup
	var fresh atomic.Uint64
	for range 3 {
		wg.Go(func() {
			sum, err := newSyncer(t, db, Config{MaxRows: 200, MinBackoff: time.Millisecond}).Folder(t.Context(), dir)
			if err != nil || !sum.Complete() || sum.Stored != records {
				t.Errorf("%s, %v", sum, err)
			}
			fresh.Add(sum.New)
		})
	}
	wg.Wait()
	if fresh.Load() != records {
		t.Errorf("%d records were new to one of them, want %d", fresh.Load(), records)
	}
	wantVerified(t, db, dir)
}

func TestAJournalOnAnotherMachine(t *testing.T) {
	db, dir, moved := openSQLite(t), t.TempDir(), t.TempDir()
	tr := startRun(t, dir, "corridor")
	tr.episode(1, 100)
	tr.end()
	first := syncFolder(t, db, dir)
	if err := os.CopyFS(moved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	second := syncFolder(t, db, moved)
	if second.New != 0 || second.Stored != first.Stored {
		t.Errorf("the copy: %s", second)
	}
	wantVerified(t, db, moved)
}

// TestTheLaterRecordWins syncs runs that overlap, one with a clock that jumps back,
// in both orders.
func TestTheLaterRecordWins(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	clock := func(h *journal.Header, o *journal.Options) {
		h.StartedAt = at
		o.Now = func() time.Time { return at }
	}
	a := startRun(t, dir, "corridor", clock)
	a.episode(1, 20)
	a.episode(1, 10) // the same episode twice
	at = at.Add(-48 * time.Hour)
	a.episode(2, 20) // the clock jumped back
	a.close()        // killed: no end
	at = at.Add(72 * time.Hour)
	b := startRun(t, dir, "corridor", clock)
	b.episode(2, 15)
	b.episode(3, 20)
	b.log(record.KindStep, `{"episode_number":4,"step_number":1}`) // an episode that never ends
	b.end()

	for _, order := range [][]*trainer{{a, b}, {b, a}} {
		db := openSQLite(t)
		s := newSyncer(t, db, Config{MaxRows: 7})
		for _, tr := range order {
			_, err := s.Run(t.Context(), tr.source())
			if err != nil {
				t.Fatal(err)
			}
		}
		sum := syncFolder(t, db, dir)
		if sum.Superseded != 11+16 {
			t.Errorf("%d superseded, want %d", sum.Superseded, 11+16)
		}
		if got := count(t, db, "corridor", record.KindStep); got != 20+20+20+1 {
			t.Errorf("%d steps", got)
		}
		e, err := db.Experiment(t.Context(), "corridor")
		if err != nil || e.TotalEpisodes != 3 || e.Status != "completed" {
			t.Errorf("%+v, %v", e, err)
		}
		wantVerified(t, db, dir)
	}
}
