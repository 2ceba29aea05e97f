package trainer

import (
	"context"
	"slices"
)

// A gridlocked episode is one whose full delay is more than this many times that of
// the network's own program. Traffic that is merely controlled badly stays below.
const gridlockFactor = 3

// Curve is what the episodes of a training came to.
type Curve struct {
	Program   float64   `json:"program"`    // full delay under the network's own program on training demand, s
	FullDelay []float64 `json:"full_delay"` // by episode, s
	Delay     []float64 `json:"delay"`      // by episode, s
	Reward    []float64 `json:"reward"`     // by episode
}

// add takes in an episode, numbered from 1. A repeated episode replaces itself.
func (c *Curve) add(episode int, fullDelay, delay, reward float64) {
	// The state of an older program has no rewards: what is not known is not made up.
	whole := len(c.Reward) == len(c.FullDelay)
	for len(c.FullDelay) < episode {
		c.FullDelay, c.Delay = append(c.FullDelay, 0), append(c.Delay, 0)
	}
	c.FullDelay[episode-1], c.Delay[episode-1] = fullDelay, delay
	if !whole {
		return
	}
	for len(c.Reward) < episode {
		c.Reward = append(c.Reward, 0)
	}
	c.Reward[episode-1] = reward
}

// rewards are those of all episodes; nil when some are not known.
func (c *Curve) rewards() []float64 {
	if len(c.Reward) != len(c.FullDelay) {
		return nil
	}
	return c.Reward
}

func (c Curve) gridlocked(fullDelay float64) bool { return fullDelay > gridlockFactor*c.Program }

// Summary describes some episodes.
type Summary struct {
	Episodes        int     `json:"episodes"`
	FullDelay       float64 `json:"full_delay"`        // mean, s
	FullDelayMedian float64 `json:"full_delay_median"` // s
	Delay           float64 `json:"delay"`             // mean, s
	DelayMedian     float64 `json:"delay_median"`      // s
	Gridlocked      int     `json:"gridlocked"`        // episodes with more than three times the program's full delay
}

// Last summarises the last n episodes, or all when there are fewer.
func (c Curve) Last(n int) Summary {
	n = min(n, len(c.FullDelay))
	s := Summary{Episodes: n}
	if n == 0 {
		return s
	}
	full, plain := slices.Clone(c.FullDelay[len(c.FullDelay)-n:]), slices.Clone(c.Delay[len(c.Delay)-n:])
	for i := range full {
		s.FullDelay += full[i] / float64(n)
		s.Delay += plain[i] / float64(n)
		if c.gridlocked(full[i]) {
			s.Gridlocked++
		}
	}
	s.FullDelayMedian, s.DelayMedian = median(full), median(plain)
	return s
}

// median sorts v.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// measureProgram measures the network's own program on the first training demand:
// what a gridlock is measured by.
func (t *trainer) measureProgram(ctx context.Context) error {
	s := t.cfg.scenario(t.demand.Training[0], firstSeed/2-1, t.cfg.Horizons[0])
	c, err := newBaseline("program")()
	if err != nil {
		return err
	}
	o, err := t.one(ctx, t.workers[0].env, c, s)
	if err != nil {
		return err
	}
	t.curve.Program = o.metrics.FullDelay
	return nil
}
