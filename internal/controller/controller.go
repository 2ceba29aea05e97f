// Package controller has the signal controllers that are not trained: the network's
// own program, Webster's fixed times, SUMO's actuated signals, max-pressure, longest queue first and random
// choice. They see what a learned controller sees, act through the same environment
// with the same clearance times, and are measured by the same code.
package controller

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Names lists the controllers that New makes.
func Names() []string {
	return []string{"program", "webster", "actuated", "max-pressure", "longest-queue", "random"}
}

// Controller is a controller by name.
type Controller interface {
	sumo.Controller
	// Name is the name that New knows it by.
	Name() string
	// Prepare returns the scenario with what the controller needs of SUMO, and
	// whether the environment controls the signals. dir is for files.
	Prepare(network *sumo.Network, s sumo.Scenario, dir string) (scenario sumo.Scenario, control bool, err error)
}

// New returns the controller of the name.
func New(name string) (Controller, error) {
	switch name {
	case "program":
		return program{}, nil
	case "webster":
		return webster{}, nil
	case "actuated":
		return actuated{min: 5, max: 50}, nil
	case "max-pressure":
		return &greedy{name: name, score: pressure, hold: 10}, nil
	case "longest-queue":
		return &greedy{name: name, score: queue}, nil
	case "random":
		return &random{}, nil
	}
	return nil, fmt.Errorf("no controller is called %q: there are %s", name, strings.Join(Names(), ", "))
}

// program leaves the signals to the network's own program.
type program struct{}

func (program) Name() string                   { return "program" }
func (program) Begin(*sumo.Env) error          { return nil }
func (program) Decide(*sumo.Observation) []int { return nil }
func (program) Prepare(_ *sumo.Network, s sumo.Scenario, _ string) (sumo.Scenario, bool, error) {
	return s, false, nil
}

// greedy chooses the phase with the highest score that may be chosen; the present
// one wins ties.
type greedy struct {
	name  string
	score func(sumo.PhaseView) float64
	hold  int // a green is kept at least so long, s
}

func (g *greedy) Name() string          { return g.name }
func (g *greedy) Begin(*sumo.Env) error { return nil }

func (g *greedy) Prepare(_ *sumo.Network, s sumo.Scenario, _ string) (sumo.Scenario, bool, error) {
	return s, true, nil
}

// Decide chooses per signal.
func (g *greedy) Decide(o *sumo.Observation) []int {
	phases := make([]int, len(o.Signals))
	for i := range o.Signals {
		v := &o.Signals[i]
		phases[i] = v.Phase
		if v.Mask[v.Phase] && v.Age < g.hold {
			continue
		}
		best, found := 0.0, false
		for p, view := range v.Phases {
			if !v.Mask[p] {
				continue
			}
			if s := g.score(view); !found || s > best || s == best && p == v.Phase {
				best, found, phases[i] = s, true, p
			}
		}
	}
	return phases
}

// pressure is the halting vehicles before a phase's stop lines less those behind
// them (Varaiya 2013, doi:10.1016/j.trc.2013.08.014, with queues over Upstream).
func pressure(v sumo.PhaseView) float64 { return float64(v.Queue - v.Downstream) }

// queue is the halting vehicles before a phase's stop lines.
func queue(v sumo.PhaseView) float64 { return float64(v.Queue) }

// random chooses any allowed phase, evenly; the choices follow the scenario's seed.
type random struct{ rng *rand.Rand }

func (r *random) Name() string          { return "random" }
func (r *random) Begin(*sumo.Env) error { return nil }

func (r *random) Prepare(_ *sumo.Network, s sumo.Scenario, _ string) (sumo.Scenario, bool, error) {
	r.rng = rand.New(rand.NewPCG(uint64(s.Seed), 0x72616e646f6d))
	return s, true, nil
}

// Decide chooses per signal.
func (r *random) Decide(o *sumo.Observation) []int {
	phases := make([]int, len(o.Signals))
	for i := range o.Signals {
		var allowed []int
		for p, ok := range o.Signals[i].Mask {
			if ok {
				allowed = append(allowed, p)
			}
		}
		phases[i] = allowed[r.rng.IntN(len(allowed))]
	}
	return phases
}
