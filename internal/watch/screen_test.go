package watch

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

var update = flag.Bool("update", false, "write the golden files again")

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// sample is a screen with everything on it.
func sample() *Screen {
	detail := &Detail{
		Experiment: Experiment{
			Name: "corridor-s1", Status: "running", Episodes: 212, Planned: 350, Latest: new(-31.2), Best: new(-28.4), Waiting: new(8.41),
			LastRecord: noon.Add(-2 * time.Second), Data: Data{Logged: 13204, Synced: 13201, Waiting: 3},
		},
		Epsilon: new(0.12), Began: noon.Add(-time.Hour), Pace: 16.5,
		Step: &Step{Episode: 213, Number: 40, At: noon.Add(-time.Second), Time: new(200.0), Vehicles: new(int64(187)), Reward: new(-4.25), Intersections: []Intersection{
			{Name: "ECOLAND", Phase: "2", Waiting: new(15.2), Approaches: []Approach{{"east", new(2.0)}, {"north", new(3.0)}, {"south", new(17.0)}, {"west", nil}}},
			{Name: "JOHNPAUL", Phase: "0", Approaches: []Approach{{"east", new(0.0)}, {"north", new(24.0)}}},
			{Name: "SANDAWA", Approaches: []Approach{{"south", new(8.0)}}},
		}},
		Alerts: []Alert{
			{ID: "a", Rule: "epsilon_stuck", Severity: "warning", Message: "epsilon has stood at 0.12 for 60 episodes", WhatToDo: "the agent goes on acting at random: check the decay", Since: noon.Add(-time.Minute), Open: true},
			{ID: "b", Rule: "bad_loss", Severity: "critical", Message: "the loss explodes: 12.5 at episode 211, 0.4 before", WhatToDo: "a smaller learning rate, clipped gradients or scaled rewards help; go back to a checkpoint from before", Since: noon.Add(-2 * time.Minute), Open: true},
			{ID: "c", Rule: "sync_lag", Severity: "warning", Message: "1204 records have waited for the database for 6 minutes", Since: noon.Add(-time.Hour)},
		},
	}
	for i := range 212 {
		x := float64(i)
		reward, loss := -80+50*(1-math.Exp(-x/60))+6*math.Sin(x*1.7), 0.5*math.Exp(-x/50)+0.02*math.Cos(x)
		if i >= 90 && i < 100 {
			reward, loss = math.NaN(), math.NaN() // lost episodes are a gap
		}
		detail.add(x+1, reward, 10+20*math.Exp(-x/40)+2*math.Sin(x*2.3), loss)
	}
	detail.smooth()
	spark := []*float64{new(1.0), new(2.0), nil, new(3.0), new(5.0), new(4.0), new(8.0)}
	list := []Experiment{
		detail.Experiment,
		{Name: "🚦 grid 👩‍👩‍👧 信号", Status: "failed", Episodes: 61, Planned: 350, Latest: new(-88.0), Waiting: new(12.9), LastRecord: noon.Add(-3 * time.Hour), Spark: spark, Data: Data{Logged: 4000, Synced: 4000, Dead: 12}},
		{Name: "إشارات المرور", Status: "interrupted", Episodes: 1204, Latest: new(-1.5), LastRecord: noon.Add(-50 * time.Hour), Spark: spark, Data: Data{Synced: 9, Never: true}},
		{Name: "a-name-that-is-much-longer-than-any-column-of-the-list-could-ever-be-on-a-terminal", Status: "completed", Episodes: 10000, Planned: 10000, Latest: new(123456.78), Waiting: new(0.5), LastRecord: noon.Add(-time.Minute), Spark: spark, Data: Data{Synced: 9}},
		{Name: "steers\x1b[2Jthe\u202eterminal", Status: "paused"},
	}
	list[0].Spark = spark
	return &Screen{Source: "runs", Loaded: true, Width: 80, Height: 24, Now: noon, Chosen: "corridor-s1", News: News{At: noon, List: list, Detail: detail}}
}

func TestScreens(t *testing.T) {
	for name, change := range map[string]func(*Screen){
		"list":            func(*Screen) {},
		"list-wide":       func(s *Screen) { s.Width, s.Height, s.Cursor = 120, 12, 2 },
		"list-narrow":     func(s *Screen) { s.Width, s.Height = 40, 10 },
		"list-empty":      func(s *Screen) { s.List = []Experiment{} },
		"list-away":       func(s *Screen) { s.Err, s.Since = errors.New("connection refused"), noon.Add(-12*time.Second) },
		"reading":         func(s *Screen) { s.Loaded = false },
		"help":            func(s *Screen) { s.Help = true },
		"overview":        func(s *Screen) { s.Page = PageOverview },
		"overview-wide":   func(s *Screen) { s.Page, s.Width, s.Height = PageOverview, 132, 43 },
		"overview-narrow": func(s *Screen) { s.Page, s.Width, s.Height = PageOverview, 40, 12 },
		"overview-empty": func(s *Screen) {
			s.Page, s.Detail = PageOverview, &Detail{Experiment: Experiment{Name: "corridor-s1", Status: "running"}, Window: 5}
		},
		"overview-gone":      func(s *Screen) { s.Page, s.Detail, s.Gone = PageOverview, nil, true },
		"intersections":      func(s *Screen) { s.Page = PageIntersections },
		"intersections-more": func(s *Screen) { s.Page, s.Height, s.Scroll = PageIntersections, 12, 3 },
		"alerts":             func(s *Screen) { s.Page = PageAlerts },
		"too-small":          func(s *Screen) { s.Width, s.Height = 30, 8 },
	} {
		t.Run(name, func(t *testing.T) {
			s := sample()
			change(s)
			lines := s.Draw()
			if len(lines) != s.Height {
				t.Errorf("%d lines on a screen of %d", len(lines), s.Height)
			}
			for i, l := range lines {
				if w := words.Columns(l); w > s.Width {
					t.Errorf("line %d takes %d of %d columns: %q", i, w, s.Width, l)
				}
			}
			// Without colour; but bold and inverted stay.
			golden(t, name, ansi.Strip(strings.Join(lines, "\n"))+"\n")
			s.Colour = true
			if coloured := ansi.Strip(strings.Join(s.Draw(), "\n")); coloured != ansi.Strip(strings.Join(lines, "\n")) {
				t.Error("colour changes what is read")
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: write it with go test ./internal/watch -update, and look at it", err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; got\n%s\nwant\n%s", path, got, want)
	}
}

// Without colour there is none, whatever is on the screen.
func TestNoColour(t *testing.T) {
	s := sample()
	for _, s.Page = range []Page{PageList, PageOverview, PageIntersections, PageAlerts} {
		for _, l := range s.Draw() {
			rest := strings.NewReplacer(strong, "", invert, "", plain, "").Replace(l)
			if strings.Contains(rest, "\x1b") {
				t.Errorf("an escape sequence without colour: %q", l)
			}
		}
	}
}

// Every size fits, and every line.
func TestEverySize(t *testing.T) {
	s := sample()
	for s.Width = range 160 {
		for _, s.Height = range []int{0, 1, 5, 10, 11, 13, 17, 24, 50} {
			for _, s.Page = range []Page{PageList, PageOverview, PageIntersections, PageAlerts} {
				lines := s.Draw()
				if len(lines) != s.Height {
					t.Fatalf("%d lines at %d×%d", len(lines), s.Width, s.Height)
				}
				for _, l := range lines {
					if w := words.Columns(l); w > s.Width {
						t.Fatalf("%d columns at %d×%d on page %d: %q", w, s.Width, s.Height, s.Page, l)
					}
				}
			}
		}
	}
}

func TestPlotKeepsSpikesAndGaps(t *testing.T) {
	p := plot{title: "x"}
	for i := range 1000 {
		v := 1.0
		switch {
		case i == 500:
			v = 100
		case i >= 600 && i < 800:
			v = math.NaN()
		}
		p.x, p.raw, p.mean = append(p.x, float64(i)), append(p.raw, v), append(p.mean, math.NaN())
	}
	lines := p.lines(axis+50, 7, style{})
	if !strings.ContainsAny(lines[1], "⠁⠂⠄⡀⠈⠐⠠⢀") {
		t.Errorf("the spike is not drawn:\n%s", strings.Join(lines, "\n"))
	}
	bottom := []rune(lines[5])[axis:]
	for i := 31; i < 39; i++ {
		if bottom[i] != ' ' {
			t.Errorf("something is drawn in the gap: %q", string(bottom))
		}
	}
	if bottom[28] == ' ' || bottom[42] == ' ' {
		t.Errorf("nothing is drawn beside the gap: %q", string(bottom))
	}
}

func TestBriefNumbersFit(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 48: "48", -34250.44: "-34.3k", 0.3951: "0.395", 12.3456: "12.3", -0.011142: "-0.0111", 2345.6: "2346", 1e7: "10.0M", -1e12: "-1e+12", 1e-5: "1e-05", 100000: "100.0k"} {
		if got := brief(v); got != want || len(got) > axis-2 {
			t.Errorf("brief(%v) is %q, want %q", v, got, want)
		}
	}
}

func ExampleScreen_Draw() {
	s := Screen{Source: "runs", Width: 30, Height: 2}
	fmt.Println(strings.Join(s.Draw(), "\n"))
	// Output:
	// 30×2 is too small:
	// at least 40×10
}
