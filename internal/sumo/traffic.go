package sumo

import (
	"context"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

// halting is the speed below which a vehicle counts as halting, in m/s.
const halting = 0.1

var (
	simulationVariables = []byte{traci.DepartedIDs, traci.ArrivedIDs, traci.TeleportsStarted, traci.Colliding, traci.Pending}
	vehicleVariables    = []byte{traci.TypeID, traci.Speed, traci.LaneID, traci.LanePosition, traci.WaitingTime}
)

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
// does after a collision. It then reports an impossible speed.
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
		veh := t.vehicles[string(id)]
		if veh == nil {
			return
		}
		switch variable {
		case traci.TypeID:
			if veh.kind == "" {
				veh.kind = t.intern(v.Text())
			}
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

// look subscribes to the vehicles that entered since the last look.
func (e *Env) look(ctx context.Context) error {
	t := &e.traffic
	t.tidy()
	fresh := t.departed[:0]
	for _, id := range t.departed {
		if t.arrived[id] {
			t.servedN++ // entered and left between two looks, its type unseen
			t.served++
			continue
		}
		fresh = append(fresh, id)
		veh := &vehicle{}
		if n := len(t.free); n > 0 {
			veh, t.free = t.free[n-1], t.free[:n-1]
		}
		*veh = vehicle{approach: nowhere}
		t.vehicles[id] = veh
		t.road = append(t.road, veh)
	}
	clear(t.arrived)
	if err := e.process.SubscribeAll(ctx, traci.Vehicle, fresh, vehicleVariables, t.note); err != nil {
		return e.process.Explain(err)
	}
	t.departed = t.departed[:0]
	return e.lookAtEntries(ctx)
}

// lookAtEntries asks once for each vehicle that waits to enter where that is.
func (e *Env) lookAtEntries(ctx context.Context) error {
	t := &e.traffic
	for _, id := range t.waiting {
		if _, known := t.entry[id]; known {
			continue
		}
		v, err := e.process.Get(ctx, traci.Vehicle, traci.Edges, id)
		if err != nil {
			return e.process.Explain(err)
		}
		edge := ""
		first := true
		v.Strings(func(s []byte) {
			if first {
				edge, first = t.intern(s), false
			}
		})
		t.entry[id] = edge
	}
	return nil
}
