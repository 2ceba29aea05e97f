package sumo_test

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/nn"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Whatever chooses, SUMO's own record of what every signal showed in each second has
// no conflict, no green that ends without its yellow, and no green that is shorter or
// longer than it may be. The conflicts are those of the network file, read by this test.
func TestSignalsAreSafeInEverySecond(t *testing.T) {
	corridor, single := "../../scenarios/davao-corridor/", "../../scenarios/single/"
	davao, resco := "../../../shared/data/davao/", "../../../shared/data/resco/"
	for _, place := range []struct {
		net, demand string
		begin       int
	}{
		{single + "single.net.xml", single + "single.rou.xml", 0},
		{corridor + "corridor.net.xml", corridor + "event-1.rou.xml", 0},
		{davao + "ThesisNetowrk.net.xml", davao + "bundle_20250701_cycle_1.rou.xml", 0},
		{resco + "cologne3/cologne3.net.xml", resco + "cologne3/cologne3.rou.xml", 25200},
		{resco + "ingolstadt7/ingolstadt7.net.xml", resco + "ingolstadt7/ingolstadt7.rou.xml", 57600},
	} {
		t.Run(strings.TrimSuffix(filepath.Base(place.net), ".net.xml"), func(t *testing.T) {
			if _, err := os.Stat(place.net); err != nil {
				t.Logf("%s is not here: its signals are not tested", place.net)
				return
			}
			choosers := []string{"random", "stubborn", "agent", "max-pressure"}
			for i, rules := range []sumo.Config{
				{},
				{Interval: 1, Timing: sumo.Timing{Yellow: 4, AllRed: 2, MinGreen: 7, MaxGreen: 20}},
				{Interval: 3, Timing: sumo.Timing{Yellow: 3, AllRed: 1, MinGreen: 1, MaxGreen: 10}},
				{Interval: 10, Timing: sumo.Timing{Yellow: 5, MinGreen: 15, MaxGreen: 40}},
			} {
				for k, who := range choosers {
					// Where simulations take long, each but the random one has one set of rules.
					if place.net != single+"single.net.xml" && who != "random" && (i+k)%len(choosers) != 0 {
						continue
					}
					s := sumo.Scenario{Routes: []string{place.demand}, Seed: 7, Begin: place.begin, Warmup: 31 + 7*i, Horizon: 200}
					drive(t, place.net, rules, who, s)
				}
			}
		})
	}
}

// drive runs a scenario and checks what was shown.
func drive(t *testing.T, net string, rules sumo.Config, who string, s sumo.Scenario) {
	t.Helper()
	n, err := sumo.ReadNetwork(net)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rules.TempDir = dir
	env, err := sumo.New(n, rules)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	recorder := "<additional>"
	for i, signal := range n.Signals {
		recorder += fmt.Sprintf(`<timedEvent type="SaveTLSStates" source="%s" dest="%s"/>`, signal.ID, shownFile(dir, i))
	}
	s.Additional = []string{filepath.Join(dir, "record.add.xml")}
	if err := os.WriteFile(s.Additional[0], []byte(recorder+"</additional>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := controller.Evaluate(t.Context(), env, chooser(t, who, env), s, dir, nil); err != nil {
		t.Fatal(err)
	}
	foes := readFoes(t, net)
	for i, m := range env.Signals {
		shown := readShown(t, shownFile(dir, i))
		_, timing := env.Rules()
		if timing.Yellow == 0 {
			timing.Yellow = int(m.Signal.YellowTime() + 0.5)
		}
		c := &inspection{where: fmt.Sprintf("%s by %s with %+v: %s", filepath.Base(net), who, timing, m.Signal.ID), timing: timing, foes: foes[m.Signal.ID]}
		for _, p := range m.Signal.Program {
			c.program = append(c.program, p.State)
		}
		if len(c.foes) == 0 {
			t.Fatalf("%s: the network file names no conflicts", c.where)
		}
		c.inspect(t, shown, s.Begin+s.Warmup, s.Begin+s.Warmup+s.Horizon)
		if c.changes < 2*len(m.Phases) && who != "max-pressure" {
			t.Errorf("%s: only %d changes to look at", c.where, c.changes)
		}
	}
}

func shownFile(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("shown-%d.xml", i)) }

// inspection looks at one signal second by second.
type inspection struct {
	where   string
	timing  sumo.Timing
	foes    []foe
	program []string // states that the network's own program shows
	changes int
}

func (c *inspection) inspect(t *testing.T, shown map[int]string, from, to int) {
	t.Helper()
	links := len(shown[from])
	letters := []byte(shown[from]) // what each link shows, a yellow one with the green before it
	since := make([]int, links)    // when each link began to be green, yellow or red
	for i := range since {
		since[i] = -1 << 30
	}
	phaseSince, yellowAt := from, -1<<30
	for at := from - 1; at < to; at++ {
		state, ok := shown[at]
		if !ok || len(state) != links {
			t.Fatalf("%s: SUMO recorded %q at %d s", c.where, state, at)
		}
		if at >= from && strings.Trim(state, "Ggyr") != "" {
			t.Errorf("%s: shows %s at %d s", c.where, state, at)
		}
		before := shown[at-1]
		for i := range links {
			if state[i] != 'y' {
				letters[i] = state[i]
			} else if before[i] != 'y' {
				letters[i] = before[i]
			}
		}
		if at < from {
			continue // the second before is the network's own, and tells what was green
		}
		c.conflicts(t, at, state, letters)
		for i := range links {
			if kind(before[i]) == kind(state[i]) {
				continue
			}
			c.changes++
			lasted := at - since[i]
			mine := since[i] >= from // began under control
			switch change := string([]byte{kind(before[i]), kind(state[i])}); {
			case at == from && change == "gy": // the program was about to
			case change == "gr", change == "ry", change == "yg" && mine:
				t.Errorf("%s: at %d s link %d goes from %c to %c", c.where, at, i, before[i], state[i])
			case change == "yr" && lasted < c.timing.Yellow && mine:
				t.Errorf("%s: at %d s link %d was yellow for %d s", c.where, at, i, lasted)
			case change == "rg" && at-yellowAt <= c.timing.AllRed && yellowAt >= from:
				t.Errorf("%s: at %d s link %d becomes green, and %d s before a link was yellow", c.where, at, i, at-yellowAt)
			case change == "gy" && lasted < c.timing.MinGreen:
				t.Errorf("%s: at %d s link %d was green for %d s", c.where, at, i, lasted)
			}
			since[i] = at
		}
		if strings.Contains(state, "y") {
			yellowAt = at
		}
		if state != before || strings.Contains(state, "y") {
			phaseSince = at
		} else if most := c.timing.MaxGreen; most > 0 && at-phaseSince >= most {
			t.Fatalf("%s: at %d s %s has been shown for more than %d s", c.where, at, state, most)
		}
	}
}

// conflicts looks at each pair of links whose ways cross or meet. G is a green that
// need not give way, so of such two only one may have it; g gives way, so it may be
// beside a G or another g when the network says which of both waits.
func (c *inspection) conflicts(t *testing.T, at int, state string, letters []byte) {
	t.Helper()
	for _, f := range c.foes {
		a, b := letters[f.a], letters[f.b]
		switch {
		case kind(a) != 'g' || kind(b) != 'g':
		case a == 'G' && b == 'G' && !(f.ordered() && c.inProgram(f)):
			t.Fatalf("%s: at %d s links %d and %d are both protected in %s, and conflict", c.where, at, f.a, f.b, state)
		case a == 'g' && b == 'G' && !f.aWaits, a == 'G' && b == 'g' && !f.bWaits, a == 'g' && b == 'g' && !f.ordered():
			t.Fatalf("%s: at %d s links %d (%c) and %d (%c) conflict in %s, and neither must wait", c.where, at, f.a, a, f.b, b, state)
		}
	}
}

// inProgram reports whether the network's own program has both links protected. Some
// networks do, where the right of way behind the signals orders them all the same.
func (c *inspection) inProgram(f foe) bool {
	for _, state := range c.program {
		if state[f.a] == 'G' && state[f.b] == 'G' {
			return true
		}
	}
	return false
}

// kind makes no difference between the greens.
func kind(letter byte) byte {
	if letter == 'G' {
		return 'g'
	}
	return letter
}

// foe is a pair of links of one signal whose ways cross or meet.
type foe struct {
	a, b           int
	aWaits, bWaits bool // for the other, by the junction's right of way
}

func (f foe) ordered() bool { return f.aWaits || f.bWaits }

// readFoes reads the conflicts from the requests of a network file, by signal.
func readFoes(t *testing.T, path string) map[string][]foe {
	t.Helper()
	type connection struct {
		From     string `xml:"from,attr"`
		FromLane string `xml:"fromLane,attr"`
		To       string `xml:"to,attr"`
		ToLane   string `xml:"toLane,attr"`
		Signal   string `xml:"tl,attr"`
		Index    int    `xml:"linkIndex,attr"`
	}
	var net struct {
		Connections []connection `xml:"connection"`
		Junctions   []struct {
			ID       string `xml:"id,attr"`
			Lanes    string `xml:"incLanes,attr"`
			Requests []struct {
				Response string `xml:"response,attr"`
				Foes     string `xml:"foes,attr"`
			} `xml:"request"`
		} `xml:"junction"`
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = xml.Unmarshal(text, &net)
	}
	if err != nil {
		t.Fatal(err)
	}
	from := map[string][]connection{}
	for _, c := range net.Connections {
		from[c.From+"_"+c.FromLane] = append(from[c.From+"_"+c.FromLane], c)
	}
	foes := map[string][]foe{}
	for _, j := range net.Junctions {
		// A junction's requests are in the order of its incoming lanes.
		var links []connection
		for lane := range strings.FieldsSeq(j.Lanes) {
			links = append(links, from[lane]...)
		}
		if len(j.Requests) == 0 {
			continue
		}
		if len(links) != len(j.Requests) {
			t.Fatalf("%s: junction %s has %d connections and %d requests", path, j.ID, len(links), len(j.Requests))
		}
		// Bit k stands k places from the right.
		bit := func(bits string, k int) bool { return bits[len(bits)-1-k] == '1' }
		for a, x := range links {
			for b, y := range links[:a] {
				conflict := bit(j.Requests[a].Foes, b)
				if x.To == y.To && x.ToLane == y.ToLane && x.From != y.From && !conflict {
					t.Fatalf("%s: connections %d and %d of junction %s lead to the same lane and are no foes: the order is misread", path, a, b, j.ID)
				}
				if conflict && x.Signal != "" && x.Signal == y.Signal {
					foes[x.Signal] = append(foes[x.Signal], foe{a: x.Index, b: y.Index, aWaits: bit(j.Requests[a].Response, b), bWaits: bit(j.Requests[b].Response, a)})
				}
			}
		}
	}
	return foes
}

// readShown reads what SUMO says that a signal showed, by second.
func readShown(t *testing.T, path string) map[int]string {
	t.Helper()
	var doc struct {
		States []struct {
			Time  float64 `xml:"time,attr"`
			State string  `xml:"state,attr"`
		} `xml:"tlsState"`
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = xml.Unmarshal(text, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	shown := map[int]string{}
	for _, s := range doc.States {
		shown[int(s.Time)] = s.State
	}
	return shown
}

// chooser returns what decides: anything at all, the same for ever, a network that was
// never trained, or a controller that is compared with.
func chooser(t *testing.T, who string, env *sumo.Env) controller.Controller {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	switch who {
	case "random": // allowed or not
		return deciding{func(v *sumo.SignalView) int { return rng.IntN(len(v.Phases)) }}
	case "stubborn":
		return deciding{func(*sumo.SignalView) int { return 0 }}
	case "agent":
		p := &policy.Policy{Spec: policy.Spec{Layout: policy.LayoutOf(env), Frames: 1}}
		p.Interval, p.Timing = env.Rules()
		features := p.Features(1, policy.Norm{})
		p.Net = nn.Config{Inputs: features.Len(), Hidden: []int{16}, Actions: features.Phases(), Dueling: true}
		net, err := nn.New(p.Net, rng)
		if err != nil {
			t.Fatal(err)
		}
		p.Nets = []*nn.Net{net}
		return p.Controller()
	}
	c, err := controller.New(who)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// deciding is a controller that chooses signal by signal.
type deciding struct{ choose func(*sumo.SignalView) int }

func (deciding) Name() string          { return "deciding" }
func (deciding) Begin(*sumo.Env) error { return nil }
func (d deciding) Decide(o *sumo.Observation) []int {
	phases := make([]int, len(o.Signals))
	for i := range phases {
		phases[i] = d.choose(&o.Signals[i])
	}
	return phases
}

func (deciding) Prepare(_ *sumo.Network, s sumo.Scenario, _ string) (sumo.Scenario, bool, error) {
	return s, true, nil
}
