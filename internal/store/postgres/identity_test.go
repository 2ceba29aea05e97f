package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/storetest"
	"github.com/greenwave-traffic/greenwave/record"
)

func person(id string) store.Identity {
	return store.Identity{Role: "authenticated", Claims: fmt.Sprintf(`{"role":"authenticated","sub":%q}`, id)}
}

// asOne does everything that a server does for its callers as one of them.
type asOne struct {
	store.Store
	id store.Identity
}

func (s asOne) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	return s.Store.Register(store.As(ctx, s.id), run, restore)
}
func (s asOne) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	return s.Store.Apply(store.As(ctx, s.id), b)
}
func (s asOne) Replay(ctx context.Context, b store.Batch) (store.Result, error) {
	return s.Store.Replay(store.As(ctx, s.id), b)
}
func (s asOne) MarkInterrupted(ctx context.Context, runID string, since time.Time) error {
	return s.Store.MarkInterrupted(store.As(ctx, s.id), runID, since)
}
func (s asOne) Experiments(ctx context.Context) ([]store.Experiment, error) {
	all, err := s.Store.Experiments(store.As(ctx, s.id))
	for i := range all {
		if !strings.Contains(s.id.Claims, all[i].CreatedBy) {
			return nil, fmt.Errorf("%+v belongs to somebody else", all[i])
		}
		all[i].CreatedBy = "" // the suite expects none
	}
	return all, err
}
func (s asOne) Experiment(ctx context.Context, name string) (store.Experiment, error) {
	e, err := s.Store.Experiment(store.As(ctx, s.id), name)
	e.CreatedBy = "" // as above
	return e, err
}
func (s asOne) States(ctx context.Context, runIDs []string) (map[string]store.State, error) {
	return s.Store.States(store.As(ctx, s.id), runIDs)
}
func (s asOne) DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[store.DeadLetter, error] {
	return s.Store.DeadLetters(store.As(ctx, s.id), runIDs)
}
func (s asOne) Rows(ctx context.Context, experimentID string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	return s.Store.Rows(store.As(ctx, s.id), experimentID, kind)
}
func (s asOne) Page(ctx context.Context, experimentID string, kind record.Kind, r store.Range) iter.Seq2[*store.Stored, error] {
	return s.Store.Page(store.As(ctx, s.id), experimentID, kind, r)
}
func (s asOne) Lookup(ctx context.Context, experimentID string, kind record.Kind, keys []store.Key) (map[store.Key]store.Stored, error) {
	return s.Store.Lookup(store.As(ctx, s.id), experimentID, kind, keys)
}
func (s asOne) CountRows(ctx context.Context, experimentID, runID string, kind record.Kind) (int64, error) {
	return s.Store.CountRows(store.As(ctx, s.id), experimentID, runID, kind)
}
func (s asOne) Query(ctx context.Context, sql string) (*store.Table, error) {
	return s.Store.Query(store.As(ctx, s.id), sql)
}

// TestConformanceAsCaller runs the suite under the policies of somebody who owns what
// it makes.
func TestConformanceAsCaller(t *testing.T) {
	server := pgtest.Shared(t)
	storetest.Run(t, func(t *testing.T) storetest.Database {
		through := server.Database(t)
		u, err := url.Parse(through)
		if err != nil {
			t.Fatal(err)
		}
		// What the suite writes by hand is the caller's, too.
		execute(t, connect(t, through), fmt.Sprintf(`ALTER DATABASE %s SET request.jwt.claims = '{"sub": "%s"}'`, strings.TrimPrefix(u.Path, "/"), ana))
		db := database(t, through, through)
		db.Open = func(t *testing.T) store.Store {
			s, err := postgres.Open(t.Context(), through, postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return asOne{s, person(ana)}
		}
		return db
	})
}

// TestCallers: what the store does for one caller, another does not see, directly and
// through a pooler that hands each transaction to another connection.
func TestCallers(t *testing.T) {
	server := pgtest.Shared(t)
	direct := server.Database(t)
	migrated(t, direct)
	conn := connect(t, direct)
	for name, address := range map[string]string{"direct": direct, "pooled": server.Bouncer(t, 1).Through(t, direct)} {
		t.Run(name, func(t *testing.T) {
			s := open(t, address)
			his, hers := asOne{s, person(ben)}, asOne{s, person(ana)}
			run := register(t, hers, "hers "+name)
			if _, err := hers.Apply(t.Context(), steps(t, run, 0, 10)); err != nil {
				t.Fatal(err)
			}
			checkOwner(t, s, run, ana)
			if all, err := s.Experiments(store.As(t.Context(), person(ben))); err != nil || len(all) != 0 {
				t.Errorf("he sees %+v, %v", all, err)
			}
			for row, err := range his.Rows(t.Context(), run.ExperimentID, record.KindStep) {
				t.Errorf("he reads %+v, %v", row, err)
			}
			if n, err := his.CountRows(t.Context(), run.ExperimentID, run.RunID, record.KindStep); n != 0 || err != nil {
				t.Errorf("he counts %d, %v", n, err)
			}
			if states, err := his.States(t.Context(), []string{run.RunID}); len(states) != 0 || err != nil {
				t.Errorf("he knows %+v, %v", states, err)
			}
			table, err := his.Query(t.Context(), `SELECT experiment_name FROM real_time_training`)
			if err != nil {
				t.Fatal(err)
			}
			for row := range table.Rows {
				t.Errorf("he is told %v", row)
			}
			for what, err := range map[string]error{
				"records under it": func() error { _, err := his.Apply(t.Context(), steps(t, run, 10, 1)); return err }(),
				"registers a run": func() error {
					_, err := his.Register(t.Context(), store.Run{ID: "0198a000-0000-7000-8000-000000000001", Experiment: "hers " + name, Source: "journal"}, false)
					return err
				}(),
				"restores it": func() error {
					_, err := his.Register(t.Context(), store.Run{ID: run.RunID, Experiment: "hers " + name, Source: "journal"}, true)
					return err
				}(),
			} {
				if !errors.Is(err, store.ErrForbidden) {
					t.Errorf("he %s: %v, want ErrForbidden", what, err)
				}
			}
			// What follows on the same connections is the server's own again.
			if all, err := s.Experiments(t.Context()); err != nil || len(all) == 0 {
				t.Errorf("the server sees %+v, %v", all, err)
			}
			execute(t, conn, `INSERT INTO experiment_members (experiment_id, user_id, role) VALUES ($1, $2, 'read')`, run.ExperimentID, ben)
			if e, err := his.Experiment(t.Context(), "hers "+name); err != nil || e.Steps != 10 {
				t.Errorf("shared with him: %+v, %v", e, err)
			}
			if _, err := his.Apply(t.Context(), steps(t, run, 10, 1)); !errors.Is(err, store.ErrForbidden) {
				t.Errorf("he may only read, and records: %v", err)
			}
			execute(t, conn, `UPDATE experiment_members SET role = 'write' WHERE experiment_id = $1`, run.ExperimentID)
			if _, err := his.Apply(t.Context(), steps(t, run, 10, 5)); err != nil {
				t.Errorf("he may write: %v", err)
			}
			execute(t, conn, `DELETE FROM experiment_members`)
			checkOwner(t, s, run, ana)
			if _, err := s.Apply(t.Context(), steps(t, run, 15, 5)); err != nil {
				t.Errorf("the server: %v", err)
			}
			checkOwner(t, s, run, ana)
		})
	}
}

func checkOwner(t *testing.T, s store.Store, run store.State, owner string) {
	t.Helper()
	table, err := s.Query(t.Context(), `SELECT DISTINCT created_by::text FROM training_steps WHERE experiment_id = '`+run.ExperimentID+`'`)
	if err != nil {
		t.Fatal(err)
	}
	for row := range table.Rows {
		if row[0] != owner {
			t.Errorf("steps belong to %v, want %s", row[0], owner)
		}
	}
}
