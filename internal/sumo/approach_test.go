package sumo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestApproachesOfOneIntersection(t *testing.T) {
	n, err := ReadNetwork(single)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Observe(n.Signals[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Approaches) != 4 {
		t.Fatalf("%d approaches", len(m.Approaches))
	}
	for _, a := range m.Approaches {
		if len(a.Lanes) != 3 || len(a.Reach) != 3 {
			t.Errorf("approach %s: %d lanes, %d observed", a.Edge, len(a.Lanes), len(a.Reach))
		}
	}
}

// Green names the directions that a state lets go, approach by approach.
func TestGreenWays(t *testing.T) {
	n, err := ReadNetwork(single)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Observe(n.Signals[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Phases {
		green := m.Green(p.State)
		served := 0
		for i, ways := range green {
			if strings.Trim(ways, "slrt") != "" {
				t.Errorf("approach %s: the ways are %q", m.Approaches[i].Edge, ways)
			}
			if ways != "" {
				served++
			}
		}
		if served == 0 || served == len(green) {
			t.Errorf("state %s: %q", p.State, green)
		}
	}
	for _, ways := range m.Green("") {
		if ways != "" {
			t.Errorf("no state lets go %q", ways)
		}
	}
}

// On the network that users bring, some lanes at stop lines are a few metres long:
// every approach must be seen for 100 m, or to where its road begins or another
// signal stands.
func TestShortStopLineLanesAreSeenUpstream(t *testing.T) {
	path := "../../../shared/data/davao/ThesisNetowrk.net.xml"
	if _, err := os.Stat(path); err != nil {
		t.Logf("%s is not here; the short lanes of a network of our own are tested instead", filepath.Base(path))
		path = shortLanes(t)
	}
	n, err := ReadNetwork(path)
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	for _, s := range n.Signals {
		m, err := Observe(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range m.Approaches {
			for _, lane := range a.Lanes {
				if lane.Length < 30 {
					short++
				}
				if reach, open := seen(lane); reach < 100 && open {
					t.Errorf("signal %s, lane %s is seen for %.0f m only", s.ID, lane.ID, reach)
				}
			}
		}
	}
	if short == 0 {
		t.Fatal("no short lane was tested")
	}
}

// seen is how far upstream of a lane's end is observed, and whether it could be
// further.
func seen(lane *Lane) (metres float64, open bool) {
	for _, st := range upstream(lane) {
		if end := st.Distance + st.Lane.Length; end > metres {
			metres, open = end, false
			for _, in := range st.Lane.In {
				open = open || in.Signal == nil
			}
		}
	}
	return metres, open
}

func shortLanes(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "short.net.xml")
	net := `<net>
	<edge id="far"><lane id="far_0" length="200" speed="10" shape="0,0 200,0"/></edge>
	<edge id="mid"><lane id="mid_0" length="20" speed="10" shape="200,0 220,0"/></edge>
	<edge id="stop"><lane id="stop_0" length="7" speed="10" shape="220,0 227,0"/></edge>
	<edge id="out"><lane id="out_0" length="50" speed="10" shape="230,0 280,0"/></edge>
	<tlLogic id="J" offset="0"><phase duration="30" state="Gr"/><phase duration="30" state="rG"/></tlLogic>
	<connection from="far" to="mid" fromLane="0" toLane="0" dir="s"/>
	<connection from="mid" to="stop" fromLane="0" toLane="0" dir="s"/>
	<connection from="stop" to="out" fromLane="0" toLane="0" tl="J" linkIndex="0" dir="s"/>
	<connection from="stop" to="out" fromLane="0" toLane="0" tl="J" linkIndex="1" dir="s"/>
	</net>`
	if err := os.WriteFile(path, []byte(net), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
