package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/figure"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

func database(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "r.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	return s
}

// journal collects the records of an experiment.
type journal struct {
	t    *testing.T
	rows []record.Row
}

func (j *journal) log(kind record.Kind, v map[string]any) {
	j.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		j.t.Fatal(err)
	}
	row, err := record.Parse(kind, text, nil)
	if err != nil {
		j.t.Fatalf("%v: %s", err, text)
	}
	j.rows = append(j.rows, row)
}

// sync stores the records; the experiment is running until an end is recorded.
func (j *journal) sync(s store.Store, name, metadata string) {
	j.t.Helper()
	run, err := s.Register(j.t.Context(), store.Run{ID: uuid.NewString(), Experiment: name, Source: "journal", StartedAt: time.Now(), Metadata: json.RawMessage(metadata)}, false)
	if err != nil {
		j.t.Fatal(err)
	}
	b := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: uint64(len(j.rows))}
	at := time.Now().Add(-time.Duration(len(j.rows)) * time.Millisecond)
	for i, row := range j.rows {
		b.Entries = append(b.Entries, store.Entry{Seq: uint64(i + 1), Time: at.Add(time.Duration(i) * time.Millisecond), Row: row})
	}
	if _, err := s.Apply(j.t.Context(), b); err != nil {
		j.t.Fatal(err)
	}
}

// learn logs episodes that learn, and a validation every tenth.
func (j *journal) learn(n int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 9))
	for i := 1; i <= n; i++ {
		reward := -50*math.Exp(-float64(i)/8) + rng.NormFloat64()
		j.log(record.KindEpisode, map[string]any{
			"episode_number": i, "total_reward": reward, "steps_completed": 60, "episode_duration_minutes": 0.2,
			"reward_components": map[string]any{"waiting": reward + 3*float64(i%2), "buses": -3 * float64(i%2)},
		})
		if i%10 == 0 {
			j.log(record.KindValidation, map[string]any{"validation_episode": i, "total_reward": -40*math.Exp(-float64(i)/30) + 1, "test_scenario": map[string]any{"split": "validation", "files": []string{"v"}}})
		}
	}
}

// test logs a test over scenarios with baselines that are slower by a known delay.
func (j *journal) test(scenarios int, conditions map[string]any, slower map[string]float64) {
	checkpoint := uuid.NewString()
	for i := range scenarios {
		measures := func(delay float64) map[string]any {
			return map[string]any{
				"full_delay": delay, "passenger_delay": delay - 2, "passengers": 3000, "vehicles": 590, "backlog": 10, "queue": delay / 2, "max_queue": 60, "passengers_per_hour": 20000 - 10*delay,
			}
		}
		scenario := map[string]any{"split": "test", "scenario": fmt.Sprintf("morning-%d", i), "sumo_seed": 1, "horizon_s": 300, "warmup_s": 30, "demand_sha256": fmt.Sprint("d", i), "intersections": []string{"A", "B"}}
		for n, v := range conditions {
			scenario[n] = v
		}
		own, baselines := 40+float64(i*7%5), map[string]any{}
		for name, d := range slower {
			m := measures(own + d + float64(i%3)/10)
			m["improvement_percent"] = 5
			baselines[name] = m
		}
		j.log(record.KindValidation, map[string]any{
			"checkpoint_id": checkpoint, "validation_episode": 60, "total_reward": -own, "test_scenario": scenario, "traffic_metrics": measures(own), "comparison_metrics": baselines,
		})
	}
}

func (j *journal) steps(episode, n int) {
	for i := 1; i <= n; i++ {
		j.log(record.KindStep, map[string]any{
			"episode_number": episode, "step_number": i, "simulation_time": 5 * i, "queue_lengths": map[string]any{"A": map[string]any{"north": i % 7, "south": 3}, "B": map[string]any{"west": i}},
			"intersection_metrics": map[string]any{"A": map[string]any{"phase": i / 4 % 3}, "B": map[string]any{"phase": i / 6 % 2}, "coordination_score": 0.5},
		})
	}
}

const stated = `{"group":"g","seed":1,"network_sha256":"aa","sumo_version":"1.15","metrics_version":"1","algorithm":"D3QN","network":"x/y.net.xml","demand":{"training":[{"path":"t","sha256":"tt"}]}}`

// whole is an experiment that has everything, one seed of two.
func whole(t *testing.T) store.Store {
	t.Helper()
	s := database(t)
	j := &journal{t: t}
	j.learn(60, 1)
	j.steps(60, 40)
	j.test(8, nil, map[string]float64{"fixed_time": 6, "max_pressure": -1})
	j.log(record.KindEnd, map[string]any{"status": "completed"})
	j.sync(s, "ours_50%&{x}<b>|$", stated)
	other := &journal{t: t}
	other.learn(50, 2)
	other.sync(s, "other", stated)
	return s
}

const awkward = "ours_50%&{x}<b>|$"

func read(t *testing.T, s store.Store, name string, o report.Options) *report.Findings {
	t.Helper()
	if o.Hours == 0 {
		o.Hours = 4
	}
	f, err := report.Read(t.Context(), s, name, o, report.Origin{Command: "greenwave report x", Version: "test", Now: origin.Now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReportOfAnExperiment(t *testing.T) {
	s := whole(t)
	f := read(t, s, awkward, report.Options{})
	if len(f.Missing) > 0 || len(f.Warnings) > 0 {
		t.Errorf("missing %+v, warnings %q", f.Missing, f.Warnings)
	}
	if f.Learning == nil || f.Learning.Converged == nil || len(f.Seeds) != 2 || len(f.Fights) != 1 || f.Validation.Says != "validations rose with the training" || len(f.Test.Pairs) != 2 {
		t.Errorf("%+v", f)
	}
	// Delay of all 600 vehicles over 300 s, in hours in an hour: 6.0875 s less each.
	c := f.City
	if len(c.Saved) != 2 || math.Abs(c.Saved[0].Test.Mean-600*6.0875/300) > 1e-9 || math.Abs(c.Saved[1].Test.Mean-3000*6.0875/300) > 1e-9 {
		t.Errorf("saved %+v", c.Saved)
	}
	if c.Level == nil || c.Level[0].String() != "C to D" || c.Signals != 2 || c.Level[1].Worst != "D" || *c.Backlog != [2]float64{10, 10} {
		t.Errorf("level %+v of %d signals, backlog %v", c.Level, c.Signals, c.Backlog)
	}
	d := f.Document()
	for name, write := range writers(d) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(b.String()), " ")
		for _, want := range []string{"converged at episode", "Wilcoxon", "max", "48.70", "60.88", "C to D", "What is not known", f.Hash[:12], "fight each other"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not have %q:\n%s", name, want, text)
			}
		}
		fits(t, name, b.String())
	}
	names := ""
	for _, g := range d.Figures() {
		names += g.Name + " "
		if w, h := figure.Size(g.SVG); w < 300 || h < 80 {
			t.Errorf("%s is %d × %d", g.Name, w, h)
		}
		for _, want := range []string{"query: SELECT", "command: greenwave report x", "data SHA-256: "} {
			if !bytes.Contains(g.SVG, []byte(want)) {
				t.Errorf("%s has no %q", g.Name, want)
			}
		}
	}
	for _, want := range []string{"learning-", "validation-", "forest-", "paired-", "distribution-", "queues-episode-60", "phases-episode-60"} {
		if !strings.Contains(names, want) {
			t.Errorf("no figure %s: %s", want, names)
		}
	}
	page, ok := f.CityPage()
	if !ok || len(page.Figures()) != 0 || !strings.Contains(page.Title, awkward) {
		t.Errorf("city's page %+v, %v", page, ok)
	}
	var table, machine bytes.Buffer
	if err := f.CSV(&table, []string{"changed"}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) < 30 || rows[1][1] != "integrity" || rows[1][8] != "changed" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if err := report.JSON(&machine, f); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"convergence_episode":`, `"level_of_service":`, `"data_sha256":"` + f.Hash, `"reward_parts_that_fight":[{"a":"buses","b":"waiting"`} {
		if !strings.Contains(machine.String(), want) {
			t.Errorf("JSON has no %s", want)
		}
	}
	if again := read(t, s, awkward, report.Options{}); again.Hash != f.Hash {
		t.Error("the hash of the same data is another one")
	}
}

// What is not there is named, with how to get it, and nothing is made up for it.
func TestReportOfWhatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(j *journal)
		meta string
		says []string // among what is missing
		warn string
	}{
		"nothing yet":  {func(*journal) {}, `{}`, []string{"0 episodes with a reward are too few", "0 validations", "no test results", "no steps are stored", "there is one training", "parts of the reward"}, "still running"},
		"no baseline":  {func(j *journal) { j.learn(40, 1); j.test(6, nil, nil) }, stated, []string{"baselines: nothing says"}, ""},
		"one scenario": {func(j *journal) { j.learn(40, 1); j.test(1, nil, map[string]float64{"fixed_time": 3}) }, stated, []string{"1 pair: at least 2 are needed"}, ""},
		"learned from the test": {func(j *journal) {
			j.test(6, map[string]any{"demand_sha256": "tt"}, map[string]float64{"fixed_time": 3})
		}, stated, []string{"training scenarios among the test scenarios"}, ""},
		"failed": {func(j *journal) { j.learn(40, 1); j.log(record.KindEnd, map[string]any{"status": "failed"}) }, stated, nil, "the experiment is failed"},
		"NaN": {func(j *journal) {
			j.log(record.KindEpisode, map[string]any{"episode_number": 1, "total_reward": "NaN"})
		}, stated, nil, "1 episode without a reward that is a number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := database(t)
			j := &journal{t: t}
			c.fill(j)
			j.sync(s, "x", c.meta)
			f := read(t, s, "x", report.Options{})
			missing := fmt.Sprint(f.Missing)
			for _, want := range c.says {
				if !strings.Contains(missing, want) {
					t.Errorf("missing %q does not say %q", missing, want)
				}
			}
			for _, l := range f.Missing {
				if l.How == "" {
					t.Errorf("nothing says how to get %s", l.What)
				}
			}
			if w := strings.Join(f.Warnings, "\n"); !strings.Contains(w, c.warn) {
				t.Errorf("warnings %q do not say %q", w, c.warn)
			}
			var b bytes.Buffer
			if err := f.Document().HTML(&b); err != nil || strings.Contains(b.String(), "NaN") {
				t.Errorf("%v: %s", err, b.String())
			}
			if name != "NaN" && name != "failed" && f.City != nil {
				t.Error("a page for the city without a test")
			}
		})
	}
	s := whole(t)
	if _, err := report.Read(t.Context(), s, awkward, report.Options{Baseline: "webster", Hours: 4}, origin); err == nil || !strings.Contains(err.Error(), "it has fixed_time, max_pressure") {
		t.Error(err)
	}
	if f := read(t, s, awkward, report.Options{Baseline: "max-pressure"}); f.City.B != awkward+":max_pressure" || f.City.Saved[0].Test.Mean > 0 {
		t.Errorf("%+v", f.City)
	}
}

// Steps that are not written as the guide has them are gaps; long episodes are cut.
func TestEpisodesOfOtherLoggers(t *testing.T) {
	s := database(t)
	j := &journal{t: t}
	j.log(record.KindStep, map[string]any{"episode_number": 3, "step_number": 0, "intersection_metrics": map[string]any{"A": 5}})
	j.log(record.KindStep, map[string]any{"episode_number": 3, "step_number": 1, "queue_lengths": map[string]any{"A": map[string]any{"south": 2}}})
	j.steps(2, 2100)
	j.sync(s, "x", `{}`)
	f := read(t, s, "x", report.Options{})
	var names []string
	for _, g := range f.Document().Figures() {
		names = append(names, g.Name)
	}
	if strings.Join(names, " ") != "queues-episode-3" {
		t.Errorf("%v", names)
	}
	long := database(t)
	k := &journal{t: t}
	k.steps(2, 2100)
	k.sync(long, "x", `{}`)
	var b bytes.Buffer
	if err := read(t, long, "x", report.Options{}).Document().Terminal(&b, 80); err != nil || !strings.Contains(b.String(), "The first 2,000 steps of it.") {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestReportsCompile(t *testing.T) {
	dir := t.TempDir()
	d := read(t, whole(t), awkward, report.Options{}).Document()
	var tex bytes.Buffer
	if err := d.LaTeX(&tex, "figures/"); err != nil {
		t.Fatal(err)
	}
	compile(t, dir, tex.Bytes())
}

// compile makes a PDF of a document in LaTeX.
func compile(t *testing.T, dir string, tex []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "c.tex"), tex, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "pdflatex", "-interaction=nonstopmode", "-halt-on-error", "c.tex")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pdflatex (scripts/need test installs it): %v\n%s", err, out)
	}
	if pdf, err := os.ReadFile(filepath.Join(dir, "c.pdf")); err != nil || !bytes.HasPrefix(pdf, []byte("%PDF")) {
		t.Errorf("no PDF: %v", err)
	}
}
