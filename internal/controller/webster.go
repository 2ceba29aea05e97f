package controller

import (
	"fmt"
	"math"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// webster has SUMO run the network's phases with the fixed times that Webster's
// method gives for the scenario's own demand (F. V. Webster, Traffic signal settings,
// Road Research Technical Paper 39, 1958). It knows the volumes of the hour, as a
// planner does who has counted them; it does not see the traffic.
type webster struct{}

func (webster) Name() string                   { return "webster" }
func (webster) Begin(*sumo.Env) error          { return nil }
func (webster) Decide(*sumo.Observation) []int { return nil }

const (
	saturation = 1900.0 // vehicles per hour of green and lane
	minCycle   = 30.0   // s
	maxCycle   = 120.0  // s: longer cycles gain little and people lose patience
	maxRatio   = 0.95   // of volume to capacity: near 1 the formula has no sense
	leastGreen = 5.0    // s
)

// Prepare writes the programs to a file that SUMO loads.
func (webster) Prepare(network *sumo.Network, s sumo.Scenario, dir string) (sumo.Scenario, bool, error) {
	turns, err := network.Volumes(s.Routes, float64(s.Begin), float64(s.Begin+s.Warmup+s.Horizon))
	if err != nil {
		return s, false, err
	}
	var programs []tlLogic
	for _, signal := range network.Signals {
		logic := tlLogic{ID: signal.ID, Type: "static", ProgramID: "greenwave-webster"}
		greens := websterGreens(signal, turns)
		for i, p := range signal.Program {
			duration := p.Duration
			if greens[i] > 0 {
				duration = greens[i]
			}
			logic.Phases = append(logic.Phases, tlPhase{Duration: fmt.Sprint(duration), State: p.State})
		}
		programs = append(programs, logic)
	}
	return withPrograms(s, programs, dir, "webster.add.xml")
}

// websterGreens returns the green time in whole seconds of each phase of a signal's
// program; 0 for those that are not green, which keep their duration.
func websterGreens(signal *sumo.Signal, turns map[sumo.Movement]float64) []float64 {
	greens := make([]float64, len(signal.Program))
	ratios := make([]float64, len(signal.Program))
	lost, sum := 0.0, 0.0
	lanes := laneVolumes(signal, turns)
	for i, p := range signal.Program {
		if !p.Green() {
			lost += p.Duration
			continue
		}
		ratios[i] = max(critical(signal, lanes, i), 0.01)
		sum += ratios[i]
	}
	if sum == 0 {
		return greens
	}
	cycle := cycleTime(lost, sum)
	for i, y := range ratios {
		if y > 0 {
			greens[i] = max(math.Round((cycle-lost)*y/sum), leastGreen)
		}
	}
	return greens
}

// cycleTime is Webster's optimum cycle in s for a lost time in s and the sum of the
// critical ratios, within its limits.
func cycleTime(lost, ratios float64) float64 {
	return min(max((1.5*lost+5)/(1-min(ratios, maxRatio)), minCycle, 2*lost), maxCycle)
}

// laneVolumes spreads each movement evenly over the lanes that it may use.
func laneVolumes(signal *sumo.Signal, turns map[sumo.Movement]float64) map[*sumo.Lane]float64 {
	from := map[sumo.Movement][]*sumo.Lane{}
	for _, links := range signal.Links {
		for _, l := range links {
			m := sumo.Movement{From: l.From.Edge, To: l.To.Edge}
			if !slices.Contains(from[m], l.From) {
				from[m] = append(from[m], l.From)
			}
		}
	}
	volumes := map[*sumo.Lane]float64{}
	for m, lanes := range from {
		for _, lane := range lanes {
			volumes[lane] += turns[m] / float64(len(lanes))
		}
	}
	return volumes
}

// critical is the largest ratio of volume to saturation flow of the lanes that are
// green in a phase. What a lane has is shared by the phases in which it is green.
func critical(signal *sumo.Signal, volumes map[*sumo.Lane]float64, phase int) float64 {
	largest := 0.0
	for lane, volume := range volumes {
		served, here := 0, false
		for i, p := range signal.Program {
			if p.Green() && laneGreen(signal, lane, p.State) {
				served++
				here = here || i == phase
			}
		}
		if here {
			largest = max(largest, volume/saturation/float64(served))
		}
	}
	return largest
}

// laneGreen reports whether a link of the lane is green in a state.
func laneGreen(signal *sumo.Signal, lane *sumo.Lane, state string) bool {
	for i, links := range signal.Links {
		if i < len(state) && (state[i] == 'G' || state[i] == 'g') && slices.ContainsFunc(links, func(l *sumo.Link) bool { return l.From == lane }) {
			return true
		}
	}
	return false
}
