package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Behind is a run of a watched folder whose records the database does not have yet.
type Behind struct {
	RunID   string
	Records uint64    // that wait
	Since   time.Time // since when there has been a record that waits
}

// Options of an engine. The zero value is right for production.
type Options struct {
	Logger *slog.Logger     // nil: slog.Default()
	Every  time.Duration    // between two looks; 0: 5 s
	Now    func() time.Time // nil: time.Now
	// Behind lists the runs that the database is behind of. It must not block. nil:
	// nobody knows, and the rule sync_lag says nothing.
	Behind func() []Behind
	// Changed is called when alerts came, went or were sent; it must not block.
	Changed func()
}

// Engine evaluates rules, keeps alerts and sends messages. Make it with [New].
type Engine struct {
	st       store.Store
	rules    Rules
	opt      Options
	log      *slog.Logger
	channels map[string]*channel
	// delivered gets what a channel has taken.
	delivered chan []message

	mu       sync.Mutex
	touched  map[string]bool // experiments that Changed named since the last look
	lookedAt time.Time       // when experiments were last judged
	failure  string          // why they could not be since; empty when they could
	wake     chan struct{}

	// Of the goroutine of Run.
	watched map[string]*watched
	since   time.Time // by the database's clock: what moved before was looked at
	healthy bool
}

// watched is what is remembered of an experiment.
type watched struct {
	view    view
	signals signals
	alerts  map[string]*entry // the latest of each rule
	loaded  bool
}

// New returns an engine on a database for rules that [Load] or [Defaults] have made.
func New(st store.Store, rules Rules, opt Options) *Engine {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Every <= 0 {
		opt.Every = 5 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Changed == nil {
		opt.Changed = func() {}
	}
	e := &Engine{
		st: st, rules: rules, opt: opt, log: opt.Logger, healthy: true,
		channels: map[string]*channel{}, delivered: make(chan []message, 64),
		touched: map[string]bool{}, wake: make(chan struct{}, 1), watched: map[string]*watched{},
	}
	for name, c := range rules.Channels {
		sender, err := newSender(c.URL)
		if err != nil {
			e.log.Error("an alert channel is left out", "channel", name, "error", err)
			continue
		}
		e.channels[name] = newChannel(name, sender, time.Duration(rules.GroupSeconds*float64(time.Second)), e.log, e.delivered)
	}
	return e
}

// Changed says that an experiment has changed: it is looked at within a second. It
// does not block.
func (e *Engine) Changed(experimentID string) {
	e.mu.Lock()
	e.touched[experimentID] = true
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// atMostEvery is how often changes make the engine look.
const atMostEvery = time.Second

// Run evaluates the rules until ctx ends, and waits for the channels to stop, which
// takes no longer than a message that is under way.
func (e *Engine) Run(ctx context.Context) {
	var sending sync.WaitGroup
	for _, c := range e.channels {
		sending.Go(func() { c.run(ctx) })
	}
	defer sending.Wait()
	ticker := time.NewTicker(e.opt.Every)
	defer ticker.Stop()
	e.look(ctx, nil)
	next := time.NewTimer(0)
	defer next.Stop()
	<-next.C
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.look(ctx, nil)
		case taken := <-e.delivered:
			e.note(ctx, taken)
		case <-e.wake:
			if !waiting {
				waiting = true
				next.Reset(min(atMostEvery, e.opt.Every))
			}
		case <-next.C:
			waiting = false
			e.mu.Lock()
			ids := make([]string, 0, len(e.touched))
			for id := range e.touched {
				ids = append(ids, id)
			}
			clear(e.touched)
			e.mu.Unlock()
			if len(ids) > 200 {
				ids = nil // one look at all that moved is cheaper
			}
			e.look(ctx, ids)
		}
	}
}

// overlap covers transactions that were under way at the last look.
const overlap = 10 * time.Second

// look evaluates the experiments that run or have moved, or those given.
func (e *Engine) look(ctx context.Context, ids []string) {
	now := e.opt.Now()
	recent := now.Add(-time.Duration(e.rules.RecentHours * float64(time.Hour)))
	since := e.since
	if since.IsZero() {
		since = recent
	}
	found, err := runs(ctx, e.st, recent, since, ids)
	if stopped := e.stopped(found); err == nil && ids == nil && len(stopped) > 0 {
		var more []run
		more, err = runs(ctx, e.st, recent, since, stopped)
		found = append(found, more...)
	}
	if err == nil {
		err = e.refresh(ctx, recent)
	}
	if err != nil {
		e.fail(ctx, err)
		return
	}
	behind := e.behind()
	changed, whole := false, true
	for i := range found {
		c, err := e.experiment(ctx, &found[i], now, behind)
		changed = changed || c
		if err != nil {
			whole = false
			if !errors.Is(err, store.ErrNotFound) { // it was deleted meanwhile
				e.fail(ctx, err)
				break
			}
			delete(e.watched, found[i].experimentID)
		}
	}
	if whole {
		e.recovered()
		if ids == nil {
			for i := range found {
				if t := found[i].moved.Add(-overlap); t.After(e.since) {
					e.since = t
				}
			}
			e.forget(found)
		}
	}
	if changed {
		e.opt.Changed()
	}
}

// stopped are the experiments that ran at the last look and are not among those found:
// somebody has marked them as interrupted, which does not move their cursor.
func (e *Engine) stopped(found []run) []string {
	seen := map[string]bool{}
	for i := range found {
		seen[found[i].experimentID] = true
	}
	var ids []string
	for id, w := range e.watched {
		if w.view.status == "running" && !seen[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// behind is what the database is behind of, by run; nil when nobody knows.
func (e *Engine) behind() map[string]Behind {
	if e.opt.Behind == nil {
		return nil
	}
	by := map[string]Behind{}
	for _, b := range e.opt.Behind() {
		by[b.RunID] = b
	}
	return by
}

// experiment evaluates one experiment and reports whether an alert has changed.
func (e *Engine) experiment(ctx context.Context, r *run, now time.Time, behind map[string]Behind) (bool, error) {
	w := e.watched[r.experimentID]
	if w == nil {
		w = &watched{alerts: map[string]*entry{}}
		e.watched[r.experimentID] = w
	}
	if !w.loaded {
		if err := e.load(ctx, r.experimentID, w); err != nil {
			return false, err
		}
	}
	moved := w.view.id != r.id || w.view.cursor != r.cursor || w.view.status != r.status
	if w.view.id != r.id {
		w.view.first, w.view.alive, w.signals = now, false, signals{}
	} else if w.view.cursor != r.cursor && now.Sub(r.sign) < minutes(e.rules.NoRecord.Minutes) {
		w.view.alive = true
	}
	v := w.view
	v.run, v.now, v.behind, v.known = *r, now, nil, behind != nil
	if b, ok := behind[r.id]; ok {
		v.behind = &b
	}
	if moved && (v.source != "import" || v.alive) {
		if err := e.read(ctx, w, &v); err != nil {
			return false, err
		}
	}
	changed := false
	for _, d := range e.rules.judge(&v) {
		c, err := e.settle(ctx, w, &v, d, moved)
		changed = changed || c
		if err != nil {
			return changed, err
		}
	}
	w.view = v // only now: what failed is tried again
	return changed, nil
}

// read reads what the rules about the training look at.
func (e *Engine) read(ctx context.Context, w *watched, v *view) (err error) {
	if v.episodes, err = episodes(ctx, e.st, v.experimentID, e.rules.window()); err != nil {
		return err
	}
	if err = w.signals.follow(ctx, e.st, v.experimentID, v.id); err != nil {
		return err
	}
	v.phases = w.signals.phases()
	v.disk, err = diskFree(ctx, e.st, v.experimentID, v.id)
	return err
}

// forget drops what is remembered of experiments that have ended or fallen silent
// and have no open alert.
func (e *Engine) forget(found []run) {
	seen := map[string]bool{}
	for i := range found {
		seen[found[i].experimentID] = true
	}
	for id, w := range e.watched {
		if !seen[id] && !w.open() {
			delete(e.watched, id)
		}
	}
}

// fail reports that the database does not answer, once.
func (e *Engine) fail(ctx context.Context, err error) {
	e.mu.Lock()
	e.failure = err.Error()
	e.mu.Unlock()
	if ctx.Err() == nil && e.healthy {
		e.healthy = false
		e.log.Warn("alerts are not evaluated for now", "error", err)
	}
}

func (e *Engine) recovered() {
	e.mu.Lock()
	e.lookedAt, e.failure = e.opt.Now(), ""
	e.mu.Unlock()
	if !e.healthy {
		e.healthy = true
		e.log.Info("alerts are evaluated again")
	}
}
