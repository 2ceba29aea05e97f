package trainer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// attempts is how often an episode is tried when its simulation dies.
const attempts = 4

// worker simulates episodes.
type worker struct {
	index    int
	env      *sumo.Env
	features *policy.Features

	episode  int
	file     File
	scenario sumo.Scenario
	attempt  int
	failures []string
	begun    time.Time
	task     task

	// before a decision
	states  [][]float32
	actions []int
	values  [][]float32
	number  int // of the step, from 0
	// what the last task led to
	err     error
	o       *sumo.Observation
	step    sumo.Step
	metrics sumo.Metrics
	// over the episode
	reward     float64
	components sumo.Components
	epsilon    float64
}

// task is what a worker does next, beside the others and the learning.
type task int

const (
	idle task = iota
	resetting
	stepping
	ending
)

// run carries out the worker's task.
func (w *worker) run(ctx context.Context) {
	switch w.task {
	case resetting:
		w.o, w.err = w.env.Reset(ctx, w.scenario, true)
	case stepping:
		w.step, w.o, w.err = w.env.Step(ctx, w.actions)
	case ending:
		w.metrics, w.err = w.env.End(ctx)
	}
}

// round trains one episode on each worker, from episode first on, at most to last.
// In each tick the simulations go on to the next decision, side by side, while the
// agent learns from the tick before; what they lead to is taken in in the workers'
// order. So the result does not depend on which simulation is quicker.
func (t *trainer) round(ctx context.Context, first, last int) error {
	t.learner.beginRound()
	active := t.workers[:min(len(t.workers), last-first+1)]
	for i, w := range active {
		w.attempt, w.failures, w.begun = 0, nil, time.Now()
		t.begin(w, first+i)
	}
	fresh := 0
	for {
		var wait sync.WaitGroup
		working := false
		for _, w := range active {
			if w.task != idle {
				working = true
				wait.Go(func() { w.run(ctx) })
			}
		}
		if !working {
			return nil
		}
		err := t.learner.learn(fresh, t.done())
		fresh = 0
		wait.Wait()
		if err != nil {
			return fmt.Errorf("in the round that began with episode %d: %w", first, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, w := range active {
			switch {
			case w.task == idle:
			case w.err != nil:
				if err := t.again(w); err != nil {
					return err
				}
			case w.task == resetting:
				w.number = 0
				w.reward, w.components = 0, sumo.Components{}
				w.features.Reset()
				t.decide(w, w.features.See(w.o))
			case w.task == stepping:
				fresh++
				if err := t.took(w); err != nil {
					return err
				}
			case w.task == ending:
				w.task = idle
				if err := t.record(w); err != nil {
					return err
				}
			}
		}
	}
}

// begin gives a worker an episode.
func (t *trainer) begin(w *worker, episode int) {
	w.episode, w.task = episode, resetting
	w.file, w.scenario = t.cfg.training(t.demand, episode, w.attempt)
}

// again repeats an episode whose simulation failed with the next seed. Its records
// so far are replaced by those of the repetition.
func (t *trainer) again(w *worker) error {
	if errors.Is(w.err, context.Canceled) {
		return w.err
	}
	t.learner.forget(w.index)
	t.ticks -= w.number
	w.failures = append(w.failures, fmt.Sprintf("seed %d: %v", w.scenario.Seed, w.err))
	t.logger.Warn("the simulation failed; the episode is repeated with the next seed", "episode", w.episode, "seed", w.scenario.Seed, "error", w.err)
	if w.attempt++; w.attempt == attempts || w.task == resetting && w.attempt > 1 {
		return fmt.Errorf("episode %d failed %d times, the last time: %w", w.episode, w.attempt, w.err)
	}
	t.begin(w, w.episode)
	return nil
}

// decide chooses the worker's next phases.
func (t *trainer) decide(w *worker, states [][]float32) {
	w.task = stepping
	w.epsilon = t.cfg.Agent.EpsilonAt(t.done())
	for s := range states {
		w.states[s] = append(w.states[s][:0], states[s]...)
		agent, actor := t.learner.actor(w.index, s)
		v := &w.o.Signals[s]
		w.actions[s] = agent.Act(actor, states[s], v.Mask, v.Phase, w.epsilon)
		if w.number%t.cfg.LogSteps == 0 {
			w.values[s] = append(w.values[s][:0], agent.Values(actor, states[s])[:len(v.Mask)]...)
		}
	}
}

// took takes in what a decision led to.
func (t *trainer) took(w *worker) error {
	t.ticks++
	w.reward += w.step.Reward
	w.components.Add(w.step.Components)
	after := w.features.See(w.o)
	t.learner.remember(w.index, w.states, w.actions, w.step, after, w.o)
	if err := t.logStep(w); err != nil {
		return err
	}
	w.number++
	if w.step.Done {
		w.task = ending
		return nil
	}
	t.decide(w, after)
	return nil
}
