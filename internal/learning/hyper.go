package learning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Study is what the hyperparameters of a set of experiments have to do with how these
// came out.
type Study struct {
	Of         string               `json:"of"`     // the outcome, in words
	Metric     string               `json:"metric"` // its name
	Runs       []Outcome            `json:"runs"`
	Left       []string             `json:"left_out,omitempty"` // experiments without an outcome, with the reason
	Factors    []analysis.Influence `json:"hyperparameters"`
	Constant   []string             `json:"not_varied"`
	NoNumbers  []string             `json:"not_judged,omitempty"` // names of which nearly each was tried once
	Seeds      *float64             `json:"share_within_settings,omitempty"`
	Warnings   []string             `json:"warnings,omitempty"`
	MethodsAre string               `json:"methods_version"`
}

// Outcome is one experiment's.
type Outcome struct {
	Experiment string            `json:"experiment"`
	Value      float64           `json:"value"`
	Settings   map[string]string `json:"settings"` // those that were varied
}

// The outcomes that are no metric of a test.
const (
	LastRewards = "last_rewards" // mean of the last fifth of the episodes
	BestReward  = "best_reward"
)

// perFactor is how many runs each hyperparameter should have for a result to be more
// than a hint.
const perFactor = 10

// notHyper are members of the configuration that set nothing about learning.
var notHyper = []string{"seed", "random_seed", "net", "routes", "validation_routes", "test_routes", "additional", "sumo", "sumocfg"}

// Hyperparameters judges the hyperparameters in which the named experiments differ. The
// metric is one of the test's, [LastRewards] or [BestReward]; empty, it is the full delay
// of the test where all have it, else the rewards.
func Hyperparameters(ctx context.Context, s store.Reader, names []string, metric string) (*Study, error) {
	st := &Study{MethodsAre: analysis.Version}
	var runs []run
	for _, n := range names {
		r, err := readRun(ctx, s, n)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	if st.Metric = metric; metric == "" {
		st.Metric = "full_delay"
		if slices.ContainsFunc(runs, func(r run) bool { _, ok := r.outcomes["full_delay"]; return !ok }) {
			st.Metric = LastRewards
		}
	}
	var kept []run
	for _, r := range runs {
		if _, ok := r.outcomes[st.Metric]; !ok {
			st.Left = append(st.Left, r.name+": "+r.lacks(st.Metric))
			continue
		}
		kept = append(kept, r)
	}
	if len(kept) < 3 {
		return nil, unmeasured(st, runs)
	}
	switch st.Metric {
	case LastRewards:
		st.Of = "mean reward of the last fifth of the episodes"
		st.Warnings = append(st.Warnings, "rewards are compared across experiments: where the reward itself was configured differently, that is no comparison")
	case BestReward:
		st.Of = "best reward of an episode"
	default:
		st.Of = "mean " + comparison.MetricOf(st.Metric).Label + " of the test"
	}
	return st, st.judge(kept)
}

// run is an experiment with its settings and how it came out.
type run struct {
	name     string
	settings map[string]any
	outcomes map[string]float64
	untested error
	tested   string // the scenarios of its test
}

func readRun(ctx context.Context, s store.Reader, name string) (run, error) {
	t, err := Read(ctx, s, name)
	if err != nil {
		return run{}, err
	}
	r := run{name: name, settings: map[string]any{}, outcomes: map[string]float64{}}
	if len(t.Experiment.Config) > 0 {
		var config map[string]any
		if err := json.Unmarshal(t.Experiment.Config, &config); err != nil {
			return run{}, fmt.Errorf("config of %s: %w", name, err)
		}
		flatten(r.settings, "", config)
	}
	if c := t.Describe(nil); c != nil {
		r.outcomes[LastRewards] = c.Shape.Last
	}
	if best := t.Experiment.BestReward; best != nil {
		r.outcomes[BestReward] = *best
	}
	stored, err := comparison.Load(ctx, s, name, -1)
	if err != nil {
		r.untested = err
		return r, nil // an experiment need not have been tested
	}
	sums, counts := map[string]float64{}, map[string]int{}
	var keys []string
	for _, m := range stored.Learned.Measured {
		keys = append(keys, m.Scenario+" "+m.Seed)
		for n, v := range m.Metrics {
			sums[n] += v
			counts[n]++
		}
	}
	slices.Sort(keys)
	r.tested = strings.Join(keys, "\n")
	for n, sum := range sums {
		if counts[n] == len(stored.Learned.Measured) {
			r.outcomes[n] = sum / float64(counts[n])
		}
	}
	return r, nil
}

func (r *run) lacks(metric string) string {
	switch {
	case metric == LastRewards:
		return "fewer than 30 episodes"
	case metric == BestReward:
		return "no reward"
	case r.untested != nil:
		return "no test: " + r.untested.Error()
	}
	return "its test has no " + metric + " for every scenario"
}

// unmeasured explains why there are too few outcomes.
func unmeasured(st *Study, runs []run) error {
	all := map[string]bool{}
	for _, r := range runs {
		for n := range r.outcomes {
			all[n] = true
		}
	}
	names := slices.Sorted(maps.Keys(all))
	if !all[st.Metric] && len(names) > 0 {
		near := comparison.Nearest(st.Metric, names)
		if len(near) == 0 {
			near = names
		}
		return fmt.Errorf("metric %q: none of these experiments has it; the nearest are %s", st.Metric, strings.Join(near, ", "))
	}
	text := fmt.Sprintf("%d of %d experiments have an outcome: at least 3 are needed", len(runs)-len(st.Left), len(runs))
	if len(st.Left) > 0 {
		text += "; " + strings.Join(st.Left[:min(len(st.Left), 3)], "; ")
	}
	return errors.New(text)
}

// flatten lays out members of members as a.b.
func flatten(into map[string]any, prefix string, of map[string]any) {
	for name, v := range of {
		if inner, ok := v.(map[string]any); ok {
			flatten(into, prefix+name+".", inner)
			continue
		}
		into[prefix+name] = v
	}
}

func (st *Study) judge(runs []run) error {
	var outcomes []float64
	names := map[string]bool{}
	for _, r := range runs {
		outcomes = append(outcomes, r.outcomes[st.Metric])
		for n := range r.settings {
			if !slices.Contains(notHyper, n) {
				names[n] = true
			}
		}
	}
	var factors []analysis.Factor
	varied := make([]map[string]string, len(runs))
	for i := range varied {
		varied[i] = map[string]string{}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		f, distinct := factor(n, runs)
		if distinct < 2 {
			st.Constant = append(st.Constant, n)
			continue
		}
		for i := range runs {
			varied[i][n] = written(runs[i].settings[n])
		}
		factors = append(factors, f)
	}
	if len(factors) == 0 {
		return errors.New("these experiments do not differ in any hyperparameter")
	}
	var err error
	if st.Factors, err = analysis.Influences(outcomes, factors); err != nil {
		return err
	}
	for _, f := range factors {
		if !slices.ContainsFunc(st.Factors, func(i analysis.Influence) bool { return i.Factor == f.Name }) {
			st.NoNumbers = append(st.NoNumbers, f.Name)
		}
	}
	settings := make([]string, len(runs))
	for i, r := range runs {
		st.Runs = append(st.Runs, Outcome{r.name, outcomes[i], varied[i]})
		for _, n := range slices.Sorted(maps.Keys(varied[i])) {
			settings[i] += n + "=" + varied[i][n] + "\n"
		}
	}
	if within, err := analysis.WithinShare(outcomes, settings); err == nil {
		st.Seeds = &within
	}
	if want := perFactor * len(factors); len(runs) < want {
		st.Warnings = append(st.Warnings, fmt.Sprintf("%d experiments for %d hyperparameters: about %d would be wanted; take this as a hint of what to try, not as a finding", len(runs), len(factors), want))
	}
	if st.Metric != LastRewards && st.Metric != BestReward && slices.ContainsFunc(runs, func(r run) bool { return r.tested != runs[0].tested }) {
		st.Warnings = append(st.Warnings, "the experiments were not all tested on the same scenarios with the same seeds: part of the difference is that")
	}
	return nil
}

// factor is a hyperparameter over the runs, as numbers where all are, and how many
// values it has.
func factor(name string, runs []run) (f analysis.Factor, distinct int) {
	f.Name = name
	seen := map[string]bool{}
	numbers := make([]float64, 0, len(runs))
	for _, r := range runs {
		v := r.settings[name]
		if n, ok := v.(float64); ok {
			numbers = append(numbers, n)
		}
		f.Labels = append(f.Labels, written(v))
		seen[written(v)] = true
	}
	if len(numbers) == len(runs) {
		f.Numbers = numbers
	}
	return f, len(seen)
}

// written is a setting in text; one that is not there is its default, which is not known.
func written(v any) string {
	if v == nil {
		return "not set"
	}
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// Better reports in which direction the outcome is better: 1 larger, -1 smaller.
func (st *Study) Better() int {
	if st.Metric == LastRewards || st.Metric == BestReward {
		return 1
	}
	return comparison.MetricOf(st.Metric).Better
}

// Spread is the mean and standard deviation of the outcomes.
func (st *Study) Spread() (mean, deviation float64) {
	var x []float64
	for _, r := range st.Runs {
		x = append(x, r.Value)
	}
	return stat.MeanStdDev(x, nil)
}
