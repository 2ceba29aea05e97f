package storetest

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

func testModels(b *bench) {
	run, other := b.begin("modelled"), b.begin("other")
	hash := func(c string) string { return strings.Repeat(c, 64) }
	files := func(id string) []store.ModelFile {
		b.Helper()
		all, err := b.s.ModelFiles(b.ctx, id)
		if err != nil {
			b.Fatal(err)
		}
		return all
	}
	one := store.ModelFile{ExperimentID: run.ExperimentID, Hash: hash("a"), Location: "s3://models", Size: 5 << 30, StoredAt: start}
	two := store.ModelFile{ExperimentID: run.ExperimentID, Hash: hash("a"), Location: "folder", Size: 5 << 30, StoredAt: start.Add(time.Second), VerifiedAt: start.Add(time.Minute)}
	three := store.ModelFile{ExperimentID: other.ExperimentID, Hash: hash("a"), Location: "folder", Size: 5 << 30, StoredAt: start.Add(2 * time.Second)}
	for _, f := range []store.ModelFile{one, two, three, one} {
		if err := b.s.PutModelFile(b.ctx, f); err != nil {
			b.Fatal(err)
		}
	}
	if got, want := files(""), []store.ModelFile{one, two, three}; !reflect.DeepEqual(got, want) {
		b.Errorf("files are\n%+v, want\n%+v", got, want)
	}
	one.VerifiedAt = start.Add(time.Hour)
	if err := b.s.PutModelFile(b.ctx, one); err != nil {
		b.Fatal(err)
	}
	unverified := one
	unverified.VerifiedAt = time.Time{} // sent again: what was verified stays so
	if err := b.s.PutModelFile(b.ctx, unverified); err != nil {
		b.Fatal(err)
	}
	if got, want := files(run.ExperimentID), []store.ModelFile{one, two}; !reflect.DeepEqual(got, want) {
		b.Errorf("files of one experiment are\n%+v, want\n%+v", got, want)
	}
	for range 2 {
		if err := b.s.ForgetModelFile(b.ctx, hash("a"), "folder"); err != nil {
			b.Fatal(err)
		}
	}
	if got, want := files(""), []store.ModelFile{one}; !reflect.DeepEqual(got, want) {
		b.Errorf("after one was forgotten: %+v", got)
	}
	lost := one
	lost.ExperimentID = uuid.NewString()
	if err := b.s.PutModelFile(b.ctx, lost); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("a file of no experiment: %v, want ErrNotFound", err)
	}

	promotion := func(name, stage, checkpoint string, at time.Time) store.Promotion {
		return store.Promotion{ID: uuid.NewString(), Name: name, Stage: stage, ExperimentID: run.ExperimentID, Experiment: "modelled", CheckpointID: checkpoint,
			Hash: hash("b"), SetAt: at, SetBy: "ana@lab", Reason: "it's \"better\" 🚦"}
	}
	promotions := func(name string) []store.Promotion {
		b.Helper()
		all, err := b.s.Promotions(b.ctx, name)
		if err != nil {
			b.Fatal(err)
		}
		return all
	}
	first, second := uuid.NewString(), uuid.NewString()
	p1 := promotion("davao", "production", first, start)
	p1.Evidence = json.RawMessage(`{"p": 0.01}`)
	if err := b.s.Promote(b.ctx, p1, ""); err != nil {
		b.Fatal(err)
	}
	p2 := promotion("davao", "production", second, start.Add(-time.Hour)) // by a clock that is behind
	if err := b.s.Promote(b.ctx, p2, ""); !errors.Is(err, store.ErrConflict) {
		b.Errorf("a promotion that does not know the last one: %v, want ErrConflict", err)
	}
	if err := b.s.Promote(b.ctx, p2, p1.ID); err != nil {
		b.Fatal(err)
	}
	if err := b.s.Promote(b.ctx, promotion("davao", "staging", first, start), ""); err != nil {
		b.Errorf("another stage: %v", err)
	}
	if err := b.s.Promote(b.ctx, promotion("tagum", "production", first, start), ""); err != nil {
		b.Errorf("another name: %v", err)
	}
	got := promotions("davao")
	if len(got) != 3 || len(promotions("")) != 4 || len(promotions("nothing")) != 0 {
		b.Fatalf("promotions: %+v", got)
	}
	p2.SetAt = start.Add(time.Microsecond)
	if !reflect.DeepEqual(got[0], p2) {
		b.Errorf("the latest is\n%+v, want\n%+v", got[0], p2)
	}
	var evidence map[string]float64
	for _, p := range got[1:] {
		if p.ID == p1.ID && (json.Unmarshal(p.Evidence, &evidence) != nil || evidence["p"] != 0.01) {
			b.Errorf("evidence is %s", p.Evidence)
		}
	}
	lostPromotion := promotion("davao", "candidate", first, start)
	lostPromotion.ExperimentID = uuid.NewString()
	if err := b.s.Promote(b.ctx, lostPromotion, ""); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("a promotion of no experiment: %v, want ErrNotFound", err)
	}

	// Of several at once one wins.
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		wg.Go(func() {
			err := b.s.Promote(b.ctx, promotion("race", "production", first, start), "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrConflict):
				b.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		b.Errorf("%d of 8 promotions won", won)
	}

	// What is deleted takes its models along.
	if _, err := b.db.SQL.ExecContext(b.ctx, `DELETE FROM experiments WHERE experiment_name = 'modelled'`); err != nil {
		b.Fatal(err)
	}
	if len(files("")) != 0 || len(promotions("")) != 0 {
		b.Errorf("left of a deleted experiment: %+v, %+v", files(""), promotions(""))
	}
}
