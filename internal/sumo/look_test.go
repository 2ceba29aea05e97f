package sumo

import (
	"math/rand/v2"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

// What a look reports of all vehicles at once is what SUMO says of each when it is
// asked one by one, also of those in junctions and at stops.
func TestALookSeesWhatSUMOSaysOfEachVehicle(t *testing.T) {
	dir := "../../scenarios/davao-corridor/"
	e := environment(t, dir+"corridor.net.xml", Config{Interval: 10})
	get := func(variable byte, id string) traci.Value {
		t.Helper()
		v, err := e.process.Get(t.Context(), traci.Vehicle, variable, id)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	compared, inJunctions, entries := 0, 0, 0
	watch := func(Step, *Observation) {
		all := get(traci.IDList, "").StringList()
		for _, id := range all {
			veh := e.traffic.vehicles[id]
			if veh == nil {
				t.Fatalf("at %d s %s is not known", e.Now(), id)
			}
			if kind := string(get(traci.TypeID, id).Text()); veh.kind != kind {
				t.Fatalf("at %d s %s is a %s, not a %s", e.Now(), id, kind, veh.kind)
			}
			speed := get(traci.Speed, id).Float()
			if veh.away() != (speed < 0) {
				t.Fatalf("at %d s %s has a speed of %g and is seen at %g", e.Now(), id, speed, veh.speed)
			}
			compared++
			if veh.away() {
				continue
			}
			lane := e.Network.Lanes[string(get(traci.LaneID, id).Text())]
			position, waiting := get(traci.LanePosition, id).Float(), get(traci.WaitingTime, id).Float()
			if veh.speed != speed || veh.lane != lane || veh.position != position || veh.waiting != waiting {
				t.Fatalf("at %d s %s: seen %+v; asked speed %g, position %g, waiting %g", e.Now(), id, *veh, speed, position, waiting)
			}
			if lane == nil {
				inJunctions++
			}
		}
		if len(e.traffic.vehicles) != len(all) {
			t.Fatalf("at %d s %d vehicles are known and %d there", e.Now(), len(e.traffic.vehicles), len(all))
		}
		for _, id := range e.traffic.waiting {
			entries++
			if edge := string(get(traci.Edges, id).First()); e.traffic.entry[id] != edge {
				t.Fatalf("at %d s %s waits at %s, not at %q", e.Now(), id, edge, e.traffic.entry[id])
			}
		}
	}
	s := Scenario{Routes: []string{dir + "event-2.rou.xml"}, Seed: 2, Horizon: 400, Teleport: 10}
	play(t, e, s, random(rand.New(rand.NewPCG(1, 1))), watch)
	if compared < 1000 || inJunctions == 0 || entries == 0 {
		t.Fatalf("%d vehicles were compared, %d in junctions; %d wait to enter", compared, inJunctions, entries)
	}
}
