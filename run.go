package greenwave

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

// Run is a run that is being recorded. Its methods may be called concurrently.
//
// The Log methods take records by value and keep nothing of them: maps and slices
// may be reused when the call has returned.
type Run struct {
	cfg      settled
	previous previous
	rec      *recorder
	link     *link
	log      *slog.Logger

	status  atomic.Pointer[string] // running, or how it ended
	skipped atomic.Uint64
	ended   atomic.Bool

	changed  chan struct{} // something went wrong or right: report at once
	stop     chan struct{}
	watching sync.WaitGroup
	unwatch  func() bool // takes the run off the context of Start
	told     Report      // last one given to OnReport; of the watching goroutine, then of finish

	finish    sync.Once
	finishErr error
}

// Start begins a run of the experiment: it makes the run's folder, and the run is
// shown as running from then on. It does not wait for the destination.
//
// When ctx ends before the run does, the run ends as interrupted, as if
// [Run.Interrupt] had been called: what was logged is flushed and later Log calls
// return [ErrFinished]. With signal.NotifyContext that is what SIGTERM and ctrl-C
// should do; call [Run.Finish] before the program exits all the same, it waits until
// that is done.
//
// Each run must be ended by Finish, Fail, Interrupt or Pause. One that was killed
// instead has lost nothing that it logged, and is shown as interrupted.
func Start(ctx context.Context, cfg Config) (*Run, error) {
	s, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	return start(ctx, s, previous{})
}

func start(ctx context.Context, cfg settled, prev previous) (*Run, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("greenwave: the run was not started: %w", context.Cause(ctx))
	}
	r := &Run{
		cfg:      cfg,
		previous: prev,
		log:      cfg.Logger.With("experiment", cfg.Experiment),
		changed:  make(chan struct{}, 1),
		stop:     make(chan struct{}),
	}
	r.setStatus("running")
	header := describe(cfg)
	header.Continues = prev.runID
	// The order of the runs stays right when the clock went back in between.
	header.StartedAt = later(header.StartedAt, prev.lastTime)
	r.rec = &recorder{
		dir: cfg.Dir, header: header, opt: journal.Options{NotBefore: prev.lastTime, FS: cfg.fs},
		onPart: func(runDir string) { r.link.add(runDir) },
		onFail: func(err error) {
			r.log.Error("recording has stopped", "error", err)
			r.notice()
		},
		onBack: func() {
			r.log.Info("recording goes on", "run", r.ID(), "dir", r.Dir())
			r.notice()
		},
	}
	r.link = newLink(context.WithoutCancel(ctx), cfg, r.log, r.notice)
	if err := r.rec.begin(); err != nil {
		r.link.close(0)
		return nil, err
	}
	r.watching.Go(r.watch)
	if cfg.ResourcesEvery > 0 {
		r.watching.Go(r.sampleResources)
	}
	ready := make(chan struct{})
	r.unwatch = context.AfterFunc(ctx, func() {
		<-ready // unwatch is set
		_ = r.end("interrupted", context.Cause(ctx).Error())
	})
	close(ready)
	return r, nil
}

// ID is the run's id, a UUID. It changes when recording had to go on in a new
// folder after a failure of the disk.
func (r *Run) ID() string {
	r.rec.mu.RLock()
	defer r.rec.mu.RUnlock()
	return r.rec.id
}

// Dir is the folder of the run's journal, Config.Dir/<experiment>/<run id>. It
// changes with ID.
func (r *Run) Dir() string {
	r.rec.mu.RLock()
	defer r.rec.mu.RUnlock()
	return r.rec.runDir
}

// scratch is what a Log call needs for a moment.
type scratch struct {
	buf  []byte
	step Step
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// keepScratch is the largest buffer that is kept for the next record, in bytes.
const keepScratch = 1 << 20

func (s *scratch) release() {
	s.step = Step{} // nothing of a record is kept
	if cap(s.buf) <= keepScratch {
		scratches.Put(s)
	}
}

// LogStep records a decision interval, or leaves it out: see Config.LogInterval.
// When it has returned, the step survives kill -9 of the process; it survives a
// power cut at most 100 ms later.
func (r *Run) LogStep(step Step) error {
	if n := r.cfg.LogInterval; n > 1 && step.StepNumber%n != 0 {
		if r.ended.Load() {
			return ErrFinished
		}
		r.skipped.Add(1)
		return nil
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	s.step = step
	_, err := r.write(s, &s.step, false)
	return err
}

// LogEpisode records a finished episode. It returns when the episode, and with it
// everything that was logged before, is on the disk. A destination gets it at once.
func (r *Run) LogEpisode(e Episode) error { return r.logDurably(&e) }

// LogValidation records a policy's evaluation on held-out scenarios. It returns when
// the record is on the disk.
func (r *Run) LogValidation(v Validation) error { return r.logDurably(&v) }

// LogBaseline records a comparison with a controller that is not trained. It returns
// when the record is on the disk.
func (r *Run) LogBaseline(b Baseline) error { return r.logDurably(&b) }

// LogExperiment changes what is known of the experiment itself, such as the episode
// at which it converged. Fields that are nil stay as they are; Metadata is merged by
// key. It returns when the record is on the disk.
func (r *Run) LogExperiment(e Experiment) error { return r.logDurably(&e) }

func (r *Run) logDurably(rec record.Record) error {
	s := scratches.Get().(*scratch)
	defer s.release()
	_, err := r.write(s, rec, true)
	return err
}

// write checks, encodes and appends a record.
func (r *Run) write(s *scratch, rec record.Record, durable bool) (place, error) {
	if r.ended.Load() {
		return place{}, ErrFinished
	}
	data, err := record.AppendChecked(s.buf[:0], rec)
	if err != nil {
		return place{}, fmt.Errorf("greenwave: %w", err)
	}
	s.buf = data[:0]
	return r.rec.append(rec.Kind(), data, durable)
}

// Flush returns when everything that was logged before is on the disk. It does not
// wait for the destination, which gets records by itself within a quarter of a
// second; Finish waits for it.
func (r *Run) Flush() error {
	if r.ended.Load() {
		return ErrFinished
	}
	return r.rec.flush()
}

func (r *Run) setStatus(s string) { r.status.Store(&s) }

// notice makes the watcher report at once.
func (r *Run) notice() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// watch sends the heartbeats, looks after a disk that has failed and calls OnReport,
// until the run ends.
func (r *Run) watch() {
	heartbeat := time.NewTicker(r.cfg.HeartbeatEvery)
	defer heartbeat.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	r.tell()
	for {
		select {
		case <-r.stop:
			return
		case <-heartbeat.C:
			// A failure is told where it happens and shows in the report.
			_, _ = r.rec.append(record.KindHeartbeat, []byte("{}"), false)
		case <-second.C:
			if r.rec.failure() != nil {
				r.rec.reopen(false)
			}
			r.tell()
		case <-r.changed:
			r.tell()
		}
	}
}
