package d3qn

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/nn"
)

// ErrDiverged means that a loss or a weight is not a finite number.
var ErrDiverged = errors.New("training diverged")

// Agent learns the values of actions. It is for one goroutine.
type Agent struct {
	cfg     Config
	source  *rand.PCG
	rng     *rand.Rand
	online  *nn.Net
	target  *nn.Net
	policy  *nn.Net // moving mean of online: what acts
	adam    *nn.Adam
	memory  *replay
	actors  []actor
	updates int

	batch       batch
	forward     nn.Workspace
	forwardNext nn.Workspace
	forwardTo   nn.Workspace
	acting      nn.Workspace
}

// actor is one signal: the actions that it has, and the n-step returns that are not
// complete yet.
type actor struct {
	exists  []bool // as many as the network has actions
	recent  []seen
	present []float32 // the state that its last action led to
}

type seen struct {
	state  []float32
	action int
	reward float32
}

// batch holds the matrices of an update.
type batch struct {
	places      []int
	weights     []float32
	state, next nn.Matrix
	exists      []bool // actions of the transition's actor
	gradient    nn.Matrix
}

// New returns an agent for actors with so many actions each, and states of so many
// inputs.
func New(cfg Config, choices []int, inputs int, seed uint64) (*Agent, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if len(choices) == 0 || slices.Min(choices) < 1 {
		return nil, fmt.Errorf("agent: actors with %d actions: at least one actor with at least one is needed", choices)
	}
	actions := slices.Max(choices)
	source := rand.NewPCG(seed, 0x6433716e)
	rng := rand.New(source)
	shape := nn.Config{Inputs: inputs, Hidden: cfg.Hidden, Actions: actions, Dueling: !cfg.Plain}
	if cfg.LSTM > 0 {
		shape.LSTM, shape.Frames = cfg.LSTM, max(cfg.Frames, 1)
	}
	online, err := nn.New(shape, rng)
	if err != nil {
		return nil, err
	}
	target, err := nn.New(shape, rng)
	if err != nil {
		return nil, err
	}
	target.CopyFrom(online)
	// Its first weights are replaced at once: no random numbers for them.
	policy, err := nn.New(shape, rand.New(rand.NewPCG(0, 0)))
	if err != nil {
		return nil, err
	}
	policy.CopyFrom(online)
	a := &Agent{
		cfg: cfg, source: source, rng: rng, online: online, target: target, policy: policy, adam: nn.NewAdam(online),
		memory: newReplay(cfg.Memory, cfg.Prioritised), actors: make([]actor, len(choices)),
	}
	for i, n := range choices {
		a.actors[i].exists = make([]bool, actions)
		for k := range n {
			a.actors[i].exists[k] = true
		}
	}
	a.batch = batch{
		places: make([]int, cfg.Batch), weights: make([]float32, cfg.Batch), state: nn.NewMatrix(cfg.Batch, inputs),
		next: nn.NewMatrix(cfg.Batch, inputs), exists: make([]bool, cfg.Batch*actions), gradient: nn.NewMatrix(cfg.Batch, actions),
	}
	return a, nil
}

// Net returns the network that acts: the moving mean of the one that is learning.
// It changes with each Update.
func (a *Agent) Net() *nn.Net { return a.policy }

// Learning returns the network that is learning.
func (a *Agent) Learning() *nn.Net { return a.online }

// Values returns the values of an actor's actions in a state, one for each action
// that the network has. The result is valid until the next call.
func (a *Agent) Values(actorIndex int, state []float32) []float32 {
	return a.policy.Forward(&a.acting, nn.Matrix{Rows: 1, Cols: len(state), Data: state}, a.actors[actorIndex].exists).Data
}

// Act chooses an actor's action. mask says which of its actions are allowed. With
// probability epsilon it is random: the present one with the configuration's
// KeepShare, where it is allowed, else any allowed one.
func (a *Agent) Act(actorIndex int, state []float32, mask []bool, present int, epsilon float64) int {
	if epsilon > 0 && a.rng.Float64() < epsilon {
		if present >= 0 && mask[present] && a.rng.Float64() < a.cfg.KeepShare {
			return present
		}
		count := 0
		choice := -1
		for i, ok := range mask {
			if ok {
				if count++; a.rng.IntN(count) == 0 {
					choice = i
				}
			}
		}
		return choice
	}
	return best(a.Values(actorIndex, state), mask)
}

func best(values []float32, mask []bool) int {
	at := -1
	for i, ok := range mask {
		if ok && (at < 0 || values[i] > values[at]) {
			at = i
		}
	}
	return at
}

// Observe tells what an action of an actor led to: the reward, the state that
// followed with its mask, and whether the episode ended there in truth. An episode
// that is only cut off at its horizon has not ended: its last state still has a
// value. cut says that no more transitions of the episode follow.
func (a *Agent) Observe(actorIndex int, state []float32, action int, reward float64, next []float32, nextMask []bool, ended, cut bool) {
	ac := &a.actors[actorIndex]
	// The state is the one that the action before led to: kept once.
	if !slices.Equal(ac.present, state) {
		ac.present = slices.Clone(state)
	}
	ac.recent = append(ac.recent, seen{ac.present, action, float32(reward)})
	ac.present = slices.Clone(next)
	if len(ac.recent) >= a.cfg.Steps || ended || cut {
		a.store(actorIndex, nextMask, ended)
	}
	for (ended || cut) && len(ac.recent) > 0 {
		a.store(actorIndex, nextMask, ended)
	}
}

// Forget drops an actor's states whose returns are not complete, after an episode
// that cannot go on.
func (a *Agent) Forget(actorIndex int) {
	a.actors[actorIndex].recent, a.actors[actorIndex].present = nil, nil
}

// store turns an actor's oldest state into a transition to the present one.
func (a *Agent) store(actorIndex int, nextMask []bool, ended bool) {
	ac := &a.actors[actorIndex]
	sum, discount := float32(0), float32(1)
	for _, s := range ac.recent {
		sum += discount * s.reward
		discount *= float32(a.cfg.Gamma)
	}
	if ended {
		discount = 0
	}
	first := ac.recent[0]
	*a.memory.slot() = transition{
		actor: actorIndex, state: first.state, next: ac.present, nextMask: slices.Clone(nextMask),
		action: first.action, reward: sum, discount: discount,
	}
	ac.recent = append(ac.recent[:0], ac.recent[1:]...)
}

// Memory is the number of transitions in the replay memory.
func (a *Agent) Memory() int { return len(a.memory.ring) }

// Updates is the number of updates done.
func (a *Agent) Updates() int { return a.updates }

// Update learns from one batch when enough transitions are there. done is the share
// of the training that is done. It returns the mean Huber loss; ok is false when
// nothing was learned yet. The error is ErrDiverged.
func (a *Agent) Update(done float64) (loss float64, ok bool, err error) {
	if len(a.memory.ring) < a.cfg.Warmup {
		return 0, false, nil
	}
	b := &a.batch
	beta := a.cfg.Beta + (1-a.cfg.Beta)*min(max(done, 0), 1)
	a.memory.sample(a.rng, beta, b.places, b.weights)
	actions := a.online.Config().Actions
	for k, place := range b.places {
		t := &a.memory.ring[place]
		copy(b.state.Row(k), t.state)
		copy(b.next.Row(k), t.next)
		copy(b.exists[k*actions:(k+1)*actions], a.actors[t.actor].exists)
	}
	valued := a.target.Forward(&a.forwardTo, b.next, b.exists)
	chosen := valued
	if !a.cfg.Single {
		chosen = a.online.Forward(&a.forwardNext, b.next, b.exists)
	}
	q := a.online.Forward(&a.forward, b.state, b.exists)
	clear(b.gradient.Data)
	sum := 0.0
	for k, place := range b.places {
		t := &a.memory.ring[place]
		want := t.reward
		if i := best(chosen.Row(k), t.nextMask); i >= 0 {
			want += t.discount * valued.Row(k)[i]
		}
		e := q.Row(k)[t.action] - want
		l, slope := nn.Huber(e)
		sum += float64(b.weights[k] * l)
		b.gradient.Row(k)[t.action] = b.weights[k] * slope / float32(len(b.places))
		if a.cfg.Prioritised {
			a.memory.setPriority(place, math.Pow(math.Abs(float64(e))+a.cfg.PriorityFloor, a.cfg.Alpha))
		}
	}
	loss = sum / float64(len(b.places))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, true, fmt.Errorf("%w: the loss of update %d is %g", ErrDiverged, a.updates+1, loss)
	}
	a.online.ZeroGrad()
	a.online.Backward(&a.forward, b.gradient)
	a.online.ClipGradients(a.cfg.Clip)
	a.adam.Update(a.online, a.cfg.RateAt(done))
	a.target.Polyak(a.online, float32(a.cfg.Tau))
	a.updates++
	if a.cfg.Average == 1 {
		a.policy.CopyFrom(a.online)
	} else {
		// A plain mean at first: the initial weights must not stay in it for long.
		a.policy.Polyak(a.online, float32(max(a.cfg.Average, 1/float64(a.updates))))
	}
	return loss, true, nil
}
