package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Archives lists what left the database: see store.Archiver.
func (s *Store) Archives(ctx context.Context, experimentID string) ([]store.Archived, error) {
	query, args := `SELECT id, experiment_id::text, experiment_name, what, location, row_count, size_bytes, archived_at, restored_at FROM archives`, []any(nil)
	if experimentID != "" {
		query, args = query+` WHERE experiment_id = $1`, []any{uuidArg(experimentID)}
	}
	var all []store.Archived
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query+` ORDER BY archived_at DESC, id`, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a store.Archived, err error) {
			var restored *time.Time
			err = row.Scan(&a.ID, &a.ExperimentID, &a.Experiment, &a.What, &a.Location, &a.Rows, &a.Bytes, &a.ArchivedAt, &restored)
			a.ArchivedAt, a.RestoredAt = a.ArchivedAt.UTC(), utc(restored)
			return a, err
		})
		return err
	})
	return all, s.wrap("list archives", err)
}

func names(fields []record.Field) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.Name
	}
	return strings.Join(list, ", ")
}

// Describe returns an experiment and its runs: see store.Archiver.
func (s *Store) Describe(ctx context.Context, experimentID string) (d store.Description, err error) {
	err = s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL timezone = 'UTC'"); err != nil { // times as text
			return err
		}
		var experiment []byte
		err := tx.QueryRow(ctx, `SELECT to_jsonb(x) FROM (SELECT `+names(store.DescribedExperiment)+` FROM experiments WHERE id = $1) x`, uuidArg(experimentID)).Scan(&experiment)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("experiment %s: %w", experimentID, store.ErrNotFound)
		}
		if err == nil {
			err = json.Unmarshal(experiment, &d.Experiment)
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT to_jsonb(x) FROM (SELECT `+names(store.DescribedRun)+` FROM training_runs WHERE experiment_id = $1 ORDER BY started_at, id) x`, uuidArg(experimentID))
		if err != nil {
			return err
		}
		d.Runs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (run map[string]json.RawMessage, err error) {
			var data []byte
			if err = row.Scan(&data); err == nil {
				err = json.Unmarshal(data, &run)
			}
			return run, err
		})
		return err
	})
	return d, s.wrap("describe experiment "+experimentID, err)
}

// Remove deletes rows that are archived: see store.Archiver.
func (s *Store) Remove(ctx context.Context, a store.Archived, sel store.Selection, digests map[record.Kind]store.Digest) (removed int64, err error) {
	err = s.patiently(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var episodes int64
		var best *float64
		var running bool
		// Every writer of rows holds the experiment FOR KEY SHARE.
		err := tx.QueryRow(ctx, `SELECT total_episodes, best_reward, status IN ('running', 'paused') AND EXISTS (SELECT 1 FROM training_runs r
				WHERE r.experiment_id = e.id AND r.ended_at IS NULL AND coalesce(r.last_heartbeat, r.started_at) > now() - $2::interval)
			FROM experiments e WHERE id = $1 FOR UPDATE`, uuidArg(a.ExperimentID), store.StaleAfter).Scan(&episodes, &best, &running)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("experiment %s: %w", a.ExperimentID, store.ErrNotFound)
		case err != nil:
			return err
		case running:
			return fmt.Errorf("experiment %s runs: %w", a.ExperimentID, store.ErrConflict)
		}
		for _, schema := range tables {
			where, args := selected(schema, a.ExperimentID, sel)
			if where == "" {
				continue
			}
			var have store.Digest
			if digests != nil {
				if err := s.digest(ctx, tx, schema, where, args, &have); err != nil {
					return err
				}
				if have != digests[schema.Kind] {
					return fmt.Errorf("%s has other rows than those that were archived: %w", schema.Table, store.ErrConflict)
				}
			}
			if !store.Leaves(schema.Kind) {
				continue
			}
			tag, err := tx.Exec(ctx, "DELETE FROM "+schema.Table+" t"+where, args...)
			if err != nil {
				return err
			}
			removed += tag.RowsAffected()
			if digests != nil && tag.RowsAffected() != have.Rows {
				return fmt.Errorf("deleted %d rows of %s, not the %d that were archived: %w", tag.RowsAffected(), schema.Table, have.Rows, store.ErrConflict)
			}
		}
		if sel.Whole {
			// What was reached stays; the triggers have counted the rows down.
			if _, err := tx.Exec(ctx, `UPDATE experiments SET archived_at = $2, total_episodes = $3, best_reward = $4 WHERE id = $1`, a.ExperimentID, a.ArchivedAt, episodes, best); err != nil {
				return err
			}
		}
		if digests == nil {
			return nil
		}
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO archives (id, experiment_id, experiment_name, what, location, row_count, size_bytes, archived_at, created_by)
			SELECT $1, e.id, e.experiment_name, $3, $4, $5, $6, $7, e.created_by FROM experiments e WHERE e.id = $2
			ON CONFLICT (experiment_id, id) DO UPDATE SET location = excluded.location, archived_at = excluded.archived_at, restored_at = NULL`,
			a.ID, a.ExperimentID, a.What, clean(a.Location), a.Rows, a.Bytes, a.ArchivedAt)
		b.Queue(`SELECT pg_notify($1, $2)`, channel, a.ExperimentID)
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		removed = 0
	}
	if errors.Is(err, store.ErrConflict) {
		return 0, err
	}
	return removed, s.wrap("remove what is archived", err)
}

// digest adds the rows of a table to a digest.
func (s *Store) digest(ctx context.Context, tx pgx.Tx, schema *record.Schema, where string, args []any, into *store.Digest) error {
	d, h := newDecoder(schema), store.Hasher{}
	return d.each(ctx, tx, d.sql+where, args, func(row *store.Stored) error { return h.AddTo(into, row) })
}

// each calls fn for every row of a query that begins as selectRows does.
func (d *decoder) each(ctx context.Context, tx pgx.Tx, sql string, args []any, fn func(*store.Stored) error) error {
	rows, err := tx.Query(ctx, sql, append([]any{binaryFormat}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := d.decode(rows.RawValues())
		if err == nil {
			err = fn(row)
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}
