package d3qn

import (
	"math"
	"math/rand/v2"
)

// transition is what replay keeps: a state, the action, the n-step return, and the
// state n decisions later.
type transition struct {
	actor       int
	state, next []float32 // shared with the transitions before and after
	nextMask    []bool
	action      int
	reward      float32 // discounted sum
	discount    float32 // of the next state's value: gamma^n, 0 at an end
}

// replay is a ring of transitions with a sum tree of their priorities.
type replay struct {
	limit int
	ring  []transition
	at    int       // next place
	tree  []float64 // sums of priorities, the leaves from leaf on; nil for uniform sampling
	leaf  int
	top   float64 // largest priority so far
}

func newReplay(limit int, prioritised bool) *replay {
	r := &replay{limit: limit, top: 1}
	if prioritised {
		r.leaf = 1
		for r.leaf < limit {
			r.leaf *= 2
		}
		r.tree = make([]float64, 2*r.leaf)
	}
	return r
}

// slot returns the place for the next transition.
func (r *replay) slot() *transition {
	if len(r.ring) < r.limit {
		r.ring = append(r.ring, transition{})
		r.at = len(r.ring) % r.limit
		r.setPriority(len(r.ring)-1, r.top)
		return &r.ring[len(r.ring)-1]
	}
	i := r.at
	r.at = (r.at + 1) % r.limit
	r.setPriority(i, r.top)
	return &r.ring[i]
}

func (r *replay) setPriority(i int, p float64) {
	if r.tree == nil {
		return
	}
	r.top = max(r.top, p)
	n := r.leaf + i
	r.tree[n] = p
	for n /= 2; n >= 1; n /= 2 {
		r.tree[n] = r.tree[2*n] + r.tree[2*n+1]
	}
}

// sample draws places and their importance weights, the largest of which is 1.
func (r *replay) sample(rng *rand.Rand, beta float64, places []int, weights []float32) {
	if r.tree == nil {
		for k := range places {
			places[k], weights[k] = rng.IntN(len(r.ring)), 1
		}
		return
	}
	total, largest := r.tree[1], 0.0
	raw := make([]float64, len(places))
	for k := range places {
		// One draw from each of equal shares of the sum.
		want := (float64(k) + rng.Float64()) * total / float64(len(places))
		n := 1
		for n < r.leaf {
			n *= 2
			if left := r.tree[n]; want >= left && r.tree[n+1] > 0 {
				want -= left
				n++
			}
		}
		places[k] = min(n-r.leaf, len(r.ring)-1)
		raw[k] = math.Pow(float64(len(r.ring))*r.tree[n]/total, -beta)
		largest = max(largest, raw[k])
	}
	for k := range raw {
		weights[k] = float32(raw[k] / largest)
	}
}
