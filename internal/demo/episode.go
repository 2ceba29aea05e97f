package demo

import (
	"strconv"

	"github.com/greenwave-traffic/greenwave"
)

// outcome is what an episode measured.
type outcome struct {
	reward        float64
	components    map[string]float64
	correction    float64 // mean size of the learning corrections
	queueSum      float64
	queueMax      float64
	network       *network
	stepsRecorded int
}

// play runs one episode. A learner that explores also learns. observeStep is called
// after each decision interval and may be nil; its error ends the episode.
func play(seed uint64, c controller, learn *learner, observeStep func(greenwave.Step) error, number int) (*outcome, error) {
	n := newNetwork(seed)
	o := &outcome{network: n, components: map[string]float64{}}
	corrections := 0
	for step := range steps {
		var before [3]int
		for i := range before {
			before[i] = observe(n, i)
		}
		phases := c.decide(n, step)
		for i, p := range phases {
			n.choose(i, p)
		}
		passed := len(n.done)
		n.advance()

		var reward, queue float64
		for i := range n.crossings {
			var halting, people float64
			for a := range approaches {
				h, p := n.halting(i, a)
				halting += float64(h)
				people += p
			}
			r := -halting/10 - people/60
			o.components["queue_penalty"] -= halting / 10
			o.components["passenger_waiting_penalty"] -= people / 60
			reward += r
			queue += halting
			if learn != nil {
				o.correction += learn.learn(i, before[i], n.crossings[i].phase, r, observe(n, i))
				corrections++
			}
		}
		bonus := float64(len(n.done)-passed) / 20
		o.components["vehicle_throughput_bonus"] += bonus
		reward += bonus
		o.reward += reward
		o.queueSum += queue
		o.queueMax = max(o.queueMax, queue)
		if observeStep != nil {
			if err := observeStep(stepRecord(n, number, step, phases, reward)); err != nil {
				return o, err
			}
			o.stepsRecorded++
		}
	}
	if corrections > 0 {
		o.correction /= float64(corrections)
	}
	return o, nil
}

// stepRecord is a decision interval as it is logged.
func stepRecord(n *network, episode, step int, phases [3]int, reward float64) greenwave.Step {
	s := greenwave.Step{
		EpisodeNumber: episode, StepNumber: step,
		ActiveVehicles: new(n.active()), ImmediateReward: new(reward), SimulationTime: new(float64(n.now)),
		QueueLengths: map[string]map[string]float64{}, WaitingTimes: map[string]float64{}, Speeds: map[string]float64{},
		ActionTaken: new(phases[0] + 2*phases[1] + 4*phases[2]),
	}
	actions := map[string]int{}
	for i, name := range intersections {
		queues := map[string]float64{}
		var moving, all float64
		for a := range approaches {
			h, _ := n.halting(i, a)
			queues[approachNames[a]] = float64(h)
			s.StateVector = append(s.StateVector, float32(h)/20)
			all += float64(len(n.crossings[i].queues[a]))
			moving += float64(len(n.crossings[i].queues[a]) - h)
		}
		s.StateVector = append(s.StateVector, float32(n.crossings[i].phase))
		s.QueueLengths[name] = queues
		s.WaitingTimes[name] = n.waiting(i)
		if all > 0 {
			s.Speeds[name] = linkMeters / freeFlow * 3.6 * moving / all
		}
		actions[name] = phases[i]
	}
	s.IntersectionMetrics = map[string]any{"actions": actions}
	return s
}

// measures are the traffic measures of an episode.
type measures struct {
	completed, buses, jeepneys          int
	people, transitPeople               float64
	wait, transitWait, speed, timeIdx   float64
	transitShareServed, queue, maxQueue float64
}

func (o *outcome) measures() measures {
	n := o.network
	m := measures{queue: o.queueSum / steps, maxQueue: o.queueMax}
	var meters, travel, free, waited, transitWaited float64
	transit, served := 0, 0
	count := func(v vehicle, arrived bool) {
		waited += float64(v.waited)
		if kinds[v.kind].transit {
			transit++
			transitWaited += float64(v.waited)
			if arrived && v.waited <= 30 {
				served++
			}
		}
	}
	for _, v := range n.done {
		m.completed++
		m.people += kinds[v.kind].passengers
		if kinds[v.kind].transit {
			m.transitPeople += kinds[v.kind].passengers
		}
		switch v.kind {
		case bus:
			m.buses++
		case jeepney:
			m.jeepneys++
		}
		meters += float64(v.links) * linkMeters
		free += float64(v.links) * freeFlow
		travel += float64(v.links*freeFlow + v.waited)
		count(v, true)
	}
	for i := range n.crossings {
		for a := range approaches {
			for _, v := range n.crossings[i].queues[a] {
				count(v, false) // who has not arrived counts too, or long queues would look good
			}
		}
	}
	if n.entered > 0 {
		m.wait = waited / float64(n.entered)
	}
	if transit > 0 {
		m.transitWait = transitWaited / float64(transit)
		m.transitShareServed = float64(served) / float64(transit)
	}
	if travel > 0 {
		m.speed = meters / travel * 3.6
		m.timeIdx = travel / free
	}
	return m
}

// episodeRecord is a finished episode as it is logged.
func (o *outcome) episodeRecord(number int, epsilon float64, minutes float64) greenwave.Episode {
	m := o.measures()
	const hours = float64(seconds) / 3600
	return greenwave.Episode{
		EpisodeNumber: number,
		ScenarioInfo:  map[string]any{"day": "toy", "cycle": number%3 + 1, "seed": trainingSeed(number), "intersections": intersections, "model": "toy queue model"},
		TotalReward:   o.reward, StepsCompleted: new(steps), EpsilonValue: new(epsilon), AvgLoss: new(o.correction),
		TotalVehicles: new(o.network.entered), CompletedTrips: new(m.completed),
		PassengerThroughput: new(m.people / hours), AvgWaitingTime: new(m.wait), AvgSpeed: new(m.speed),
		AvgQueueLength: new(m.queue), MaxQueueLength: new(m.maxQueue), TravelTimeIndex: new(m.timeIdx),
		BusesProcessed: new(m.buses), JeepneysProcessed: new(m.jeepneys),
		PTPassengerThroughput: new(m.transitPeople / hours), PTAvgWaiting: new(m.transitWait), PTServiceEfficiency: new(m.transitShareServed),
		RewardComponents: o.components, EpisodeDurationMinutes: new(minutes),
	}
}

// trainingSeed and heldOutSeed keep the traffic of training and validation apart.
func trainingSeed(episode int) uint64 { return 1000 + uint64(episode) }
func heldOutSeed(i int) uint64        { return 900_000 + uint64(i) }

func seedName(i int) string { return "held-out-" + strconv.Itoa(i) }
