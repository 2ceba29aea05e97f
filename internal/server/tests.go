package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/record"
)

// Judgement compares experiments on the demand of their tests, scenario by scenario.
type Judgement struct {
	Measure   string   `json:"measure"`
	Reference string   `json:"reference"` // what the others are compared with: the first experiment that has tests
	Items     []Judged `json:"items"`
}

// Judged is an experiment on its tests.
type Judged struct {
	Experiment string               `json:"experiment"`
	Scenarios  int                  `json:"scenarios"`         // of its tests: demand file and seed
	Mean       *float64             `json:"mean"`              // of the measure
	Against    *analysis.Comparison `json:"against,omitempty"` // it minus the reference, over the scenarios that both have
	Holm       *float64             `json:"p_holm,omitempty"`  // p after Holm's correction over all items
	Reason     string               `json:"reason,omitempty"`  // why there is no comparison
}

// judge answers with paired comparisons over the scenarios of the tests.
func (s *Server) judge(w http.ResponseWriter, r *http.Request) error {
	refs := listOf(r.URL.Query(), "experiments")
	if len(refs) == 0 || len(refs) > 200 {
		return badRequest("nothing_to_compare", "experiments must name 1 to 200 experiments, as experiments=a,b")
	}
	out := Judgement{Measure: r.URL.Query().Get("measure"), Items: []Judged{}}
	if out.Measure == "" {
		out.Measure = "full_delay"
	}
	if !measureName.MatchString(out.Measure) {
		return badRequest("bad_measure", fmt.Sprintf("measure is %q: must be total_reward or a member of traffic_metrics, such as full_delay", out.Measure))
	}
	var reference map[string]float64
	var p []float64
	for _, ref := range refs {
		e, err := s.find(r.Context(), ref)
		if err != nil {
			return err
		}
		tests, err := s.tests(r, e.ID, out.Measure)
		if err != nil {
			return err
		}
		item := Judged{Experiment: e.Name, Scenarios: len(tests)}
		var mine, theirs []float64
		sum := 0.0
		for _, key := range slices.Sorted(maps.Keys(tests)) {
			sum += tests[key]
			if other, both := reference[key]; both {
				mine, theirs = append(mine, tests[key]), append(theirs, other)
			}
		}
		switch {
		case len(tests) == 0:
			item.Reason = "it has no tests with this measure"
		case reference == nil:
			reference, out.Reference = tests, e.Name
		default:
			c, err := analysis.Compare(mine, theirs)
			if err != nil {
				item.Reason = err.Error()
				break
			}
			item.Against = &c
			p = append(p, c.P)
		}
		if len(tests) > 0 {
			item.Mean = new(sum / float64(len(tests)))
		}
		out.Items = append(out.Items, item)
	}
	corrected := analysis.Holm(p)
	for i := range out.Items {
		if out.Items[i].Against != nil {
			out.Items[i].Holm, corrected = &corrected[0], corrected[1:]
		}
	}
	return s.json(w, r, out)
}

// tests reads a measure of an experiment's tests by scenario. Of two tests of a
// scenario the later counts.
func (s *Server) tests(r *http.Request, experimentID, measure string) (map[string]float64, error) {
	found := map[string]float64{}
	for row, err := range s.opt.Store.Rows(r.Context(), experimentID, record.KindValidation) {
		if err != nil {
			return nil, err
		}
		var scenario struct {
			Split   string          `json:"split"`
			Demand  string          `json:"demand_sha256"`
			Name    string          `json:"scenario"`
			Seed    json.RawMessage `json:"sumo_seed"`
			Begin   float64         `json:"begin_s"`
			Warmup  float64         `json:"warmup_s"`
			Horizon float64         `json:"horizon_s"`
		}
		if v := row.Row.Get("test_scenario"); v.IsNull() || json.Unmarshal(v.Bytes(), &scenario) != nil || scenario.Split != "test" {
			continue
		}
		value, err := measureOf(&row.Row, measure)
		if err != nil {
			continue
		}
		if scenario.Demand == "" {
			scenario.Demand = scenario.Name
		}
		found[fmt.Sprint(scenario.Demand, " ", string(scenario.Seed), " ", scenario.Begin, " ", scenario.Warmup, " ", scenario.Horizon)] = value
	}
	return found, nil
}

var measureName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

var errNoMeasure = errors.New("the row does not have the measure")

func measureOf(row *record.Row, measure string) (float64, error) {
	if measure == "total_reward" {
		if v := row.Get("total_reward"); !v.IsNull() {
			return v.Float(), nil
		}
		return 0, errNoMeasure
	}
	var metrics map[string]json.RawMessage
	if v := row.Get("traffic_metrics"); v.IsNull() || json.Unmarshal(v.Bytes(), &metrics) != nil {
		return 0, errNoMeasure
	}
	var value *float64
	if json.Unmarshal(metrics[measure], &value) != nil || value == nil {
		return 0, errNoMeasure
	}
	return *value, nil
}
