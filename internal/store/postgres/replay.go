package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Replay commits entries that were dead letters: see store.Destination. Entries that
// the database refuses are found by halving, each half behind a savepoint.
func (s *Store) Replay(ctx context.Context, b store.Batch) (store.Result, error) {
	result, err := s.replay(ctx, &b)
	return result, s.wrap("dead letters of run "+b.RunID, err)
}

func (s *Store) replay(ctx context.Context, b *store.Batch) (store.Result, error) {
	t, err := s.begin(ctx)
	if err != nil {
		return store.Result{}, err
	}
	defer t.close(ctx)
	all := store.Settle(b)
	look, err := t.look(ctx, b.ExperimentID, b.RunID, &store.Settled{Rows: all.Rows, Changes: all.Changes}, plan{true, true, true, true, true})
	if err != nil {
		return store.Result{}, err
	}
	same := *b
	same.From = uint64(look.cursor)
	if err := look.check(ctx, &same); err != nil {
		return store.Result{}, err
	}
	letters, err := t.letters(ctx, b)
	if err != nil {
		return store.Result{}, err
	}
	r := replaying{t: t, batch: b, look: look}
	var entries []store.Entry
	for _, e := range b.Entries {
		if letters[e.Seq] {
			entries = append(entries, e)
		} else {
			r.counts.repeated++
		}
	}
	for _, d := range b.Dead {
		if letters[d.Seq] {
			r.dead = append(r.dead, d)
		}
	}
	if err := r.write(ctx, entries); err != nil {
		return store.Result{}, err
	}
	last := t.batch(ctx)
	if len(r.done) > 0 {
		last.Queue("DELETE FROM dead_letters WHERE run_id = $1 AND seq = ANY ($2)", b.RunID, r.done)
	}
	queueDead(last, b.RunID, r.dead)
	queueDeadCount(last, b.RunID)
	r.counts.credit(last, b.RunID)
	if err := t.commit(ctx, last); err != nil {
		return store.Result{}, err
	}
	c := &r.counts
	return store.Result{Stored: c.stored, Superseded: c.lost + c.displaced(), Repeated: c.repeated, Dead: len(r.dead)}, nil
}

// letters returns which records of the batch are among the dead letters.
func (t *txn) letters(ctx context.Context, b *store.Batch) (map[uint64]bool, error) {
	var seqs []int64
	for _, e := range b.Entries {
		seqs = append(seqs, int64(e.Seq))
	}
	for _, d := range b.Dead {
		seqs = append(seqs, int64(d.Seq))
	}
	found := map[uint64]bool{}
	q := t.batch(ctx)
	q.Queue("SELECT seq FROM dead_letters WHERE run_id = $1 AND seq = ANY ($2)", b.RunID, seqs).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var seq int64
			if err := rows.Scan(&seq); err != nil {
				return err
			}
			found[uint64(seq)] = true
		}
		return rows.Err()
	})
	return found, t.send(ctx, q)
}

type replaying struct {
	t      *txn
	batch  *store.Batch
	look   *look
	counts counts
	done   []int64
	dead   []store.DeadLetter
}

// write writes entries, halving them where the database refuses.
func (r *replaying) write(ctx context.Context, entries []store.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	save := r.t.batch(ctx)
	save.Queue("SAVEPOINT part")
	if err := r.t.send(ctx, save); err != nil {
		return err
	}
	part := *r.batch
	part.Entries = entries
	c, err := r.writePart(ctx, &part)
	if err == nil {
		for i := range entries {
			r.done = append(r.done, int64(entries[i].Seq))
		}
		r.counts.add(c)
		return nil
	}
	wrapped := r.t.s.wrap("write", err)
	if !errors.Is(wrapped, store.ErrRefused) {
		return err
	}
	undo := r.t.batch(ctx)
	undo.Queue("ROLLBACK TO SAVEPOINT part")
	undo.Queue("RELEASE SAVEPOINT part")
	if err := r.t.send(ctx, undo); err != nil {
		return err
	}
	if len(entries) == 1 {
		e := &entries[0]
		r.dead = append(r.dead, store.DeadLetter{RunID: r.batch.RunID, Seq: e.Seq, Kind: e.Row.Schema.Kind,
			Reason: reason(wrapped), Time: r.t.s.now()})
		return nil
	}
	half := len(entries) / 2
	if err := r.write(ctx, entries[:half]); err != nil {
		return err
	}
	return r.write(ctx, entries[half:])
}

func (r *replaying) writePart(ctx context.Context, part *store.Batch) (counts, error) {
	settled := store.Settle(part)
	c := counts{stored: settled.Others, lost: settled.Superseded}
	for i, rows := range settled.Rows {
		if len(rows) == 0 {
			continue
		}
		if err := r.t.merge(ctx, i, part.ExperimentID, r.look.owner, part.RunID, rows, &c); err != nil {
			return c, err
		}
	}
	b := r.t.batch(ctx)
	look := *r.look
	if len(settled.Changes) > 0 {
		// What an earlier part changed is there by now.
		fresh, err := r.t.look(ctx, part.ExperimentID, part.RunID, &store.Settled{Changes: settled.Changes}, plan{true})
		if err != nil {
			return c, err
		}
		look.row = fresh.row
	}
	if err := look.change(b, part, &settled); err != nil {
		return c, err
	}
	if err := look.lifecycle(b, part, &settled); err != nil {
		return c, err
	}
	b.Queue("RELEASE SAVEPOINT part")
	return c, r.t.send(ctx, b)
}

func (c *counts) add(o counts) {
	c.stored += o.stored
	c.repeated += o.repeated
	c.lost += o.lost
	for run, n := range o.displacedOf {
		if c.displacedOf == nil {
			c.displacedOf = map[string]int{}
		}
		c.displacedOf[run] += n
	}
}

// reason is what a dead letter says: the message without the address in front.
func reason(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, fmt.Sprintf("%s: ", store.ErrRefused)); ok {
		return after
	}
	return text
}
