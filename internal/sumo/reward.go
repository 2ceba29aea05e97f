package sumo

// Components are the parts of a reward. Each is already multiplied by its weight;
// their sum is the reward.
type Components struct {
	Waiting         float64 `json:"waiting_penalty"`
	Delay           float64 `json:"delay_penalty"`
	Queue           float64 `json:"queue_penalty"`
	Speed           float64 `json:"speed_reward"`
	Passengers      float64 `json:"passenger_throughput_reward"`
	Vehicles        float64 `json:"vehicle_throughput_bonus"`
	PublicTransport float64 `json:"public_transport_bonus"`
}

// Sum is the reward.
func (c Components) Sum() float64 {
	return c.Waiting + c.Delay + c.Queue + c.Speed + c.Passengers + c.Vehicles + c.PublicTransport
}

// Add adds o to c.
func (c *Components) Add(o Components) {
	c.Waiting += o.Waiting
	c.Delay += o.Delay
	c.Queue += o.Queue
	c.Speed += o.Speed
	c.Passengers += o.Passengers
	c.Vehicles += o.Vehicles
	c.PublicTransport += o.PublicTransport
}

// Map returns the components by their names in a record.
func (c Components) Map() map[string]float64 {
	return map[string]float64{
		"waiting_penalty": c.Waiting, "delay_penalty": c.Delay, "queue_penalty": c.Queue, "speed_reward": c.Speed,
		"passenger_throughput_reward": c.Passengers, "vehicle_throughput_bonus": c.Vehicles, "public_transport_bonus": c.PublicTransport,
	}
}

// Weights of the components, per signal and decision.
type Weights struct {
	Waiting         float64 `json:"waiting"`          // per second of mean waiting time of the vehicles on the approaches
	Delay           float64 `json:"delay"`            // per vehicle second lost on the approaches since the last decision
	Queue           float64 `json:"queue"`            // per halting vehicle on the approaches
	Speed           float64 `json:"speed"`            // per km/h of the mean speed on the approaches
	Passengers      float64 `json:"passengers"`       // per passenger that arrived, shared among the signals
	Vehicles        float64 `json:"vehicles"`         // per vehicle that arrived, shared among the signals
	PublicTransport float64 `json:"public_transport"` // per passenger that arrived in a bus or jeepney, shared among the signals
}

// DefaultWeights count the seconds that vehicles lose on the approaches and nothing
// else: what the primary metric is made of.
func DefaultWeights() Weights { return Weights{Delay: 1} }

// reward observes the traffic at the end of an interval and composes the interval's
// reward: what is lost on the approaches at that moment, for the whole interval,
// and the arrivals in it.
func (e *Env) reward() Step {
	e.observe()
	n := len(e.obs.Signals)
	st := Step{Rewards: make([]float64, n)}
	w, t := e.cfg.Weights, &e.traffic
	share := 1 / float64(n)
	for i := range e.obs.Signals {
		var c Components
		var vehicles int
		var waiting, speed float64
		for _, a := range e.obs.Signals[i].Approaches {
			vehicles += a.Vehicles
			waiting += a.Waiting * float64(a.Vehicles)
			speed += a.Speed * float64(a.Vehicles)
			c.Delay -= w.Delay * a.Lost * float64(e.cfg.Interval)
			c.Queue -= w.Queue * float64(a.Queue)
		}
		if vehicles > 0 {
			c.Waiting = -w.Waiting * waiting / float64(vehicles)
			c.Speed = w.Speed * speed / float64(vehicles)
		}
		c.Passengers = w.Passengers * t.served * share
		c.Vehicles = w.Vehicles * float64(t.servedN) * share
		c.PublicTransport = w.PublicTransport * t.servedPT * share
		st.Rewards[i] = c.Sum()
		st.Components.Add(c)
	}
	st.Reward = st.Components.Sum()
	t.begin()
	return st
}

// samples collects what is measured at each decision.
type samples struct {
	n, maxQueue           int
	queue, waiting, speed float64
	approaches            []approachSum // of all signals, one after the other
}

// approachSum adds up the vehicles that were seen on an approach.
type approachSum struct{ vehicles, waiting float64 }

// sample measures the traffic at a decision.
func (e *Env) sample() {
	queue, vehicles := 0, 0
	var waiting, speed float64
	for lane := range e.places {
		queue += e.halting[lane]
	}
	for _, v := range e.traffic.road {
		if v.away() {
			continue
		}
		vehicles++
		waiting += v.waiting
		speed += v.speed * 3.6
	}
	s := &e.samples
	s.n++
	s.queue += float64(queue)
	s.maxQueue = max(s.maxQueue, queue)
	if vehicles > 0 {
		s.waiting += waiting / float64(vehicles)
		s.speed += speed / float64(vehicles)
	}
	i := 0
	for k := range e.obs.Signals {
		for _, a := range e.obs.Signals[k].Approaches {
			if i == len(s.approaches) {
				s.approaches = append(s.approaches, approachSum{})
			}
			s.approaches[i].vehicles += float64(a.Vehicles)
			s.approaches[i].waiting += a.Waiting * float64(a.Vehicles)
			i++
		}
	}
}

// worst finds the approach with the longest waiting.
func (e *Env) worst(m *Metrics) {
	i := 0
	for k := range e.obs.Signals {
		v := &e.obs.Signals[k]
		for _, a := range v.Approaches {
			if i == len(e.samples.approaches) {
				return // nothing was sampled
			}
			if s := e.samples.approaches[i]; s.vehicles > 0 && s.waiting/s.vehicles > m.WorstWaiting {
				m.WorstWaiting, m.WorstApproach = s.waiting/s.vehicles, v.ID+"/"+a.Edge
			}
			i++
		}
	}
}

// into writes the means.
func (s samples) into(m *Metrics) {
	if s.n == 0 {
		return
	}
	n := float64(s.n)
	m.Queue, m.Waiting, m.Speed, m.MaxQueue = s.queue/n, s.waiting/n, s.speed/n, s.maxQueue
}
