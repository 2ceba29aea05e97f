package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// canonical returns the UUID in its canonical form.
func canonical(id string) (string, bool) {
	u, err := uuid.Parse(id)
	return u.String(), err == nil
}

func (s *Store) now() time.Time { return time.Now().UTC() }

// Register makes sure that experiment and run exist: see store.Destination.
func (s *Store) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	id, ok := canonical(run.ID)
	if !ok {
		return store.State{}, fmt.Errorf("%w: run id %q is not a UUID", store.ErrRefused, run.ID)
	}
	run.ID = id
	if run.Experiment == "" {
		return store.State{}, fmt.Errorf("%w: run %s names no experiment", store.ErrRefused, run.ID)
	}
	if !isObject(run.Config) || !isObject(run.Metadata) {
		return store.State{}, fmt.Errorf("%w: config and metadata of run %s must be JSON objects", store.ErrRefused, run.ID)
	}
	if run.StartedAt.IsZero() {
		run.StartedAt = s.now()
	}
	var state store.State
	err := s.inTx(ctx, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.checkVersion(ctx, tx); err != nil {
			return err
		}
		if err := register(ctx, tx, &run, restore); err != nil {
			return err
		}
		states, err := readStates(ctx, tx, []string{run.ID})
		if err != nil {
			return err
		}
		state = states[run.ID]
		return nil
	})
	if err != nil {
		return store.State{}, s.wrap(fmt.Sprintf("register run %s of experiment %q", run.ID, run.Experiment), err)
	}
	return state, nil
}

func register(ctx context.Context, tx pgx.Tx, run *store.Run, restore bool) error {
	var exists bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM experiments e WHERE e.id = r.experiment_id)
		FROM training_runs r WHERE r.id = $1`, run.ID).Scan(&exists)
	known := err == nil
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return err
	case exists:
		return nil
	case !restore:
		return fmt.Errorf("experiment %q of run %s: %w", run.Experiment, run.ID, store.ErrExperimentDeleted)
	}
	experiment, err := findOrMake(ctx, tx, run)
	if err != nil {
		return err
	}
	if restore {
		if err := restoreRuns(ctx, tx, experiment, run); err != nil {
			return err
		}
	}
	if !known {
		_, err := tx.Exec(ctx, `INSERT INTO training_runs (id, experiment_id, experiment_name, source, host, pid, started_at, header)
			VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, 0), $7, $8) ON CONFLICT (id) DO NOTHING`,
			run.ID, experiment, run.Experiment, run.Source, clean(run.Host), int64(run.PID), run.StartedAt, jsonArg(run.Header))
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, refreshStatus, experiment)
	return err
}

// findOrMake returns the id of the experiment with the run's name, which it locks.
func findOrMake(ctx context.Context, tx pgx.Tx, run *store.Run) (id string, err error) {
	_, err = tx.Exec(ctx, `INSERT INTO experiments (experiment_name, description, config, metadata, created_at)
		VALUES ($1, nullif($2, ''), $3, $4, $5) ON CONFLICT (experiment_name) DO NOTHING`,
		run.Experiment, clean(run.Description), objectArg(run.Config), objectArg(run.Metadata), run.StartedAt)
	if err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `SELECT id::text FROM experiments WHERE experiment_name = $1 FOR NO KEY UPDATE`, run.Experiment).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		if err := notYours(ctx, fmt.Sprintf("experiment %q", run.Experiment)); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%w: experiment %q was deleted at this moment", store.ErrTemporary, run.Experiment)
	}
	return id, err
}

// restoreRuns attaches the runs whose experiment of this name is gone to the new one,
// to be synced from the start.
func restoreRuns(ctx context.Context, tx pgx.Tx, experiment string, run *store.Run) error {
	rows, err := tx.Query(ctx, `UPDATE training_runs r SET experiment_id = $1, cursor = 0, dead = 0, superseded = 0, updated_at = clock_timestamp()
		WHERE (r.experiment_name = $2 OR r.id = $3) AND NOT EXISTS (SELECT 1 FROM experiments e WHERE e.id = r.experiment_id) RETURNING r.id::text`,
		experiment, run.Experiment, run.ID)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM dead_letters WHERE run_id = ANY ($1::uuid[])`, ids)
	return err
}

// isObject reports whether j is absent or, as far as its first byte says, an object;
// the database checks the rest.
func isObject(j json.RawMessage) bool {
	j = bytes.TrimSpace(j)
	return len(j) == 0 || j[0] == '{' || string(j) == "null"
}

func objectArg(j json.RawMessage) []byte {
	if len(j) == 0 || string(j) == "null" {
		return []byte("{}")
	}
	return j
}

// MarkInterrupted says that a run ended without saying so: see store.Destination.
func (s *Store) MarkInterrupted(ctx context.Context, runID string, since time.Time) error {
	err := s.inTx(ctx, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		var experiment *string
		err := tx.QueryRow(ctx, `SELECT experiment_id::text FROM training_runs WHERE id = $1`, uuidArg(runID)).Scan(&experiment)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("run %s: %w", runID, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT 1 FROM experiments WHERE id = $1 FOR NO KEY UPDATE`, experiment); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE training_runs SET status = 'interrupted'
			WHERE id = $1 AND status = 'running' AND ended_at IS NULL AND (last_heartbeat IS NULL OR last_heartbeat <= $2)`, runID, since)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, refreshStatus, experiment)
		return err
	})
	return s.wrap("mark run "+runID+" as interrupted", err)
}

// inTx runs fn in a transaction, each of whose commands is bounded in time.
func (s *Store) inTx(ctx context.Context, opt pgx.TxOptions, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := s.command(ctx)
	defer cancel()
	err := pgx.BeginTxFunc(ctx, s.pool, opt, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(fmt.Sprintf("SET LOCAL statement_timeout = %d", s.timeout.Milliseconds()))
		queueAssume(ctx, b)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
	return noAnswer(ctx, err)
}
