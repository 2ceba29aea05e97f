package d3qn

import (
	"fmt"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/nn"
	"github.com/greenwave-traffic/greenwave/internal/safetensors"
)

// Weights returns a network's parameters as tensors that share its memory.
func Weights(net *nn.Net, prefix string) []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, b := range net.Params() {
		shape := []int{b.Rows, b.Cols}
		if b.Rows == 1 {
			shape = shape[1:]
		}
		list = append(list, safetensors.Float32(prefix+b.Name, b.Data, shape...))
	}
	return list
}

// The numbers of an agent that are not weights, in the tensor "counters".
const (
	countUpdates = iota
	countStep    // of Adam
	countRing
	countAt
	counters
)

// weights returns the networks that learn and the optimiser's moments, sharing their memory.
func (a *Agent) weights(prefix string) []safetensors.Tensor {
	return slices.Concat(Weights(a.online, prefix+"online."), Weights(a.target, prefix+"target."), []safetensors.Tensor{
		safetensors.Float32(prefix+"adam.first", a.adam.First, len(a.adam.First)),
		safetensors.Float32(prefix+"adam.second", a.adam.Second, len(a.adam.Second)),
	})
}

// Tensors returns all that an agent has learned and remembers, under names that
// begin with prefix: an agent that is made with the same configuration and restored
// from them goes on with the same bits. Between episodes only: an actor that waits
// for the end of its returns is an error.
func (a *Agent) Tensors(prefix string) ([]safetensors.Tensor, error) {
	for i, ac := range a.actors {
		if len(ac.recent) > 0 {
			return nil, fmt.Errorf("agent: actor %d is in the middle of an episode: its state cannot be saved", i)
		}
	}
	if !a.online.Finite() {
		return nil, fmt.Errorf("%w: a weight is not a finite number", ErrDiverged)
	}
	source, err := a.source.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("agent: random numbers: %w", err)
	}
	list := append(a.weights(prefix), safetensors.Bytes(prefix+"random", source, len(source)))
	list = append(list, Weights(a.policy, prefix+"policy.")...)
	return append(list, a.memory.tensors(prefix+"replay.", a.online.Config(), int64(a.updates), int64(a.adam.Step))...), nil
}

// Restore takes over what Tensors returned for an agent of the same configuration. A
// file may be older than the mean of the weights: then the last ones acted, as with an
// Average of 1.
func (a *Agent) Restore(f *safetensors.File, prefix string) error {
	shape, _ := f.Shape(prefix + "random")
	if len(shape) != 1 || shape[0] > 1000 {
		shape = []int{0}
	}
	source := make([]byte, shape[0])
	list := append(a.weights(prefix), safetensors.Bytes(prefix+"random", source, len(source)))
	policy := Weights(a.policy, prefix+"policy.")
	_, mean := f.Shape(policy[0].Name)
	if mean || a.cfg.Average != 1 {
		list = append(list, policy...)
	}
	for _, t := range list {
		if err := f.Read(t); err != nil {
			return err
		}
	}
	if !mean {
		a.policy.CopyFrom(a.online)
	}
	if err := a.source.UnmarshalBinary(source); err != nil {
		return fmt.Errorf("agent: random numbers: %w", err)
	}
	for i := range a.actors {
		a.Forget(i)
	}
	updates, step, err := a.memory.restore(f, prefix+"replay.", a.online.Config(), len(a.actors))
	a.updates, a.adam.Step = int(updates), int(step)
	return err
}

// columns are the replay memory's transitions, field by field.
type columns struct {
	counters       []int64
	states, nexts  []float32 // transitions × inputs
	masks          []byte    // transitions × actions; 2 where the mask is shorter
	actors, action []int64
	reward, rest   []float32
	priority       []float64
	top            []float64
}

func newColumns(n int, shape nn.Config, prioritised bool) columns {
	c := columns{
		counters: make([]int64, counters), states: make([]float32, n*shape.Inputs), nexts: make([]float32, n*shape.Inputs),
		masks: make([]byte, n*shape.Actions), actors: make([]int64, n), action: make([]int64, n),
		reward: make([]float32, n), rest: make([]float32, n), top: make([]float64, 1),
	}
	if prioritised {
		c.priority = make([]float64, n)
	}
	return c
}

func (c columns) list(prefix string, n int, shape nn.Config) []safetensors.Tensor {
	return []safetensors.Tensor{
		safetensors.Int64(prefix+"counters", c.counters, counters),
		safetensors.Float32(prefix+"state", c.states, n, shape.Inputs),
		safetensors.Float32(prefix+"next", c.nexts, n, shape.Inputs),
		safetensors.Bytes(prefix+"next_mask", c.masks, n, shape.Actions),
		safetensors.Int64(prefix+"actor", c.actors, n),
		safetensors.Int64(prefix+"action", c.action, n),
		safetensors.Float32(prefix+"return", c.reward, n),
		safetensors.Float32(prefix+"discount", c.rest, n),
		safetensors.Float64(prefix+"priority", c.priority, len(c.priority)),
		safetensors.Float64(prefix+"top_priority", c.top, 1),
	}
}

// tensors copies the memory into columns.
func (r *replay) tensors(prefix string, shape nn.Config, updates, step int64) []safetensors.Tensor {
	n := len(r.ring)
	c := newColumns(n, shape, r.tree != nil)
	c.counters[countUpdates], c.counters[countStep], c.counters[countRing], c.counters[countAt] = updates, step, int64(n), int64(r.at)
	c.top[0] = r.top
	for i := range r.ring {
		t := &r.ring[i]
		copy(c.states[i*shape.Inputs:], t.state)
		copy(c.nexts[i*shape.Inputs:], t.next)
		for k := range shape.Actions {
			switch {
			case k >= len(t.nextMask):
				c.masks[i*shape.Actions+k] = 2
			case t.nextMask[k]:
				c.masks[i*shape.Actions+k] = 1
			}
		}
		c.actors[i], c.action[i], c.reward[i], c.rest[i] = int64(t.actor), int64(t.action), t.reward, t.discount
		if r.tree != nil {
			c.priority[i] = r.tree[r.leaf+i]
		}
	}
	return c.list(prefix, n, shape)
}

// restore fills the memory from columns.
func (r *replay) restore(f *safetensors.File, prefix string, shape nn.Config, actors int) (updates, step int64, err error) {
	size, _ := f.Shape(prefix + "return")
	if len(size) != 1 || size[0] > r.limit {
		return 0, 0, fmt.Errorf("agent: the saved replay memory has the shape %v, here it holds %d: it was written with other settings", size, r.limit)
	}
	n := size[0]
	c := newColumns(n, shape, r.tree != nil)
	for _, t := range c.list(prefix, n, shape) {
		if err := f.Read(t); err != nil {
			return 0, 0, err
		}
	}
	at := int(c.counters[countAt])
	if c.counters[countRing] != int64(n) || at < 0 || at > n {
		return 0, 0, fmt.Errorf("agent: the saved replay memory is damaged: place %d of %d", at, n)
	}
	r.ring, r.at = make([]transition, n), at
	for i := range r.ring {
		actor, action := int(c.actors[i]), int(c.action[i])
		if actor < 0 || actor >= actors || action < 0 || action >= shape.Actions {
			return 0, 0, fmt.Errorf("agent: the saved replay memory is damaged: transition %d is of actor %d and action %d", i, actor, action)
		}
		t := transition{
			actor: actor, action: action, reward: c.reward[i], discount: c.rest[i],
			state: c.states[i*shape.Inputs : (i+1)*shape.Inputs], next: c.nexts[i*shape.Inputs : (i+1)*shape.Inputs],
		}
		for _, m := range c.masks[i*shape.Actions : (i+1)*shape.Actions] {
			if m < 2 {
				t.nextMask = append(t.nextMask, m == 1)
			}
		}
		r.ring[i] = t
	}
	for i, p := range c.priority {
		r.setPriority(i, p)
	}
	r.top = c.top[0]
	return c.counters[countUpdates], c.counters[countStep], nil
}
