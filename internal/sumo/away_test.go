package sumo

import "testing"

// SUMO reports −2³⁰ m/s for a vehicle that it has taken off the road after a
// collision; it is not measured until it is back.
func TestAVehicleOffTheRoadIsNotMeasured(t *testing.T) {
	e := environment(t, single, Config{})
	lane := e.Signals[0].Approaches[0].Lanes[0]
	for _, speed := range []float64{10, -1 << 30} {
		e.traffic.road = append(e.traffic.road, &vehicle{kind: "car", lane: lane, position: lane.Length, speed: speed, approach: nowhere})
	}
	e.observe()
	if a := e.obs.Signals[0].Approaches[0]; a.Vehicles != 1 || a.Queue != 0 {
		t.Errorf("%d vehicles and a queue of %d", a.Vehicles, a.Queue)
	}
	e.sample()
	var m Metrics
	e.samples.into(&m)
	if m.Speed != 36 {
		t.Errorf("mean speed %g km/h", m.Speed)
	}
	e.traffic.road = nil
}

// The worst approach is that at which vehicles waited longest, not the one with the most
// of them.
func TestWaitingOfTheWorstApproach(t *testing.T) {
	e := environment(t, single, Config{})
	var m Metrics
	e.worst(&m)
	if m.WorstWaiting != 0 || m.WorstApproach != "" {
		t.Errorf("without a sample: %+v", m)
	}
	approaches := e.Signals[0].Approaches
	at := func(approach int, waiting ...float64) {
		lane := approaches[approach].Lanes[0]
		for _, w := range waiting {
			e.traffic.road = append(e.traffic.road, &vehicle{kind: "car", lane: lane, position: lane.Length, waiting: w, approach: nowhere})
		}
	}
	look := func() {
		e.observe()
		e.sample()
		e.traffic.road = nil
	}
	at(0, 30, 30, 30, 30)
	at(1, 80)
	look()
	at(0, 20, 20, 20, 20)
	look() // nobody is at the other: that is no waiting, and does not make it less
	at(1, 20)
	look()
	e.worst(&m)
	if want := e.Signals[0].Signal.ID + "/" + approaches[1].Edge; m.WorstWaiting != 50 || m.WorstApproach != want {
		t.Errorf("%g s at %s, want 50 s at %s", m.WorstWaiting, m.WorstApproach, want)
	}
}
