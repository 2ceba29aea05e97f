package syncer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Syncer carries records to one destination. Its methods may be called
// concurrently; two that carry the same run do not harm each other, in one process
// or in several.
type Syncer struct {
	dest     store.Destination
	cfg      Config
	epoch    time.Time
	answered atomic.Int64 // when the database last did, in nanoseconds after epoch
	active   atomic.Int64 // streams, for the share of memory
	batches  sync.Pool    // of *batch

	mu    sync.Mutex // guards what follows and the tasks' reports
	tasks []*task
	locks map[string]*lock
	swept time.Time // when late reports were last passed on

	telling sync.Mutex // held while OnReport runs and state is written
}

// New prepares a syncer. It does not touch the database.
func New(dest store.Destination, cfg Config) (*Syncer, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if named, ok := dest.(interface{ Name() string }); ok && cfg.Name == "" {
		cfg.Name = named.Name()
	}
	return &Syncer{
		dest: dest, cfg: cfg.withDefaults(), epoch: time.Now(),
		batches: sync.Pool{New: func() any { return new(batch) }},
		locks:   map[string]*lock{},
	}, nil
}

// Run syncs one source: to its end, or with Follow until it is over (nobody writes
// to it any more and everything is settled) or ctx ends and what was there is
// drained. The source stays open.
//
// The report is valid with an error too; Pending says what is left. The error is
// nil when everything that was in the source when it ended is settled.
func (s *Syncer) Run(ctx context.Context, src Source) (Report, error) {
	t := s.newTask(nil)
	t.src = src
	err := s.sync(ctx, []*task{t})
	s.refresh(context.WithoutCancel(ctx), []*task{t})
	r := s.report(t)
	if err == nil {
		err = r.Err
	}
	if err == nil && r.Pending > 0 && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", errStopped, context.Cause(ctx))
	}
	return r, err
}

// Sources syncs several sources, some at the same time. A source that fails does
// not stop the others: it is listed in the summary's Failed. The error is what
// stopped the sync as a whole.
func (s *Syncer) Sources(ctx context.Context, sources []Source) (Summary, error) {
	tasks := make([]*task, len(sources))
	for i, src := range sources {
		tasks[i] = s.newTask(nil)
		tasks[i].src = src
	}
	err := s.sync(ctx, tasks)
	if err == nil && !s.cfg.Follow {
		err = context.Cause(ctx)
	}
	s.refresh(context.WithoutCancel(ctx), tasks)
	return s.sum(tasks), err
}

// sync runs tasks whose source is open.
func (s *Syncer) sync(ctx context.Context, tasks []*task) error {
	d, cancel := s.newSchedule(ctx)
	defer cancel()
	for _, t := range tasks {
		t.run = t.src.Run()
		t.live = s.cfg.Follow && t.src.Live()
		s.enlist(t)
		d.ready = append(d.ready, t)
	}
	return d.run()
}

// Reports returns where each run stands that this syncer has seen, by the time at
// which it began.
func (s *Syncer) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]Report, len(s.tasks))
	tasks := slices.Clone(s.tasks)
	slices.SortStableFunc(tasks, func(a, b *task) int { return a.run.StartedAt.Compare(b.run.StartedAt) })
	for i, t := range tasks {
		reports[i] = t.report
	}
	return reports
}

func (s *Syncer) enlist(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.report.RunID, t.report.Experiment, t.report.Source, t.report.Live = t.run.ID, t.run.Experiment, t.run.Source, t.live
	s.tasks = append(s.tasks, t)
}

func (s *Syncer) report(t *task) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.report
}

func (s *Syncer) sum(tasks []*task) Summary {
	var sum Summary
	for _, t := range tasks {
		sum.add(s.report(t))
	}
	return sum
}

// stateChunk is how many runs the database is asked about at a time.
const stateChunk = 500

// Asked is the part of [store.Reader] that says what a destination has confirmed.
type Asked interface {
	States(ctx context.Context, runIDs []string) (map[string]store.State, error)
	DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[store.DeadLetter, error]
}

// states asks the database what it knows of runs, if it can be asked.
func (s *Syncer) states(ctx context.Context, ids []string) (map[string]store.State, error) {
	reader, ok := s.dest.(Asked)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return statesOf(ctx, reader, ids)
}

func statesOf(ctx context.Context, reader Asked, ids []string) (map[string]store.State, error) {
	all := make(map[string]store.State, len(ids))
	for chunk := range slices.Chunk(ids, stateChunk) {
		states, err := reader.States(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for id, state := range states {
			all[id] = state
		}
	}
	return all, nil
}

// refresh takes the final counts from the database: a run's records may have been
// superseded by those of another run since they were stored.
func (s *Syncer) refresh(ctx context.Context, tasks []*task) {
	var ids []string
	for _, t := range tasks {
		if t.seen {
			ids = append(ids, t.run.ID)
		}
	}
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	states, err := s.states(ctx, ids)
	if err != nil {
		return // the counts as they were confirmed are right, too
	}
	for _, t := range tasks {
		if state, ok := states[t.run.ID]; ok && t.seen && state.Cursor >= t.state.Cursor {
			s.update(t, func(r *Report) { r.settle(state) })
		}
	}
}

// lock is held while a batch of an experiment is committed: two runs of one
// experiment would only wait for each other in the database, or deadlock there.
type lock struct {
	held  chan struct{} // holds one token while the lock is taken
	users int
}

func (s *Syncer) lock(ctx context.Context, experiment string) (unlock func(), err error) {
	s.mu.Lock()
	l := s.locks[experiment]
	if l == nil {
		l = &lock{held: make(chan struct{}, 1)}
		s.locks[experiment] = l
	}
	l.users++
	s.mu.Unlock()
	release := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.locks, experiment)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; release() }, nil
	case <-ctx.Done():
		release()
		return nil, context.Cause(ctx)
	}
}
