package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// experimentSQL shows a running experiment whose runs have all been silent since
// the parameter as interrupted, like the view real_time_training.
const experimentSQL = `SELECT e.id, e.experiment_name, e.description,
	CASE WHEN e.status = 'running'
	      AND EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id)
	      AND NOT EXISTS (SELECT 1 FROM training_runs r WHERE r.experiment_id = e.id AND coalesce(r.last_heartbeat, r.started_at) >= ?1)
	     THEN 'interrupted' ELSE e.status END,
	e.created_at, e.completed_at, e.archived_at, e.total_episodes, e.best_reward,
	(SELECT total_reward FROM training_episodes WHERE experiment_id = e.id ORDER BY episode_number DESC LIMIT 1),
	e.convergence_episode, e.created_by, e.config, e.metadata,
	coalesce((SELECT max(last_heartbeat) FROM training_runs WHERE experiment_id = e.id),
	         (SELECT max(timestamp) FROM training_episodes WHERE experiment_id = e.id))
	FROM experiments e`

// Experiments lists all experiments, newest first; see [store.Reader].
func (s *Store) Experiments(ctx context.Context) ([]store.Experiment, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, experimentSQL+` ORDER BY e.created_at DESC, e.experiment_name`, s.stale())
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	var all []store.Experiment
	for rows.Next() {
		e, err := scanExperiment(rows)
		if err != nil {
			return nil, s.wrap(err)
		}
		all = append(all, e)
	}
	return all, s.wrap(rows.Err())
}

// Experiment returns one experiment by name; see [store.Reader].
func (s *Store) Experiment(ctx context.Context, name string) (store.Experiment, error) {
	// One transaction, so that the parts fit together.
	tx := s.snapshot
	if tx == nil {
		db, err := s.readers(ctx)
		if err != nil {
			return store.Experiment{}, err
		}
		if tx, err = db.BeginTx(ctx, nil); err != nil {
			return store.Experiment{}, s.wrap(err)
		}
		defer func() { _ = tx.Rollback() }()
	}
	e, err := scanExperiment(tx.QueryRowContext(ctx, experimentSQL+` WHERE e.experiment_name = ?2`, s.stale(), name))
	if errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("%s: experiment %q: %w", s.name, name, store.ErrNotFound)
	}
	if err != nil {
		return e, s.wrap(err)
	}
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM training_steps WHERE experiment_id = ?`, e.ID).Scan(&e.Steps); err != nil {
		return e, s.wrap(err)
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+runColumns+runFrom+`WHERE r.experiment_id = ? ORDER BY r.started_at, r.id`, e.ID)
	if err != nil {
		return e, s.wrap(err)
	}
	e.Runs, err = scanStates(rows)
	return e, s.wrap(err)
}

func (s *Store) stale() string { return timeText(s.now().Add(-store.StaleAfter)) }

func scanExperiment(row interface{ Scan(...any) error }) (store.Experiment, error) {
	var (
		e                                  store.Experiment
		description, owner                 sql.NullString
		created, completed, archived, last any
		config, metadata                   string
	)
	err := row.Scan(&e.ID, &e.Name, &description, &e.Status, &created, &completed, &archived, &e.TotalEpisodes, &e.BestReward,
		&e.LatestReward, &e.ConvergenceEpisode, &owner, &config, &metadata, &last)
	if err != nil {
		return e, err
	}
	e.Description, e.CreatedBy = description.String, owner.String
	e.Config, e.Metadata, e.Steps = json.RawMessage(config), json.RawMessage(metadata), -1
	if e.CreatedAt, err = asTime(created); err != nil {
		return e, fmt.Errorf("experiments.created_at of %q: %w", e.Name, err)
	}
	if e.CompletedAt, err = asTime(completed); err != nil {
		return e, fmt.Errorf("experiments.completed_at of %q: %w", e.Name, err)
	}
	if e.ArchivedAt, err = asTime(archived); err != nil {
		return e, fmt.Errorf("experiments.archived_at of %q: %w", e.Name, err)
	}
	if e.LastRecord, err = asTime(last); err != nil {
		return e, fmt.Errorf("last record of %q: %w", e.Name, err)
	}
	return e, nil
}

// scanStates reads rows of runColumns and closes them.
func scanStates(rows *sql.Rows) ([]store.State, error) {
	defer rows.Close()
	values, into := scanTargets(12)
	var states []store.State
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		run, err := scanRun(values)
		if err != nil {
			return nil, err
		}
		states = append(states, run.state())
	}
	return states, rows.Err()
}

// scanTargets returns n values and the pointers to them that Scan wants.
func scanTargets(n int) (values []driver.Value, into []any) {
	values, into = make([]driver.Value, n), make([]any, n)
	for i := range values {
		into[i] = (*any)(&values[i])
	}
	return values, into
}

// States returns what is known about the given runs; see [store.Reader].
func (s *Store) States(ctx context.Context, runIDs []string) (map[string]store.State, error) {
	states := make(map[string]store.State, len(runIDs))
	if len(runIDs) == 0 {
		return states, nil
	}
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	given := make(map[string]string, len(runIDs))
	ids := make([]string, len(runIDs))
	for i, id := range runIDs {
		ids[i] = canonical(id)
		given[ids[i]] = id
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT `+runColumns+runFrom+`WHERE r.id IN (SELECT value FROM json_each(?))`, string(list))
	if err != nil {
		return nil, s.wrap(err)
	}
	found, err := scanStates(rows)
	if err != nil {
		return nil, s.wrap(err)
	}
	for _, state := range found {
		states[given[state.RunID]] = state
	}
	return states, nil
}

// DeadLetters lists dead letters by run and sequence number; see [store.Reader].
func (s *Store) DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[store.DeadLetter, error] {
	return func(yield func(store.DeadLetter, error) bool) {
		fail := func(err error) { yield(store.DeadLetter{}, s.wrap(err)) }
		db, err := s.reader(ctx)
		if err != nil {
			fail(err)
			return
		}
		query, args := `SELECT run_id, seq, kind, reason, location, refused_at FROM dead_letters`, []any(nil)
		if len(runIDs) > 0 {
			ids := make([]string, len(runIDs))
			for i, id := range runIDs {
				ids[i] = canonical(id)
			}
			list, err := json.Marshal(ids)
			if err != nil {
				fail(err)
				return
			}
			query, args = query+` WHERE run_id IN (SELECT value FROM json_each(?))`, []any{string(list)}
		}
		rows, err := db.QueryContext(ctx, query+` ORDER BY run_id, seq`, args...)
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var d store.DeadLetter
			var kind string
			var at any
			if err := rows.Scan(&d.RunID, &d.Seq, &kind, &d.Reason, &d.Where, &at); err != nil {
				fail(err)
				return
			}
			d.Kind = record.Kind(kind)
			if d.Time, err = asTime(at); err != nil {
				fail(fmt.Errorf("dead_letters.refused_at: %w", err))
				return
			}
			if !yield(d, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}
