package syncer

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// pipeline is how many batches a run has in memory: one that is committed and one
// that is read meanwhile.
const pipeline = 2

// patience is how often an error that nobody knows is met with the same batch
// before the batch is split as if it had been refused.
const patience = 3

// errRefusesAll means that the database refuses record after record of a kind.
var errRefusesAll = errors.New("the database refuses every record")

// stream carries records from the cursor on until the source is over, stop ends
// and what was there is sent, or something fails. It has no goroutine left when it
// returns.
func (s *Syncer) stream(stop, work context.Context, t *task, from uint64) error {
	s.active.Add(1)
	defer s.active.Add(-1)
	reading, cancel := context.WithCancel(work)
	defer cancel()

	live := t.src.Live()
	s.update(t, func(r *Report) { r.Live = live })
	r := &reader{cfg: &s.cfg, src: t.src, next: from + 1, limits: func() limit { return s.limit(t) },
		found: func(logged uint64) { s.found(t, logged) }, live: live, asked: time.Now()}
	free, full := make(chan *batch, pipeline), make(chan *batch)
	for range pipeline {
		free <- s.batches.Get().(*batch)
	}
	var readErr error
	go func() {
		defer close(full)
		readErr = r.run(stop, reading, free, full)
	}()

	var err error
	for b := range full {
		if err = s.settle(work, t, b); err != nil {
			break
		}
		free <- b
	}
	cancel()
	for range full { // wait for the reader
	}
	for len(free) > 0 {
		s.batches.Put(<-free)
	}
	t.lastRead, t.ended = r.last, r.ended
	if j, ok := t.src.(*journalSource); ok {
		for _, stray := range j.takeStrays() {
			s.cfg.Logger.Warn("the journal is damaged in a place that holds no record; greenwave verify shows it",
				"run", t.run.ID, "experiment", t.run.Experiment, "damage", stray)
		}
	}
	if err != nil {
		return err
	}
	return readErr
}

// limit is the size of a run's next batch: its share of the memory, and less after
// a failure, in case the batch was too much for the time that the database has.
func (s *Syncer) limit(t *task) limit {
	share := max(s.cfg.MaxBytes/int(max(1, s.active.Load())), 2*chunkSize)
	return limit{rows: min(s.cfg.MaxRows, int(t.rows.Load())), bytes: min(share, s.cfg.MaxBytes)}
}

// settle commits a batch.
func (s *Syncer) settle(ctx context.Context, t *task, b *batch) error {
	b.RunID, b.ExperimentID = t.run.ID, t.state.ExperimentID
	for i := range b.Dead {
		b.Dead[i].RunID = t.run.ID
	}
	t.doubt, t.current, t.isolate = b.To, b, t.strange >= patience
	defer func() { t.current = nil }()
	if err := s.apply(ctx, t, b.Batch); err != nil {
		if errors.Is(err, store.ErrCursorMoved) {
			t.doubt = 0 // somebody else settled it
		}
		return err
	}
	s.update(t, func(r *Report) { r.Quarantined += b.quarantined })
	t.rows.Store(min(2*t.rows.Load(), int64(s.cfg.MaxRows)))
	return nil
}

// apply commits a stretch. One that is refused is split until the record that is
// the reason stands alone; that becomes a dead letter, the others are committed.
// The stretches are committed in order, so the cursor passes each record once.
func (s *Syncer) apply(ctx context.Context, t *task, b store.Batch) error {
	unlock, err := s.lock(ctx, t.run.Experiment)
	if err != nil {
		return err
	}
	result, err := s.dest.Apply(ctx, b)
	unlock()
	if err == nil {
		t.accepted(b.Entries)
		s.confirm(t, b.To, result)
		return nil
	}
	if !t.splits(err, b) {
		return err
	}
	if n := len(b.Entries); n > 1 {
		left, right := split(b, b.Entries[n/2-1].Seq)
		if err := s.apply(ctx, t, left); err != nil {
			return err
		}
		return s.apply(ctx, t, right)
	}
	dead, err := s.condemn(t, &b.Entries[0], err)
	if err != nil {
		return err
	}
	at := sort.Search(len(b.Dead), func(i int) bool { return b.Dead[i].Seq > dead.Seq })
	letters := append(b.Dead[:at:at], dead)
	b.Entries, b.Dead = nil, append(letters, b.Dead[at:]...)
	return s.apply(ctx, t, b)
}

// split divides a stretch after seq.
func split(b store.Batch, seq uint64) (left, right store.Batch) {
	entry := sort.Search(len(b.Entries), func(i int) bool { return b.Entries[i].Seq > seq })
	dead := sort.Search(len(b.Dead), func(i int) bool { return b.Dead[i].Seq > seq })
	left, right = b, b
	left.To, right.From = seq, seq
	left.Entries, right.Entries = b.Entries[:entry], b.Entries[entry:]
	left.Dead, right.Dead = b.Dead[:dead], b.Dead[dead:]
	return left, right
}

// splits reports whether a failed stretch is to be divided: when the database
// refuses the data, and when an error that nobody knows comes again and again for
// the same stretch.
func (t *task) splits(err error, b store.Batch) bool {
	if len(b.Entries) == 0 {
		return false
	}
	return errors.Is(err, store.ErrRefused) || unexpected(err) && t.isolate
}

// condemn makes a dead letter of a record that was refused by itself, unless the
// database has refused so many in a row that the fault must be its own.
func (s *Syncer) condemn(t *task, e *store.Entry, reason error) (store.DeadLetter, error) {
	kind := e.Row.Schema.Kind
	if limit := s.cfg.MaxRefused; limit >= 0 && t.refused[kind] >= limit {
		return store.DeadLetter{}, fmt.Errorf("%w of kind %s: %d in a row, the last one %d: %w; it looks like a fault of the database, not of the records",
			errRefusesAll, kind, t.refused[kind], e.Seq, reason)
	}
	if t.refused == nil {
		t.refused = map[record.Kind]int{}
	}
	t.refused[kind]++
	s.cfg.Logger.Warn("the database refused a record; it is among the dead letters",
		"run", t.run.ID, "experiment", t.run.Experiment, "seq", e.Seq, "kind", string(kind), "reason", reason)
	return store.DeadLetter{
		RunID: t.run.ID, Seq: e.Seq, Kind: kind, Reason: plainText(reason.Error()),
		Where: t.current.whereIs(e.Seq), Time: s.cfg.Now(),
	}, nil
}

// accepted ends the series of refused records of the kinds that were taken.
func (t *task) accepted(entries []store.Entry) {
	if len(t.refused) == 0 {
		return
	}
	for i := range entries {
		delete(t.refused, entries[i].Row.Schema.Kind)
	}
}

// unexpected reports whether an error of a destination is none of those that
// callers know.
func unexpected(err error) bool {
	for _, known := range []error{store.ErrTemporary, store.ErrAuth, store.ErrRefused, store.ErrSchema,
		store.ErrCursorMoved, store.ErrExperimentDeleted, store.ErrNotFound, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return false
		}
	}
	return true
}
