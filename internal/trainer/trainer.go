package trainer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Options say where a training is recorded.
type Options struct {
	Experiment  string // its name
	Dir         string // its runs, models and training state: Dir/runs, Dir/models
	Destination string // database to sync to beside the training; none when empty
	Group       string // name of the experiments that differ only in their seed; none when empty
	Tags        []string
	Resume      bool // go on where an earlier run stopped
	Logger      *slog.Logger
	Progress    func(Progress) // nil: nobody watches
}

// Progress is told after each episode, validation and test.
type Progress struct {
	Episode, Episodes int
	Reward            float64
	Metrics           sumo.Metrics
	Validation        *Validation   // after a validation
	Left              time.Duration // estimate of the time left for the episodes; 0 when unknown
}

// Validation is a policy measured on the validation scenarios.
type Validation struct {
	Episode   int
	Reward    float64 // mean over the scenarios
	FullDelay float64 // s, mean over the scenarios
	Best      bool    // the best so far
}

// Result is what a training came to.
type Result struct {
	Experiment  string
	Best        string      // path of the best checkpoint by the validation's full delay
	BestAt      *Validation // nil when there was none
	Test        *Test       // nil without test demand
	Episodes    int         // trained in all
	Curve       Curve       // of all episodes, those before a resume included
	Interrupted bool
	Report      greenwave.Report
}

// ErrInterrupted is the cause to give a context for stopping at the end of the
// episodes that are running.
var ErrInterrupted = errors.New("interrupted")

// trainer is one training under way.
type trainer struct {
	cfg     Config
	opt     Options
	logger  *slog.Logger
	demand  Demand
	network *sumo.Network
	layout  policy.Layout
	run     *greenwave.Run
	version string // of SUMO
	dir     string // for files of controllers

	workers []*worker
	learner *learner

	next       int // episode
	ticks      int // decisions of all workers so far
	totalTicks int
	began      time.Time
	first      int     // episode that this process began with
	trained    float64 // minutes, of earlier processes too
	best       *Validation
	bestPath   string
	bestID     string // of its checkpoint
	lastPath   string // of the last checkpoint
	unsaved    bool   // the checkpoint that was due could not be saved
	curve      Curve
}

// Train trains, validates and tests, and records all of it. stop, when it is done,
// ends the training after the episodes that are running; ctx at once.
func Train(ctx context.Context, stop <-chan struct{}, cfg Config, opt Options) (Result, error) {
	cfg = cfg.WithDefaults()
	res := Result{Experiment: opt.Experiment}
	if err := cfg.Check(); err != nil {
		return res, err
	}
	t := &trainer{cfg: cfg, opt: opt, logger: opt.Logger, next: 1, began: time.Now()}
	if t.logger == nil {
		t.logger = slog.Default()
	}
	if err := t.prepare(ctx); err != nil {
		return res, err
	}
	defer t.close()
	// An end of the context is this package's to record, with its reason.
	run, err := t.start(context.WithoutCancel(ctx))
	if err != nil {
		return res, err
	}
	t.run = run
	res, err = t.train(ctx, stop)
	res.Experiment, res.Curve = opt.Experiment, t.curve
	switch {
	case errors.Is(err, ErrInterrupted), errors.Is(err, context.Canceled):
		res.Interrupted = true
		err = run.Interrupt("stopped by a signal")
	case err != nil:
		err = errors.Join(err, run.Fail(err))
	default:
		err = run.Finish()
	}
	res.Report = run.Report()
	return res, err
}

// prepare reads what is trained on and starts the environments.
func (t *trainer) prepare(ctx context.Context) (err error) {
	if t.demand, err = t.cfg.Split(); err != nil {
		return err
	}
	if t.network, err = sumo.ReadNetwork(t.cfg.Net); err != nil {
		return err
	}
	for _, part := range [][]File{t.demand.Training, t.demand.Validation, t.demand.Test} {
		for _, f := range part {
			if err := t.network.Fits(f.Path); err != nil {
				return err
			}
		}
	}
	if t.version, err = sumo.Version(ctx, t.cfg.SUMO); err != nil {
		return err
	}
	if t.dir, err = os.MkdirTemp("", "greenwave-train-"); err != nil {
		return fmt.Errorf("folder for the controllers' files: %w", err)
	}
	for i := range t.cfg.Workers {
		env, err := sumo.New(t.network, t.cfg.environment())
		if err != nil {
			t.close()
			return err
		}
		n := len(env.Signals)
		t.workers = append(t.workers, &worker{index: i, env: env, states: make([][]float32, n), values: make([][]float32, n), actions: make([]int, n)})
	}
	t.layout = policy.LayoutOf(t.workers[0].env)
	for episode := 1; episode <= t.cfg.Episodes; episode++ {
		t.totalTicks += t.cfg.decisions(t.cfg.horizon(episode))
	}
	return nil
}

func (t *trainer) close() {
	_ = os.RemoveAll(t.dir)
	for _, w := range t.workers {
		if err := w.env.Close(); err != nil {
			t.logger.Warn("SUMO's output was not removed", "error", err)
		}
	}
}

// done is the share of the training that is done, 0 to 1.
func (t *trainer) done() float64 {
	return min(float64(t.ticks)/float64(t.totalTicks), 1)
}

func (t *trainer) models() string {
	return filepath.Join(t.opt.Dir, "models", fileName(t.opt.Experiment))
}

func (t *trainer) train(ctx context.Context, stop <-chan struct{}) (Result, error) {
	if err := os.MkdirAll(t.models(), 0o755); err != nil {
		return Result{}, fmt.Errorf("folder of the models: %w", err)
	}
	resumed := false
	if t.opt.Resume {
		var err error
		if resumed, err = t.restore(); err != nil {
			return Result{}, err
		}
	}
	if !resumed {
		if err := t.twice(ctx, "measuring states and rewards before the training", func() error { return t.calibrate(ctx) }); err != nil {
			return Result{}, err
		}
		if err := t.twice(ctx, "measuring the network's own program before the training", func() error { return t.measureProgram(ctx) }); err != nil {
			return Result{}, err
		}
	}
	t.first = t.next
	for _, w := range t.workers {
		w.features = t.layout.Features(t.cfg.Frames, t.learner.norm)
	}
	res := Result{}
	for t.next <= t.cfg.Episodes {
		last := min(t.next+t.cfg.Workers-1, t.cfg.Episodes)
		if err := t.round(ctx, t.next, last); err != nil {
			return res, t.explain(err)
		}
		due := last/t.cfg.ValidateEvery > (t.next-1)/t.cfg.ValidateEvery || last == t.cfg.Episodes
		t.next = last + 1
		res.Episodes = last
		switch {
		case due:
			if err := t.validate(ctx, last); err != nil {
				return res, t.explain(err)
			}
		case t.unsaved:
			if _, err := t.checkpoint(last, "regular", nil); err != nil {
				if err := t.postpone(last, err); err != nil {
					return res, t.explain(err)
				}
			}
		}
		select {
		case <-stop:
			if t.next <= t.cfg.Episodes {
				if !due || t.unsaved {
					if _, err := t.checkpoint(last, "regular", nil); err != nil {
						return res, t.explain(atEnd(err))
					}
				}
				return res, ErrInterrupted
			}
		default:
		}
	}
	if err := t.recordLearning(); err != nil {
		return res, err
	}
	res.Best, res.BestAt = t.bestPath, t.best
	if len(t.demand.Test) > 0 {
		test, err := t.test(ctx)
		if err != nil {
			return res, err
		}
		res.Test = test
	}
	return res, nil
}

// explain says of a diverged training where the last good checkpoint is.
func (t *trainer) explain(err error) error {
	if !errors.Is(err, d3qn.ErrDiverged) {
		return err
	}
	last := "no checkpoint was saved before"
	if t.lastPath != "" {
		last = "the last good checkpoint is " + t.lastPath
	}
	if t.bestPath != "" && t.bestPath != t.lastPath {
		last += ", the best " + t.bestPath
	}
	return fmt.Errorf("%w; %s; a lower agent.learning_rate or reward_scale helps against divergence", err, last)
}

// left estimates the time that the remaining episodes take.
func (t *trainer) left() time.Duration {
	if t.ticks == 0 || t.next <= t.first {
		return 0
	}
	share := t.done()
	before := 0
	for e := 1; e < t.first; e++ {
		before += t.cfg.decisions(t.cfg.horizon(e))
	}
	mine := share - float64(before)/float64(t.totalTicks)
	if mine <= 0 {
		return 0
	}
	return time.Duration(float64(time.Since(t.began)) * (1 - share) / mine)
}

// calibration are the controllers under which states and rewards are measured before
// the training. Under random control the traffic is often in a gridlock: what is
// seen there belongs to the range of states, but a reward that was scaled by it
// would hardly vary in the traffic that the training is to lead to.
var calibration = []struct {
	controller string
	rewards    bool
}{{"random", false}, {"max-pressure", true}, {"max-pressure", true}}

// calibrate measures states and rewards on training demand with seeds of its own,
// and makes the agents.
func (t *trainer) calibrate(ctx context.Context) error {
	features := t.layout.Features(1, policy.Norm{})
	var measure policy.Measure
	n := len(t.layout.Signals)
	sum, squares, count := make([]float64, n), make([]float64, n), 0.0
	for i, by := range calibration {
		seed := firstSeed/2 + t.cfg.Seed*len(calibration) + i
		s := t.cfg.scenario(t.demand.Training[i%len(t.demand.Training)], seed, t.cfg.Horizons[0])
		features.Reset()
		var last []float64
		err := t.simulate(ctx, t.workers[0].env, by.controller, s, func(_ []int, step sumo.Step, o *sumo.Observation) {
			rewards := t.cfg.learned(step.Rewards, &last)
			for k, state := range features.See(o) {
				measure.Add(state)
				if by.rewards {
					sum[k] += rewards[k]
					squares[k] += rewards[k] * rewards[k]
				}
			}
			if by.rewards {
				count++
			}
		})
		if err != nil {
			return err
		}
	}
	sc := scale{Mean: make([]float64, n), Deviation: make([]float64, n)}
	for k := range n {
		sc.Mean[k] = sum[k] / count
		sc.Deviation[k] = math.Sqrt(max(squares[k]/count-sc.Mean[k]*sc.Mean[k], 0))
		if sc.Deviation[k] == 0 {
			sc.Deviation[k] = 1
		}
	}
	var err error
	t.learner, err = newLearner(t.cfg, t.layout, measure.Norm(), sc)
	return err
}
