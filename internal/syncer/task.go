package syncer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// task is one run on its way to the database. Between attempts it keeps no memory
// and no open file; only the goroutine of the attempt uses it, but for the report.
type task struct {
	open func() (Source, error) // nil when src is the caller's
	src  Source
	run  store.Run
	live bool // of the folder when it was found: attempts do not wait for a slot

	state    store.State         // as of the last Register, cursor moved on by confirm
	doubt    uint64              // end of the last batch that was sent; it may be committed though the answer was lost
	seen     bool                // state is known
	lastRead time.Time           // when the last record that was read was logged
	ended    bool                // it was the end of the run
	refused  map[record.Kind]int // records in a row that the database refused
	strange  int                 // unexpected errors in a row, without progress
	current  *batch              // the batch that is being settled
	isolate  bool                // split it on unexpected errors too
	rows     atomic.Int64        // largest batch for now

	pause     *backoff.ExponentialBackOff
	notBefore time.Time
	progress  time.Time       // last time that the database took something, or the beginning
	complaint string          // what was logged about it last
	trouble   error           // why it waits; nil after a success
	shared    bool            // and so do all others
	up        chan<- struct{} // to the schedule: the database has answered

	report   Report    // guarded by Syncer.mu
	told     time.Time // when it was last passed on
	late     bool      // it has changed since
	window   time.Time // since when windowed is counted, for the rate
	windowed uint64
}

func (s *Syncer) newTask(open func() (Source, error)) *task {
	t := &task{open: open, pause: s.newPause(), progress: time.Now()}
	t.rows.Store(int64(s.cfg.MaxRows))
	return t
}

func (s *Syncer) newPause() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: s.cfg.MinBackoff, MaxInterval: s.cfg.MaxBackoff,
		Multiplier: 2, RandomizationFactor: 0.5,
	}
}

// outcome is how an attempt ended: nil when the source is over or was drained.
// shared is true when the reason concerns the whole database, not only the run.
type outcome struct {
	t      *task
	err    error
	shared bool
}

// attempt registers the run, goes to the database's cursor and streams. It holds
// the source open only meanwhile. stop asks it to come to an end, work ends it.
func (s *Syncer) attempt(stop, work context.Context, t *task) (out outcome) {
	out.t = t
	if t.open != nil {
		src, err := t.open()
		if err != nil {
			out.err = &sourceError{err}
			return out
		}
		t.src = src
		defer func() {
			err := src.Close()
			if t.src = nil; err != nil && out.err == nil {
				out.err = &sourceError{err}
			}
		}()
	}
	t.run = t.src.Run()
	s.update(t, func(r *Report) {
		r.RunID, r.Experiment, r.Source, r.Dir = t.run.ID, t.run.Experiment, t.run.Source, dirOf(t.src)
	})
	logged, err := t.src.Logged()
	if err != nil {
		out.err = &sourceError{err}
		return out
	}
	s.found(t, logged)

	unlock, err := s.lock(work, t.run.Experiment)
	if err != nil {
		out.err = errStopped
		return out
	}
	state, err := s.dest.Register(work, t.run, s.cfg.Restore)
	unlock()
	if err != nil {
		out.err, out.shared = err, !errors.Is(err, store.ErrExperimentDeleted) && !errors.Is(err, store.ErrRefused)
		return out
	}
	s.registered(t, state)

	if state.Cursor > logged {
		// This copy of the journal ends before what the database has.
		s.cfg.Logger.Warn("the database has more of this run than the journal", "run", t.run.ID,
			"experiment", t.run.Experiment, "journal", logged, "database", state.Cursor)
		return out
	}
	if err := t.src.Seek(state.Cursor); err != nil {
		out.err = &sourceError{err}
		return out
	}
	if out.err = s.stream(stop, work, t, state.Cursor); out.err == nil {
		out.err = s.markInterrupted(work, t)
	}
	return out
}

// markInterrupted tells the database that the process of a journal is gone without
// an end, or that a file that is not followed has none. The database knows better
// when it has an end or a later sign of life.
func (s *Syncer) markInterrupted(ctx context.Context, t *task) error {
	since := t.state.LastHeartbeat
	if t.lastRead.After(since) {
		since = t.lastRead
	}
	host, _ := os.Hostname()
	if t.ended || t.state.Status != "running" && t.lastRead.IsZero() || t.src.Live() ||
		t.run.Source == sourceJournal && !deadWriter(t.run, host, since, s.cfg.Now()) {
		return nil
	}
	return s.dest.MarkInterrupted(ctx, t.run.ID, since)
}

// sourceError is a failure to read the source, as opposed to one of the database.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// verdict is what follows from a failed attempt.
type verdict int

const (
	over    verdict = iota // the run is done, in one way or the other
	wait                   // the run is tried again after a pause
	waitAll                // nothing is tried before one attempt has succeeded
	abort                  // the whole sync ends
)

// judge decides what a failure means. docs/sync.md has the table.
func (s *Syncer) judge(out outcome, now time.Time) verdict {
	err, wide := out.err, out.shared
	answered := s.epoch.Add(time.Duration(s.answered.Load()))
	switch {
	case err == nil, errors.Is(err, errStopped), errors.Is(err, store.ErrExperimentDeleted):
		return over
	case errors.Is(err, store.ErrSchema):
		if !s.cfg.Follow {
			return abort
		}
		return waitAll
	case errors.Is(err, store.ErrAuth) && wide:
		return s.patient(waitAll, abort, now, answered)
	case errors.As(err, new(*sourceError)) && errors.Is(err, fs.ErrNotExist):
		return over
	case errors.As(err, new(*sourceError)), errors.Is(err, errRefusesAll), errors.Is(err, store.ErrRefused):
		if !s.cfg.Follow {
			return over
		}
		return wait
	case wide:
		return s.patient(waitAll, abort, now, answered)
	}
	return s.patient(wait, over, now, out.t.progress)
}

// patient returns the verdict to wait while there is time, with Follow always.
func (s *Syncer) patient(wait, end verdict, now, since time.Time) verdict {
	if s.cfg.Follow || now.Sub(since) < s.cfg.MaxWait {
		return wait
	}
	return end
}

// explain adds to an error what a person can do about it.
func (s *Syncer) explain(t *task, err error) error {
	switch {
	case err == nil, errors.Is(err, errStopped):
		return err
	case errors.Is(err, store.ErrExperimentDeleted):
		return fmt.Errorf("experiment %q: %w; the journal keeps everything: to make it again, sync with --restore", t.run.Experiment, err)
	case errors.Is(err, store.ErrSchema):
		return fmt.Errorf("%s: %w: run greenwave migrate up, with the newest greenwave", s.cfg.Name, err)
	case errors.Is(err, store.ErrAuth):
		return fmt.Errorf("%s: %w: check user, password, database name and rights", s.cfg.Name, err)
	case errors.Is(err, store.ErrRefused), errors.Is(err, errRefusesAll):
		return fmt.Errorf("%s: %w", s.cfg.Name, err)
	case errors.As(err, new(*sourceError)):
		return err
	}
	return fmt.Errorf("%s: %w; the records stay where they are until it takes them", s.cfg.Name, err)
}

// reason is what tells one complaint from another: the class where there is one,
// since texts carry ports and times.
func reason(err error) string {
	for _, class := range []error{store.ErrTemporary, store.ErrAuth, store.ErrSchema, store.ErrExperimentDeleted, errRefusesAll, store.ErrRefused} {
		if errors.Is(err, class) {
			return class.Error()
		}
	}
	return err.Error()
}

// registered takes in what the database knows of the run.
func (s *Syncer) registered(t *task, state store.State) {
	var gained uint64
	if t.seen && state.Cursor > t.state.Cursor && state.Cursor <= t.doubt {
		// The last batch was committed, only the answer was lost.
		gained = state.Cursor - t.state.Cursor
	}
	if t.seen && state.Cursor > t.state.Cursor {
		s.moved(t)
	}
	t.state, t.seen = state, true
	s.heard()
	select { // the schedule learns that the database answers
	case t.up <- struct{}{}:
	default:
	}
	s.update(t, func(r *Report) {
		r.New += gained
		r.settle(state)
		r.ConfirmedAt = s.cfg.Now()
		if t.shared {
			r.Err, r.LastError, r.NextTry = nil, "", time.Time{}
		}
	})
	if t.shared {
		t.trouble, t.shared = nil, false
	}
}

// confirm takes in that the database has settled everything up to a record.
func (s *Syncer) confirm(t *task, to uint64, result store.Result) {
	n := to - t.state.Cursor
	t.state.Cursor = to
	t.state.Dead += uint64(result.Dead)
	t.state.Superseded += uint64(result.Superseded)
	s.moved(t)
	now := time.Now()
	if t.window.IsZero() {
		t.window = t.progress
	}
	t.windowed += n
	s.update(t, func(r *Report) {
		r.New += n
		r.Repeated += uint64(result.Repeated)
		r.settle(t.state)
		r.ConfirmedAt = s.cfg.Now()
		r.Err, r.LastError, r.NextTry = nil, "", time.Time{}
		if span := now.Sub(t.window); span >= time.Second || r.Rate == 0 && span > 0 {
			r.Rate = float64(t.windowed) / span.Seconds()
			if span >= time.Second {
				t.window, t.windowed = now, 0
			}
		}
	})
}

// heard notes that the database has answered.
func (s *Syncer) heard() { s.answered.Store(int64(time.Since(s.epoch))) }

// moved notes that the database took something of the run.
func (s *Syncer) moved(t *task) {
	t.progress = time.Now()
	t.strange = 0
	t.trouble, t.shared, t.complaint = nil, false, ""
	t.pause.Reset()
	s.heard()
}

// settle sets the counts from what the database says.
func (r *Report) settle(state store.State) {
	r.Synced, r.Dead, r.Superseded = state.Cursor, state.Dead, state.Superseded
	r.Logged = max(r.Logged, r.Synced)
	r.Pending = r.Logged - r.Synced
	r.Stored = r.Synced - min(r.Synced, r.Dead+r.Superseded)
}

// found takes in how much the source has.
func (s *Syncer) found(t *task, logged uint64) {
	s.update(t, func(r *Report) {
		r.Logged = max(logged, r.Synced)
		r.Pending = r.Logged - r.Synced
	})
}
