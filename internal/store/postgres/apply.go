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

// tables are the tables of records, in the order of store.Settled.Rows.
var tables = record.Tabled()

// nTables is their number.
const nTables = 6

// plan says for each table whether its rows are merged, because some of them may be
// there already, or copied straight in.
type plan [nTables]bool

func (p plan) merges() bool { return p != plan{} }

// notNewError says that a table's rows cannot be copied straight in.
type notNewError struct{ table int }

func (e *notNewError) Error() string { return "rows of " + tables[e.table].Table + " are not new" }

// Apply commits a batch: see store.Destination. Rows are copied straight into their
// table while their keys are larger than any that is there; otherwise, or when
// another writer was faster, the batch starts again with a staged merge.
func (s *Store) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	settled := store.Settle(&b)
	var p plan
	if _, ok := store.IdentityOf(ctx); ok {
		// COPY goes past policies and is refused under them; a stage has none.
		p = plan{true, true, true, true, true, true}
	}
	for {
		result, err := s.apply(ctx, &b, &settled, p)
		var notNew *notNewError
		if errors.As(err, &notNew) && !p[notNew.table] {
			p[notNew.table] = true
			continue
		}
		if err != nil {
			return store.Result{}, s.wrap(fmt.Sprintf("records %d to %d of run %s", b.From+1, b.To, b.RunID), err)
		}
		return result, nil
	}
}

func (s *Store) apply(ctx context.Context, b *store.Batch, settled *store.Settled, p plan) (store.Result, error) {
	t, err := s.begin(ctx)
	if err != nil {
		return store.Result{}, err
	}
	defer t.close(ctx)

	look, err := t.look(ctx, b.ExperimentID, b.RunID, settled, p)
	if err != nil {
		return store.Result{}, err
	}
	if err := look.check(ctx, b); err != nil {
		return store.Result{}, err
	}
	c := counts{lost: settled.Superseded}
	c.stored = settled.Others
	for i, rows := range settled.Rows {
		if len(rows) == 0 {
			continue
		}
		if p[i] {
			if err := t.merge(ctx, i, b.ExperimentID, look.owner, b.RunID, rows, &c); err != nil {
				return store.Result{}, err
			}
			continue
		}
		if look.largest[i] != nil && !less(*look.largest[i], store.KeyOf(b.RunID, rows[0])) {
			return store.Result{}, &notNewError{i}
		}
		if err := t.copyRows(ctx, tables[i].Table, b.ExperimentID, look.owner, b.RunID, rows); err != nil {
			if code(err) == "23505" {
				return store.Result{}, &notNewError{i}
			}
			return store.Result{}, err
		}
		c.stored += len(rows)
	}

	last := t.batch(ctx)
	if err := look.change(last, b, settled); err != nil {
		return store.Result{}, err
	}
	queueDead(last, b.RunID, b.Dead)
	c.credit(last, b.RunID)
	if err := look.move(last, b, settled); err != nil {
		return store.Result{}, err
	}
	if err := t.commit(ctx, last); err != nil {
		return store.Result{}, err
	}
	return store.Result{Stored: c.stored, Superseded: c.lost + c.displaced(), Repeated: c.repeated, Dead: len(b.Dead)}, nil
}

func less(a, b store.Key) bool {
	return a.Episode < b.Episode || a.Episode == b.Episode && a.Step < b.Step
}

// look is what the first round trip of a batch finds out, under the locks that it
// takes: the experiment first, then the run, everywhere in this package.
type look struct {
	exists       bool   // the experiment of the batch
	owner        string // of the experiment
	known        bool   // the run
	runExists    bool   // the run's own experiment
	experimentID string
	cursor       int64
	status       string
	endedAt      *time.Time
	extra        []byte
	version      int64
	largest      [nTables]*store.Key
	row          store.ExperimentRow
}

const lockRun = `SELECT coalesce(r.experiment_id::text, ''), EXISTS (SELECT 1 FROM experiments e WHERE e.id = r.experiment_id),
	r.cursor, r.status, r.ended_at, r.extra, (SELECT max(version_id) FROM ` + versionTable + `)
	FROM training_runs r WHERE r.id = $1 FOR UPDATE OF r`

const lockExperiment = `SELECT owner::text, description, config, metadata, convergence_episode, extra, changes FROM experiments WHERE id = $1 FOR `

func (t *txn) look(ctx context.Context, experimentID, runID string, settled *store.Settled, p plan) (*look, error) {
	l := &look{}
	strength := "KEY SHARE"
	switch {
	case p.merges():
		strength = "UPDATE" // nobody else writes rows of the experiment meanwhile
	case len(settled.Changes) > 0:
		strength = "NO KEY UPDATE"
	}
	b := t.batch(ctx)
	b.Queue(lockExperiment+strength, uuidArg(experimentID)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l.exists = true
			r := &l.row
			if err := rows.Scan(&l.owner, &r.Description, (*[]byte)(&r.Config), (*[]byte)(&r.Metadata), &r.ConvergenceEpisode, (*[]byte)(&r.Extra), (*[]byte)(&r.Changes)); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	b.Queue(lockRun, uuidArg(runID)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l.known = true
			if err := rows.Scan(&l.experimentID, &l.runExists, &l.cursor, &l.status, &l.endedAt, &l.extra, &l.version); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	for i, rows := range settled.Rows {
		if len(rows) == 0 {
			continue
		}
		if p[i] {
			continue
		}
		queueLargest(b, i, experimentID, l)
	}
	return l, t.send(ctx, b)
}

// queueLargest asks for the largest key of a table.
func queueLargest(b *pgx.Batch, table int, experimentID string, l *look) {
	if sql := largestSQL(table); sql != "" {
		b.Queue(sql, uuidArg(experimentID)).Query(l.scanLargest(table))
	}
}

// largestSQL is one look-up in the index of the key. The columns are qualified where
// it sorts: without that, the names would mean the casts, which have no index.
func largestSQL(table int) string {
	switch s := tables[table]; s.Key {
	case 1:
		return "SELECT t.episode_number::bigint, 0::bigint FROM " + s.Table +
			" t WHERE t.experiment_id = $1 ORDER BY t.episode_number DESC LIMIT 1"
	case 2:
		return "SELECT t.episode_number::bigint, t.step_number::bigint FROM " + s.Table +
			" t WHERE t.experiment_id = $1 ORDER BY t.episode_number DESC, t.step_number DESC LIMIT 1"
	}
	return ""
}

func (l *look) scanLargest(table int) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			l.largest[table] = &store.Key{}
			if err := rows.Scan(&l.largest[table].Episode, &l.largest[table].Step); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

// check decides whether the batch may be applied.
func (l *look) check(ctx context.Context, b *store.Batch) error {
	// What cannot be locked cannot be written to.
	if !l.known || l.runExists && !l.exists && strings.EqualFold(l.experimentID, b.ExperimentID) {
		if err := notYours(ctx, "run "+b.RunID); err != nil {
			return err
		}
	}
	switch {
	case !l.known:
		return fmt.Errorf("run %s: %w", b.RunID, store.ErrNotFound)
	case l.version != newest:
		return versionError(l.version)
	case !l.runExists:
		return fmt.Errorf("run %s: %w", b.RunID, store.ErrExperimentDeleted)
	case !strings.EqualFold(l.experimentID, b.ExperimentID):
		return fmt.Errorf("run %s belongs to another experiment now: %w", b.RunID, store.ErrCursorMoved)
	case !l.exists:
		return fmt.Errorf("run %s: %w", b.RunID, store.ErrExperimentDeleted)
	case uint64(l.cursor) != b.From:
		return fmt.Errorf("run %s is at %d, not %d: %w", b.RunID, l.cursor, b.From, store.ErrCursorMoved)
	}
	return nil
}

// change queues what records of kind experiment say.
func (l *look) change(b *pgx.Batch, batch *store.Batch, settled *store.Settled) error {
	if len(settled.Changes) == 0 {
		return nil
	}
	row, err := store.MergeExperiment(l.row, strings.ToLower(batch.RunID), settled.Changes)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrRefused, err)
	}
	b.Queue(`UPDATE experiments SET description = $2, config = coalesce($3::jsonb, '{}'), metadata = coalesce($4::jsonb, '{}'), convergence_episode = $5, extra = $6, changes = $7 WHERE id = $1`,
		batch.ExperimentID, row.Description, jsonArg(row.Config), jsonArg(row.Metadata), row.ConvergenceEpisode, jsonArg(row.Extra), jsonArg(row.Changes))
	return nil
}

// move queues the run's new cursor and what its heartbeats and end say. A run that
// was marked as interrupted and shows a fresh sign of life is running again.
func (l *look) move(b *pgx.Batch, batch *store.Batch, settled *store.Settled) error {
	b.Queue(`UPDATE training_runs SET cursor = $2, updated_at = clock_timestamp() WHERE id = $1`, batch.RunID, int64(batch.To))
	b.Queue(`SELECT pg_notify($1, $2)`, channel, uuidArg(batch.ExperimentID))
	return l.lifecycle(b, batch, settled)
}

func (l *look) lifecycle(b *pgx.Batch, batch *store.Batch, settled *store.Settled) error {
	if settled.LastSign.IsZero() {
		return nil
	}
	extra, err := store.MergeExtra(l.extra, settled)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrRefused, err)
	}
	b.Queue(`UPDATE training_runs SET last_heartbeat = greatest(last_heartbeat, $2), last_record = greatest(last_record, $5),
		status = CASE WHEN status = 'interrupted' AND ended_at IS NULL AND $2 > now() - $3::interval THEN 'running' ELSE status END,
		extra = $4 WHERE id = $1`, batch.RunID, settled.LastSign, store.StaleAfter, jsonArg(extra), timeOrNull(settled.LastRecord))
	if e := settled.End; e != nil && (l.endedAt == nil || !e.Time.Before(*l.endedAt)) {
		b.Queue(`UPDATE training_runs SET status = $2, reason = $3, ended_at = $4 WHERE id = $1`,
			batch.RunID, textArg(e.Row.Get("status")), textArg(e.Row.Get("reason")), e.Time)
	}
	if settled.End != nil || l.status == "interrupted" {
		b.Queue(refreshStatus, batch.ExperimentID)
	}
	return nil
}

// refreshStatus makes the experiment's status that of the run that started last.
const refreshStatus = `UPDATE experiments e
	SET status = r.status, completed_at = CASE WHEN r.status IN ('completed', 'failed') THEN r.ended_at END
	FROM (SELECT status, ended_at FROM training_runs WHERE experiment_id = $1 ORDER BY started_at DESC, id DESC LIMIT 1) r
	WHERE e.id = $1`

func queueDead(b *pgx.Batch, runID string, dead []store.DeadLetter) {
	if len(dead) == 0 {
		return
	}
	var (
		seqs                     []int64
		kinds, reasons, location []string
		times                    []time.Time
	)
	for _, d := range dead {
		seqs = append(seqs, int64(d.Seq))
		kinds = append(kinds, string(d.Kind))
		reasons = append(reasons, clean(d.Reason))
		location = append(location, clean(d.Where))
		times = append(times, d.Time)
	}
	b.Queue(`INSERT INTO dead_letters (run_id, seq, kind, reason, location, refused_at)
		SELECT $1::uuid, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
		ON CONFLICT (run_id, seq) DO UPDATE SET reason = excluded.reason, refused_at = excluded.refused_at`,
		runID, seqs, kinds, reasons, location, times)
	queueDeadCount(b, runID)
}

func queueDeadCount(b *pgx.Batch, runID string) {
	b.Queue(`UPDATE training_runs SET dead = (SELECT count(*) FROM dead_letters WHERE run_id = $1) WHERE id = $1`, runID)
}

// clean makes text of foreign bytes storable: no NUL, valid UTF-8.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "�"), "�")
}

// uuidArg turns what is not a UUID into one that no row has, so that looking for it
// finds nothing instead of failing.
func uuidArg(id string) string {
	if _, ok := canonical(id); !ok {
		return "00000000-0000-0000-0000-000000000000"
	}
	return id
}

func jsonArg(j json.RawMessage) any {
	if len(j) == 0 {
		return nil
	}
	return []byte(j)
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func textArg(v record.Value) any {
	if v.IsNull() {
		return nil
	}
	return string(v.Bytes())
}

func (t *txn) copyRows(ctx context.Context, into, experimentID, owner, runID string, rows []*store.Entry) error {
	r, err := copyEntries(experimentID, owner, runID, rows)
	if err != nil {
		return err
	}
	tag, err := t.copyIn(ctx, r, copySQL(into, rows[0].Row.Schema))
	if err := r.stop(); err != nil {
		return err
	}
	if err == nil && tag.RowsAffected() != int64(len(rows)) {
		return fmt.Errorf("COPY took %d of %d rows", tag.RowsAffected(), len(rows))
	}
	return err
}
