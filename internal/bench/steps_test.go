package bench

import (
	"math/rand/v2"

	greenwave "github.com/greenwave-traffic/greenwave"
)

// guideStep is a step as the guide shows it, with a state of the given length of
// which 70 % is zero.
func guideStep(rng *rand.Rand, episode, step, state int) greenwave.Step {
	lengths := func() map[string]float64 {
		return map[string]float64{"north": float64(rng.IntN(12)), "south": float64(rng.IntN(12)), "east": float64(rng.IntN(12)), "west": float64(rng.IntN(12))}
	}
	each := func(scale float64) map[string]float64 {
		v := func() float64 { return float64(int(rng.Float64()*scale*10)) / 10 }
		return map[string]float64{"ECOLAND": v(), "JOHNPAUL": v(), "SANDAWA": v()}
	}
	s := greenwave.Step{
		EpisodeNumber:       episode,
		StepNumber:          step,
		ActiveVehicles:      new(45 + rng.IntN(300)),
		QueueLengths:        map[string]map[string]float64{"ECOLAND": lengths(), "JOHNPAUL": lengths(), "SANDAWA": lengths()},
		WaitingTimes:        each(40),
		Speeds:              each(30),
		ActionTaken:         new(rng.IntN(11)),
		ImmediateReward:     new(rng.NormFloat64()),
		IntersectionMetrics: map[string]any{"coordination_score": 0.85, "efficiency_index": 0.78},
		SimulationTime:      new(float64(30 + step)),
	}
	s.StateVector = make([]float32, state)
	for i := range s.StateVector {
		if rng.IntN(10) < 3 {
			s.StateVector[i] = rng.Float32()
		}
	}
	return s
}
