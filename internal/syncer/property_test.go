package syncer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// TestAnyFaultsAnyRestarts is the law of the package: after any sequence of records,
// faults, restarts and copies, every acknowledged record is in the database once, or
// lost to a later one, or a dead letter; and the counts say so.
func TestAnyFaultsAnyRestarts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db, dir := openSQLite(t), t.TempDir()
		defer db.Close()
		var runs []*trainer
		bad := 0
		poisoned := map[string]map[uint64]bool{} // run → records that the database refuses
		begin := func() {
			runs = append(runs, startRun(t, dir, rapid.SampledFrom([]string{"a", "b/c"}).Draw(rt, "experiment")))
		}
		begin()
		refuse := func(b store.Batch) error {
			for i := range b.Entries {
				if poisoned[b.RunID][b.Entries[i].Seq] {
					return fmt.Errorf("cannot hold it: %w", store.ErrRefused)
				}
			}
			return nil
		}
		for range rapid.IntRange(1, 25).Draw(rt, "actions") {
			tr := runs[len(runs)-1]
			switch rapid.SampledFrom([]string{"steps", "steps", "episode", "refused", "poison", "sync", "sync", "copy", "run"}).Draw(rt, "action") {
			case "steps":
				from := rapid.IntRange(0, 20).Draw(rt, "step") // overlaps with others
				for i := range rapid.IntRange(1, 20).Draw(rt, "n") {
					tr.step(rapid.IntRange(0, 2).Draw(rt, "episode"), from+i)
				}
			case "episode":
				tr.episode(rapid.IntRange(0, 2).Draw(rt, "episode"), 0)
			case "refused":
				tr.log(record.KindStep, `{"episode_number":-1,"step_number":1}`)
				bad++
			case "poison":
				tr.step(7, int(tr.records))
				id := tr.w.Header().RunID
				if poisoned[id] == nil {
					poisoned[id] = map[uint64]bool{}
				}
				poisoned[id][tr.records] = true
				bad++
			case "run":
				if rapid.Bool().Draw(rt, "in good order") {
					tr.end()
				} else {
					tr.close()
				}
				begin()
			case "copy":
				moved := t.TempDir()
				if err := os.CopyFS(moved, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				syncWithFaults(t, rt, db, moved, refuse)
			case "sync":
				syncWithFaults(t, rt, db, dir, refuse)
			}
		}
		runs[len(runs)-1].close()
		dest := &faulty{Store: db, before: func(_ context.Context, b store.Batch) error { return refuse(b) }}
		sum := syncFolder(t, dest, dir)
		var logged uint64
		for _, tr := range runs {
			logged += tr.records
		}
		if sum.Logged != logged || sum.Dead != uint64(bad) || sum.Stored+sum.Superseded+sum.Dead != logged {
			rt.Fatalf("%d records, %d of them bad: %s", logged, bad, sum)
		}
		wantVerified(t, db, dir)
	})
}

// syncWithFaults syncs a folder while the database fails now and then.
func syncWithFaults(t *testing.T, rt *rapid.T, db store.Store, dir string, refuse func(store.Batch) error) {
	faults := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "before", "after", "moved", "strange", "stop"}), 0, 8).Draw(rt, "faults")
	strange := 0
	next := func() string {
		if len(faults) == 0 {
			return ""
		}
		f := faults[0]
		faults = faults[1:]
		if f == "strange" {
			if strange++; strange >= patience {
				return "" // more would condemn a record
			}
		}
		return f
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	fault := ""
	dest := &faulty{Store: db,
		before: func(_ context.Context, b store.Batch) error {
			switch fault = next(); fault {
			case "before":
				return fmt.Errorf("connection reset: %w", store.ErrTemporary)
			case "moved":
				return store.ErrCursorMoved
			case "strange":
				return errors.New("never seen")
			case "stop":
				stop()
			}
			return refuse(b)
		},
		after: func(_ store.Batch, err error) error {
			if fault == "after" && err == nil {
				return fmt.Errorf("reply lost: %w", store.ErrTemporary)
			}
			return err
		},
	}
	s := newSyncer(t, dest, Config{
		MaxRows: rapid.IntRange(1, 30).Draw(rt, "rows"), Parallel: 1,
		MinBackoff: time.Nanosecond, MaxBackoff: time.Microsecond, Drain: time.Minute,
	})
	if sum, err := s.Folder(ctx, dir); err != nil && ctx.Err() == nil {
		rt.Fatalf("%s, %v", sum, err)
	}
}
