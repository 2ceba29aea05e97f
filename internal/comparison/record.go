package comparison

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/record"
)

// Note is what a record says beside the numbers.
type Note struct {
	Command   string
	Greenwave string   // the version that compared
	Marks     []string // of rows that do not say what was logged
}

// Recorded is what a comparison says of one experiment, as records of a run of its own.
type Recorded struct {
	Experiment string
	// RunID derives from the data and from what was asked: the same comparison of the
	// same data is the same run, wherever and however often it is recorded.
	RunID   string
	Records []record.Record
}

// ErrNotRecordable is a comparison in which no experiment is compared with anything.
var ErrNotRecordable = errors.New("the first arm is not an experiment's own test")

// Records are the comparisons as rows of baseline_comparisons, one for each pair whose
// first arm is an experiment's test, and a row of validation_results for each of these
// arms, with the interval of its means and what was found against each other arm.
func (r *Result) Records(note Note) ([]Recorded, error) {
	var all []Recorded
	for i := range r.Arms {
		a := &r.Arms[i]
		var pairs []*Pair
		for k := range r.Pairs {
			if r.Pairs[k].A == a.Name {
				pairs = append(pairs, &r.Pairs[k])
			}
		}
		if a.of.experiment == "" || len(pairs) == 0 {
			continue
		}
		one := Recorded{Experiment: a.of.experiment, RunID: r.runID(a, pairs)}
		v, err := r.validation(a, pairs, note)
		if err != nil {
			return nil, err
		}
		one.Records = append(one.Records, v)
		for _, p := range pairs {
			b, err := r.baseline(a, p, note)
			if err != nil {
				return nil, err
			}
			one.Records = append(one.Records, b)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, ErrNotRecordable
	}
	return all, nil
}

// recordSpace is the name space of the runs of comparisons.
var recordSpace = uuid.MustParse("6a1f6a5e-2f0c-5d0e-9c55-3a6f8d7c1b42")

func (r *Result) runID(a *Arm, pairs []*Pair) string {
	parts := []string{a.of.experiment, a.Name, r.Hash, r.Methods, strings.Join(r.Unlike, "\n")}
	for _, p := range pairs {
		parts = append(parts, p.B)
		for i := range p.Metrics {
			parts = append(parts, p.Metrics[i].Metric.Name)
		}
	}
	return uuid.NewSHA1(recordSpace, []byte(strings.Join(parts, "\x00"))).String()
}

// versus is how the other arm is called beside the first: a baseline of the same test by
// its own name.
func versus(p *Pair, a *Arm) string {
	for _, of := range []string{a.Name, a.of.experiment} {
		if own, ok := strings.CutPrefix(p.B, of+":"); ok {
			return own
		}
	}
	return p.B
}

func (r *Result) baseline(a *Arm, p *Pair, note Note) (*record.Baseline, error) {
	b := &record.Baseline{
		BaselineType: versus(p, a), TestScenarios: scenariosOf(a, p.Scenarios),
		D3QNMetrics: map[string]any{}, BaselineMetrics: map[string]any{}, ImprovementPercentages: map[string]any{},
		StatisticalTests: map[string]any{}, SignificanceResults: map[string]any{},
		Notes: r.notes(a, p, note), Extra: record.Extra{"comparison": r.about(p, note)},
	}
	for i := range p.Metrics {
		m := &p.Metrics[i]
		name := m.Metric.Name
		b.D3QNMetrics[name], b.BaselineMetrics[name] = m.Test.MeanA, m.Test.MeanB
		if m.Percent != nil && m.Metric.Better != 0 {
			b.ImprovementPercentages[name] = *m.Percent * float64(m.Metric.Better)
		}
		test, err := members(m.Test)
		if err != nil {
			return nil, fmt.Errorf("%s of %s and %s: %w", name, p.A, p.B, err)
		}
		maps.Copy(test, map[string]any{"iqm_a": m.IQMA, "iqm_b": m.IQMB, "probability_of_improvement": m.Improves, "outlier_scenarios": m.OutlierIn})
		b.StatisticalTests[name] = test
		b.SignificanceResults[name] = r.significance(m)
	}
	return b, nil
}

// significance is what a metric's test says, with how it was judged. A comparison of
// unlike things says so with each.
func (r *Result) significance(m *Difference) map[string]any {
	s := map[string]any{
		"method": m.Test.Method, "p": m.Test.P, "p_holm": m.PHolm, "p_bonferroni": m.PBonf, "family": r.Family,
		"significant_at_0.05": m.PHolm < analysis.Alpha, "verdict": m.Verdict, "version": r.Methods,
	}
	if len(r.Unlike) > 0 {
		s["unlike"] = true
	}
	return s
}

func (r *Result) validation(a *Arm, pairs []*Pair, note Note) (*record.Validation, error) {
	of := fmt.Sprintf("means over the %d scenarios and seeds of this test", len(a.Measured))
	intervals := map[string]any{"level": 0.95, "method": "Student's t", "n": len(a.Measured), "of": of, "version": r.Methods}
	found := map[string]any{"metric": pairs[0].Metrics[0].Metric.Name, "of": "pairs by scenario and seed", "version": r.Methods}
	if len(r.Unlike) > 0 {
		found["unlike"] = r.Unlike
	}
	v := &record.Validation{
		CheckpointID: a.of.checkpoint, ValidationEpisode: new(int(a.of.episode)), TestScenario: scenariosOf(a, keys(a)),
		TrafficMetrics: map[string]any{}, ComparisonMetrics: map[string]any{}, ConfidenceInterval: intervals, StatisticalSignificance: found,
		Extra: record.Extra{"comparison": r.about(pairs[0], note)},
	}
	for _, name := range a.names() {
		x := make([]float64, len(a.Measured))
		sum := 0.0
		for i := range a.Measured {
			x[i] = a.Measured[i].Metrics[name]
			sum += x[i] / float64(len(x))
		}
		if name == "total_reward" {
			v.TotalReward = &sum
		} else {
			v.TrafficMetrics[name] = sum
		}
		low, high, err := analysis.TInterval(x, 0.95)
		if err != nil {
			continue // one scenario has no interval
		}
		intervals[name] = map[string]any{"mean": sum, "low": low, "high": high}
	}
	for _, p := range pairs {
		means := map[string]any{}
		for i := range p.Metrics {
			means[p.Metrics[i].Metric.Name] = p.Metrics[i].Test.MeanB
		}
		first := &p.Metrics[0]
		if first.Percent != nil {
			means["improvement_percent"] = *first.Percent * float64(first.Metric.Better)
		}
		v.ComparisonMetrics[versus(p, a)] = means
		s := r.significance(first)
		s["statistic"], s["mean_difference"], s["confidence_interval_95"], s["cohen_dz"] = first.Test.Statistic, first.Test.Mean, first.Test.Interval, first.Test.CohenDz
		found[versus(p, a)] = s
	}
	return v, nil
}

// about says what was compared, so that a row can be followed back.
func (r *Result) about(p *Pair, note Note) map[string]any {
	return map[string]any{
		"a": p.A, "b": p.B, "command": note.Command, "greenwave": note.Greenwave, "data_sha256": r.Hash, "methods_version": r.Methods,
		"unlike": r.Unlike, "warnings": r.Warnings, "marks": note.Marks, "only_in_a": p.OnlyA, "only_in_b": p.OnlyB,
	}
}

func (r *Result) notes(a *Arm, p *Pair, note Note) string {
	text := fmt.Sprintf("%s (checkpoint of episode %d) against %s, %d pairs by scenario and seed; methods %s; data SHA-256 %s; %s.", p.A, a.of.episode, p.B, p.N, r.Methods, r.Hash, note.Command)
	if len(r.Unlike) > 0 {
		text = "UNLIKE: " + strings.Join(r.Unlike, "; ") + ". " + text
	}
	for _, m := range note.Marks {
		text = m + ". " + text
	}
	return text
}

// scenarioFields are the conditions as fields of test_scenario.
var scenarioFields = map[string]string{
	Horizon: "horizon_s", Warmup: "warmup_s", Begin: "begin_s", Teleport: "teleport_s", Network: "network_sha256", SUMO: "sumo_version", Version: "metrics_version",
}

// scenariosOf lists scenarios as one row about several does, with the conditions that all
// of the arm's share.
func scenariosOf(a *Arm, names []string) map[string]any {
	info := map[string]any{"files": names, "split": "test"}
	for c, field := range scenarioFields {
		value := a.Measured[0].Conditions[c]
		if value == "" || slices.ContainsFunc(a.Measured, func(m Measurement) bool { return m.Conditions[c] != value }) {
			continue
		}
		info[field] = value
		if c == Horizon || c == Warmup || c == Begin || c == Teleport {
			info[field] = json.Number(value)
		}
	}
	return info
}

func keys(a *Arm) []string {
	names := make([]string, len(a.Measured))
	for i := range a.Measured {
		names[i] = a.Measured[i].key()
	}
	slices.Sort(names)
	return names
}

// members are the members of a value as JSON writes it.
func members(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	err = json.Unmarshal(text, &m)
	return m, err
}
