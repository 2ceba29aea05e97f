package demo

import "math/rand/v2"

// The toy network.
var intersections = []string{"ECOLAND", "JOHNPAUL", "SANDAWA"}

// An approach leads to a stop line. East and west are the corridor.
const (
	north = iota
	south
	east
	west
	approaches
)

var approachNames = [approaches]string{"north", "south", "east", "west"}

const (
	seconds  = 300 // of an episode
	interval = 5   // seconds between decisions
	steps    = seconds / interval

	yellow   = 3  // seconds lost by a change of phase
	minGreen = 10 // seconds

	linkMeters = 300.0 // before each stop line
	freeFlow   = 25    // seconds that the link takes without waiting
)

// saturation is how many vehicles a second pass a stop line when it is green.
var saturation = [approaches]float64{0.5, 0.5, 1, 1}

// A kind of vehicle: its share of the traffic and the people in it.
type kind struct {
	share      float64
	passengers float64
	transit    bool
}

const (
	car = iota
	jeepney
	bus
)

var kinds = [...]kind{
	car:     {share: 0.80, passengers: 1.4},
	jeepney: {share: 0.16, passengers: 14, transit: true},
	bus:     {share: 0.04, passengers: 35, transit: true},
}

// vehicle is one vehicle at or before a stop line.
type vehicle struct {
	kind    int
	entered int // second at which it came into the network
	arrives int // second at which it reaches the stop line
	links   int // links driven so far, with this one
	waited  int // seconds at stop lines
}

// crossing is one intersection: phase 0 is green for north and south, 1 for east and
// west.
type crossing struct {
	queues  [approaches][]vehicle
	credit  [approaches]float64 // fractions of a vehicle that may pass
	phase   int
	greenAt int // second at which the phase is green
}

// network is the model during one episode.
type network struct {
	rng       *rand.Rand
	now       int
	crossings [3]crossing
	demand    float64 // factor on all arrivals
	done      []vehicle
	entered   int
}

// newNetwork prepares an episode. The seed decides the traffic and nothing else, so
// controllers can be compared on the same vehicles.
func newNetwork(seed uint64) *network {
	n := &network{rng: rand.New(rand.NewPCG(seed, 0x67726565))}
	n.demand = 0.9 + 0.2*n.rng.Float64()
	for i := range n.crossings {
		n.crossings[i].greenAt = -minGreen
	}
	return n
}

// advance lets one decision interval pass.
func (n *network) advance() {
	for range interval {
		n.arrive()
		for i := range n.crossings {
			n.discharge(i)
		}
		n.now++
	}
}

// arrive brings new vehicles to the edges of the network.
func (n *network) arrive() {
	for i := range n.crossings {
		n.maybe(i, north, 0.09)
		n.maybe(i, south, 0.07)
	}
	n.maybe(0, west, 0.42)
	n.maybe(len(n.crossings)-1, east, 0.34)
}

func (n *network) maybe(at, approach int, perSecond float64) {
	if n.rng.Float64() >= perSecond*n.demand {
		return
	}
	v := vehicle{entered: n.now, arrives: n.now + freeFlow, links: 1}
	for u := n.rng.Float64(); v.kind < len(kinds)-1 && u >= kinds[v.kind].share; v.kind++ {
		u -= kinds[v.kind].share
	}
	n.entered++
	n.crossings[at].queues[approach] = append(n.crossings[at].queues[approach], v)
}

// discharge lets vehicles pass where it is green and the others wait.
func (n *network) discharge(at int) {
	c := &n.crossings[at]
	for a := range approaches {
		q := c.queues[a]
		green := n.now >= c.greenAt && (a == east || a == west) == (c.phase == 1)
		if !green || len(q) == 0 || q[0].arrives > n.now {
			c.credit[a] = 0
		} else {
			c.credit[a] += saturation[a]
		}
		for c.credit[a] >= 1 && len(q) > 0 && q[0].arrives <= n.now {
			c.credit[a]--
			n.leave(at, a, q[0])
			q = q[1:]
		}
		for i := range q {
			if q[i].arrives > n.now {
				break
			}
			q[i].waited++
		}
		c.queues[a] = q
	}
}

// leave passes a vehicle on along the corridor, or out of the network.
func (n *network) leave(at, approach int, v vehicle) {
	to := -1
	switch approach {
	case west:
		to = at + 1
	case east:
		to = at - 1
	}
	if to < 0 || to >= len(n.crossings) {
		n.done = append(n.done, v)
		return
	}
	v.arrives = n.now + freeFlow
	v.links++
	n.crossings[to].queues[approach] = append(n.crossings[to].queues[approach], v)
}

// choose sets the phase of an intersection, when the minimum green allows it.
func (n *network) choose(at, phase int) {
	c := &n.crossings[at]
	if phase != c.phase && n.now-c.greenAt >= minGreen {
		c.phase = phase
		c.greenAt = n.now + yellow
	}
}

// halting counts the vehicles that wait on an approach, and the people in them.
func (n *network) halting(at, approach int) (vehicles int, people float64) {
	for _, v := range n.crossings[at].queues[approach] {
		if v.arrives > n.now {
			break
		}
		vehicles++
		people += kinds[v.kind].passengers
	}
	return vehicles, people
}

// waiting is the mean time in seconds that the vehicles now at a stop line of the
// intersection have waited.
func (n *network) waiting(at int) float64 {
	sum, count := 0, 0
	for a := range approaches {
		for _, v := range n.crossings[at].queues[a] {
			if v.arrives <= n.now {
				sum += v.waited
				count++
			}
		}
	}
	if count == 0 {
		return 0
	}
	return float64(sum) / float64(count)
}

// active counts the vehicles in the network.
func (n *network) active() int { return n.entered - len(n.done) }
