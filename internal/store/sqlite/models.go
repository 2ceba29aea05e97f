package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// ModelFiles lists files of models; see [store.Modeler].
func (s *Store) ModelFiles(ctx context.Context, experimentID string) ([]store.ModelFile, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT experiment_id, model_hash, location, size_bytes, stored_at, verified_at FROM model_files
		WHERE ?1 = '' OR experiment_id = ?1 ORDER BY stored_at, model_hash, location`, canonical(experimentID))
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	var all []store.ModelFile
	for rows.Next() {
		var f store.ModelFile
		var stored, verified any
		if err := rows.Scan(&f.ExperimentID, &f.Hash, &f.Location, &f.Size, &stored, &verified); err != nil {
			return nil, s.wrap(err)
		}
		if f.StoredAt, err = asTime(stored); err == nil {
			f.VerifiedAt, err = asTime(verified)
		}
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", f.Hash, err)
		}
		all = append(all, f)
	}
	return all, s.wrap(rows.Err())
}

// PutModelFile adds a file or says when it was verified; see [store.Modeler].
func (s *Store) PutModelFile(ctx context.Context, f store.ModelFile) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.needs(f.ExperimentID); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO model_files (experiment_id, model_hash, location, size_bytes, stored_at, verified_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET size_bytes = excluded.size_bytes, verified_at = coalesce(excluded.verified_at, verified_at)`,
			canonical(f.ExperimentID), f.Hash, f.Location, f.Size, timeText(f.StoredAt), timeOrNull(f.VerifiedAt))
		return err
	})
}

// needs makes sure that an experiment is there.
func (t *tx) needs(experimentID string) error {
	row, err := t.row(`SELECT 1 FROM experiments WHERE id = ?`, canonical(experimentID))
	if err == nil && row == nil {
		err = fmt.Errorf("experiment %s: %w", experimentID, store.ErrNotFound)
	}
	return err
}

// ForgetModelFile removes a file; see [store.Modeler].
func (s *Store) ForgetModelFile(ctx context.Context, hash, location string) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM model_files WHERE model_hash = ? AND location = ?`, hash, location)
		return err
	})
}

// Promotions lists promotions; see [store.Modeler].
func (s *Store) Promotions(ctx context.Context, name string) ([]store.Promotion, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT p.id, p.name, p.stage, p.experiment_id, e.experiment_name, p.checkpoint_id, p.model_hash, p.set_at, p.set_by, p.reason,
		coalesce(p.evidence, '') FROM model_promotions p JOIN experiments e ON e.id = p.experiment_id WHERE ?1 = '' OR p.name = ?1 ORDER BY p.set_at DESC, p.rowid DESC`, name)
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	var all []store.Promotion
	for rows.Next() {
		var p store.Promotion
		var at any
		var evidence string
		if err := rows.Scan(&p.ID, &p.Name, &p.Stage, &p.ExperimentID, &p.Experiment, &p.CheckpointID, &p.Hash, &at, &p.SetBy, &p.Reason, &evidence); err != nil {
			return nil, s.wrap(err)
		}
		if p.SetAt, err = asTime(at); err != nil {
			return nil, fmt.Errorf("promotion %s: %w", p.ID, err)
		}
		if evidence != "" {
			p.Evidence = json.RawMessage(evidence)
		}
		all = append(all, p)
	}
	return all, s.wrap(rows.Err())
}

// Promote adds a promotion; see [store.Modeler].
func (s *Store) Promote(ctx context.Context, p store.Promotion, after string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.needs(p.ExperimentID); err != nil {
			return err
		}
		row, err := t.row(`SELECT id, set_at FROM model_promotions WHERE name = ? AND stage = ? ORDER BY set_at DESC, rowid DESC LIMIT 1`, p.Name, p.Stage)
		if err != nil {
			return err
		}
		latest := ""
		if row != nil {
			latest, _ = row[0].(string)
			before, err := asTime(row[1])
			if err != nil {
				return err
			}
			if !p.SetAt.After(before) { // a clock that went back
				p.SetAt = before.Add(time.Microsecond)
			}
		}
		if latest != canonical(after) {
			return fmt.Errorf("%s of %s: %w", p.Stage, p.Name, store.ErrConflict)
		}
		var evidence driver.Value
		if p.Evidence != nil {
			evidence = string(p.Evidence)
		}
		_, err = t.exec(`INSERT INTO model_promotions (id, name, stage, experiment_id, checkpoint_id, model_hash, set_at, set_by, reason, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			canonical(p.ID), p.Name, p.Stage, canonical(p.ExperimentID), canonical(p.CheckpointID), p.Hash, timeText(p.SetAt), p.SetBy, p.Reason, evidence)
		return err
	})
}
