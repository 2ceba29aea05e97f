package trainer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSUMO is a program that is SUMO, but for what the shell script before it does in the
// simulation with the seed.
func fakeSUMO(t *testing.T, seed int, script string) string {
	t.Helper()
	real, err := exec.LookPath("sumo")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sumo")
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *'--seed %d '*) %s;; esac\nexec %s \"$@\"\n", seed, script, real)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A SUMO that dies, hangs or does not end costs that simulation and no more: the episode
// is repeated with the next seed, its record says what failed, and its steps are those
// of the repetition.
func TestAFailedSimulationIsRepeated(t *testing.T) {
	// When the first trips are in SUMO's output it is in the middle.
	const middle = `trips="${*#*--tripinfo-output }"; trips="${trips%%%% *}"; rm -f "$trips"
		(until grep -q '<tripinfo ' "$trips"; do sleep 0.01; done; kill -%s $$) 2>/dev/null &`
	for name, c := range map[string]struct{ script, want string }{
		"dies":               {fmt.Sprintf(middle, "KILL"), "signal: killed"},
		"hangs":              {fmt.Sprintf(middle, "STOP"), "i/o timeout"},
		"hangs at its start": {`kill -STOP $$`, "it did not listen within 5s"},
		"does not end":       {`sumo "$@"; exec sleep 600`, "it did not end within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := small(t)
			cfg.Test, cfg.Episodes, cfg.ValidateEvery, cfg.Horizon, cfg.Patience = nil, 4, 4, 1200, 5
			cfg = cfg.WithDefaults()
			_, s := cfg.training(Demand{Training: []File{{}}}, 3, 0)
			_, repeated := cfg.training(Demand{Training: []File{{}}}, 3, 1)
			cfg.SUMO = fakeSUMO(t, s.Seed, c.script)
			dir := t.TempDir()
			res, err := Train(t.Context(), nil, cfg, options(t, dir))
			if err != nil || res.Report.Status != "completed" {
				t.Fatalf("%+v, %v", res.Report, err)
			}
			all := records(t, dir)
			if len(all["episode"]) != 4 {
				t.Fatalf("%d episodes", len(all["episode"]))
			}
			for _, e := range all["episode"] {
				info := e["scenario_info"].(map[string]any)
				failed, _ := info["failed_simulations"].([]any)
				if e["episode_number"] != 3.0 {
					if failed != nil {
						t.Errorf("episode %v: %v", e["episode_number"], failed)
					}
					continue
				}
				if len(failed) != 1 || !strings.Contains(failed[0].(string), c.want) || !strings.HasPrefix(failed[0].(string), fmt.Sprintf("seed %d: ", s.Seed)) {
					t.Errorf("failed simulations %v", failed)
				}
				if info["sumo_seed"] != float64(repeated.Seed) {
					t.Errorf("the repetition has the seed %v, expected %d", info["sumo_seed"], repeated.Seed)
				}
			}
		})
	}
}

// Scenarios that must be the same for every controller, and the measuring before the
// training, are simulated once more with the same seed.
func TestAFailedMeasurementIsRepeated(t *testing.T) {
	cfg := small(t)
	cfg.Test, cfg.Episodes, cfg.ValidateEvery = nil, 2, 2
	cfg = cfg.WithDefaults()
	before := filepath.Join(t.TempDir(), "once")
	script := `[ -e '%[1]s-%[2]d' ] || { touch '%[1]s-%[2]d'; sumo "$@" & sleep 0.2; kill -KILL $$; }`
	for what, seed := range map[string]int{"calibration": firstSeed/2 + cfg.Seed*len(calibration), "program": firstSeed/2 - 1, "validation": firstSeed} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.SUMO = fakeSUMO(t, seed, fmt.Sprintf(script, before, seed))
			if _, err := Train(t.Context(), nil, cfg, options(t, t.TempDir())); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(fmt.Sprintf("%s-%d", before, seed)); err != nil {
				t.Error("nothing failed")
			}
		})
	}
}

func TestASimulationThatAlwaysDiesEndsTheTraining(t *testing.T) {
	cfg := small(t)
	cfg.SUMO = filepath.Join(t.TempDir(), "sumo")
	if err := os.WriteFile(cfg.SUMO, []byte("#!/bin/sh\n[ \"$1\" = --version ] && exec sumo --version\necho 'Error: the license expired.' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Train(t.Context(), nil, cfg, options(t, t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "license expired") {
		t.Fatalf("got %v", err)
	}
}

// In a jam SUMO moves vehicles on when it is told to; each is counted, and the training
// goes on. So does a gridlock, which the records state.
func TestTeleportsAndGridlocksAreCounted(t *testing.T) {
	cfg := small(t)
	jam := filepath.Join(t.TempDir(), "jam.rou.xml")
	text := `<routes><vType id="car"/>`
	for _, way := range []string{"east_in west", "west_in east"} {
		from, to, _ := strings.Cut(way, " ")
		text += fmt.Sprintf(`<flow id="%s" type="car" from="%s" to="%s_out" begin="0" end="600" period="4" departLane="best"/>`, from, from, to)
	}
	if err := os.WriteFile(jam, []byte(text+"</routes>"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A signal that may not change: there is green for the empty approaches.
	cfg.Routes, cfg.Test, cfg.Episodes, cfg.ValidateEvery, cfg.Horizon, cfg.Teleport = []string{jam}, nil, 2, 2, 300, 60
	cfg.Timing.MinGreen, cfg.Timing.MaxGreen = 300, 600
	dir := t.TempDir()
	res, err := Train(t.Context(), nil, cfg, options(t, dir))
	if err != nil || res.Report.Status != "completed" {
		t.Fatalf("%+v, %v", res.Report, err)
	}
	for _, e := range records(t, dir)["episode"] {
		if e["teleports"].(float64) < 1 || e["gridlocked"] != true {
			t.Errorf("%v teleports, gridlocked %v, full delay %v s (program: %.1f s)", e["teleports"], e["gridlocked"], e["full_delay"], res.Curve.Program)
		}
	}
	if s := res.Curve.Last(10); s.Episodes != 2 || s.Gridlocked != 2 {
		t.Errorf("%+v", s)
	}
}

// What does not fit the network is told before anything runs.
func TestDemandThatDoesNotFitIsRefusedBeforeTheTraining(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.rou.xml")
	for want, routes := range map[string]string{
		`line 2: trip names the edge "moon", which the network does not have`: `<trip id="t" depart="9000" from="north_in" to="moon"/>`,
		`no connection leads from edge "north_in" to edge "south_in"`:         `<vehicle id="v" depart="0"><route edges="north_in south_in"/></vehicle>`,
		"XML syntax error": `<trip`,
	} {
		if err := os.WriteFile(bad, []byte("<routes>\n"+routes+"</routes>"), 0o644); err != nil {
			t.Fatal(err)
		}
		for part, change := range map[string]func(*Config){
			"training": func(c *Config) { c.Routes = []string{bad} }, "validation": func(c *Config) { c.Validation = []string{bad} }, "test": func(c *Config) { c.Test = []string{bad} },
		} {
			cfg := small(t)
			change(&cfg)
			out := filepath.Join(dir, "out")
			if _, err := Train(t.Context(), nil, cfg, options(t, out)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: got %v, want %s", part, err, want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Fatalf("%s: a run was begun", part)
			}
		}
	}
}
