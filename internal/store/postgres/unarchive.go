package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"sync"

	"github.com/google/uuid"
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
	in, err := newStoredReader(schema, r.Archived.ExperimentID, owner, r.Rows(schema.Kind))
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

// storedReader writes stored rows, each with its own run, in COPY's binary format as
// they are read. As with copyReader, the driver reads in a goroutine of its own and may
// leave it behind; stop waits for it.
type storedReader struct {
	mu                sync.Mutex
	schema            *record.Schema
	experiment, owner [16]byte
	next              func() (*store.Stored, error, bool)
	end               func()
	buf               []byte
	off               int
	ended             bool
	err               error
	runText           string
	run               [16]byte
}

func newStoredReader(schema *record.Schema, experimentID, owner string, rows iter.Seq2[*store.Stored, error]) (*storedReader, error) {
	r := &storedReader{schema: schema}
	var err error
	if r.experiment, err = uuid.Parse(experimentID); err == nil {
		r.owner, err = uuid.Parse(owner)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrRefused, err)
	}
	r.next, r.end = iter.Pull2(rows)
	r.buf = append(r.buf, copyHeader...)
	return r, nil
}

// Read implements io.Reader.
func (r *storedReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.buf)-r.off < len(p) && !r.ended {
		if r.off > 0 {
			r.buf, r.off = r.buf[:copy(r.buf, r.buf[r.off:])], 0
		}
		row, err, more := r.next()
		switch {
		case !more:
			r.buf = binary.BigEndian.AppendUint16(r.buf, math.MaxUint16)
			r.ended = true
		case err != nil:
			r.err = err
			return 0, err
		default:
			if r.err = r.append(row); r.err != nil {
				return 0, r.err
			}
		}
	}
	n := copy(p, r.buf[r.off:])
	r.off += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *storedReader) append(row *store.Stored) error {
	var run *[16]byte
	if row.RunID != "" {
		if row.RunID != r.runText {
			id, err := uuid.Parse(row.RunID)
			if err != nil {
				return fmt.Errorf("%w: run id %q is not a UUID", store.ErrRefused, row.RunID)
			}
			r.run, r.runText = id, row.RunID
		}
		run = &r.run
	}
	b, err := appendRow(r.buf, &origin{r.schema, &r.experiment, &r.owner, run}, row.ID, row.Seq, row.Time, &row.Row)
	r.buf = b
	return err
}

// stop ends the reading and returns why rows could not be had.
func (r *storedReader) stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf, r.off, r.ended = nil, 0, true
	r.end()
	return r.err
}
