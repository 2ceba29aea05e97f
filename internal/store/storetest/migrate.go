package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

func testMigrate(t *testing.T, db Database) {
	ctx := t.Context()
	s := open(t, db)
	version := func(want int64) int64 {
		t.Helper()
		current, newest, err := s.Version(ctx)
		if err != nil {
			t.Fatalf("Version: %v", err)
		}
		equal(t, "version", current, want)
		return newest
	}
	newest := version(0)
	if newest < 1 {
		t.Fatalf("newest version is %d", newest)
	}
	if _, err := s.Register(ctx, newRun("early"), false); !errors.Is(err, store.ErrSchema) && !errors.Is(err, store.ErrAuth) {
		t.Errorf("Register before Migrate: %v, want ErrSchema", err)
	}
	applied := migrate(t, ctx, s, -1)
	if !slices.IsSorted(applied) || applied[len(applied)-1] != newest {
		t.Errorf("applied %v, the newest is %d", applied, newest)
	}
	version(newest)
	equal(t, "versions that were applied again", len(migrate(t, ctx, s, -1)), 0)
	if _, err := s.Register(ctx, newRun("first"), false); err != nil {
		t.Fatalf("Register: %v", err)
	}

	// All the way down, one by one, and up again.
	for i := len(applied) - 1; i >= 0; i-- {
		undone, err := s.Down(ctx)
		if err != nil || undone != applied[i] {
			t.Fatalf("Down undid %d, %v; want %d", undone, err, applied[i])
		}
		version(append([]int64{0}, applied...)[i])
	}
	if undone, err := s.Down(ctx); err != nil || undone != 0 {
		t.Errorf("Down of nothing undid %d, %v", undone, err)
	}
	if _, err := s.Experiments(ctx); !errors.Is(err, store.ErrSchema) {
		t.Errorf("Experiments without tables: %v, want ErrSchema", err)
	}
	for _, v := range applied {
		equal(t, "versions that were applied", fmt.Sprint(migrate(t, ctx, s, v)), fmt.Sprint([]int64{v}))
		version(v)
	}
	if _, err := s.Register(ctx, newRun("second"), false); err != nil {
		t.Fatalf("Register: %v", err)
	}
	all, err := s.Experiments(ctx)
	if err != nil || len(all) != 1 || all[0].Name != "second" {
		t.Errorf("experiments: %+v, %v", all, err)
	}
	if _, err := s.Migrate(ctx, newest+1); err == nil {
		t.Error("Migrate to a version that does not exist: no error")
	}
}

func migrate(t *testing.T, ctx context.Context, s store.Store, version int64) []int64 {
	t.Helper()
	applied, err := s.Migrate(ctx, version)
	if err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return applied
}

// testMigrateConcurrently: ten processes start at once on an empty database.
func testMigrateConcurrently(t *testing.T, db Database) {
	var wg sync.WaitGroup
	total, errs := make([]int, 10), make([]error, 10)
	stores := make([]store.Store, len(total))
	for i := range stores {
		stores[i] = open(t, db)
	}
	for i, s := range stores {
		wg.Go(func() {
			var applied []int64
			applied, errs[i] = s.Migrate(t.Context(), -1)
			total[i] = len(applied)
			if errs[i] == nil {
				_, errs[i] = s.Register(t.Context(), newRun("at once"), false)
			}
		})
	}
	wg.Wait()
	most, sum := 0, 0
	for i, err := range errs {
		if err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		sum += total[i]
		most = max(most, total[i])
	}
	current, newest, err := stores[0].Version(t.Context())
	if err != nil {
		t.Fatalf("Version: %v", err)
	}
	equal(t, "version", current, newest)
	// In SQLite each migration is a transaction of its own, so that several may take
	// part; what counts is that none was applied twice.
	equal(t, "migrations that are noted", sum, migrations(t, db))
	if most == 0 {
		t.Error("nobody applied a migration")
	}
	if e, err := stores[0].Experiment(t.Context(), "at once"); err != nil || len(e.Runs) != 10 {
		t.Errorf("runs: %d, %v", len(e.Runs), err)
	}
}

// migrations counts what the database has noted.
func migrations(t *testing.T, db Database) (n int) {
	t.Helper()
	if err := db.SQL.QueryRowContext(t.Context(), "SELECT count(*) FROM greenwave_schema_version WHERE version_id > 0").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// testSchema: nothing is done to a database of a newer schema, and the message says
// both versions.
func testSchema(t *testing.T, db Database) {
	ctx := t.Context()
	b := &bench{T: t, ctx: ctx, db: db, s: open(t, db)}
	migrate(t, ctx, b.s, -1)
	run := b.begin("kept")
	batch := b.batch(run, step(0, 0))
	_, newest, err := b.s.Version(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.exec(`INSERT INTO greenwave_schema_version (version_id, is_applied) SELECT %d, is_applied FROM greenwave_schema_version WHERE version_id = 1`, newest+41)
	s := open(t, db)
	for what, call := range map[string]func() error{
		"Register":    func() error { _, err := s.Register(ctx, newRun("new"), false); return err },
		"Apply":       func() error { _, err := s.Apply(ctx, batch); return err },
		"Migrate":     func() error { _, err := s.Migrate(ctx, -1); return err },
		"Down":        func() error { _, err := s.Down(ctx); return err },
		"Experiments": func() error { _, err := s.Experiments(ctx); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrSchema) {
			t.Errorf("%s: %v, want ErrSchema", what, err)
		}
	}
	current, _, err := s.Version(ctx)
	if err != nil || current != newest+41 {
		t.Errorf("version is %d, %v", current, err)
	}
}
