package trainer

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Test is the final comparison: the best checkpoint and the baselines on the same
// scenarios with the same seeds.
type Test struct {
	Checkpoint string
	Scenarios  []sumo.Scenario
	Learned    []sumo.Metrics // by scenario
	Baselines  []Versus
}

// Versus is the comparison with one baseline.
type Versus struct {
	Name        string
	Metrics     []sumo.Metrics // by scenario
	Improvement float64        // of the mean full delay, in percent of the baseline's; positive is better
	Test        analysis.Comparison
	P           float64 // of the full delay, after Holm over the baselines
}

// test compares the best checkpoint with the baselines and records it.
func (t *trainer) test(ctx context.Context) (*Test, error) {
	if t.bestPath == "" {
		return nil, nil
	}
	scenarios := t.cfg.held(t.demand.Test, t.cfg.TestSeeds)
	load := func() (controller.Controller, error) {
		p, err := policy.Load(t.bestPath)
		if err != nil {
			return nil, err
		}
		return p.Controller(), nil
	}
	learned, err := t.measure(ctx, scenarios, load, nil)
	if err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	arms := make([][]outcome, len(t.cfg.Baselines))
	for i, name := range t.cfg.Baselines {
		if arms[i], err = t.measure(ctx, scenarios, newBaseline(name), nil); err != nil {
			return nil, fmt.Errorf("test: %w", err)
		}
	}
	res := &Test{Checkpoint: t.bestPath, Scenarios: scenarios, Learned: metricsOf(learned)}
	for i, name := range t.cfg.Baselines {
		res.Baselines = append(res.Baselines, Versus{Name: name, Metrics: metricsOf(arms[i])})
	}
	if err := Judge(res.Learned, res.Baselines); err != nil {
		return nil, err
	}
	interval := meanIntervals(learned, "this test")
	for i, o := range learned {
		if err := t.recordTest(res, i, o, interval); err != nil {
			return nil, err
		}
	}
	for i, v := range res.Baselines {
		if err := t.recordBaseline(res, v, learned, arms[i]); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// Judge fills in improvement and test of each baseline, the p-values corrected after
// Holm over the baselines. Metrics are paired by scenario.
func Judge(learned []sumo.Metrics, baselines []Versus) error {
	raw := make([]float64, len(baselines))
	for i := range baselines {
		v := &baselines[i]
		a, b := make([]float64, len(learned)), make([]float64, len(learned))
		sumA, sumB := 0.0, 0.0
		for k := range learned {
			a[k], b[k] = learned[k].FullDelay, v.Metrics[k].FullDelay
			sumA += a[k]
			sumB += b[k]
		}
		v.Improvement = 100 * (sumB - sumA) / sumB
		var err error
		if v.Test, err = analysis.Compare(a, b); err != nil {
			return fmt.Errorf("comparison with %s: %w", v.Name, err)
		}
		raw[i] = v.Test.P
	}
	for i, p := range analysis.Holm(raw) {
		baselines[i].P = p
	}
	return nil
}

func metricsOf(outcomes []outcome) []sumo.Metrics {
	list := make([]sumo.Metrics, len(outcomes))
	for i, o := range outcomes {
		list[i] = o.metrics
	}
	return list
}

// recordTest records one scenario of the test. Interval and significance are those of
// the whole test, so that they are found with each of its rows.
func (t *trainer) recordTest(res *Test, i int, o outcome, interval any) error {
	against := map[string]any{}
	for _, v := range res.Baselines {
		baseline, err := object(v.Metrics[i])
		if err != nil {
			return err
		}
		baseline["improvement_percent"] = 100 * (v.Metrics[i].FullDelay - o.metrics.FullDelay) / v.Metrics[i].FullDelay
		against[column(v.Name)] = baseline
	}
	file := t.demand.Test[i/len(t.cfg.TestSeeds)]
	scenario := describe(t.network, file, o.scenario)
	scenario["split"], scenario["teleport_s"] = "test", o.scenario.Teleport
	scenario["network_sha256"], scenario["sumo_version"], scenario["metrics_version"] = t.network.Hash, t.version, sumo.MetricsVersion
	traffic, err := object(o.metrics)
	if err != nil {
		return err
	}
	return t.recorded(t.run.LogValidation(greenwave.Validation{
		CheckpointID: t.bestID, ValidationEpisode: new(t.best.Episode), TestScenario: scenario, TotalReward: new(o.reward),
		TrafficMetrics: traffic, ComparisonMetrics: against, ConfidenceInterval: interval, StatisticalSignificance: significance(res),
	}))
}

// recordBaseline records the comparison with one baseline over all scenarios.
func (t *trainer) recordBaseline(res *Test, v Versus, learned, arm []outcome) error {
	a, b := means(learned), means(arm)
	improvement, tests, significance := map[string]any{}, map[string]any{}, map[string]any{}
	var names []string
	var raw []float64
	for _, m := range judged {
		x, y := a[m.name].(float64), b[m.name].(float64)
		if y != 0 {
			improvement[m.name] = m.sign * 100 * (x - y) / y
		}
		c, err := analysis.CompareWith(values(res.Learned, m.of), values(v.Metrics, m.of), analysis.Options{})
		if err != nil {
			return fmt.Errorf("comparison with %s: %s: %w", v.Name, m.name, err)
		}
		if tests[m.name], err = object(c); err != nil {
			return err
		}
		names, raw = append(names, m.name), append(raw, c.P)
	}
	for i, p := range analysis.Holm(raw) {
		significance[names[i]] = map[string]any{
			"p_holm": p, "family": "these metrics against " + v.Name, "significant_at_0.05": p < analysis.Alpha, "method": tests[names[i]].(map[string]any)["method"], "version": analysis.Version,
		}
	}
	// The primary metric was asked about first and alone: its family is the baselines.
	significance["full_delay"] = map[string]any{
		"p_holm": v.P, "family": "full delay against " + strings.Join(t.cfg.Baselines, ", "), "significant_at_0.05": v.P < analysis.Alpha, "method": v.Test.Method, "version": analysis.Version,
	}
	return t.recorded(t.run.LogBaseline(greenwave.Baseline{
		BaselineType: column(v.Name), TestScenarios: t.described(t.demand.Test, res.Scenarios, "test"),
		D3QNMetrics: a, BaselineMetrics: b, ImprovementPercentages: improvement,
		StatisticalTests: tests, SignificanceResults: significance,
		Notes: fmt.Sprintf("Checkpoint of episode %d, the best by the validation's full delay; paired by demand file and seed; %s.", t.best.Episode, sumo.MetricsVersion),
	}))
}

// judged are the metrics of a comparison with a baseline, full delay first. With sign 1
// larger is better.
var judged = []struct {
	name string
	sign float64
	of   func(*sumo.Metrics) float64
}{
	{"full_delay", -1, func(m *sumo.Metrics) float64 { return m.FullDelay }},
	{"delay", -1, func(m *sumo.Metrics) float64 { return m.Delay }},
	{"passenger_delay", -1, func(m *sumo.Metrics) float64 { return m.PassengerDelay }},
	{"waiting", -1, func(m *sumo.Metrics) float64 { return m.Waiting }},
	{"worst_waiting", -1, func(m *sumo.Metrics) float64 { return m.WorstWaiting }},
	{"queue", -1, func(m *sumo.Metrics) float64 { return m.Queue }},
	{"backlog", -1, func(m *sumo.Metrics) float64 { return float64(m.Backlog) }},
	{"pt_delay", -1, func(m *sumo.Metrics) float64 { return m.PTDelay }},
	{"speed", 1, func(m *sumo.Metrics) float64 { return m.Speed }},
	{"vehicles_per_hour", 1, func(m *sumo.Metrics) float64 { return m.VehiclesPerHour }},
	{"passengers_per_hour", 1, func(m *sumo.Metrics) float64 { return m.PassengersPerHour }},
	{"pt_passengers", 1, func(m *sumo.Metrics) float64 { return m.PTPassengers }},
}

func values(list []sumo.Metrics, of func(*sumo.Metrics) float64) []float64 {
	v := make([]float64, len(list))
	for i := range list {
		v[i] = of(&list[i])
	}
	return v
}

// column is a controller's name as the database's users know it.
func column(name string) string {
	if name == "program" {
		return "fixed_time"
	}
	return strings.ReplaceAll(name, "-", "_")
}

// described lists scenarios for a record.
func (t *trainer) described(files []File, scenarios []sumo.Scenario, split string) map[string]any {
	per := len(scenarios) / len(files)
	var seeds []int
	for _, s := range scenarios[:per] {
		seeds = append(seeds, s.Seed)
	}
	first := describe(t.network, files[0], scenarios[0])
	info := maps.Clone(first)
	delete(info, "scenario")
	delete(info, "demand_sha256")
	delete(info, "sumo_seed")
	delete(info, "day")
	delete(info, "cycle")
	info["files"], info["sumo_seeds"], info["split"] = files, seeds, split
	if split == "validation" && t.demand.SeedsOnly {
		info["split"] = "validation: training demand with other seeds"
	}
	info["network_sha256"], info["sumo_version"], info["metrics_version"] = t.network.Hash, t.version, sumo.MetricsVersion
	return info
}

// means averages the metrics and the reward over outcomes.
func means(outcomes []outcome) map[string]any {
	sums := map[string]float64{}
	for _, o := range outcomes {
		m, err := object(o.metrics)
		if err != nil {
			continue // numbers all: cannot fail
		}
		for name, v := range m {
			if x, ok := v.(float64); ok {
				sums[name] += x / float64(len(outcomes))
			}
		}
		sums["total_reward"] += o.reward / float64(len(outcomes))
	}
	all := make(map[string]any, len(sums))
	for name, v := range sums {
		all[name] = v
	}
	return all
}
