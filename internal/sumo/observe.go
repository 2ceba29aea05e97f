package sumo

// Observation is what a controller sees at a decision.
type Observation struct {
	Time    int // s of the demand's own clock
	Signals []SignalView
}

// SignalView is what is seen of one signal.
type SignalView struct {
	ID         string
	Phase      int    // index of the green phase, or of the one it changes to; -1 when SUMO has it
	Age        int    // s since the phase became green; negative while changing
	Mask       []bool // phases that may be chosen
	Phases     []PhaseView
	Approaches []ApproachView
}

// PhaseView is the demand for one phase: the vehicles within Upstream of the stop
// lines of its green links, each counted once.
type PhaseView struct {
	Queue      int     // halting vehicles
	Protected  int     // of these, before links that need not give way
	Count      int     // vehicles
	Near       int     // of these, within Near of the stop line
	Waiting    float64 // sum of the times since they last moved, s
	Speed      float64 // mean share of the speed limit, 0 to 1; 1 when there are none
	Downstream int     // halting vehicles on the lanes that the links lead to
	Passengers float64 // passengers in the vehicles
	Beyond     int     // halting vehicles further upstream on its approaches, and those that wait to enter there
}

// ApproachView is the traffic on one approach, within Upstream of the stop line.
type ApproachView struct {
	Edge         string
	Vehicles     int
	Queue        int     // halting vehicles
	Waiting      float64 // mean time since they last moved, s
	MaxWaiting   float64 // s
	Speed        float64 // mean, km/h; 0 when there are none
	Occupancy    float64 // share of the observed road that vehicles and their gaps take, 0 to 1
	Arrivals     int     // vehicles that came onto the approach since the last decision
	Buses        int
	Jeepneys     int
	PTPassengers float64 // in the buses and jeepneys
	Beyond       int     // halting vehicles further upstream, up to the next signal, and those that wait to enter there
	Lost         float64 // seconds lost per second: sum of 1 − speed/limit over all vehicles up to the next signal, and 1 for each that waits to enter there
}

// place is what a lane means to a signal.
type place struct {
	signal, approach  int
	distance          float64 // from the lane's end to the stop line, m
	phases, protected []int   // phases whose green links it leads to
}

// vehicleSpace is about the room that a vehicle takes with its gap, in m.
const vehicleSpace = 7.5

// prepare finds the place of every observed lane.
func (e *Env) prepare() {
	e.places, e.halting, e.catchment = map[*Lane][]place{}, map[*Lane]int{}, catchment(e.Signals)
	e.entries = map[string][2]int{}
	for lane, at := range e.catchment {
		if before, ok := e.entries[lane.Edge]; !ok || at[0] < before[0] || at[0] == before[0] && at[1] < before[1] {
			e.entries[lane.Edge] = at
		}
	}
	for si, m := range e.Signals {
		at := map[*Lane]int{}
		for ai, a := range m.Approaches {
			for _, st := range a.Reach {
				if _, ok := at[st.Lane]; ok {
					continue // leads to two approaches: counts on the first
				}
				at[st.Lane] = len(e.places[st.Lane])
				e.places[st.Lane] = append(e.places[st.Lane], place{signal: si, approach: ai, distance: st.Distance})
			}
		}
		for pi, p := range m.Phases {
			mark := func(links []int, set func(*place)) {
				done := map[*Lane]bool{}
				for _, link := range links {
					if link >= len(m.links) {
						continue
					}
					for _, st := range m.links[link].from {
						if i, ok := at[st.Lane]; ok && !done[st.Lane] {
							done[st.Lane] = true
							set(&e.places[st.Lane][i])
						}
					}
				}
			}
			mark(p.Green, func(pl *place) { pl.phases = append(pl.phases, pi) })
			mark(p.Protected, func(pl *place) { pl.protected = append(pl.protected, pi) })
		}
	}
	e.obs.Signals = make([]SignalView, len(e.Signals))
	for i, m := range e.Signals {
		v := &e.obs.Signals[i]
		v.ID = m.Signal.ID
		v.Mask = make([]bool, len(m.Phases))
		v.Phases = make([]PhaseView, len(m.Phases))
		v.Approaches = make([]ApproachView, len(m.Approaches))
		for k, a := range m.Approaches {
			v.Approaches[k].Edge = a.Edge
		}
	}
}

// observe fills the observation from the traffic.
func (e *Env) observe() {
	e.obs.Time = e.now
	clear(e.halting)
	for i := range e.obs.Signals {
		v := &e.obs.Signals[i]
		clear(v.Phases)
		for k := range v.Approaches {
			v.Approaches[k] = ApproachView{Edge: v.Approaches[k].Edge}
		}
		v.Phase, v.Age = -1, 0
		if i < len(e.signals) {
			s := e.signals[i]
			v.Phase, v.Age = s.phase, e.now-s.since
			s.mask(e.now, e.cfg.Interval, v.Mask)
		}
	}
	for _, veh := range e.traffic.road {
		e.place(veh)
	}
	for _, id := range e.traffic.waiting {
		if at, ok := e.entries[e.traffic.entry[id]]; ok {
			a := &e.obs.Signals[at[0]].Approaches[at[1]]
			a.Beyond++
			a.Lost++
		}
	}
	for i := range e.obs.Signals {
		e.finish(i)
	}
}

// place adds a vehicle to what it is before.
func (e *Env) place(veh *vehicle) {
	if veh.lane == nil || veh.away() {
		return
	}
	relative := min(veh.speed/veh.lane.Speed, 1)
	halts := veh.speed < halting
	if halts {
		e.halting[veh.lane]++
	}
	if at, ok := e.catchment[veh.lane]; ok {
		a := &e.obs.Signals[at[0]].Approaches[at[1]]
		a.Lost += 1 - relative
		if halts && !e.observed(veh, at[0]) {
			a.Beyond++
		}
	}
	for _, pl := range e.places[veh.lane] {
		distance := pl.distance + veh.lane.Length - veh.position
		if distance > Upstream {
			continue
		}
		v := &e.obs.Signals[pl.signal]
		a := &v.Approaches[pl.approach]
		a.Vehicles++
		a.Waiting += veh.waiting
		a.MaxWaiting = max(a.MaxWaiting, veh.waiting)
		a.Speed += veh.speed * 3.6
		passengers := e.cfg.Passengers.Of(veh.kind)
		bus, jeepney := PublicTransport(veh.kind)
		if bus {
			a.Buses++
		}
		if jeepney {
			a.Jeepneys++
		}
		if bus || jeepney {
			a.PTPassengers += passengers
		}
		if here := [2]int{pl.signal, pl.approach}; veh.approach != here {
			veh.approach = here
			a.Arrivals++
		}
		if halts {
			a.Queue++
		}
		for _, pi := range pl.phases {
			p := &v.Phases[pi]
			p.Count++
			p.Waiting += veh.waiting
			p.Speed += relative
			p.Passengers += passengers
			if distance <= Near {
				p.Near++
			}
			if halts {
				p.Queue++
			}
		}
		if halts {
			for _, pi := range pl.protected {
				v.Phases[pi].Protected++
			}
		}
	}
}

// observed reports whether a vehicle is within Upstream of a signal.
func (e *Env) observed(veh *vehicle, signal int) bool {
	for _, pl := range e.places[veh.lane] {
		if pl.signal == signal && pl.distance+veh.lane.Length-veh.position <= Upstream {
			return true
		}
	}
	return false
}

// finish turns sums into means.
func (e *Env) finish(i int) {
	v, m := &e.obs.Signals[i], e.Signals[i]
	for k := range v.Approaches {
		a := &v.Approaches[k]
		if length := m.Approaches[k].observed; length > 0 {
			a.Occupancy = min(float64(a.Vehicles)*vehicleSpace/length, 1)
		}
		if a.Vehicles > 0 {
			a.Waiting /= float64(a.Vehicles)
			a.Speed /= float64(a.Vehicles)
		}
	}
	for k := range v.Phases {
		p := &v.Phases[k]
		if p.Count > 0 {
			p.Speed /= float64(p.Count)
		} else {
			p.Speed = 1
		}
		for _, lane := range m.downstream[k] {
			p.Downstream += e.halting[lane]
		}
		for _, a := range m.served[k] {
			p.Beyond += v.Approaches[a].Beyond
		}
	}
}
