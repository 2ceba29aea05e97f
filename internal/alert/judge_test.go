package alert

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var clock = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)

// living is a run that is well: it gave a sign of life and logged a step just now.
func living() view {
	return view{now: clock, first: clock.Add(-time.Hour), run: run{
		experiment: "corridor", source: "journal", status: "running", started: clock.Add(-2 * time.Hour),
		sign: clock.Add(-5 * time.Second), progress: clock.Add(-6 * time.Second), moved: clock.Add(-4 * time.Second),
	}}
}

func silentFor(d time.Duration) func(*view) {
	return func(v *view) { v.sign, v.moved, v.progress = clock.Add(-d), clock.Add(-d), clock.Add(-d) }
}

func ended(status string, ago time.Duration) func(*view) {
	return func(v *view) { v.status, v.ended = status, clock.Add(-ago) }
}

// trained adds episodes, a minute each; set fills in number i.
func trained(n int, set func(i int, e *episode)) func(*view) {
	return func(v *view) {
		for i := range n {
			e := episode{number: int64(i), at: clock.Add(time.Duration(i-n) * time.Minute)}
			set(i, &e)
			v.episodes = append(v.episodes, e)
		}
	}
}

func noise(seed uint64) func() float64 { return rand.New(rand.NewPCG(seed, 1)).NormFloat64 }

// Each rule with series that make it fire and series that do not.
func TestRules(t *testing.T) {
	reward := func(f func(i int, n float64) float64) func(*view) {
		n := noise(7)
		return trained(60, func(i int, e *episode) { e.reward = new(f(i, n())) })
	}
	loss := func(f func(i int) float64) func(*view) {
		return trained(40, func(i int, e *episode) { e.loss = new(f(i)) })
	}
	both := func(reward, wait func(i int) float64) func(*view) {
		n := noise(3)
		return trained(40, func(i int, e *episode) { e.reward, e.waiting = new(reward(i)+n()), new(wait(i)+n()) })
	}
	flat := func(level float64) func(int) float64 { return func(int) float64 { return level } }
	rising := func(from, by float64) func(int) float64 { return func(i int) float64 { return from + by*float64(i) } }
	epsilon := func(f func(i int) float64) func(*view) {
		return trained(60, func(i int, e *episode) { e.epsilon = new(f(i)) })
	}
	signal := func(seconds, queue float64) func(*view) {
		return func(v *view) {
			v.phases = []phase{{"ECOLAND", "2", seconds, queue, 9}, {"SANDAWA", "0", 12, 4, 9}}
		}
	}
	late := func(ago time.Duration) func(*view) {
		return func(v *view) { v.known, v.behind = true, &Behind{Records: 12, Since: clock.Add(-ago)} }
	}
	disk := func(mb float64) func(*view) { return func(v *view) { v.disk = &mb } }
	for _, test := range []struct {
		rule, name string
		change     func(*view)
		want       outcome
		says       string
	}{
		{"process_gone", "silent for 3 minutes", silentFor(3 * time.Minute), fires, "no sign of life for 3 minutes"},
		{"process_gone", "silent for 1 minute", silentFor(time.Minute), fine, ""},
		{"process_gone", "marked as interrupted", func(v *view) { v.status = "interrupted" }, fires, "the process is gone"},
		{"process_gone", "ended by a signal in good order", ended("interrupted", time.Minute), fine, ""},
		{"process_gone", "finished long ago", func(v *view) { silentFor(5 * time.Hour)(v); ended("completed", 5*time.Hour)(v) }, fine, ""},
		{"process_gone", "a clock that is an hour late", func(v *view) { v.sign = clock.Add(-time.Hour) }, fine, ""},
		{"process_gone", "a clock that is ahead hides nothing", func(v *view) { v.sign, v.moved = clock.Add(time.Hour), clock.Add(-time.Hour) }, fires, "60 minutes"},

		{"no_record", "alive without a step for 11 minutes", func(v *view) { v.progress = clock.Add(-11 * time.Minute) }, fires, "no step and no episode for 11 minutes"},
		{"no_record", "a step 9 minutes ago", func(v *view) { v.progress = clock.Add(-9 * time.Minute) }, fine, ""},
		{"no_record", "episodes of 20 minutes, without steps", func(v *view) {
			v.progress = clock.Add(-25 * time.Minute)
			for i := range 5 {
				v.episodes = append(v.episodes, episode{number: int64(i), at: clock.Add(time.Duration(i-5) * 20 * time.Minute)})
			}
		}, fine, ""},
		{"no_record", "started a minute ago after an earlier run", func(v *view) {
			v.progress, v.started = clock.Add(-3*time.Hour), clock.Add(-time.Minute)
		}, fine, ""},
		{"no_record", "gone, which is another rule", silentFor(time.Hour), fine, ""},
		{"no_record", "completed long ago", func(v *view) { silentFor(time.Hour)(v); ended("completed", time.Hour)(v) }, fine, ""},
		{"no_record", "somebody's log that has stopped growing", func(v *view) { silentFor(11 * time.Minute)(v); v.source, v.alive = "import", true }, fires, "11 minutes"},

		{"finished", "completed", ended("completed", time.Minute), happened, "the training has finished"},
		{"finished", "failed", func(v *view) { ended("failed", time.Minute)(v); v.reason = "out of memory" }, happened, "has failed: out of memory"},
		{"finished", "running", func(*view) {}, unknown, ""},
		{"finished", "completed yesterday", ended("completed", 20*time.Hour), unknown, ""},
		{"finished", "paused", ended("paused", time.Minute), unknown, ""},

		{"dead_letters", "one", func(v *view) { v.dead = 1 }, fires, "refused a record"},
		{"dead_letters", "none", func(*view) {}, fine, ""},

		{"sync_lag", "waiting for 6 minutes", late(6 * time.Minute), fires, "12 records have waited for the database for 6 minutes"},
		{"sync_lag", "waiting for 4 minutes", late(4 * time.Minute), fine, ""},
		{"sync_lag", "not behind", func(v *view) { v.known = true }, fine, ""},
		{"sync_lag", "nobody knows", func(*view) {}, unknown, ""},

		{"low_disk", "1.5 GB left", disk(1500), fires, "1500 MB left"},
		{"low_disk", "plenty", disk(80_000), fine, ""},
		{"low_disk", "not measured", func(*view) {}, unknown, ""},

		{"bad_loss", "NaN", trained(3, func(i int, e *episode) {
			if i == 2 {
				e.notFinite = []string{"avg_loss"}
			}
		}), fires, "the loss of episode 2 is not a number"},
		{"bad_loss", "NaN long ago", trained(3, func(i int, e *episode) {
			if e.loss = new(1.0); i == 0 {
				e.loss, e.notFinite = nil, []string{"avg_loss"}
			}
		}), fine, ""},
		{"bad_loss", "exploding", loss(func(i int) float64 { return 0.4 + 0.1*math.Exp(math.Max(0, float64(i-34))*1.5) }), fires, "the loss explodes"},
		{"bad_loss", "one outlier", loss(func(i int) float64 {
			if i == 39 {
				return 1e6
			}
			return 0.5
		}), fine, ""},
		{"bad_loss", "growing as Q-values do", loss(func(i int) float64 { return 0.1 * math.Pow(1.1, float64(i)) }), fine, ""},
		{"bad_loss", "0 until the memory is full", loss(func(i int) float64 { return math.Max(0, float64(i-38)) }), fine, ""},

		{"reward_fell", "collapse in the last 10", reward(func(i int, n float64) float64 {
			if i >= 50 {
				return -300 + 10*n
			}
			return -200 + 10*n
		}), fires, "the reward has fallen"},
		{"reward_fell", "noise", reward(func(_ int, n float64) float64 { return -200 + 40*n }), fine, ""},
		{"reward_fell", "learning", reward(func(i int, n float64) float64 { return -300 + 3*float64(i) + 10*n }), fine, ""},
		{"reward_fell", "constant", reward(func(int, float64) float64 { return 5 }), fine, ""},
		{"reward_fell", "too few episodes", trained(20, func(i int, e *episode) { e.reward = new(float64(-i * i)) }), unknown, ""},

		{"reward_and_waiting_up", "both rise", both(rising(100, 2), rising(30, 1)), fires, "the waiting time too"},
		{"reward_and_waiting_up", "waiting falls", both(rising(100, 2), rising(80, -1)), fine, ""},
		{"reward_and_waiting_up", "only waiting rises", both(flat(100), rising(30, 1)), fine, ""},
		{"reward_and_waiting_up", "noise", both(flat(100), flat(30)), fine, ""},

		{"epsilon_stuck", "at 1", epsilon(flat(1)), fires, "epsilon has stood at 1 for 50 episodes"},
		{"epsilon_stuck", "at its small end", epsilon(flat(0.05)), fine, ""},
		{"epsilon_stuck", "falling", epsilon(func(i int) float64 { return math.Pow(0.99, float64(i)) }), fine, ""},
		{"epsilon_stuck", "not logged", reward(func(int, float64) float64 { return 1 }), unknown, ""},

		{"phase_stuck", "400 s with a queue", signal(400, 6), fires, "ECOLAND has shown phase 2 for 400 simulated seconds"},
		{"phase_stuck", "400 s, queue unknown", signal(400, -1), fires, ""},
		{"phase_stuck", "400 s on an empty road", signal(400, 0), fine, ""},
		{"phase_stuck", "90 s", signal(90, 6), fine, ""},
	} {
		t.Run(test.rule+"/"+test.name, func(t *testing.T) {
			rules := Defaults()
			v := living()
			test.change(&v)
			all := rules.judge(&v)
			i := slices.IndexFunc(all, func(d verdict) bool { return d.rule == test.rule })
			if i < 0 {
				t.Fatalf("no verdict: %+v", all)
			}
			d := all[i]
			if d.what != test.want || !strings.Contains(d.found, test.says) {
				t.Errorf("verdict is %d, %q; want %d, %q", d.what, d.found, test.want, test.says)
			}
			if (d.what == fires || d.what == happened) && (d.found == "" || d.advice == "") {
				t.Errorf("an alert without words: %+v", d)
			}
		})
	}
}

// A healthy training with noise makes no rule fire, whatever the noise.
func TestQuietOnHealthyTraining(t *testing.T) {
	rules := Defaults()
	for seed := range uint64(300) {
		n := noise(seed)
		v := living()
		trained(60, func(i int, e *episode) {
			at := float64(i)
			e.reward, e.loss = new(-400+300*(1-math.Exp(-at/40))+30*n()), new(math.Abs(0.5+0.005*at+0.1*n()))
			e.epsilon, e.waiting = new(math.Max(0.05, math.Pow(0.97, at))), new(math.Max(5, 60-at/2+6*n()))
		})(&v)
		for _, d := range rules.judge(&v) {
			if d.what == fires {
				t.Errorf("seed %d: %s: %s", seed, d.rule, d.found)
			}
		}
	}
}

// Logs of the past say nothing until they are seen growing, however bad they are.
func TestImportsAreQuiet(t *testing.T) {
	rules := Defaults()
	v := living()
	v.source, v.status, v.dead = "import", "interrupted", 5
	trained(3, func(_ int, e *episode) { e.notFinite = []string{"avg_loss"} })(&v)
	if all := rules.judge(&v); len(all) != 0 {
		t.Errorf("verdicts of an imported log: %+v", all)
	}
}

// A rule that is off closes what was open.
func TestRuleOff(t *testing.T) {
	rules := Defaults()
	rules.DeadLetters.On = false
	v := living()
	v.dead = 3
	for _, d := range rules.judge(&v) {
		if d.rule == "dead_letters" && d.what != fine {
			t.Errorf("verdict of a rule that is off: %+v", d)
		}
	}
}
