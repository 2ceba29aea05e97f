package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// ModelFiles lists files of models: see store.Modeler.
func (s *Store) ModelFiles(ctx context.Context, experimentID string) ([]store.ModelFile, error) {
	query, args := `SELECT experiment_id::text, model_hash, location, size_bytes, stored_at, verified_at FROM model_files`, []any(nil)
	if experimentID != "" {
		query, args = query+` WHERE experiment_id = $1`, []any{uuidArg(experimentID)}
	}
	var all []store.ModelFile
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query+` ORDER BY stored_at, model_hash, location`, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f store.ModelFile, err error) {
			var verified *time.Time
			err = row.Scan(&f.ExperimentID, &f.Hash, &f.Location, &f.Size, &f.StoredAt, &verified)
			f.StoredAt, f.VerifiedAt = f.StoredAt.UTC(), utc(verified)
			return f, err
		})
		return err
	})
	return all, s.wrap("list files of models", err)
}

// PutModelFile adds a file or says when it was verified: see store.Modeler.
func (s *Store) PutModelFile(ctx context.Context, f store.ModelFile) error {
	ctx, cancel := s.command(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `INSERT INTO model_files AS f (experiment_id, model_hash, location, size_bytes, stored_at, verified_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (experiment_id, model_hash, location) DO UPDATE SET size_bytes = excluded.size_bytes, verified_at = coalesce(excluded.verified_at, f.verified_at)`,
		uuidArg(f.ExperimentID), f.Hash, clean(f.Location), f.Size, f.StoredAt, timeOrNull(f.VerifiedAt))
	if code(err) == "23503" {
		return fmt.Errorf("experiment %s: %w", f.ExperimentID, store.ErrNotFound)
	}
	return s.wrap("note the file of a model", noAnswer(ctx, err))
}

// ForgetModelFile removes a file: see store.Modeler.
func (s *Store) ForgetModelFile(ctx context.Context, hash, location string) error {
	ctx, cancel := s.command(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `DELETE FROM model_files WHERE model_hash = $1 AND location = $2`, hash, location)
	return s.wrap("forget the file of a model", noAnswer(ctx, err))
}

// Promotions lists promotions: see store.Modeler.
func (s *Store) Promotions(ctx context.Context, name string) ([]store.Promotion, error) {
	var all []store.Promotion
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT p.id::text, p.name, p.stage, p.experiment_id::text, e.experiment_name, p.checkpoint_id::text, p.model_hash, p.set_at, p.set_by, p.reason, p.evidence
			FROM model_promotions p JOIN experiments e ON e.id = p.experiment_id WHERE $1 = '' OR p.name = $1 ORDER BY p.set_at DESC`, name)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p store.Promotion, err error) {
			err = row.Scan(&p.ID, &p.Name, &p.Stage, &p.ExperimentID, &p.Experiment, &p.CheckpointID, &p.Hash, &p.SetAt, &p.SetBy, &p.Reason, &p.Evidence)
			p.SetAt = p.SetAt.UTC()
			return p, err
		})
		return err
	})
	return all, s.wrap("list promotions", err)
}

// Promote adds a promotion: see store.Modeler.
func (s *Store) Promote(ctx context.Context, p store.Promotion, after string) error {
	err := s.inTx(ctx, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		// One after the other for each name.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 7))`, p.Name); err != nil {
			return err
		}
		var latest string
		var before time.Time
		err := tx.QueryRow(ctx, `SELECT id::text, set_at FROM model_promotions WHERE name = $1 AND stage = $2 ORDER BY set_at DESC LIMIT 1`, p.Name, p.Stage).Scan(&latest, &before)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if latest != after {
			return fmt.Errorf("%s of %s: %w", p.Stage, p.Name, store.ErrConflict)
		}
		if !p.SetAt.After(before) { // a clock that went back
			p.SetAt = before.Add(time.Microsecond)
		}
		var evidence any
		if p.Evidence != nil {
			evidence = string(p.Evidence)
		}
		_, err = tx.Exec(ctx, `INSERT INTO model_promotions (id, name, stage, experiment_id, checkpoint_id, model_hash, set_at, set_by, reason, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			uuidArg(p.ID), clean(p.Name), p.Stage, uuidArg(p.ExperimentID), uuidArg(p.CheckpointID), p.Hash, p.SetAt, clean(p.SetBy), clean(p.Reason), evidence)
		return err
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return err
	case code(err) == "23503":
		return fmt.Errorf("experiment %s: %w", p.ExperimentID, store.ErrNotFound)
	}
	return s.wrap("promote a model", err)
}
