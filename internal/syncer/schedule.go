package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// schedule decides which run is tried when. One goroutine owns it; every attempt
// has a goroutine of its own that ends with an outcome. After a failure of the
// database as a whole only one run is tried at a time until it answers.
type schedule struct {
	s          *Syncer
	stop, work context.Context

	ready   []*task // in order
	waiting []*task // until their notBefore
	running int
	slots   int // for runs that are not live
	done    chan outcome
	scans   <-chan scan // what the folder holds; nil when nothing more comes
	admit   func(*schedule, scan)
	up      chan struct{} // the database has answered

	stopping bool
	fatal    error
	outage   outage
}

// outage is the time in which the database as a whole does not answer.
type outage struct {
	since   time.Time // zero: there is none
	next    time.Time // when to try again
	probing bool      // an attempt is on its way
	told    string    // what was logged
	pause   interface{ NextBackOff() time.Duration }
}

// newSchedule derives the two contexts of a sync: stop ends with ctx, work later
// by the time that is given to drain.
func (s *Syncer) newSchedule(ctx context.Context) (*schedule, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	detach := context.AfterFunc(ctx, func() {
		if s.cfg.Drain <= 0 {
			cancel()
			return
		}
		timer := time.NewTimer(s.cfg.Drain)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-work.Done():
		}
	})
	d := &schedule{
		s: s, stop: ctx, work: work,
		slots: s.cfg.Parallel, done: make(chan outcome), up: make(chan struct{}, 1),
	}
	s.heard()
	return d, func() { detach(); cancel() }
}

// run goes on until nothing is left to do and returns why the sync as a whole was
// given up, if it was.
func (d *schedule) run() error {
	stopped := d.stop.Done()
	for {
		d.launch()
		if d.running == 0 && (d.fatal != nil || d.over()) {
			return d.fatal
		}
		timer := time.NewTimer(d.nap())
		select {
		case out := <-d.done:
			d.ended(out)
		case <-d.up:
			d.answered()
		case found, ok := <-d.scans:
			if !ok {
				d.scans = nil
			}
			if ok {
				d.admit(d, found)
			}
		case <-stopped:
			stopped = nil
			d.windDown()
		case <-timer.C:
		}
		timer.Stop()
		d.s.tellLate()
	}
}

func (d *schedule) over() bool {
	if d.stopping && !d.s.cfg.Follow {
		return true
	}
	return len(d.ready) == 0 && len(d.waiting) == 0 && d.scans == nil
}

// nap is how long nothing happens by itself.
func (d *schedule) nap() time.Duration {
	next := d.s.cfg.ReportEvery
	if d.running == 0 {
		next = time.Minute
	}
	now := time.Now()
	for _, t := range d.waiting {
		next = min(next, t.notBefore.Sub(now))
	}
	if !d.outage.since.IsZero() {
		if d.outage.probing {
			return max(d.s.cfg.ReportEvery, 0)
		}
		next = d.outage.next.Sub(now)
	}
	return max(next, 0)
}

// launch begins the attempts for which it is time.
func (d *schedule) launch() {
	if d.fatal != nil || d.stopping && !d.s.cfg.Follow {
		return
	}
	now := time.Now()
	if !d.outage.since.IsZero() && (d.outage.probing || now.Before(d.outage.next)) {
		return
	}
	kept := d.waiting[:0]
	for i, t := range d.waiting {
		if now.Before(t.notBefore) || !d.begin(t) {
			kept = append(kept, d.waiting[i])
		}
	}
	clear(d.waiting[len(kept):])
	d.waiting = kept
	for len(d.ready) > 0 && d.begin(d.ready[0]) {
		d.ready = d.ready[1:]
	}
}

// begin starts an attempt unless all slots are taken, or the database is away and
// somebody is trying already.
func (d *schedule) begin(t *task) bool {
	if !d.outage.since.IsZero() {
		if d.outage.probing {
			return false
		}
	} else if !t.live && d.slots == 0 {
		return false
	}
	d.outage.probing = !d.outage.since.IsZero()
	if !t.live {
		d.slots--
	}
	d.running++
	t.up = d.up
	go func() { d.done <- d.s.attempt(d.stop, d.work, t) }()
	return true
}

// ended takes in how an attempt ended.
func (d *schedule) ended(out outcome) {
	t, now := out.t, time.Now()
	d.running--
	if !t.live {
		d.slots++
	}
	d.outage.probing = false
	select { // it may have answered first and failed then
	case <-d.up:
		d.answered()
	default:
	}
	if out.err != nil && d.work.Err() != nil && !errors.Is(out.err, store.ErrExperimentDeleted) {
		out.err = errStopped
	}
	if errors.Is(out.err, errStopped) && t.trouble != nil {
		out.err = fmt.Errorf("%w: %w", errStopped, t.trouble)
	}

	verdict := d.s.judge(out, now)
	if d.stopping && (verdict == waitAll || verdict == wait && !errors.Is(out.err, store.ErrTemporary) && !errors.Is(out.err, store.ErrCursorMoved)) {
		// There is no time to wait for this.
		verdict, out.err = over, fmt.Errorf("%w: %w", errStopped, out.err)
	}
	switch verdict {
	case over:
		d.s.finish(t, out.err)
		return
	case abort:
		d.fatal = d.s.explain(t, out.err)
		d.s.finish(t, out.err)
		return
	case waitAll:
		d.away(out.err, now)
		t.shared = true
		d.s.hold(t, out.err, d.outage.next)
	case wait:
		if !out.shared {
			d.s.scale(t, out.err)
		}
		pause := max(t.pause.NextBackOff(), retryAfter(out.err))
		t.notBefore = now.Add(pause)
		d.s.complain(t, out.err, pause)
		d.s.hold(t, out.err, t.notBefore)
	}
	d.waiting = append(d.waiting, t)
}

// away notes that the database as a whole does not answer, and says so when the
// reason is a new one.
func (d *schedule) away(err error, now time.Time) {
	o := &d.outage
	if o.since.IsZero() {
		o.since, o.pause = now, d.s.newPause()
	}
	pause := max(o.pause.NextBackOff(), retryAfter(err))
	o.next = now.Add(pause)
	if why := reason(err); why != o.told {
		o.told = why
		d.s.cfg.Logger.Warn("waiting for the database; records stay in the journal",
			"database", d.s.cfg.Name, "reason", d.s.explain(nil, err), "next_try", pause.Round(time.Millisecond))
	}
}

// answered ends an outage.
func (d *schedule) answered() {
	o := &d.outage
	if !o.since.IsZero() {
		d.s.cfg.Logger.Info("the database answers again", "database", d.s.cfg.Name,
			"after", time.Since(o.since).Round(time.Millisecond))
	}
	*o = outage{}
}

// windDown makes every run that waits try once more, at once.
func (d *schedule) windDown() {
	d.stopping = true
	d.outage.next = time.Time{}
	for _, t := range d.waiting {
		t.notBefore = time.Time{}
	}
}

// scale makes the next batch smaller after a failure of one, in case it was too
// much for the time that the database has.
func (s *Syncer) scale(t *task, err error) {
	if unexpected(err) {
		t.strange++
	}
	if unexpected(err) || errors.Is(err, store.ErrTemporary) && retryAfter(err) == 0 {
		t.rows.Store(max(t.rows.Load()/4, 1))
	}
}

// retryAfter is when a destination that has too much to do wants to be asked again; 0:
// it did not say. Smaller batches would only ask more often.
func retryAfter(err error) time.Duration {
	if busy, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return busy.RetryAfter()
	}
	return 0
}

// hold notes why a run waits and until when.
func (s *Syncer) hold(t *task, err error, until time.Time) {
	if errors.Is(err, store.ErrCursorMoved) {
		return
	}
	t.trouble = s.explain(t, err)
	s.updateNow(t, func(r *Report) {
		r.Err, r.LastError, r.NextTry = t.trouble, t.trouble.Error(), until
	})
}

// complain says why one run waits, once per reason.
func (s *Syncer) complain(t *task, err error, pause time.Duration) {
	why := reason(err)
	if errors.Is(err, store.ErrCursorMoved) || why == t.complaint {
		return
	}
	t.complaint = why
	s.cfg.Logger.Warn("a run waits; its records stay in the journal", "run", t.run.ID, "experiment", t.run.Experiment,
		"dir", s.report(t).Dir, "reason", s.explain(t, err), "next_try", pause.Round(time.Millisecond))
}

// finish notes that nothing more is sent of a run.
func (s *Syncer) finish(t *task, err error) {
	err = s.explain(t, err)
	if err != nil && !errors.Is(err, errStopped) {
		s.cfg.Logger.Error("a run has stopped; its records stay in the journal",
			"run", t.run.ID, "experiment", t.run.Experiment, "dir", s.report(t).Dir, "reason", err)
	}
	t.trouble = nil
	s.updateNow(t, func(r *Report) {
		r.Ended, r.Err, r.LastError, r.NextTry = true, err, "", time.Time{}
		if err != nil {
			r.LastError = err.Error()
		} else {
			r.Live = false
		}
	})
}
