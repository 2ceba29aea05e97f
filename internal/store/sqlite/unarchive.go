package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// BringBack brings rows back; see [store.Archiver].
func (s *Store) BringBack(ctx context.Context, r store.Restoration) (store.Restored, error) {
	var done store.Restored
	id := canonical(r.Archived.ExperimentID)
	err := s.update(ctx, func(t *tx) error {
		if err := t.describe("experiments", store.DescribedExperiment, r.Description.Experiment); err != nil {
			return err
		}
		if row, err := t.row(`SELECT 1 FROM experiments WHERE id = ?`, id); err != nil {
			return err
		} else if row == nil {
			return fmt.Errorf("another experiment has the name %q now: %w", r.Archived.Experiment, store.ErrConflict)
		}
		for _, run := range r.Description.Runs {
			if err := t.describe("training_runs", store.DescribedRun, run); err != nil {
				return err
			}
		}
		for _, kind := range r.Kinds {
			if err := t.restoreKind(record.SchemaOf(kind), id, &r, &done); err != nil {
				return err
			}
		}
		if err := r.Check(); err != nil {
			return err
		}
		if r.Archived.What == "experiment" {
			if _, err := t.exec(`UPDATE experiments SET archived_at = NULL, total_episodes = (SELECT count(*) FROM training_episodes WHERE experiment_id = ?1),
				best_reward = (SELECT max(total_reward) FROM training_episodes WHERE experiment_id = ?1) WHERE id = ?1`, id); err != nil {
				return err
			}
		}
		_, err := t.exec(`UPDATE archives SET restored_at = ? WHERE experiment_id = ? AND id = ?`, timeText(s.now()), id, r.Archived.ID)
		return err
	})
	if err != nil {
		return store.Restored{}, err
	}
	return done, nil
}

// describe inserts a row that a Description has, unless there is one.
func (t *tx) describe(table string, fields []record.Field, row map[string]json.RawMessage) error {
	args := make([]driver.Value, len(fields))
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		raw := row[f.Name]
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		var err error
		switch f.Type {
		case record.JSON:
			args[i] = string(raw)
		case record.Int:
			var n int64
			err = json.Unmarshal(raw, &n)
			args[i] = n
		case record.Float:
			var x float64
			err = json.Unmarshal(raw, &x)
			args[i] = x
		default:
			var text string
			if err = json.Unmarshal(raw, &text); err == nil && f.Type == record.Time {
				at, failed := parseTime(text)
				text, err = timeText(at), failed
			}
			args[i] = text
		}
		if err != nil {
			return fmt.Errorf("%s.%s: %w", table, f.Name, err)
		}
	}
	_, err := t.exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT DO NOTHING", table, strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1)), args...)
	return err
}

// restoreKind inserts rows one by one, and lets the one that was logged last keep a key
// that is taken.
func (t *tx) restoreKind(schema *record.Schema, experimentID string, r *store.Restoration, done *store.Restored) error {
	run := &runRow{experimentID: experimentID}
	in, err := t.inserter(schema, run)
	if err != nil {
		return err
	}
	key := []string{"t.id"}
	if schema.Key > 0 {
		key = append([]string{"t.experiment_id"}, fieldNames(schema)[:schema.Key]...)
	}
	where := " WHERE " + strings.Join(key, " = ? AND ") + " = ?"
	for row, err := range r.Rows(schema.Kind) {
		if err != nil {
			return err
		}
		run.id = row.RunID
		if err := in.bind(&store.Entry{Seq: row.Seq, Time: row.Time, Row: row.Row}); err != nil {
			return err
		}
		in.own(row)
		n, err := t.execStmt(in.stmt, in.values)
		if err != nil {
			return fmt.Errorf("%s: %w", schema.Table, err)
		}
		if n > 0 {
			done.Stored++
		}
		keyed := append([]driver.Value(nil), in.key()...)
		newer := false
		if n == 0 {
			if newer, err = in.settle(row, keyed, done); err != nil {
				return err
			}
		}
		there := false
		if err := t.stored(schema, where, keyed, func(held *store.Stored) error {
			there = true
			r.Held(schema.Kind, held, newer)
			return nil
		}); err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("%s: a row that was brought back is not there", schema.Table)
		}
	}
	return nil
}

// settle decides between a row that was brought back and the one that has its key.
func (in *inserter) settle(row *store.Stored, key []driver.Value, done *store.Restored) (newer bool, err error) {
	holder, err := in.t.row(in.sql.holder, key...)
	if err != nil {
		return false, err
	}
	if holder == nil {
		return false, fmt.Errorf("%s: a key is neither free nor taken", in.schema.Table)
	}
	run, seq := asText(holder[0]), uint64(asInt(holder[1]))
	logged, err := asTime(holder[2])
	switch {
	case err != nil:
		return false, fmt.Errorf("%s.logged_at: %w", in.schema.Table, err)
	case run == row.RunID && seq == row.Seq:
		done.There++
		return false, nil
	case !store.Later(row.Time, row.RunID, row.Seq, logged, run, seq):
		done.Newer++
		return true, nil
	}
	done.Stored++
	_, err = in.t.exec(in.sql.update, append(in.values[:len(in.values):len(in.values)], key...)...)
	return false, err
}

// own gives the bound values what a stored row has of its own: its id, and, when it was
// written by hand, no run.
func (in *inserter) own(row *store.Stored) {
	last := len(in.values) - 1
	if in.schema.Key == 0 {
		in.values[last] = row.ID
		last--
	}
	if row.RunID == "" {
		in.values[last-2], in.values[last-1] = nil, nil
	}
}
