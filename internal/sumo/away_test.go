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
