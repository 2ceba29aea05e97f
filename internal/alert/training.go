package alert

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// episode is what the rules see of one.
type episode struct {
	number                         int64
	at                             time.Time // when it ended
	reward, loss, epsilon, waiting *float64  // nil: not measured, or not finite
	notFinite                      []string  // the fields that were not
}

// phase is what a signal showed at the last step, and for how long.
type phase struct {
	intersection string
	shown        string
	seconds      float64 // of simulated time
	queue        float64 // halting vehicles there; -1 when it is not known
	episode      int64
}

// badEpisodes is how many episodes in a row a loss must be too large: single ones are.
const badEpisodes = 3

func (r *Rules) badLoss(v *view) verdict {
	d := verdict{rule: "bad_loss", what: unknown}
	n := len(v.episodes)
	if n == 0 {
		return d
	}
	last := v.episodes[n-1]
	for _, field := range []struct{ column, name string }{{"avg_loss", "loss"}, {"total_reward", "reward"}} {
		if slices.Contains(last.notFinite, field.column) {
			d.what, d.number = fires, new(last.number)
			d.found = fmt.Sprintf("the %s of episode %d is not a number", field.name, last.number)
			d.advice = "the network is broken from here on: go back to the last good checkpoint, with a smaller learning rate or clipped gradients"
			return d
		}
	}
	losses := collect(v.episodes, func(e episode) *float64 { return e.loss })
	if len(losses) < r.BadLoss.Episodes+badEpisodes {
		if last.loss != nil {
			d.what = fine
		}
		return d
	}
	d.what = fine
	recent := losses[len(losses)-badEpisodes:]
	before := losses[len(losses)-badEpisodes-r.BadLoss.Episodes : len(losses)-badEpisodes]
	usual := median(slices.Clone(before))
	if least := slices.Min(recent); usual > 0 && least > r.BadLoss.Factor*usual {
		now := recent[len(recent)-1]
		d.what, d.number, d.value = fires, new(last.number), new(now)
		d.found = fmt.Sprintf("the loss explodes: %.4g at episode %d, %.4g before", now, last.number, usual)
		d.advice = "a smaller learning rate, clipped gradients or scaled rewards help; go back to a checkpoint from before"
	}
	return d
}

func (r *Rules) rewardFell(v *view) verdict {
	d := verdict{rule: "reward_fell", what: unknown}
	rewards := collect(v.episodes, func(e episode) *float64 { return e.reward })
	short, long := r.RewardFell.Short, r.RewardFell.Long
	if len(rewards) < short+long {
		return d
	}
	d.what = fine
	recent, before := rewards[len(rewards)-short:], rewards[len(rewards)-short-long:len(rewards)-short]
	now, _ := moments(recent)
	mean, variance := moments(before)
	fall := mean - now
	if fall > r.RewardFell.Deviations*math.Sqrt(variance) && fall > 0.05*math.Abs(mean) {
		last := v.episodes[len(v.episodes)-1]
		d.what, d.number, d.value = fires, new(last.number), new(now)
		d.found = fmt.Sprintf("the reward has fallen: %.4g in the last %d episodes, %.4g in the %d before", now, short, mean, long)
		d.advice = "look at loss and epsilon at the same time, and whether the demand has changed; the best checkpoint is from before"
	}
	return d
}

// enoughErrors is how many standard errors a difference of means must have.
const enoughErrors = 3

func (r *Rules) rewardWaiting(v *view) verdict {
	d := verdict{rule: "reward_and_waiting_up", what: unknown}
	n := r.RewardWaiting.Episodes
	var rewards, waits []float64
	for _, e := range v.episodes {
		if e.reward != nil && e.waiting != nil {
			rewards, waits = append(rewards, *e.reward), append(waits, *e.waiting)
		}
	}
	if len(rewards) < 2*n {
		return d
	}
	d.what = fine
	rose := func(x []float64) (by float64, rises bool) {
		before, now := x[len(x)-2*n:len(x)-n], x[len(x)-n:]
		m0, v0 := moments(before)
		m1, v1 := moments(now)
		rise := m1 - m0
		if m0 != 0 {
			by = 100 * rise / math.Abs(m0)
		}
		// Welch's standard error of the difference.
		return by, by > r.RewardWaiting.Percent && rise > enoughErrors*math.Sqrt((v0+v1)/float64(n))
	}
	reward, up := rose(rewards)
	waiting, too := rose(waits)
	if up && too {
		last := v.episodes[len(v.episodes)-1]
		d.what, d.number, d.value = fires, new(last.number), new(waiting)
		d.found = fmt.Sprintf("the reward rises (%+.0f %%) and the waiting time too (%+.0f %%), over the last %d episodes", reward, waiting, n)
		d.advice = "the reward does not pay for what you want: compare its components, and check its sign"
	}
	return d
}

func (r *Rules) epsilonStuck(v *view) verdict {
	d := verdict{rule: "epsilon_stuck", what: unknown}
	values := collect(v.episodes, func(e episode) *float64 { return e.epsilon })
	n := r.EpsilonStuck.Episodes
	if len(values) < n {
		return d
	}
	d.what = fine
	values = values[len(values)-n:]
	least, most := slices.Min(values), slices.Max(values)
	if most-least < 1e-9 && least > r.EpsilonStuck.Above {
		last := v.episodes[len(v.episodes)-1]
		d.what, d.number, d.value = fires, new(last.number), new(least)
		d.found = fmt.Sprintf("epsilon has stood at %.4g for %d episodes", least, n)
		d.advice = "the agent goes on acting at random: check the decay, and whether the replay memory ever reaches its minimum"
	}
	return d
}

func (r *Rules) phaseStuck(v *view) verdict {
	d := verdict{rule: "phase_stuck", what: unknown}
	if len(v.phases) == 0 {
		return d
	}
	d.what = fine
	var stuck []string
	longest := phase{}
	for _, p := range v.phases {
		if p.seconds > r.PhaseStuck.Seconds && p.queue != 0 {
			stuck = append(stuck, p.intersection)
			if p.seconds > longest.seconds {
				longest = p
			}
		}
	}
	if len(stuck) == 0 {
		return d
	}
	d.what, d.number, d.value = fires, new(longest.episode), new(longest.seconds)
	d.found = fmt.Sprintf("%s has shown phase %s for %.0f simulated seconds while vehicles wait", longest.intersection, longest.shown, longest.seconds)
	if len(stuck) > 1 {
		slices.Sort(stuck)
		d.found += fmt.Sprintf(" (and %d more: %s)", len(stuck)-1, strings.Join(stuck, ", "))
	}
	d.advice = "the policy may have collapsed to one action: look at the distribution of actions, and set a longest green"
	return d
}

// collect returns what was measured, in order.
func collect(episodes []episode, of func(episode) *float64) []float64 {
	var all []float64
	for _, e := range episodes {
		if x := of(e); x != nil {
			all = append(all, *x)
		}
	}
	return all
}

// moments returns the mean and the sample variance.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if len(x) < 2 {
		return mean, 0
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}

// median sorts x.
func median(x []float64) float64 {
	slices.Sort(x)
	if n := len(x); n%2 == 0 {
		return (x[n/2-1] + x[n/2]) / 2
	}
	return x[len(x)/2]
}
