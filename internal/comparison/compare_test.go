package comparison_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

// table writes a results file and reads it as an arm.
func table(t *testing.T, name, text string) *comparison.Arm {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	arms, err := comparison.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return arms[0]
}

// rows are a table of scenarios with a seed each and what they state.
func rows(n int, states string, value func(i int) float64) string {
	var b strings.Builder
	head, values := "", ""
	for c := range strings.FieldsSeq(states) {
		name, v, _ := strings.Cut(c, "=")
		head += "," + name
		values += "," + v
	}
	b.WriteString("scenario,seed,full_delay" + head + "\n")
	for i := range n {
		fmt.Fprintf(&b, "s%d,%d,%v%s\n", i/2, i%2, value(i), values)
	}
	return b.String()
}

const stated = "horizon_s=300 warmup_s=30 network_sha256=aa demand_sha256=dd sumo_version=1.15 metrics_version=1"

func TestLikeArmsAreCompared(t *testing.T) {
	a := table(t, "a", rows(12, stated, func(i int) float64 { return 50 + float64(i*7%5) + 0.1*float64(i) }))
	b := table(t, "b", rows(12, stated, func(i int) float64 { return 53 + float64(i*7%5) + 0.13*float64(i) }))
	r, err := comparison.Compare([]comparison.Contest{{A: a, B: b}}, comparison.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := r.Pairs[0].Metrics[0]
	if len(r.Unlike)+len(r.Warnings) != 0 || r.Pairs[0].N != 12 || m.Verdict != comparison.Better || m.Test.Mean >= 0 || m.Improves.Value <= 0.5 {
		t.Errorf("%+v\n%+v", r.Warnings, m)
	}
	back, err := comparison.Compare([]comparison.Contest{{A: b, B: a}}, comparison.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := back.Pairs[0].Metrics[0]; n.Test.Mean != -m.Test.Mean || n.Verdict != comparison.Worse || math.Abs(n.PHolm-m.PHolm) > 1e-12 {
		t.Errorf("swapped: %+v", n)
	}
	if back.Arms[0].Hash() != r.Arms[1].Hash() {
		t.Error("the hash depends on more than the data")
	}
}

func TestEachUnlikeConditionIsNamed(t *testing.T) {
	value := func(i int) float64 { return 50 + float64(i*7%5) }
	for change, says := range map[string]string{
		"horizon_s=270":     "horizon: 300 s (a) and 270 s (b)",
		"warmup_s=60":       "warm-up: 30 s (a) and 60 s (b)",
		"network_sha256=bb": "network: aa (a) and bb (b)",
		"demand_sha256=ee":  "demand: dd (a) and ee (b)",
		"sumo_version=1.20": "SUMO version: 1.15 (a) and 1.20 (b)",
		"metrics_version=2": "metric definitions: 1 (a) and 2 (b)",
	} {
		name, _, _ := strings.Cut(change, "=")
		var other []string
		for c := range strings.FieldsSeq(stated) {
			if strings.HasPrefix(c, name+"=") {
				c = change
			}
			other = append(other, c)
		}
		contest := []comparison.Contest{{A: table(t, "a", rows(8, stated, value)), B: table(t, "b", rows(8, strings.Join(other, " "), value))}}
		_, err := comparison.Compare(contest, comparison.Options{})
		var unlike *comparison.UnlikeError
		if !errors.As(err, &unlike) || len(unlike.Differences) != 1 || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", change, err)
			continue
		}
		r, err := comparison.Compare(contest, comparison.Options{Force: true})
		if err != nil || len(r.Unlike) != 1 {
			t.Errorf("%s forced: %+v, %v", change, r, err)
		}
	}
	contest := []comparison.Contest{{A: table(t, "a", rows(8, stated, value)), B: table(t, "b", rows(8, "horizon_s=300", value))}}
	r, err := comparison.Compare(contest, comparison.Options{})
	if err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "network (not stated by b)") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBadInputIsSaid(t *testing.T) {
	value := func(i int) float64 { return 50 + float64(i*7%5) }
	good := func() *comparison.Arm { return table(t, "good", rows(8, stated, value)) }
	for name, c := range map[string]struct {
		text, says string
		metrics    []string
	}{
		"twice":       {text: rows(8, stated, value) + "s0,0,51,300,30,aa,dd,1.15,1\n", says: "scenario s0, seed 0 is there twice"},
		"NaN":         {text: strings.Replace(rows(8, stated, value), "s1,0,54", "s1,0,NaN", 1), says: "full_delay of s1, seed 0 is NaN"},
		"no pair":     {text: strings.ReplaceAll(rows(8, stated, value), "\ns", "\nother"), says: "no scenario with the same seed in common"},
		"one":         {text: rows(1, stated, value), says: "1 pair: at least 2 are needed"},
		"metric":      {text: rows(8, stated, value), metrics: []string{"full_delai"}, says: `metric "full_delai" of good and bad: neither of them has it; the nearest are full_delay`},
		"all equal":   {text: rows(8, stated, value)},
		"two are out": {text: rows(6, stated, value)},
	} {
		r, err := comparison.Compare([]comparison.Contest{{A: good(), B: table(t, "bad", c.text)}}, comparison.Options{Metrics: c.metrics})
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case name == "all equal" && r.Pairs[0].Metrics[0].Verdict != comparison.NothingToDo:
			t.Errorf("%s: %+v", name, r.Pairs[0].Metrics[0])
		case name == "two are out" && (len(r.Pairs[0].OnlyA) != 2 || !strings.Contains(r.Warnings[0], "2 of 8 of good are without a pair")):
			t.Errorf("%s: %+v", name, r)
		}
	}
	for name, text := range map[string]string{"no column scenario": "a,b\n1,2\n", "no rows": "scenario,x\n", "is empty": "scenario,full_delay\ns1,\n"} {
		path := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := comparison.ReadFile(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A pair that decides is named, with the result without it.
func TestAPairThatDecidesIsNamed(t *testing.T) {
	a := table(t, "a", rows(10, stated, func(i int) float64 { return 51 + float64(i%3)/10 + map[bool]float64{true: -60}[i == 3] }))
	b := table(t, "b", rows(10, stated, func(int) float64 { return 50 }))
	r, err := comparison.Compare([]comparison.Contest{{A: a, B: b}}, comparison.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := r.Pairs[0].Metrics[0]
	if m.Test.Outlier == nil || len(m.OutlierIn) != 1 || m.OutlierIn[0] != "s1, seed 1" || m.Test.Outlier.Without.N != 9 || m.Test.Outlier.Without.Mean < 1 {
		t.Errorf("%+v, %v", m.Test.Outlier, m.OutlierIn)
	}
}

func TestLevelsOfService(t *testing.T) {
	for delay, want := range map[float64]string{0: "A", 10: "A", 10.1: "B", 20: "B", 35: "C", 35.1: "D", 55: "D", 80: "E", 80.1: "F"} {
		if got := comparison.LevelOfService(delay); got != want {
			t.Errorf("%g s is %s, want %s", delay, got, want)
		}
	}
}

// A file that states no horizon betrays it: its mean queues are whole numbers over the
// number of samples.
func TestSamplesAreFoundInTheNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	make := func(name string, samples, counted int) *comparison.Arm {
		var b strings.Builder
		b.WriteString("scenario,avg_queue_length,completed_trips,avg_throughput\n")
		for i := range 20 {
			trips := 400 + rng.IntN(90)
			fmt.Fprintf(&b, "s%d,%v,%d,%v\n", i, float64(20000+rng.IntN(9000))/float64(samples), trips, float64(trips)*3600/float64(counted))
		}
		return table(t, name, b.String())
	}
	contest := []comparison.Contest{{A: make("a", 300, 270), B: make("b", 270, 270)}}
	_, err := comparison.Compare(contest, comparison.Options{})
	if err == nil || !strings.Contains(err.Error(), "a's avg_queue_length are means over 300 samples, b's over 270") {
		t.Fatal(err)
	}
	r, err := comparison.Compare(contest, comparison.Options{Force: true})
	if err != nil || !strings.Contains(strings.Join(r.Warnings, "\n"), "the throughput is +11 % off") {
		t.Errorf("%+v, %v", r, err)
	}
}

// As a user would: the recorded pair. It is refused for the reason that its authors
// missed, and forced it gives their t and p for the throughput.
func TestRecordedPair(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "results")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs the recorded results, which are not part of the project")
	}
	arms := []string{filepath.Join(dir, "d3qn_results.csv"), filepath.Join(dir, "fixed_time_results.csv")}
	contests, err := comparison.Choose(t.Context(), arms, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = comparison.Compare(contests, comparison.Options{})
	if err == nil || !strings.Contains(err.Error(), "means over 300 samples, fixed_time_results's over 270") {
		t.Fatalf("not refused for the right reason: %v", err)
	}
	r, err := comparison.Compare(contests, comparison.Options{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	// What its authors published: t of fixed time minus D3QN, p, pooled d.
	published := map[string][3]float64{
		"avg_waiting_time": {2.3574461554141021, 0.02142221181349158, -0.40763846912579327},
		"avg_throughput":   {-41.68935490463822, 1.2628414444486865e-48, 3.398897656053905},
		"avg_speed":        {-12.215884034711232, 1.7209328212161408e-18, 1.5688549266205063},
		"avg_queue_length": {2.145942833810295, 0.03561671189156319, -0.31414758309695157},
	}
	seen := 0
	for _, m := range r.Pairs[0].Metrics {
		want, ok := published[m.Metric.Name]
		if !ok {
			continue
		}
		seen++
		got := m.Test.Tests[0]
		if got.Method != analysis.MethodPairedT || math.Abs(got.Statistic+want[0]) > 1e-9*math.Abs(want[0]) || math.Abs(got.P-want[1]) > 1e-9*want[1] || math.Abs(*m.Test.CohenD-want[2]) > 1e-9*math.Abs(want[2]) {
			t.Errorf("%s: %+v, d %g; published %+v", m.Metric.Name, got, *m.Test.CohenD, want)
		}
		if m.Metric.Name == "avg_waiting_time" && (m.Test.Method != analysis.MethodWilcoxon || *m.Test.Normality > 1e-10) {
			t.Errorf("waiting time: %+v", m.Test)
		}
	}
	if seen != len(published) {
		t.Errorf("only %d published metrics", seen)
	}
}

// stored fills a database with an experiment that was tested twice, with baselines.
func stored(t *testing.T, metadata string, change func(i int, scenario map[string]any)) store.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "c.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	run, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "exp", Source: "journal", StartedAt: time.Now(), Metadata: json.RawMessage(metadata)}, false)
	if err != nil {
		t.Fatal(err)
	}
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID}
	checkpoints := []string{uuid.NewString(), uuid.NewString()}
	for test, checkpoint := range checkpoints {
		for i := range 10 {
			scenario := map[string]any{"scenario": fmt.Sprintf("s%d", i/2), "sumo_seed": 1000 + i%2, "demand_sha256": fmt.Sprintf("d%d", i/2), "split": "test", "horizon_s": 300, "warmup_s": 30}
			if change != nil {
				change(i, scenario)
			}
			x := 50 + float64(i*7%5) - 3*float64(test)
			text, err := json.Marshal(map[string]any{
				"checkpoint_id": checkpoint, "validation_episode": 10 * (test + 1), "test_scenario": scenario, "total_reward": -x, "traffic_metrics": map[string]any{"full_delay": x, "queue": x / 2},
				"comparison_metrics": map[string]any{"fixed_time": map[string]any{"full_delay": x + 4 + float64(i%3), "queue": x/2 + 1 + float64(i%3), "improvement_percent": 5}},
			})
			if err != nil {
				t.Fatal(err)
			}
			row, err := record.Parse(record.KindValidation, text, nil)
			if err != nil {
				t.Fatal(err)
			}
			batch.To++
			batch.Entries = append(batch.Entries, store.Entry{Seq: batch.To, Time: time.Now().Add(time.Duration(batch.To) * time.Millisecond), Row: row})
		}
	}
	if _, err := s.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return s
}

const meta = `{"network_sha256":"aa","sumo_version":"1.15","metrics_version":"1","demand":{"training":[{"Path":"t.rou.xml","sha256":"tt"}]}}`

func TestExperimentAgainstItsBaselines(t *testing.T) {
	s := stored(t, meta, nil)
	open := func() (store.Reader, error) { return s, nil }
	contests, err := comparison.Choose(t.Context(), []string{"exp"}, nil, open)
	if err != nil {
		t.Fatal(err)
	}
	r, err := comparison.Compare(contests, comparison.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := r.Pairs[0]
	if p.A != "exp" || p.B != "exp:fixed_time" || p.N != 10 || len(p.Metrics) != 2 || p.Metrics[0].Verdict != comparison.Better || len(r.Unlike) > 0 {
		t.Errorf("%+v", p)
	}
	for _, says := range []string{"tested 2 times; this is the last test, of the checkpoint of episode 20", "exp is still running: this is its last test so far"} {
		if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, says) {
			t.Error(w)
		}
	}
	// One checkpoint against the other.
	contests, err = comparison.Choose(t.Context(), []string{"exp@20", "exp@10"}, nil, open)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = comparison.Compare(contests, comparison.Options{Metrics: []string{"full_delay"}}); err != nil || r.Pairs[0].Metrics[0].Test.Mean != -3 {
		t.Errorf("%+v, %v", r, err)
	}
	for names, says := range map[string]string{"exp@15": "was not tested after episode 15; there are tests of episode 10, 20", "exp:webster": `has fixed_time`, "nobody": "not found"} {
		if _, err := comparison.Choose(t.Context(), []string{names}, nil, open); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", names, err)
		}
	}
}

func TestTrainingScenariosAreFoundOut(t *testing.T) {
	s := stored(t, meta, func(i int, scenario map[string]any) {
		if i >= 8 {
			scenario["demand_sha256"] = "tt"
		}
	})
	contests, err := comparison.Choose(t.Context(), []string{"exp"}, nil, func() (store.Reader, error) { return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err = comparison.Compare(contests, comparison.Options{}); err == nil || !strings.Contains(err.Error(), "training scenarios among the test scenarios: exp learned from s4") {
		t.Error(err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"full_delay", "delay", "queue", "max_queue", "speed"}
	if got := comparison.Nearest("quue", names); len(got) == 0 || got[0] != "queue" {
		t.Errorf("%v", got)
	}
	if got := comparison.Nearest("zzzzzzzz", []string{"speed"}); len(got) > 1 {
		t.Errorf("%v", got)
	}
}
