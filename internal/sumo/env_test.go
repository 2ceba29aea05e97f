package sumo

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var demand = []string{"../../scenarios/single/single.rou.xml"}

func environment(t *testing.T, net string, cfg Config) *Env {
	t.Helper()
	n, err := ReadNetwork(net)
	if err != nil {
		t.Fatal(err)
	}
	cfg.TempDir = t.TempDir()
	e, err := New(n, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// play runs a scenario with a choice per signal and calls watch after each step.
func play(t *testing.T, e *Env, s Scenario, choose func(i int, v *SignalView) int, watch func(Step, *Observation)) Metrics {
	t.Helper()
	o, err := e.Reset(t.Context(), s, choose != nil)
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		var phases []int
		if choose != nil {
			for i := range o.Signals {
				phases = append(phases, choose(i, &o.Signals[i]))
			}
		}
		step, next, err := e.Step(t.Context(), phases)
		if err != nil {
			t.Fatal(err)
		}
		if watch != nil {
			watch(step, next)
		}
		o, done = next, step.Done
	}
	m, err := e.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func random(rng *rand.Rand) func(int, *SignalView) int {
	return func(_ int, v *SignalView) int { return rng.IntN(len(v.Phases)) }
}

func TestSameSeedSameNumbers(t *testing.T) {
	s := Scenario{Routes: demand, Seed: 3, Warmup: 30, Horizon: 300}
	run := func() (Metrics, []float64) {
		var rewards []float64
		m := play(t, environment(t, single, Config{}), s, random(rand.New(rand.NewPCG(1, 1))), func(st Step, _ *Observation) {
			rewards = append(rewards, st.Reward)
		})
		return m, rewards
	}
	m1, r1 := run()
	m2, r2 := run()
	if m1 != m2 || !reflect.DeepEqual(r1, r2) {
		t.Fatalf("the same seeds gave\n%+v\n%+v", m1, m2)
	}
	if m1.Vehicles < 100 || m1.Served == 0 || m1.FullDelay <= 0 || m1.Queue <= 0 || m1.Jeepneys == 0 || len(r1) != 60 {
		t.Fatalf("%d decisions, %+v", len(r1), m1)
	}
}

func TestTheMaximumGreenForcesAChange(t *testing.T) {
	e := environment(t, single, Config{Timing: Timing{MinGreen: 5, MaxGreen: 20}})
	oldest := 0
	keep := func(_ int, v *SignalView) int {
		if v.Mask[v.Phase] {
			return v.Phase
		}
		return (v.Phase + 1) % len(v.Phases)
	}
	play(t, e, Scenario{Routes: demand, Seed: 1, Horizon: 200}, keep, func(_ Step, o *Observation) {
		oldest = max(oldest, o.Signals[0].Age)
	})
	if oldest > 20 || oldest < 15 {
		t.Fatalf("the oldest green was %d s", oldest)
	}
}

// The metrics of SUMO's own statistics and ours must agree where they mean the same.
func TestMetricsUnderTheNetworksProgram(t *testing.T) {
	s := Scenario{Routes: demand, Seed: 5, Warmup: 30, Horizon: 600, Emissions: true}
	later := s
	later.Begin, later.Emissions = 600, false
	if got := play(t, environment(t, single, Config{}), later, nil, nil); got.Vehicles < 200 || got.Served < 200 {
		t.Errorf("ten minutes from 600 s on: %+v", got)
	}
	m := play(t, environment(t, single, Config{}), s, nil, nil)
	if m.Backlog != 0 || m.Delay <= 0 || math.Abs(m.Delay-m.FullDelay) > 1e-9 {
		t.Fatalf("without a backlog both delays are the same: %+v", m)
	}
	if m.CO2 <= 0 || m.Fuel <= 0 || m.TravelTimeIndex <= 1 || m.PTUndelayed <= 0 || m.PTUndelayed > 1 {
		t.Fatalf("%+v", m)
	}
	if got, want := m.VehiclesPerHour, float64(m.Served)*6; got != want {
		t.Fatalf("%g vehicles per hour from %d in 600 s", got, m.Served)
	}
}

func TestTripData(t *testing.T) {
	const doc = `<tripinfos>
	<tripinfo depart="0" departDelay="2" arrival="20" duration="20" waitingTime="3" waitingCount="1" timeLoss="8" vType="car"/>
	<tripinfo depart="10" departDelay="0" arrival="40" duration="30" waitingTime="70" waitingCount="2" timeLoss="10" vType="bus"><emissions CO2_abs="2000000" fuel_abs="1000000"/></tripinfo>
	<tripinfo depart="50" departDelay="4" arrival="-1" duration="10" waitingTime="0" waitingCount="0" timeLoss="6" vType="jeepney"/>
	<tripinfo depart="-1" departDelay="30" arrival="-1" duration="0" timeLoss="0" vType="car"/>
	</tripinfos>`
	var m Metrics
	s := Scenario{Routes: demand, Warmup: 30, Horizon: 60}
	if err := m.readTrips(strings.NewReader(doc), s, DefaultPassengers()); err != nil {
		t.Fatal(err)
	}
	want := Metrics{
		FullDelay: (8 + 10 + 6 + 2 + 0 + 4 + 30) / 4.0, Delay: (10 + 10 + 10) / 3.0, Backlog: 1, Vehicles: 3, Served: 1, Stops: 1,
		VehiclesPerHour: 60, PassengersPerHour: 35 * 60, TravelTimeIndex: 50.0 / 32, Buses: 1, PTPassengers: 35 * 60,
		PTDelay: 10, PTWaiting: 35, PTUndelayed: 0.5, CO2: 2, Fuel: 1,
	}
	// 1.3 passengers of either car, 35 of the bus, 14 of the jeepney.
	if math.Abs(m.Passengers-51.6) > 1e-12 || math.Abs(m.PassengerDelay-(1.3*10+35*10+14*10+1.3*30)/51.6) > 1e-12 {
		t.Errorf("%g passengers with a delay of %g s", m.Passengers, m.PassengerDelay)
	}
	m.Passengers, m.PassengerDelay = 0, 0
	if m != want {
		t.Fatalf("got\n%+v, want\n%+v", m, want)
	}
	for _, bad := range []string{"", "<tripinfos><tripinfo ", "<tripinfos><tripinfo depart=\"0\"/>"} {
		if err := new(Metrics).readTrips(strings.NewReader(bad), s, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestBadScenariosAreToldInWords(t *testing.T) {
	e := environment(t, single, Config{})
	for want, s := range map[string]Scenario{
		"no demand":                     {Horizon: 1},
		"horizon is 0 s":                {Routes: demand},
		"warm-up is -1 s":               {Routes: demand, Horizon: 1, Warmup: -1},
		"no-such.rou.xml":               {Routes: []string{"no-such.rou.xml"}, Horizon: 10},
		"approach_test.go":              {Routes: []string{"approach_test.go"}, Horizon: 10},
		"teleport is -5 s: must not be": {Routes: demand, Horizon: 1, Teleport: -5},
	} {
		if _, err := e.Reset(t.Context(), s, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	late := Scenario{Routes: demand, Begin: 90000, Horizon: 10}
	if _, err := e.Reset(t.Context(), late, false); err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		step, _, err := e.Step(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		done = step.Done
	}
	if _, err := e.End(t.Context()); !errors.Is(err, ErrNoTraffic) || !strings.Contains(err.Error(), "between 90000 s and 90010 s") {
		t.Errorf("a simulation without traffic: %v", err)
	}
	if _, _, err := e.Step(t.Context(), nil); err == nil {
		t.Error("a step before a reset")
	}
}

func TestASUMOThatDiesInTheMiddle(t *testing.T) {
	e := environment(t, single, Config{})
	if _, err := e.Reset(t.Context(), Scenario{Routes: demand, Horizon: 300}, true); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(e.process.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, _, err = e.Step(t.Context(), nil)
	}
	var dead *traci.ProcessError
	if !errors.As(err, &dead) || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("got %v", err)
	}
	// The environment goes on with the next scenario.
	m := play(t, e, Scenario{Routes: demand, Horizon: 60}, nil, nil)
	if m.Vehicles == 0 {
		t.Fatal("nothing was simulated after a crash")
	}
}

// The reference figures are means over many demand files; here the order and the
// size are checked on the files that are at hand.
func TestDavaoLooksAsPublished(t *testing.T) {
	dir := "../../../shared/data/davao/"
	if _, err := os.Stat(dir); err != nil {
		t.Log("the recorded network and demand are not here: nothing to compare with")
		return
	}
	e := environment(t, dir+"ThesisNetowrk.net.xml", Config{})
	m := play(t, e, Scenario{Routes: []string{dir + "bundle_20250701_cycle_1.rou.xml"}, Seed: 42, Warmup: 30, Horizon: 300}, nil, nil)
	t.Logf("%+v", m)
	if m.Delay < 55 || m.Delay > 75 || m.VehiclesPerHour < 5000 || m.VehiclesPerHour > 6500 {
		t.Fatalf("delay %.1f s, %.0f vehicles/h", m.Delay, m.VehiclesPerHour)
	}
}

// Teleports are counted as SUMO counts them, over the whole simulation.
func TestTeleportsAreThoseOfSUMO(t *testing.T) {
	jam := filepath.Join(t.TempDir(), "jam.rou.xml")
	text := "<routes>"
	for _, way := range [][2]string{{"north_in", "east_out"}, {"south_in", "west_out"}, {"east_in", "south_out"}, {"west_in", "north_out"}} {
		text += fmt.Sprintf(`<flow id="%s" from="%s" to="%s" begin="0" end="300" period="2" departLane="best"/>`, way[0], way[0], way[1])
	}
	if err := os.WriteFile(jam, []byte(text+"</routes>"), 0o644); err != nil {
		t.Fatal(err)
	}
	statistic := filepath.Join(t.TempDir(), "statistic.xml")
	s := Scenario{Routes: []string{jam}, Seed: 5, Horizon: 300, Teleport: 20}
	m := play(t, environment(t, single, Config{Interval: 7}), s, nil, nil)
	out, err := exec.CommandContext(t.Context(), "sumo", "-n", single, "-r", jam, "--seed", "5", "--end", "300", "--time-to-teleport", "20",
		"--statistic-output", statistic, "--no-step-log", "--no-warnings", "--xml-validation", "never").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var want struct {
		Teleports struct {
			Total int `xml:"total,attr"`
		} `xml:"teleports"`
	}
	b, err := os.ReadFile(statistic)
	if err == nil {
		err = xml.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.Teleports == 0 || m.Teleports != want.Teleports.Total {
		t.Errorf("%d teleports, SUMO says %d", m.Teleports, want.Teleports.Total)
	}
}
