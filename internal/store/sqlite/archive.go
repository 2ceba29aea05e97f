package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Archives lists what left the database; see [store.Archiver].
func (s *Store) Archives(ctx context.Context, experimentID string) ([]store.Archived, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT id, experiment_id, experiment_name, what, location, row_count, size_bytes, archived_at, restored_at FROM archives
		WHERE ?1 = '' OR experiment_id = ?1 ORDER BY archived_at DESC, id`, canonical(experimentID))
	if err != nil {
		return nil, s.wrap(err)
	}
	var all []store.Archived
	err = each(rows, func() error {
		var a store.Archived
		var archived, restored any
		err := rows.Scan(&a.ID, &a.ExperimentID, &a.Experiment, &a.What, &a.Location, &a.Rows, &a.Bytes, &archived, &restored)
		if err == nil {
			a.ArchivedAt, err = asTime(archived)
		}
		if err == nil {
			a.RestoredAt, err = asTime(restored)
		}
		all = append(all, a)
		return err
	})
	return all, s.wrap(err)
}

// objectSQL makes a JSON object of columns.
func objectSQL(fields []record.Field) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		value := f.Name
		if f.Type == record.JSON {
			value = "json(" + f.Name + ")"
		}
		list[i] = "'" + f.Name + "', " + value
	}
	return "json_object(" + strings.Join(list, ", ") + ")"
}

// Describe returns an experiment and its runs; see [store.Archiver].
func (s *Store) Describe(ctx context.Context, experimentID string) (d store.Description, err error) {
	db, err := s.readers(ctx)
	if err != nil {
		return d, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return d, s.wrap(err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.QueryContext(ctx, `SELECT `+objectSQL(store.DescribedExperiment)+` FROM experiments WHERE id = ?`, canonical(experimentID))
	if err != nil {
		return d, s.wrap(err)
	}
	var text string
	if err := each(rows, func() error {
		if err := rows.Scan(&text); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &d.Experiment)
	}); err != nil {
		return d, s.wrap(err)
	}
	if d.Experiment == nil {
		return d, fmt.Errorf("%s: experiment %s: %w", s.name, experimentID, store.ErrNotFound)
	}
	rows, err = tx.QueryContext(ctx, `SELECT `+objectSQL(store.DescribedRun)+` FROM training_runs WHERE experiment_id = ? ORDER BY started_at, id`, canonical(experimentID))
	if err != nil {
		return d, s.wrap(err)
	}
	return d, s.wrap(each(rows, func() error {
		var run map[string]json.RawMessage
		err := rows.Scan(&text)
		if err == nil {
			err = json.Unmarshal([]byte(text), &run)
		}
		d.Runs = append(d.Runs, run)
		return err
	}))
}

// Remove deletes rows that are archived; see [store.Archiver]. It holds the file's one
// write lock while it compares them.
func (s *Store) Remove(ctx context.Context, a store.Archived, sel store.Selection, digests map[record.Kind]store.Digest) (removed int64, err error) {
	id := canonical(a.ExperimentID)
	err = s.update(ctx, func(t *tx) error {
		was, err := t.row(`SELECT total_episodes, best_reward, status IN ('running', 'paused') AND EXISTS (SELECT 1 FROM training_runs r
				WHERE r.experiment_id = experiments.id AND r.ended_at IS NULL AND coalesce(r.last_heartbeat, r.started_at) > ?2)
			FROM experiments WHERE id = ?1`, id, s.stale())
		switch {
		case err != nil:
			return err
		case was == nil:
			return fmt.Errorf("experiment %s: %w", a.ExperimentID, store.ErrNotFound)
		case asInt(was[2]) != 0:
			return fmt.Errorf("experiment %s runs: %w", a.ExperimentID, store.ErrConflict)
		}
		for _, schema := range record.Tabled() {
			where, args := selected(schema, id, sel)
			if where == "" {
				continue
			}
			var have store.Digest
			if digests != nil {
				var h store.Hasher
				if err := t.stored(schema, where, args, func(row *store.Stored) error { return h.AddTo(&have, row) }); err != nil {
					return err
				}
				if have != digests[schema.Kind] {
					return fmt.Errorf("%s has other rows than those that were archived: %w", schema.Table, store.ErrConflict)
				}
			}
			if !store.Leaves(schema.Kind) {
				continue
			}
			n, err := t.exec("DELETE FROM "+schema.Table+" AS t"+where, args...)
			if err != nil {
				return err
			}
			removed += n
			if digests != nil && n != have.Rows {
				return fmt.Errorf("deleted %d rows of %s, not the %d that were archived: %w", n, schema.Table, have.Rows, store.ErrConflict)
			}
		}
		if sel.Whole {
			// What was reached stays; the triggers have counted the rows down.
			if _, err := t.exec(`UPDATE experiments SET archived_at = ?, total_episodes = ?, best_reward = ? WHERE id = ?`, timeText(a.ArchivedAt), was[0], was[1], id); err != nil {
				return err
			}
		}
		if digests == nil {
			return nil
		}
		_, err = t.exec(`INSERT INTO archives (id, experiment_id, experiment_name, what, location, row_count, size_bytes, archived_at)
			SELECT ?1, id, experiment_name, ?3, ?4, ?5, ?6, ?7 FROM experiments WHERE id = ?2
			ON CONFLICT DO UPDATE SET location = excluded.location, archived_at = excluded.archived_at, restored_at = NULL`,
			a.ID, id, a.What, a.Location, a.Rows, a.Bytes, timeText(a.ArchivedAt))
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// stored calls fn for rows of a table t, as the transaction sees them.
func (t *tx) stored(schema *record.Schema, where string, args []driver.Value, fn func(*store.Stored) error) error {
	columns, n := rowColumns(schema), len(schema.Fields)+4
	if schema.Key == 0 {
		columns, n = columns+", t.id", n+1
	}
	stmt, err := t.prepare("SELECT " + columns + " FROM " + schema.Table + " AS t" + where)
	if err != nil {
		return err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(context.Background(), t.bind(args))
	if err != nil {
		return err
	}
	defer rows.Close()
	row := &store.Stored{Row: record.Row{Schema: schema, Values: make([]record.Value, len(schema.Fields))}}
	values := make([]driver.Value, n)
	for i := 0; ; i++ {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if i%1024 == 0 && t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		if err := scanStored(row, values); err != nil {
			return err
		}
		if schema.Key == 0 {
			row.ID = asText(values[n-1])
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}
