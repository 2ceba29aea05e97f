package sumo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const single = "../../scenarios/single/single.net.xml"

func TestReadNetwork(t *testing.T) {
	n, err := ReadNetwork(single)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Signals) != 1 || len(n.Lanes) != 4*5 || len(n.Hash) != 64 {
		t.Fatalf("%d signals, %d lanes, hash %q", len(n.Signals), len(n.Lanes), n.Hash)
	}
	s := n.Signals[0]
	if s.ID != "J" || len(s.Links) != 16 || s.YellowTime() != 3 {
		t.Fatalf("signal %s with %d links, yellow %g s", s.ID, len(s.Links), s.YellowTime())
	}
	left := s.Links[3][0]
	if left.From.ID != "north_in_2" || left.To.Edge != "east_out" || left.Dir != "l" || left.From.Out[0] != left || !slices.Contains(left.To.In, left) {
		t.Fatalf("link 3 is %+v", left)
	}
	phases, err := s.Phases()
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, p := range phases {
		states = append(states, p.State)
	}
	want := []string{"GGGgrrrrGGGgrrrr", "rrrGrrrrrrrGrrrr", "rrrrGGGgrrrrGGGg", "rrrrrrrGrrrrrrrG"}
	if !slices.Equal(states, want) {
		t.Fatalf("green phases %q, want %q", states, want)
	}
	if p := phases[0]; !slices.Equal(p.Green, []int{0, 1, 2, 3, 8, 9, 10, 11}) || !slices.Equal(p.Protected, []int{0, 1, 2, 8, 9, 10}) {
		t.Fatalf("phase 0: green %v, protected %v", p.Green, p.Protected)
	}
}

func TestNetworksThatCannotBeControlled(t *testing.T) {
	for name, c := range map[string]struct{ net, want string }{
		"empty":        {"", "no <net> element"},
		"not xml":      {"hello <", "XML syntax error"},
		"other xml":    {"<routes/>", "no <net> element"},
		"no signals":   {`<net><edge id="a"><lane id="a_0" length="5" speed="1" shape="0,0 5,0"/></edge></net>`, "has no traffic lights"},
		"lane missing": {`<net><tlLogic id="J"/><connection from="a" to="b" fromLane="0" toLane="0"/></net>`, "from a_0 to b_0 names a lane that does not exist"},
		"short state": {`<net><edge id="a"><lane id="a_0" length="5" speed="1" shape="0,0"/></edge><tlLogic id="J"><phase duration="3" state="G"/></tlLogic>
			<connection from="a" to="a" fromLane="0" toLane="0" tl="J" linkIndex="1"/></net>`, "phase 0 has 1 letters for 2 links"},
		"bad shape": {`<net><edge id="a"><lane id="a_0" shape="0"/></edge></net>`, "lane a_0"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.net.xml")
			if err := os.WriteFile(path, []byte(c.net), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadNetwork(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
	one := &Signal{ID: "K", Program: []ProgramPhase{{State: "GG"}, {State: "yy"}, {State: "rr"}}}
	if _, err := one.Phases(); err == nil || !strings.Contains(err.Error(), "traffic light K has 1 green phase") {
		t.Fatalf("got %v", err)
	}
}

// Between any two phases no link goes from green to red without yellow, none
// becomes green before the clearance is over, and none is stronger than in the
// phase it comes from or the one it goes to.
func TestClearanceIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 24).Draw(t, "links")
		draw := func(name string) string {
			return string(rapid.SliceOfN(rapid.SampledFrom([]byte("Ggr")), n, n).Draw(t, name))
		}
		from, to := draw("from"), draw("to")
		yellow, red, needed := Clearance(from, to)
		lost := false
		for i := range n {
			switch {
			case green(from[i]) && !green(to[i]):
				lost = true
				if yellow[i] != 'y' || red[i] != 'r' {
					t.Fatalf("link %d of %s → %s: %c %c", i, from, to, yellow[i], red[i])
				}
			case green(from[i]) && green(to[i]):
				if !green(yellow[i]) || red[i] != yellow[i] || yellow[i] == 'G' && (from[i] == 'g' || to[i] == 'g') {
					t.Fatalf("link %d of %s → %s: %c %c", i, from, to, yellow[i], red[i])
				}
			default:
				if yellow[i] != 'r' || red[i] != 'r' {
					t.Fatalf("link %d of %s → %s: %c %c", i, from, to, yellow[i], red[i])
				}
			}
		}
		if lost != needed {
			t.Fatalf("%s → %s: needed %v", from, to, needed)
		}
	})
}
