package crashtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

var (
	kills = flag.Int("kills", 150, "processes to kill for each database")
	seed  = flag.Uint64("seed", 0, "seed of the random points; 0 takes the time")
)

func TestKilledAtRandomPoints(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to repeat: -seed %d", *seed)
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		torment(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		torment(t, pgtest.Database(t))
	})
}

// position is the key of a record; step -1 is the episode itself.
type position struct{ episode, step int }

// torment kills trainers and syncers that work on one folder and one database, and
// counts what is left.
func torment(t *testing.T, url string) {
	opened, err := destination.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	db := opened.(store.Store)
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var trainers, syncers sync.WaitGroup
	acknowledged := map[position]bool{}
	var killedTrainers, killedSyncers atomic.Int64
	enough := func() bool {
		return t.Failed() || killedTrainers.Load() >= int64(*kills/3) && killedTrainers.Load()+killedSyncers.Load() >= int64(*kills)
	}
	trainers.Go(func() {
		random := rand.New(rand.NewPCG(*seed, 1))
		for i := 0; !enough(); i++ {
			role := []string{"journal", "sdk", "journal", "sdk-sync"}[i%4]
			v := start(t, role, dir, url, i)
			if v.kill(t, random, 40*time.Millisecond) {
				killedTrainers.Add(1)
			}
			for _, line := range v.lines {
				var p position
				if _, err := fmt.Sscanf(line, "%d %d", &p.episode, &p.step); err != nil {
					t.Errorf("trainer %d wrote %q: %v", i, line, err)
				}
				acknowledged[p] = true
			}
			if random.IntN(2) == 0 {
				recoverAll(t, dir)
			}
		}
	})
	syncers.Go(func() {
		random := rand.New(rand.NewPCG(*seed, 2))
		for i := 0; !enough(); i++ {
			if start(t, "sync", dir, url, i).kill(t, random, 60*time.Millisecond) {
				killedSyncers.Add(1)
			}
		}
	})
	trainers.Wait()
	syncers.Wait()
	t.Logf("killed %d trainers and %d syncers; %d records were acknowledged", killedTrainers.Load(), killedSyncers.Load(), len(acknowledged))

	s, err := syncer.New(db, syncer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Folder(t.Context(), dir)
	if err != nil || !sum.Complete() || sum.Dead != 0 || sum.Superseded != 0 {
		t.Fatalf("the last sync: %s, %v\n%+v", sum, err, sum)
	}
	t.Log(sum)
	if sum.New == sum.Synced {
		t.Error("no syncer had committed anything when it was killed: that shows nothing")
	}
	compare(t, db, acknowledged)
	verify(t, db, dir)
}

// recoverAll does what the next trainer or the command would do for runs that were
// killed. Runs that are being written are left alone.
func recoverAll(t *testing.T, dir string) {
	infos, errs := journal.Find(dir)
	for _, err := range errs {
		if !errors.Is(err, journal.ErrEmpty) { // killed before its first record
			t.Error(err)
		}
	}
	for _, info := range infos {
		if info.Live || info.Sealed {
			continue
		}
		r, err := journal.Recover(info.Dir)
		if err != nil {
			t.Error(err)
		}
		if len(r.Quarantined) > 0 {
			t.Errorf("%s: quarantined %+v", info.Dir, r.Quarantined)
		}
	}
}

// compare fails unless every acknowledged record is in the database, and no record
// twice.
func compare(t *testing.T, db store.Store, acknowledged map[position]bool) {
	e, err := db.Experiment(t.Context(), experiment)
	if err != nil {
		t.Fatal(err)
	}
	found := map[position]bool{}
	for _, kind := range []record.Kind{record.KindStep, record.KindEpisode} {
		for stored, err := range db.Rows(t.Context(), e.ID, kind) {
			if err != nil {
				t.Fatal(err)
			}
			p := position{int(stored.Row.Get("episode_number").Int()), -1}
			if kind == record.KindStep {
				p.step = int(stored.Row.Get("step_number").Int())
			}
			if found[p] {
				t.Errorf("%+v is there twice", p)
			}
			found[p] = true
		}
	}
	missing := 0
	for p := range acknowledged {
		if !found[p] {
			if missing++; missing <= 10 {
				t.Errorf("%+v was acknowledged and is not in the database", p)
			}
		}
	}
	t.Logf("%d records are in the database, %d acknowledged ones are missing", len(found), missing)
	var count int64
	for p := range found {
		if p.step < 0 {
			count++
		}
	}
	if e.TotalEpisodes != count {
		t.Errorf("total_episodes is %d, there are %d", e.TotalEpisodes, count)
	}
}

// verify compares every run with the database, row by row.
func verify(t *testing.T, db store.Store, dir string) {
	infos, errs := journal.Find(dir)
	for _, err := range errs {
		if !errors.Is(err, journal.ErrEmpty) { // killed before its first record
			t.Error(err)
		}
	}
	for _, info := range infos {
		src, err := syncer.Journal(info.Dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := syncer.Verify(context.WithoutCancel(t.Context()), src, db, syncer.VerifyConfig{})
		src.Close()
		if err != nil || !r.Verified() {
			t.Errorf("%s: %s, %v\n%+v", info.Dir, r, err, r.Faults)
		}
	}
}
