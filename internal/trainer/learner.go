package trainer

import (
	"fmt"

	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// learner is what learns: one agent for all signals, or one for each.
type learner struct {
	cfg     Config
	agents  []*d3qn.Agent
	signals int
	norm    policy.Norm
	reward  scale
	debt    float64     // updates that are due
	last    [][]float64 // with cfg.RewardChanges, by worker and signal: the reward before; nil at the beginning of an episode

	losses  float64 // in this round
	updates int
}

// scale standardises rewards, signal by signal.
type scale struct {
	Mean, Deviation []float64
}

func newLearner(cfg Config, layout policy.Layout, norm policy.Norm, reward scale) (*learner, error) {
	l := &learner{cfg: cfg, signals: len(layout.Signals), norm: norm, reward: reward}
	l.last = make([][]float64, cfg.Workers)
	inputs := layout.Features(cfg.Frames, norm).Len()
	agent := cfg.Agent
	agent.Frames = cfg.Frames
	if !cfg.Separate {
		actors := make([]int, 0, cfg.Workers*l.signals)
		for range cfg.Workers {
			actors = append(actors, layout.Choices()...)
		}
		a, err := d3qn.New(agent, actors, inputs, uint64(cfg.Seed))
		if err != nil {
			return nil, err
		}
		l.agents = []*d3qn.Agent{a}
		return l, nil
	}
	for i, phases := range layout.Choices() {
		actors := make([]int, cfg.Workers)
		for w := range actors {
			actors[w] = phases
		}
		a, err := d3qn.New(agent, actors, inputs, uint64(cfg.Seed)*1000+uint64(i))
		if err != nil {
			return nil, err
		}
		l.agents = append(l.agents, a)
	}
	return l, nil
}

// actor returns the agent and the actor of a worker's signal.
func (l *learner) actor(worker, signal int) (*d3qn.Agent, int) {
	if l.cfg.Separate {
		return l.agents[signal], worker
	}
	return l.agents[0], worker*l.signals + signal
}

// memory is the number of transitions that are remembered.
func (l *learner) memory() (n int) {
	for _, a := range l.agents {
		n += a.Memory()
	}
	return n
}

// standardise scales a signal's reward. Beyond RewardLimit a worse reward is no
// different (Mnih et al. 2015 clip it to ±1): a gridlock, in which no action changes
// anything any more, would drown all other rewards in the memory.
func (l *learner) standardise(signal int, reward float64) float64 {
	r := (reward - l.reward.Mean[signal]) / l.reward.Deviation[signal]
	if limit := l.cfg.RewardLimit; limit > 0 {
		r = min(max(r, -limit), limit)
	}
	return r * l.cfg.RewardScale
}

// standardised scales the signals' rewards and, with RewardShared, mixes each with the
// mean over all: what a signal does to the approaches of its neighbours is in its own
// reward then (a global reward as in Chu et al. 2019, without their distances).
func (l *learner) standardised(rewards []float64) []float64 {
	out := make([]float64, len(rewards))
	mean := 0.0
	for s, r := range rewards {
		out[s] = l.standardise(s, r)
		mean += out[s] / float64(len(rewards))
	}
	if share := l.cfg.RewardShared; share > 0 {
		for s := range out {
			out[s] += share * (mean - out[s])
		}
	}
	return out
}

// learn does the updates that are due for so many new transitions of each signal.
// done is the share of the training that is done.
func (l *learner) learn(transitions int, done float64) error {
	l.debt += l.cfg.Updates * float64(transitions)
	for ; l.debt >= 1; l.debt-- {
		// One agent for all signals has as many transitions as all of them.
		times := 1
		if !l.cfg.Separate {
			times = l.signals
		}
		for i, a := range l.agents {
			for range times {
				loss, ok, err := a.Update(done)
				if err != nil {
					if l.cfg.Separate {
						return fmt.Errorf("signal %d: %w", i, err)
					}
					return err
				}
				if ok {
					l.losses += loss
					l.updates++
				}
			}
		}
	}
	return nil
}

// beginRound starts the mean of the losses anew.
func (l *learner) beginRound() { l.losses, l.updates = 0, 0 }

// lossMean returns the mean loss of the round so far; nil without updates.
func (l *learner) lossMean() *float64 {
	if l.updates == 0 {
		return nil
	}
	return new(l.losses / float64(l.updates))
}

// learned returns what is learned from for a reward: the reward, or, with
// RewardChanges, how it has changed. Over an episode the discounted sum of the
// changes is (1 − gamma) times that of the rewards, up to a constant, so the same
// policy is best; but what no action can change soon, as a queue that has grown for
// an hour, has no part in it. last is updated.
func (c Config) learned(rewards []float64, last *[]float64) []float64 {
	if !c.RewardChanges {
		return rewards
	}
	changes := make([]float64, len(rewards))
	for s := range rewards {
		if *last != nil {
			changes[s] = rewards[s] - (*last)[s]
		}
	}
	*last = append((*last)[:0], rewards...)
	return changes
}

// forget drops what a worker's unfinished n-step returns hold, after a simulation
// that failed.
func (l *learner) forget(worker int) {
	l.last[worker] = nil
	for s := range l.signals {
		agent, actor := l.actor(worker, s)
		agent.Forget(actor)
	}
}

// remember tells the agents what a worker's decision led to.
func (l *learner) remember(worker int, before [][]float32, actions []int, step sumo.Step, after [][]float32, o *sumo.Observation) {
	rewards := l.standardised(l.cfg.learned(step.Rewards, &l.last[worker]))
	for s := range l.signals {
		agent, actor := l.actor(worker, s)
		agent.Observe(actor, before[s], actions[s], rewards[s], after[s], o.Signals[s].Mask, false, step.Done)
	}
	if step.Done {
		l.last[worker] = nil
	}
}
