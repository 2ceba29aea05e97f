package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// selectExperiments reads experiments with what a list of them shows, by look-ups in
// indexes only.
const selectExperiments = `SELECT e.id::text, e.experiment_name, coalesce(e.description, ''),
	CASE WHEN e.status = 'running' AND r.last_sign < now() - $1::interval THEN 'interrupted' ELSE e.status END,
	e.created_at, e.completed_at, e.archived_at, e.total_episodes, e.best_reward, t.total_reward, e.convergence_episode::bigint,
	coalesce(e.created_by::text, ''), e.config, e.metadata, greatest(t.logged_at, s.logged_at)
	FROM experiments e
	LEFT JOIN LATERAL (SELECT max(coalesce(x.last_heartbeat, x.started_at)) AS last_sign
		FROM training_runs x WHERE x.experiment_id = e.id) r ON true
	LEFT JOIN LATERAL (SELECT x.total_reward, x.logged_at FROM training_episodes x WHERE x.experiment_id = e.id
		ORDER BY x.episode_number DESC LIMIT 1) t ON true
	LEFT JOIN LATERAL (SELECT x.logged_at FROM training_steps x WHERE x.experiment_id = e.id
		ORDER BY x.episode_number DESC, x.step_number DESC LIMIT 1) s ON true `

// Experiments lists all experiments: see store.Reader.
func (s *Store) Experiments(ctx context.Context) ([]store.Experiment, error) {
	var all []store.Experiment
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectExperiments+"ORDER BY e.created_at DESC, e.experiment_name", store.StaleAfter)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanExperiment)
		return err
	})
	return all, s.wrap("list experiments", err)
}

// Experiment returns one experiment by name: see store.Reader.
func (s *Store) Experiment(ctx context.Context, name string) (store.Experiment, error) {
	var e store.Experiment
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectExperiments+"WHERE e.experiment_name = $2", store.StaleAfter, clean(name))
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, scanExperiment)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("experiment %q: %w", name, store.ErrNotFound)
		}
		e = found[0]
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM training_steps WHERE experiment_id = $1", e.ID).Scan(&e.Steps); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, selectStates+"WHERE r.experiment_id = $1 ORDER BY r.started_at, r.id", e.ID)
		if err != nil {
			return err
		}
		e.Runs, err = pgx.CollectRows(rows, scanState)
		return err
	})
	return e, s.wrap("read experiment", err)
}

func scanExperiment(row pgx.CollectableRow) (store.Experiment, error) {
	e := store.Experiment{Steps: -1}
	var completed, archived, last *time.Time
	err := row.Scan(&e.ID, &e.Name, &e.Description, &e.Status, &e.CreatedAt, &completed, &archived, &e.TotalEpisodes, &e.BestReward,
		&e.LatestReward, &e.ConvergenceEpisode, &e.CreatedBy, (*[]byte)(&e.Config), (*[]byte)(&e.Metadata), &last)
	e.CreatedAt = e.CreatedAt.UTC()
	e.CompletedAt, e.ArchivedAt, e.LastRecord = utc(completed), utc(archived), utc(last)
	return e, err
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

const selectStates = `SELECT r.id::text, coalesce(e.experiment_name, r.experiment_name), coalesce(e.id::text, ''),
	r.cursor, r.dead, r.superseded, r.status, r.last_heartbeat, r.last_record, r.updated_at
	FROM training_runs r LEFT JOIN experiments e ON e.id = r.experiment_id `

// States returns what is known about runs: see store.Reader.
func (s *Store) States(ctx context.Context, runIDs []string) (map[string]store.State, error) {
	var states map[string]store.State
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		states, err = readStates(ctx, tx, runIDs)
		return err
	})
	return states, s.wrap("read the state of runs", err)
}

func readStates(ctx context.Context, tx pgx.Tx, runIDs []string) (map[string]store.State, error) {
	asked := map[string]string{} // canonical id → as asked
	ids := make([]string, 0, len(runIDs))
	for _, id := range runIDs {
		if c, ok := canonical(id); ok {
			asked[c] = id
			ids = append(ids, c)
		}
	}
	rows, err := tx.Query(ctx, selectStates+"WHERE r.id = ANY ($1::uuid[])", ids)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanState)
	states := make(map[string]store.State, len(found))
	for _, st := range found {
		st.RunID = asked[st.RunID]
		states[st.RunID] = st
	}
	return states, err
}

func scanState(row pgx.CollectableRow) (store.State, error) {
	var (
		st                       store.State
		cursor, dead, superseded int64
		heartbeat, latest        *time.Time
	)
	err := row.Scan(&st.RunID, &st.Experiment, &st.ExperimentID, &cursor, &dead, &superseded, &st.Status, &heartbeat, &latest, &st.UpdatedAt)
	st.Cursor, st.Dead, st.Superseded = uint64(cursor), uint64(dead), uint64(superseded)
	st.LastHeartbeat, st.LastRecord, st.UpdatedAt = utc(heartbeat), utc(latest), st.UpdatedAt.UTC()
	return st, err
}

// DeadLetters lists dead letters: see store.Reader.
func (s *Store) DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[store.DeadLetter, error] {
	const sql = `SELECT run_id::text, seq, kind, reason, location, refused_at FROM dead_letters
		WHERE ($1::uuid[] IS NULL OR run_id = ANY ($1)) AND (run_id, seq) > ($2, $3) ORDER BY run_id, seq LIMIT $4`
	return func(yield func(store.DeadLetter, error) bool) {
		var ids []string // nil: all
		for _, id := range runIDs {
			if c, ok := canonical(id); ok {
				ids = append(ids, c)
			}
		}
		if ids == nil && len(runIDs) > 0 {
			return
		}
		lastRun, lastSeq := "00000000-0000-0000-0000-000000000000", int64(-1)
		for {
			var page []store.DeadLetter
			err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
				rows, err := tx.Query(ctx, sql, ids, lastRun, lastSeq, pageSize)
				if err != nil {
					return err
				}
				page, err = pgx.CollectRows(rows, scanDeadLetter)
				return err
			})
			if err != nil {
				yield(store.DeadLetter{}, s.wrap("list dead letters", err))
				return
			}
			for _, d := range page {
				if !yield(d, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			lastRun, lastSeq = page[len(page)-1].RunID, int64(page[len(page)-1].Seq)
		}
	}
}

func scanDeadLetter(row pgx.CollectableRow) (store.DeadLetter, error) {
	var (
		d    store.DeadLetter
		seq  int64
		kind string
	)
	err := row.Scan(&d.RunID, &seq, &kind, &d.Reason, &d.Where, &d.Time)
	d.Seq, d.Kind, d.Time = uint64(seq), record.Kind(kind), d.Time.UTC()
	return d, err
}

// CountRows counts the rows of a run: see store.Reader.
func (s *Store) CountRows(ctx context.Context, experimentID, runID string, kind record.Kind) (n int64, err error) {
	schema := record.SchemaOf(kind)
	if schema == nil || schema.Table == "" {
		return 0, nil
	}
	err = s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM "+schema.Table+" WHERE experiment_id = $1 AND run_id = $2",
			uuidArg(experimentID), uuidArg(runID)).Scan(&n)
	})
	return n, s.wrap("count rows of "+schema.Table, err)
}

// read runs fn in a read-only transaction on a schema of the right version. All its
// statements see the same data.
func (s *Store) read(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	if s.snapshot != nil {
		ctx, cancel := s.command(ctx)
		defer cancel()
		return noAnswer(ctx, fn(ctx, s.snapshot.tx))
	}
	return s.inTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.checkVersion(ctx, tx); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}
