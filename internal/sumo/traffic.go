package sumo

import (
	"context"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

// halting is the speed below which a vehicle counts as halting, in m/s.
const halting = 0.1

var (
	simulationVariables = []byte{traci.DepartedIDs, traci.ArrivedIDs, traci.TeleportsStarted, traci.Colliding, traci.Pending}
	vehicleVariables    = []byte{traci.Speed, traci.LaneID, traci.LanePosition, traci.WaitingTime}
)

// everywhere is a distance in metres that reaches over any network.
const everywhere = 1e6

// offRoad is the speed of a vehicle that SUMO has taken off the road for a while.
const offRoad = -1

// nowhere is the approach of a vehicle that is on none.
var nowhere = [2]int{-1, -1}

// vehicle is a vehicle on the road as last reported.
type vehicle struct {
	kind     string
	gone     bool
	lane     *Lane // nil inside a junction
	speed    float64
	position float64 // m from the lane's start
	waiting  float64 // s since it last moved
	approach [2]int  // signal and approach it was last seen on; {-1, -1}: none
}

// away reports whether SUMO has taken the vehicle off the road for a while, as it
// does after a collision.
func (v *vehicle) away() bool { return v.speed < 0 }

// traffic keeps the vehicles that are on the road.
type traffic struct {
	env       *Env
	vehicles  map[string]*vehicle
	road      []*vehicle // the same in the order in which they entered, with some that are gone
	departed  []string   // since the last look
	arrived   map[string]bool
	kinds     map[string]string // interned type names
	waiting   []string          // that wait to enter, at the last look
	entry     map[string]string // of these: the edge that they wait for
	served    float64           // passengers that arrived since the last decision
	servedN   int
	servedPT  float64
	teleports int
	collided  int
	free      []*vehicle
}

func (t *traffic) init(e *Env) {
	*t = traffic{env: e, vehicles: map[string]*vehicle{}, arrived: map[string]bool{}, kinds: map[string]string{}, entry: map[string]string{}}
}

func (t *traffic) reset() {
	for _, v := range t.road {
		v.gone = true
	}
	t.tidy()
	clear(t.vehicles)
	clear(t.arrived)
	t.departed = t.departed[:0]
	t.waiting = t.waiting[:0]
	clear(t.entry)
	t.teleports, t.collided = 0, 0
	t.begin()
}

// begin starts the counts of a decision.
func (t *traffic) begin() { t.served, t.servedN, t.servedPT = 0, 0, 0 }

// note takes in what SUMO reports.
func (t *traffic) note(d traci.Domain, _, id []byte, variable byte, v traci.Value) {
	switch d {
	case traci.Simulation:
		switch variable {
		case traci.DepartedIDs:
			v.Strings(func(s []byte) { t.departed = append(t.departed, string(s)) })
		case traci.ArrivedIDs:
			v.Strings(t.arrive)
		case traci.TeleportsStarted:
			t.teleports += v.Int()
		case traci.Colliding:
			t.collided += v.Int()
		case traci.Pending:
			t.waiting = t.waiting[:0]
			v.Strings(func(s []byte) { t.waiting = append(t.waiting, string(s)) })
		}
	case traci.Vehicle:
		if variable == traci.Edges {
			t.entry[string(id)] = t.intern(v.First())
			return
		}
		veh := t.vehicles[string(id)]
		if veh == nil {
			return
		}
		switch variable {
		case traci.TypeID:
			veh.kind = t.intern(v.Text())
		case traci.Speed:
			veh.speed = v.Float()
		case traci.LaneID:
			veh.lane = t.env.Network.Lanes[string(v.Text())]
		case traci.LanePosition:
			veh.position = v.Float()
		case traci.WaitingTime:
			veh.waiting = v.Float()
		}
	}
}

func (t *traffic) arrive(id []byte) {
	veh := t.vehicles[string(id)]
	if veh == nil {
		t.arrived[string(id)] = true // departed since the last look
		return
	}
	n := t.env.cfg.Passengers.Of(veh.kind)
	t.servedN++
	t.served += n
	if bus, jeepney := PublicTransport(veh.kind); bus || jeepney {
		t.servedPT += n
	}
	delete(t.vehicles, string(id))
	veh.gone = true
}

// tidy takes the vehicles that are gone off the road.
func (t *traffic) tidy() {
	stay := t.road[:0]
	for _, v := range t.road {
		if v.gone {
			t.free = append(t.free, v)
		} else {
			stay = append(stay, v)
		}
	}
	clear(t.road[len(stay):])
	t.road = stay
}

func (t *traffic) intern(b []byte) string {
	if s, ok := t.kinds[string(b)]; ok {
		return s
	}
	s := string(b)
	t.kinds[s] = s
	return s
}

// look asks in one message for all vehicles on the road, for the type of those that
// entered since the last look, and for where those wait that cannot enter.
func (e *Env) look(ctx context.Context) error {
	t := &e.traffic
	t.tidy()
	for _, id := range t.departed {
		if t.arrived[id] {
			t.servedN++ // entered and left between two looks, its type unseen
			t.served++
			continue
		}
		veh := &vehicle{}
		if n := len(t.free); n > 0 {
			veh, t.free = t.free[n-1], t.free[:n-1]
		}
		*veh = vehicle{approach: nowhere}
		t.vehicles[id] = veh
		t.road = append(t.road, veh)
		e.process.QueueGet(traci.Vehicle, traci.TypeID, id)
	}
	clear(t.arrived)
	t.departed = t.departed[:0]
	for _, id := range t.waiting {
		if _, known := t.entry[id]; !known {
			e.process.QueueGet(traci.Vehicle, traci.Edges, id)
		}
	}
	// Who is off the road is not in the answer.
	for _, veh := range t.road {
		veh.speed = offRoad
	}
	e.process.QueueLook(traci.Junction, e.Network.junction, traci.Vehicle, everywhere, float64(e.now), vehicleVariables)
	return e.process.Explain(e.process.Ask(ctx, t.note))
}
