package trainer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// outcome is one controller in one scenario.
type outcome struct {
	scenario   sumo.Scenario
	reward     float64
	components sumo.Components
	metrics    sumo.Metrics
}

// simulate runs a controller that is not trained through a scenario.
func (t *trainer) simulate(ctx context.Context, env *sumo.Env, name string, s sumo.Scenario, watch func([]int, sumo.Step, *sumo.Observation)) error {
	c, err := controller.New(name)
	if err != nil {
		return err
	}
	_, err = controller.Evaluate(ctx, env, c, s, t.dir, watch)
	return err
}

// twice does what must be done with the seeds that it has, once more when SUMO dies or
// hangs in the middle.
func (t *trainer) twice(ctx context.Context, what string, f func() error) error {
	err := f()
	if sumo.Died(err) && ctx.Err() == nil {
		t.logger.Warn("the simulation failed; it is tried once more", "during", what, "error", err)
		err = f()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// measure runs a controller through scenarios, side by side on the workers. fresh
// returns a controller for one worker. The scenarios are the same for every controller.
func (t *trainer) measure(ctx context.Context, scenarios []sumo.Scenario, fresh func() (controller.Controller, error), progress func()) ([]outcome, error) {
	outcomes := make([]outcome, len(scenarios))
	work := make(chan int, len(scenarios))
	for i := range scenarios {
		work <- i
	}
	close(work)
	errs := make([]error, len(t.workers))
	var wait sync.WaitGroup
	var mu sync.Mutex
	for i, w := range t.workers {
		wait.Go(func() {
			c, err := fresh()
			if err != nil {
				errs[i] = err
				return
			}
			for at := range work {
				what := fmt.Sprintf("%s on %s with seed %d", c.Name(), scenarios[at].Routes[0], scenarios[at].Seed)
				errs[i] = t.twice(ctx, what, func() (err error) {
					outcomes[at], err = t.one(ctx, w.env, c, scenarios[at])
					return err
				})
				if errs[i] != nil {
					return
				}
				if progress != nil {
					mu.Lock()
					progress()
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	return outcomes, errors.Join(errs...)
}

func (t *trainer) one(ctx context.Context, env *sumo.Env, c controller.Controller, s sumo.Scenario) (outcome, error) {
	o := outcome{scenario: s}
	var err error
	o.metrics, err = controller.Evaluate(ctx, env, c, s, t.dir, func(_ []int, step sumo.Step, _ *sumo.Observation) {
		o.reward += step.Reward
		o.components.Add(step.Components)
	})
	return o, err
}

// newBaseline returns makers of a controller that is not trained.
func newBaseline(name string) func() (controller.Controller, error) {
	return func() (controller.Controller, error) { return controller.New(name) }
}

// greedy returns makers of the present policy as a controller that does not explore.
func (t *trainer) greedy() func() (controller.Controller, error) {
	return func() (controller.Controller, error) { return t.policy(0).Controller(), nil }
}

// validate measures the present policy on the validation scenarios, and saves it.
func (t *trainer) validate(ctx context.Context, episode int) error {
	scenarios := t.cfg.held(t.demand.Validation, t.cfg.validationSeeds())
	outcomes, err := t.measure(ctx, scenarios, t.greedy(), nil)
	if err != nil {
		return fmt.Errorf("validation after episode %d: %w", episode, err)
	}
	v := Validation{Episode: episode}
	for _, o := range outcomes {
		v.Reward += o.reward / float64(len(outcomes))
		v.FullDelay += o.metrics.FullDelay / float64(len(outcomes))
	}
	kind := "regular"
	before := t.best
	if t.best == nil || v.FullDelay < t.best.FullDelay {
		v.Best, kind = true, "best"
		t.best = &v
	}
	if episode == t.cfg.Episodes && !v.Best {
		kind = "final"
	}
	id, err := t.checkpoint(episode, kind, outcomes)
	if err != nil {
		if err := t.postpone(episode, err); err != nil {
			return err
		}
		if t.lastPath != t.modelPath(episode) {
			v.Best, t.best = false, before
		}
	}
	err = t.recorded(t.run.LogValidation(greenwave.Validation{
		CheckpointID: id, ValidationEpisode: new(episode), TotalReward: new(v.Reward), TrafficMetrics: means(outcomes),
		TestScenario: t.described(t.demand.Validation, scenarios, "validation"), ConfidenceInterval: meanIntervals(outcomes, "this validation"),
	}))
	if err != nil {
		return err
	}
	t.tell(Progress{Episode: episode, Reward: v.Reward, Validation: &v})
	return nil
}
