package comparison

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
)

// Gate is what a candidate must show against what is in use, on the tests of both.
type Gate struct {
	// Better are metrics in which it must be significantly better.
	Better []Demand `json:"better"`
	// NotWorse are metrics in which it must not be worse by more than a margin.
	NotWorse []Demand `json:"not_worse"`
}

// Demand is one condition of a gate.
type Demand struct {
	Metric string `json:"metric"`
	// Scenarios are patterns of names, as "am_*"; none: all that both were tested on.
	Scenarios []string `json:"scenarios,omitempty"`
	// AtLeastPercent is how much better it must be, of the mean of what is in use.
	AtLeastPercent float64 `json:"at_least_percent,omitempty"`
	// MarginPercent is how much worse it may be, of the mean of what is in use: the 95 %
	// interval of the difference must end before. Defaults to 5.
	MarginPercent *float64 `json:"margin_percent,omitempty"`
}

const defaultMargin = 5.0

// ReadGate reads a gate from a file of JSON.
func ReadGate(file string) (*Gate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var g Gate
	if err := d.Decode(&g); err != nil {
		return nil, fmt.Errorf("%s is no gate: %w", file, err)
	}
	if len(g.Better)+len(g.NotWorse) == 0 {
		return nil, fmt.Errorf("%s demands nothing: name metrics under better or not_worse", file)
	}
	for _, c := range append(g.Better[:len(g.Better):len(g.Better)], g.NotWorse...) {
		switch {
		case c.Metric == "":
			return nil, fmt.Errorf("%s: a condition has no metric", file)
		case MetricOf(c.Metric).Better == 0:
			return nil, fmt.Errorf("%s: nobody says whether more or less %s is better", file, c.Metric)
		case c.AtLeastPercent < 0 || c.MarginPercent != nil && !(*c.MarginPercent >= 0):
			return nil, fmt.Errorf("%s: %s: a percentage is below 0", file, c.Metric)
		}
		for _, p := range c.Scenarios {
			if _, err := path.Match(p, ""); err != nil {
				return nil, fmt.Errorf("%s: %s: scenarios %q: %w", file, c.Metric, p, err)
			}
		}
	}
	return &g, nil
}

// Decision is what a gate says about a candidate, with the numbers that it is made on.
type Decision struct {
	Candidate  string      `json:"candidate"`
	Against    string      `json:"against"` // empty: nothing is in use
	Passed     bool        `json:"passed"`
	Forced     bool        `json:"forced,omitempty"` // done although it did not pass
	Conditions []Condition `json:"conditions"`
	Unlike     []string    `json:"unlike,omitempty"` // why the two cannot be compared
	Warnings   []string    `json:"warnings,omitempty"`
	Hash       string      `json:"data_sha256,omitempty"`
	Methods    string      `json:"methods_version"`
	Greenwave  string      `json:"greenwave"`
}

// Condition is a demand with its outcome.
type Condition struct {
	Demand    string     `json:"demand"` // better or not worse
	Metric    string     `json:"metric"`
	Scenarios []string   `json:"scenarios,omitempty"`
	Pairs     int        `json:"pairs"`
	Candidate float64    `json:"mean_candidate"`
	Against   float64    `json:"mean_against"`
	Percent   float64    `json:"difference_percent"` // of the mean of what is in use
	Interval  [2]float64 `json:"confidence_interval_95"`
	Method    string     `json:"method"`
	P         float64    `json:"p"`
	PHolm     *float64   `json:"p_holm,omitempty"` // over the demands to be better
	Margin    float64    `json:"margin_percent,omitempty"`
	Met       bool       `json:"met"`
	Why       string     `json:"why"`
}

// Failed are the conditions that are not met, in words.
func (d *Decision) Failed() (list []string) {
	list = append(list, d.Unlike...)
	for _, c := range d.Conditions {
		if !c.Met {
			list = append(list, c.Why)
		}
	}
	return list
}

// String sums it up.
func (d *Decision) String() string {
	met := 0
	for _, c := range d.Conditions {
		if c.Met {
			met++
		}
	}
	text := fmt.Sprintf("%d of %d conditions met", met, len(d.Conditions))
	switch {
	case d.Against == "":
		text = "nothing in use to compare with"
	case len(d.Unlike) > 0:
		text = "not comparable"
	}
	if d.Forced {
		text = "forced: " + text
	}
	return text
}

// Decide holds a candidate against what is in use. The error is for what cannot be
// computed; arms that are unlike do not pass, and the decision says why.
func (g *Gate) Decide(candidate, against *Arm) (*Decision, error) {
	d := &Decision{Candidate: candidate.Name, Against: against.Name, Methods: analysis.Version, Passed: true}
	var better []float64
	for i, list := range [][]Demand{g.Better, g.NotWorse} {
		for _, demand := range list {
			c := Condition{Demand: []string{"better", "not worse"}[i], Metric: demand.Metric, Scenarios: demand.Scenarios}
			a, b := candidate.only(demand.Scenarios), against.only(demand.Scenarios)
			if len(a.Measured) == 0 || len(b.Measured) == 0 {
				c.Why = fmt.Sprintf("%s: neither was tested, or only one of them, on %s", demand.Metric, strings.Join(demand.Scenarios, ", "))
				d.Conditions = append(d.Conditions, c)
				if i == 0 {
					better = append(better, 1)
				}
				continue
			}
			r, err := Compare([]Contest{{a, b}}, Options{Metrics: []string{demand.Metric}})
			var unlike *UnlikeError
			if errors.As(err, &unlike) {
				d.Unlike, d.Passed = unlike.Differences, false
				return d, nil
			}
			if err != nil {
				return nil, err
			}
			c.fill(r, demand)
			for _, w := range r.Warnings {
				if !contains(d.Warnings, w) {
					d.Warnings = append(d.Warnings, w)
				}
			}
			if i == 0 {
				better = append(better, c.P)
			}
			d.Conditions = append(d.Conditions, c)
		}
	}
	holm := analysis.Holm(better)
	for i := range d.Conditions {
		c := &d.Conditions[i]
		if i < len(g.Better) {
			c.judgeBetter(g.Better[i], holm[i])
		} else {
			c.judgeNotWorse()
		}
		d.Passed = d.Passed && c.Met
	}
	whole, err := Compare([]Contest{{candidate, against}}, Options{Metrics: d.metrics(), Draws: 100})
	if err == nil {
		d.Hash = whole.Hash
	}
	return d, nil
}

func (d *Decision) metrics() (names []string) {
	for _, c := range d.Conditions {
		if !contains(names, c.Metric) {
			names = append(names, c.Metric)
		}
	}
	return names
}

// only is the arm with the scenarios that a pattern fits.
func (a *Arm) only(patterns []string) *Arm {
	if len(patterns) == 0 {
		return a
	}
	part := *a
	part.Measured = nil
	for _, m := range a.Measured {
		for _, p := range patterns {
			if ok, _ := path.Match(p, m.Scenario); ok {
				part.Measured = append(part.Measured, m)
				break
			}
		}
	}
	return &part
}

func (c *Condition) fill(r *Result, demand Demand) {
	m := &r.Pairs[0].Metrics[0]
	c.Pairs, c.Candidate, c.Against, c.Interval = r.Pairs[0].N, m.Test.MeanA, m.Test.MeanB, m.Test.Interval
	c.Method, c.P = m.Test.Method, m.Test.P
	if m.Percent != nil {
		c.Percent = *m.Percent
	}
	if demand.MarginPercent != nil {
		c.Margin = *demand.MarginPercent
	} else if c.Demand == "not worse" {
		c.Margin = defaultMargin
	}
}

func (c *Condition) judgeBetter(demand Demand, holm float64) {
	if c.Pairs == 0 {
		return // Why says so
	}
	c.PHolm = &holm
	gain := c.Percent * float64(MetricOf(c.Metric).Better)
	c.Met = holm < analysis.Alpha && gain > 0 && gain >= demand.AtLeastPercent
	c.Why = fmt.Sprintf("%s: %s against %s over %d pairs, %+.1f %%, p = %.2g after Holm's correction (%s)", c.Metric, short(c.Candidate), short(c.Against), c.Pairs, c.Percent, holm, c.Method)
	switch {
	case c.Met:
	case gain <= 0:
		c.Why += ": not better"
	case holm >= analysis.Alpha:
		c.Why += ": not significantly better"
	default:
		c.Why += fmt.Sprintf(": less than the %g %% that are demanded", demand.AtLeastPercent)
	}
}

func (c *Condition) judgeNotWorse() {
	if c.Pairs == 0 {
		return // Why says so
	}
	worst := c.Interval[1] // of the difference, where less is better
	if MetricOf(c.Metric).Better > 0 {
		worst = -c.Interval[0]
	}
	allowed := c.Margin / 100 * math.Abs(c.Against)
	c.Met = worst <= allowed
	c.Why = fmt.Sprintf("%s: %s against %s over %d pairs; at worst %s worse (95 %%), %s allowed (%g %%)", c.Metric, short(c.Candidate), short(c.Against), c.Pairs, short(math.Max(worst, 0)), short(allowed), c.Margin)
}

func short(v float64) string { return fmt.Sprintf("%.4g", v) }

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
