package demo

import (
	"math"
	"math/rand/v2"
)

// agent is a tabular Q-learner for one intersection. It sees how long the queues of
// the two phases are, which phase is green and for how long, each in a few classes.
type agent struct {
	Q map[int][2]float64 `json:"q"` // state → value of each phase
}

const (
	alpha = 0.05
	gamma = 0.75
)

// controller decides the phase of each intersection.
type controller interface {
	decide(n *network, step int) [3]int
}

// learner is the controller that is trained.
type learner struct {
	Agents  [3]agent
	epsilon float64
	rng     *rand.Rand
}

func newLearner(seed uint64) *learner {
	l := &learner{rng: rand.New(rand.NewPCG(seed, 0x77617665))}
	for i := range l.Agents {
		l.Agents[i].Q = map[int][2]float64{}
	}
	return l
}

// decide takes the better phase, and with probability epsilon any.
func (l *learner) decide(n *network, _ int) [3]int {
	var phases [3]int
	for i := range phases {
		q := l.Agents[i].Q[observe(n, i)]
		if q[1] > q[0] {
			phases[i] = 1
		}
		if l.epsilon > 0 && l.rng.Float64() < l.epsilon {
			phases[i] = l.rng.IntN(2)
		}
	}
	return phases
}

// learn moves the value of what was done towards what came of it and returns the
// size of the correction.
func (l *learner) learn(at, before, phase int, reward float64, after int) float64 {
	table := l.Agents[at].Q
	ahead := table[after]
	q := table[before]
	correction := reward + gamma*math.Max(ahead[0], ahead[1]) - q[phase]
	q[phase] += alpha * correction
	table[before] = q
	return math.Abs(correction)
}

// observe is the state of an intersection as a number.
func observe(n *network, at int) int {
	class := func(a, b int) int {
		x, _ := n.halting(at, a)
		y, _ := n.halting(at, b)
		switch q := x + y; {
		case q == 0:
			return 0
		case q <= 2:
			return 1
		case q <= 5:
			return 2
		case q <= 9:
			return 3
		case q <= 15:
			return 4
		}
		return 5
	}
	c := &n.crossings[at]
	held := min(3, max(0, n.now-c.greenAt)/10)
	return ((class(north, south)*6+class(east, west))*2+c.phase)*4 + held
}

// fixedTime is the baseline: a plan that never looks at the traffic. Of each minute
// it gives the corridor two thirds, as its share of the traffic suggests; all
// intersections switch together.
type fixedTime struct{}

func (fixedTime) decide(_ *network, step int) [3]int {
	if step%12 < 4 {
		return [3]int{0, 0, 0}
	}
	return [3]int{1, 1, 1}
}
