package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// BringBack brings rows back: see store.Archiver.
func (s *Store) BringBack(ctx context.Context, r store.Restoration) (store.Restored, error) {
	var done store.Restored
	err := s.patiently(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error {
		owner, err := restoreExperiment(ctx, tx, &r)
		if err != nil {
			return err
		}
		for _, kind := range r.Kinds {
			if err := s.restoreKind(ctx, tx, record.SchemaOf(kind), owner, &r, &done); err != nil {
				return err
			}
		}
		if err := r.Check(); err != nil {
			return err
		}
		b := &pgx.Batch{}
		if r.Archived.What == "experiment" {
			b.Queue(`UPDATE experiments e SET archived_at = NULL, total_episodes = t.n, best_reward = t.best
				FROM (SELECT count(*) AS n, max(total_reward) AS best FROM training_episodes WHERE experiment_id = $1) t WHERE e.id = $1`, r.Archived.ExperimentID)
		}
		b.Queue(`UPDATE archives SET restored_at = clock_timestamp() WHERE experiment_id = $1 AND id = $2`, r.Archived.ExperimentID, r.Archived.ID)
		b.Queue(`SELECT pg_notify($1, $2)`, channel, r.Archived.ExperimentID)
		return tx.SendBatch(ctx, b).Close()
	})
	if errors.Is(err, store.ErrConflict) {
		return store.Restored{}, err
	}
	return done, s.wrap("restore experiment "+r.Archived.Experiment, err)
}

// restoreExperiment makes sure that the experiment and its runs are there, locks the
// experiment and returns its owner.
func restoreExperiment(ctx context.Context, tx pgx.Tx, r *store.Restoration) (owner string, err error) {
	made, err := json.Marshal(r.Description.Experiment)
	if err != nil {
		return "", err
	}
	columns := names(store.DescribedExperiment)
	if _, err := tx.Exec(ctx, `INSERT INTO experiments (`+columns+`) SELECT `+columns+` FROM jsonb_populate_record(NULL::experiments, $1) ON CONFLICT DO NOTHING`, made); err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `SELECT owner::text FROM experiments WHERE id = $1 FOR UPDATE`, uuidArg(r.Archived.ExperimentID)).Scan(&owner)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("another experiment has the name %q now: %w", r.Archived.Experiment, store.ErrConflict)
	}
	if err != nil {
		return "", err
	}
	columns = names(store.DescribedRun)
	for _, run := range r.Description.Runs {
		data, err := json.Marshal(run)
		if err != nil {
			return "", err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO training_runs (`+columns+`) SELECT `+columns+` FROM jsonb_populate_record(NULL::training_runs, $1) ON CONFLICT DO NOTHING`, data); err != nil {
			return "", err
		}
	}
	return owner, nil
}

// restoreKind copies rows to a stage and merges it into the table, as a sync does.
func (s *Store) restoreKind(ctx context.Context, tx pgx.Tx, schema *record.Schema, owner string, r *store.Restoration, done *store.Restored) error {
	m := &merging[tableIndex(schema)]
	if _, err := tx.Exec(ctx, m.create); err != nil {
		return err
	}
	in, err := copyStored(schema, r.Archived.ExperimentID, owner, r.Rows(schema.Kind))
	if err != nil {
		return err
	}
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, in, copySQL(m.stage, schema))
	if fault := in.stop(); fault != nil {
		return fault
	}
	if err != nil {
		return err
	}
	key := []string{"experiment_id", "id"}
	if schema.Key > 0 {
		key = append(key[:1], names(schema.Fields[:schema.Key]))
	}
	if _, err := tx.Exec(ctx, "CREATE INDEX ON "+m.stage+" ("+strings.Join(key, ", ")+"); ANALYZE "+m.stage); err != nil {
		return err
	}
	merged, err := tx.Exec(ctx, m.upsert)
	if err != nil {
		return err
	}
	// What the table has now under the keys of the stage.
	d := newDecoder(schema)
	using := " JOIN " + m.stage + " n USING (" + strings.Join(key, ", ") + ") WHERE t.experiment_id = $1"
	newer := int64(0)
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+schema.Table+" t"+using+" AND (t.run_id, t.seq) IS DISTINCT FROM (n.run_id, n.seq)", r.Archived.ExperimentID).Scan(&newer); err != nil {
		return err
	}
	held := int64(0)
	if err := d.each(ctx, tx, d.sql+using, []any{r.Archived.ExperimentID}, func(row *store.Stored) error {
		held++
		r.Held(schema.Kind, row, newer > 0)
		return nil
	}); err != nil {
		return err
	}
	if held != tag.RowsAffected() {
		return fmt.Errorf("%w: %s has %d of the %d rows that were brought", store.ErrTemporary, schema.Table, held, tag.RowsAffected())
	}
	done.Stored += merged.RowsAffected()
	done.Newer += newer
	done.There += held - merged.RowsAffected() - newer
	_, err = tx.Exec(ctx, m.drop)
	return err
}

func tableIndex(schema *record.Schema) int {
	for i, s := range tables {
		if s == schema {
			return i
		}
	}
	return -1
}
