package main

import (
	"bytes"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

const (
	corridor = ".." // the scenario's folder
	network  = corridor + "/corridor.net.xml"
)

// What is in the folder is what the sources make, to the byte; only netconvert's
// comment with the time and its options is left out by the build.
func TestRebuildingMakesTheSame(t *testing.T) {
	out := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), "bash", corridor+"/build", out).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	built, err := filepath.Glob(out + "/*.xml")
	if err != nil || len(built) != 1+len(profiles)*filesPerProfile {
		t.Fatalf("the build made %d files: %v", len(built), err)
	}
	for _, path := range built {
		made, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(corridor, filepath.Base(path)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, kept) {
			t.Errorf("%s differs from what the sources make: run scenarios/davao-corridor/build and commit", filepath.Base(path))
		}
		if limit := map[bool]int{true: 40, false: 200}[strings.HasSuffix(path, ".rou.xml")] * 1000; len(kept) > limit {
			t.Errorf("%s has %d bytes, more than %d", filepath.Base(path), len(kept), limit)
		}
	}
}

func TestEachFileIsDrawnAnew(t *testing.T) {
	seen := map[string]string{}
	for p := range profiles {
		for n := 1; n <= filesPerProfile; n++ {
			d := profiles[p].draw(n)
			var b bytes.Buffer
			d.write(&b)
			_, flows, _ := strings.Cut(b.String(), "<routes>")
			if other, twice := seen[flows]; twice {
				t.Errorf("%s is %s again", fileName(profiles[p].name, n), other)
			}
			seen[flows] = fileName(profiles[p].name, n)
			if v := d.firstHour(); v < 5000 || v > 8500 {
				t.Errorf("%s has %.0f vehicles in its hour", fileName(profiles[p].name, n), v)
			}
		}
	}
}

func TestNetworkHasThreeSignals(t *testing.T) {
	n, err := sumo.ReadNetwork(network)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Signals) != 3 {
		t.Fatalf("%d signals", len(n.Signals))
	}
	want := map[string]struct{ approaches, phases int }{"ECOLAND": {4, 4}, "JOHNPAUL": {4, 4}, "SANDAWA": {3, 3}}
	for _, s := range n.Signals {
		m, err := sumo.Observe(s)
		if err != nil {
			t.Fatal(err)
		}
		if w := want[s.ID]; len(m.Approaches) != w.approaches || len(m.Phases) != w.phases {
			t.Errorf("%s has %d approaches and %d green phases, want %d and %d", s.ID, len(m.Approaches), len(m.Phases), w.approaches, w.phases)
		}
		cycle := 0.0
		for _, p := range s.Program {
			cycle += p.Duration
		}
		if cycle != 90 || s.YellowTime() != 3 {
			t.Errorf("%s has a cycle of %.0f s with %.0f s yellow", s.ID, cycle, s.YellowTime())
		}
	}
}

// trips is SUMO's trip data as far as it is looked at here.
type trips struct {
	Trips []struct {
		ID      string  `xml:"id,attr"`
		Type    string  `xml:"vType,attr"`
		Arrival float64 `xml:"arrival,attr"`
		Stopped float64 `xml:"stopTime,attr"`
	} `xml:"tripinfo"`
}

// Every file fits the network, SUMO has nothing to complain about, all kinds of
// vehicles come, buses and jeepneys stop, and the road is empty some time after the
// last vehicle has entered: nobody is stuck.
func TestEveryVehicleArrives(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(corridor + "/*.rou.xml")
	if err != nil || len(files) != len(profiles)*filesPerProfile {
		t.Fatalf("%d route files: %v", len(files), err)
	}
	for _, file := range files {
		out := filepath.Join(t.TempDir(), "trips.xml")
		toTheEnd, begin, end := strings.HasSuffix(file, "midday-1.rou.xml"), "0", "5"
		if toTheEnd {
			begin, end = "2700", "4800"
		}
		run := exec.CommandContext(t.Context(), "sumo", "--net-file", network, "--route-files", file, "--seed", "7", "--begin", begin, "--end", end,
			"--xml-validation", "never", "--time-to-teleport", "-1", "--no-step-log", "--duration-log.disable",
			"--tripinfo-output", out, "--tripinfo-output.write-unfinished")
		text, err := run.CombinedOutput()
		text = bytes.TrimPrefix(text, []byte("Warning: Environment variable SUMO_HOME is not set, using built in type maps.\n"))
		if err != nil || bytes.Contains(text, []byte("Warning")) || bytes.Contains(text, []byte("Error")) {
			t.Fatalf("%s: %v\n%s", file, err, text)
		}
		if !toTheEnd {
			continue
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var all trips
		if err := xml.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		count, stopped := map[string]float64{}, map[string]float64{}
		for _, v := range all.Trips {
			count[v.Type]++
			if v.Arrival < 0 {
				t.Errorf("%s is still on the road 15 minutes after the last vehicle entered", v.ID)
			}
			if v.Stopped > 0 {
				stopped[v.Type]++
			}
		}
		total := float64(len(all.Trips))
		for kind, share := range map[string]float64{"car": carShare, "motor": motorShare, "truck": truckShare, "jeepney": jeepneyShare, "bus": busShare} {
			if got := count[kind] / total; got < share*0.7 || got > share*1.3 {
				t.Errorf("%s: %.1f %% of the vehicles that arrived, want about %.1f %%", kind, 100*got, 100*share)
			}
		}
		for _, kind := range []string{"jeepney", "bus"} {
			if stopped[kind] < 0.9*count[kind] {
				t.Errorf("%.0f of %.0f vehicles of type %s stopped", stopped[kind], count[kind], kind)
			}
		}
		if total < 1500 {
			t.Errorf("%.0f vehicles arrived", total)
		}
	}
}

// The road network is worth controlling: chance is much worse than the fixed
// program, and who looks at the traffic is better.
func TestControlMatters(t *testing.T) {
	t.Parallel()
	n, err := sumo.ReadNetwork(network)
	if err != nil {
		t.Fatal(err)
	}
	env, err := sumo.New(n, sumo.Config{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	all := map[string]float64{}
	for _, p := range profiles {
		delay := map[string]float64{}
		for _, name := range []string{"program", "max-pressure", "random"} {
			c, err := controller.New(name)
			if err != nil {
				t.Fatal(err)
			}
			s := sumo.Scenario{Routes: []string{filepath.Join(corridor, fileName(p.name, 2))}, Seed: 42, Warmup: 30, Horizon: 300}
			m, err := controller.Evaluate(t.Context(), env, c, s, t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			delay[name] = m.FullDelay
			all[name] += m.FullDelay
			t.Logf("%-8s %-13s full delay %5.1f s, %4.1f km/h, %5.0f vehicles/h, %6.0f passengers/h", p.name, name, m.FullDelay, m.Speed, m.VehiclesPerHour, m.PassengersPerHour)
			if m.Collisions > 0 {
				t.Errorf("%s, %s: %d collisions", p.name, name, m.Collisions)
			}
			if name == "program" && (m.FullDelay < 35 || m.FullDelay > 85) {
				t.Errorf("%s: full delay %.1f s under the program", p.name, m.FullDelay)
			}
		}
		if delay["random"] < 1.3*delay["program"] {
			t.Errorf("%s: random (%.1f s) is not much worse than the program (%.1f s)", p.name, delay["random"], delay["program"])
		}
	}
	if gain := 1 - all["max-pressure"]/all["program"]; gain < 0.03 || gain > 0.25 {
		t.Errorf("max-pressure is %.1f %% better than the program", 100*gain)
	}
}
