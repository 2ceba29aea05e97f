package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Apply commits a batch; see [store.Destination].
func (s *Store) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	var res store.Result
	settled := store.Settle(&b)
	err := s.update(ctx, func(t *tx) error {
		res = store.Result{}
		run, err := t.runOf(&b)
		if err != nil {
			return err
		}
		if uint64(run.cursor) != b.From {
			return fmt.Errorf("run %s is at %d, not at %d: %w", run.id, run.cursor, b.From, store.ErrCursorMoved)
		}
		outcome, err := t.writeSettled(run, &settled)
		if err != nil {
			return err
		}
		fresh := 0
		for i := range b.Dead {
			n, err := t.bury(run.id, &b.Dead[i])
			if err != nil {
				return err
			}
			fresh += n
		}
		res = outcome.result
		res.Dead = len(b.Dead)
		if err := t.sign(run, &settled); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE training_runs SET cursor = ?, dead = dead + ?, superseded = superseded + ?, updated_at = ? WHERE id = ?`,
			int64(b.To), int64(fresh), int64(outcome.lost), timeText(s.now()), run.id)
		return err
	})
	if err != nil {
		return store.Result{}, err
	}
	return res, nil
}

// Replay commits entries that were dead letters; see [store.Destination].
func (s *Store) Replay(ctx context.Context, b store.Batch) (store.Result, error) {
	var res store.Result
	err := s.update(ctx, func(t *tx) error {
		res = store.Result{}
		run, err := t.runOf(&b)
		if err != nil {
			return err
		}
		var alive store.Batch
		for _, e := range b.Entries {
			n, err := t.exec(`DELETE FROM dead_letters WHERE run_id = ? AND seq = ?`, run.id, int64(e.Seq))
			if err != nil {
				return err
			}
			if n == 0 {
				res.Repeated++
				continue
			}
			alive.Entries = append(alive.Entries, e)
		}
		settled := store.Settle(&alive)
		outcome, err := t.writeSettled(run, &settled)
		if err != nil {
			return err
		}
		res.Add(outcome.result)
		for _, d := range b.Dead {
			n, err := t.exec(`UPDATE dead_letters SET kind = ?, reason = ?, location = ?, refused_at = ? WHERE run_id = ? AND seq = ?`,
				string(d.Kind), d.Reason, d.Where, timeText(d.Time), run.id, int64(d.Seq))
			if err != nil {
				return err
			}
			res.Dead += int(n)
		}
		if err := t.sign(run, &settled); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE training_runs SET dead = dead - ?, superseded = superseded + ?, updated_at = ? WHERE id = ?`,
			int64(len(alive.Entries)), int64(outcome.lost), timeText(s.now()), run.id)
		return err
	})
	if err != nil {
		return store.Result{}, err
	}
	return res, nil
}

// runOf returns the run of a batch when the batch still speaks of what is there.
func (t *tx) runOf(b *store.Batch) (*runRow, error) {
	run, err := t.run1(canonical(b.RunID))
	switch {
	case err != nil:
		return nil, err
	case run == nil:
		return nil, fmt.Errorf("run %s: %w; it has not been registered", b.RunID, store.ErrNotFound)
	case run.experimentID == "":
		return nil, fmt.Errorf("experiment %q of run %s: %w", run.experiment, run.id, store.ErrExperimentDeleted)
	case run.experimentID != canonical(b.ExperimentID):
		return nil, fmt.Errorf("run %s belongs to experiment %s now, not to %s: %w", run.id, run.experimentID, b.ExperimentID, store.ErrCursorMoved)
	}
	return run, nil
}

// outcome is what the entries of a batch came to.
type outcome struct {
	result store.Result
	lost   int // entries of the run itself that lost
}

// writeSettled writes everything but the cursor and the run's own columns.
func (t *tx) writeSettled(run *runRow, settled *store.Settled) (outcome, error) {
	out := outcome{result: store.Result{Stored: settled.Others, Superseded: settled.Superseded}, lost: settled.Superseded}
	for i, rows := range settled.Rows {
		if len(rows) == 0 {
			continue
		}
		ins, err := t.inserter(record.Tabled()[i], run)
		if err != nil {
			return out, err
		}
		for _, e := range rows {
			if err := ins.insert(e, &out); err != nil {
				return out, err
			}
		}
	}
	if len(settled.Changes) > 0 {
		if err := t.change(run, settled.Changes); err != nil {
			return out, err
		}
	}
	return out, nil
}

// change applies experiment records to the experiment's row.
func (t *tx) change(run *runRow, changes []*store.Entry) error {
	row, err := t.row(`SELECT description, config, metadata, convergence_episode, extra, changes FROM experiments WHERE id = ?`, run.experimentID)
	if err != nil {
		return err
	}
	is := store.ExperimentRow{
		Config: json.RawMessage(asText(row[1])), Metadata: json.RawMessage(asText(row[2])),
		Extra: json.RawMessage(asText(row[4])), Changes: json.RawMessage(asText(row[5])),
	}
	if row[0] != nil {
		text := asText(row[0])
		is.Description = &text
	}
	if episode, ok := row[3].(int64); ok {
		is.ConvergenceEpisode = &episode
	}
	is, err = store.MergeExperiment(is, run.id, changes)
	if err != nil {
		return err
	}
	var description, convergence driver.Value
	if is.Description != nil {
		description = *is.Description
	}
	if is.ConvergenceEpisode != nil {
		convergence = *is.ConvergenceEpisode
	}
	_, err = t.exec(`UPDATE experiments SET description = ?, config = ?, metadata = ?, convergence_episode = ?, extra = ?, changes = ? WHERE id = ?`,
		description, jsonOr(is.Config, "{}"), jsonOr(is.Metadata, "{}"), convergence, jsonOr(is.Extra, nil), jsonOr(is.Changes, nil), run.experimentID)
	return err
}

// sign writes what a batch says about the run itself: its last sign of life, its
// end, and that it runs again when it was thought dead.
func (t *tx) sign(run *runRow, settled *store.Settled) error {
	if settled.LastSign.IsZero() {
		return nil
	}
	if settled.LastSign.UnixMicro() > run.lastHeartbeat.UnixMicro() || run.lastHeartbeat.IsZero() {
		if _, err := t.exec(`UPDATE training_runs SET last_heartbeat = ? WHERE id = ?`, timeText(settled.LastSign), run.id); err != nil {
			return err
		}
	}
	if settled.LastRecord.UnixMicro() > run.lastRecord.UnixMicro() {
		if _, err := t.exec(`UPDATE training_runs SET last_record = ? WHERE id = ?`, timeText(settled.LastRecord), run.id); err != nil {
			return err
		}
	}
	extra, err := store.MergeExtra(run.extra, settled)
	if err != nil {
		return err
	}
	if string(extra) != string(run.extra) {
		if _, err := t.exec(`UPDATE training_runs SET extra = ? WHERE id = ?`, string(extra), run.id); err != nil {
			return err
		}
	}
	if settled.End != nil {
		return t.end(run, settled.End)
	}
	if run.status == "interrupted" && !run.ended && t.s.now().Sub(settled.LastSign) < store.StaleAfter {
		if _, err := t.exec(`UPDATE training_runs SET status = 'running' WHERE id = ?`, run.id); err != nil {
			return err
		}
		return t.startExperiment(run.id, run.experimentID)
	}
	return nil
}

// end records the end of the run, and of the experiment when no later run of it
// exists.
func (t *tx) end(run *runRow, e *store.Entry) error {
	status := string(e.Row.Get("status").Bytes())
	var reason driver.Value
	if v := e.Row.Get("reason"); !v.IsNull() {
		reason = string(v.Bytes())
	}
	at := timeText(e.Time)
	n, err := t.exec(`UPDATE training_runs SET status = ?, reason = ?, ended_at = ? WHERE id = ? AND (ended_at IS NULL OR ended_at <= ?)`,
		status, reason, at, run.id, at)
	if err != nil || n == 0 {
		return err
	}
	var completed driver.Value
	if status == "completed" || status == "failed" {
		completed = at
	}
	_, err = t.exec(`UPDATE experiments SET status = ?, completed_at = ? WHERE id = ? AND NOT `+hasLaterRun, status, completed, run.experimentID, run.id)
	return err
}

// bury adds a dead letter, or changes the reason of one that is there; it returns
// how many were added.
func (t *tx) bury(runID string, d *store.DeadLetter) (int, error) {
	at := d.Time
	if at.IsZero() {
		at = t.s.now()
	}
	args := []driver.Value{string(d.Kind), d.Reason, d.Where, timeText(at), runID, int64(d.Seq)}
	n, err := t.exec(`UPDATE dead_letters SET kind = ?, reason = ?, location = ?, refused_at = ? WHERE run_id = ? AND seq = ?`, args...)
	if err != nil || n > 0 {
		return 0, err
	}
	_, err = t.exec(`INSERT INTO dead_letters (kind, reason, location, refused_at, run_id, seq) VALUES (?, ?, ?, ?, ?, ?)`, args...)
	return 1, err
}

// loggedAt is the time of an entry as it is stored and compared.
func loggedAt(e *store.Entry) time.Time { return e.Time.Truncate(time.Microsecond) }
