package controller

import (
	"context"

	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Evaluate runs a controller through a scenario and returns its metrics. dir is for
// files of the controller; watch, where not nil, sees every step.
func Evaluate(ctx context.Context, env *sumo.Env, c Controller, s sumo.Scenario, dir string, watch func(phases []int, step sumo.Step, o *sumo.Observation)) (sumo.Metrics, error) {
	s, control, err := c.Prepare(env.Network, s, dir)
	if err != nil {
		return sumo.Metrics{}, err
	}
	o, err := env.Reset(ctx, s, control)
	if err != nil {
		return sumo.Metrics{}, err
	}
	if err := c.Begin(env); err != nil {
		return sumo.Metrics{}, err
	}
	for {
		phases := c.Decide(o)
		step, next, err := env.Step(ctx, phases)
		if err != nil {
			return sumo.Metrics{}, err
		}
		if watch != nil {
			watch(phases, step, next)
		}
		if step.Done {
			return env.End(ctx)
		}
		o = next
	}
}
