package d3qn

import "fmt"

// Config are the hyperparameters of an agent. Zero fields take the defaults.
type Config struct {
	Hidden        []int   `json:"hidden"`         // units of the hidden layers; default 128, 128
	Plain         bool    `json:"plain"`          // no dueling head
	Single        bool    `json:"single"`         // no double Q: the target network chooses and values
	LSTM          int     `json:"lstm"`           // units of an LSTM over the stacked frames, in front of the hidden layers; default 0: none
	Frames        int     `json:"frames"`         // frames stacked in a state, oldest first; only an LSTM needs to know; default 1
	Gamma         float64 `json:"gamma"`          // discount per decision, 0 to 1; default 0.97
	Steps         int     `json:"steps"`          // n of the n-step returns; default 3
	LearningRate  float64 `json:"learning_rate"`  // default 5e-4
	FinalRate     float64 `json:"final_rate"`     // share of the learning rate at the end of the training; default 0.1
	Batch         int     `json:"batch"`          // transitions of an update; default 64
	Tau           float64 `json:"tau"`            // Polyak step of the target network; default 0.005
	Average       float64 `json:"average"`        // share that each update has in the policy, a moving mean of the weights; 1: the last weights; default 1e-3
	Memory        int     `json:"memory"`         // transitions kept; default 100,000
	Clip          float64 `json:"clip"`           // largest norm of the gradient; default 10
	Warmup        int     `json:"warmup"`         // transitions before the first update; default 500
	Epsilon       float64 `json:"epsilon"`        // exploration at the beginning; default 1
	FinalEpsilon  float64 `json:"final_epsilon"`  // and at the end of the schedule; default 0.02
	EpsilonShare  float64 `json:"epsilon_share"`  // share of the training over which it falls; default 0.4
	KeepShare     float64 `json:"keep_share"`     // share of the random actions that keep the present one; default 0.5
	Prioritised   bool    `json:"prioritised"`    // sample by TD error
	Alpha         float64 `json:"alpha"`          // exponent of the priorities; default 0.6
	Beta          float64 `json:"beta"`           // exponent of the importance weights; default 0.4
	PriorityFloor float64 `json:"priority_floor"` // added to every TD error; default 1e-3
}

// WithDefaults fills the zero fields.
func (c Config) WithDefaults() Config {
	if len(c.Hidden) == 0 {
		c.Hidden = []int{128, 128}
	}
	for field, value := range map[*float64]float64{
		&c.Gamma: 0.97, &c.LearningRate: 5e-4, &c.FinalRate: 0.1, &c.Tau: 0.005, &c.Average: 1e-3, &c.Clip: 10, &c.Epsilon: 1,
		&c.FinalEpsilon: 0.02, &c.EpsilonShare: 0.4, &c.KeepShare: 0.5, &c.Alpha: 0.6, &c.Beta: 0.4, &c.PriorityFloor: 1e-3,
	} {
		if *field == 0 {
			*field = value
		}
	}
	for field, value := range map[*int]int{&c.Steps: 3, &c.Batch: 64, &c.Memory: 100_000, &c.Warmup: 500} {
		if *field == 0 {
			*field = value
		}
	}
	return c
}

// Check says which field breaks which rule.
func (c Config) Check() error {
	for _, f := range []struct {
		name     string
		v        float64
		min, max float64
	}{
		{"gamma", c.Gamma, 0, 1}, {"learning_rate", c.LearningRate, 0, 1}, {"final_rate", c.FinalRate, 0, 1}, {"tau", c.Tau, 0, 1}, {"average", c.Average, 1e-9, 1},
		{"clip", c.Clip, 0, 1e9}, {"epsilon", c.Epsilon, 0, 1}, {"final_epsilon", c.FinalEpsilon, 0, 1},
		{"epsilon_share", c.EpsilonShare, 0, 1}, {"keep_share", c.KeepShare, 0, 1}, {"alpha", c.Alpha, 0, 1}, {"beta", c.Beta, 0, 1},
		{"steps", float64(c.Steps), 1, 100}, {"batch", float64(c.Batch), 1, 1 << 16}, {"memory", float64(c.Memory), 1, 1 << 30},
		{"warmup", float64(c.Warmup), 1, float64(c.Memory)}, {"priority_floor", c.PriorityFloor, 0, 1e6},
		{"lstm", float64(c.LSTM), 0, 4096}, {"frames", float64(c.Frames), 0, 64},
	} {
		if !(f.v >= f.min && f.v <= f.max) {
			return fmt.Errorf("agent: %s is %g: must be from %g to %g", f.name, f.v, f.min, f.max)
		}
	}
	return nil
}

// EpsilonAt is the exploration rate when a share (0 to 1) of the training is done.
func (c Config) EpsilonAt(done float64) float64 {
	if done >= c.EpsilonShare {
		return c.FinalEpsilon
	}
	return c.Epsilon + (c.FinalEpsilon-c.Epsilon)*done/c.EpsilonShare
}

// RateAt is the learning rate when a share (0 to 1) of the training is done; it
// falls evenly.
func (c Config) RateAt(done float64) float64 {
	return c.LearningRate * (1 + (c.FinalRate-1)*min(max(done, 0), 1))
}
