package comparison

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Stored are the arms that an experiment in the database has: itself, as its last test
// measured it, and each baseline of the same test.
type Stored struct {
	Experiment store.Experiment
	Learned    *Arm
	Baselines  map[string]*Arm // by name: fixed_time, max_pressure, …
}

// scenario is a test_scenario or scenario_info as trainers write it.
type scenario struct {
	Scenario string       `json:"scenario"`
	Bundle   string       `json:"bundle_name"`
	Day      any          `json:"day"`
	Cycle    any          `json:"cycle"`
	Split    string       `json:"split"`
	Demand   string       `json:"demand_sha256"`
	Network  string       `json:"network_sha256"`
	SUMO     string       `json:"sumo_version"`
	Version  string       `json:"metrics_version"`
	Seed     *json.Number `json:"sumo_seed"`
	Begin    *json.Number `json:"begin_s"`
	Warmup   *json.Number `json:"warmup_s"`
	Horizon  *json.Number `json:"horizon_s"`
	Teleport *json.Number `json:"teleport_s"`
	Signals  any          `json:"intersections"` // a list; other loggers may write what they like
	// Of validations that are one row for several scenarios.
	Files []any `json:"files"`
}

// name is how a scenario is known; empty when the row is about several.
func (s *scenario) name() string { return cmp.Or(s.Scenario, s.Bundle, s.daily()) }

// daily is the scenario as day and cycle.
func (s *scenario) daily() string {
	if s.Day == nil || s.Cycle == nil {
		return ""
	}
	return fmt.Sprintf("%v_cycle_%v", s.Day, s.Cycle)
}

// signals counts the intersections; 0 when they are not listed.
func (s *scenario) signals() int {
	list, _ := s.Signals.([]any)
	return len(list)
}

// conditions are what the row states, filled up with what its experiment does.
func (s *scenario) conditions(of metadata) map[string]string {
	c := map[string]string{
		DemandOf: s.Demand, Network: cmp.Or(s.Network, of.Network), SUMO: cmp.Or(s.SUMO, of.SUMO), Version: cmp.Or(s.Version, of.Version),
	}
	for name, n := range map[string]*json.Number{Horizon: s.Horizon, Warmup: s.Warmup, Begin: s.Begin, Teleport: s.Teleport} {
		if n != nil {
			c[name] = n.String()
		}
	}
	maps.DeleteFunc(c, func(_, v string) bool { return v == "" })
	return c
}

// metadata is what an experiment's own metadata say about its measurements.
type metadata struct {
	Network string `json:"network_sha256"`
	SUMO    string `json:"sumo_version"`
	Version string `json:"metrics_version"`
	Demand  struct {
		Training []struct {
			Path, SHA256 string
		} `json:"training"`
	} `json:"demand"`
}

// Load reads an experiment's last test from the database. With an episode of 0 or more
// it takes the test of the checkpoint of that episode.
func Load(ctx context.Context, s store.Reader, name string, episode int64) (*Stored, error) {
	e, err := s.Experiment(ctx, name)
	if err != nil {
		return nil, err
	}
	var meta metadata
	if len(e.Metadata) > 0 {
		if err := json.Unmarshal(e.Metadata, &meta); err != nil {
			return nil, fmt.Errorf("metadata of %s: %w", name, err)
		}
	}
	st := &Stored{Experiment: e, Baselines: map[string]*Arm{}}
	st.Learned = &Arm{Name: name, Source: "experiment in the database", Query: query(name), Trained: map[string]string{}}
	for _, f := range meta.Demand.Training {
		st.Learned.Trained[f.SHA256] = f.Path
	}
	if err := st.read(ctx, s, meta, episode); err != nil {
		return nil, err
	}
	if len(meta.Demand.Training) == 0 && len(st.Learned.Measured) > 0 {
		if err := st.learnedFrom(ctx, s); err != nil {
			return nil, err
		}
	}
	if e.Status == "running" {
		st.Learned.Warnings = append(st.Learned.Warnings, name+" is still running: this is its last test so far")
	}
	return st, nil
}

// query shows the rows that an experiment's measurements are from.
func query(name string) string {
	return "SELECT v.* FROM validation_results v JOIN experiments e ON e.id = v.experiment_id WHERE e.experiment_name = '" +
		strings.ReplaceAll(name, "'", "''") + "' ORDER BY v.logged_at"
}

// test is one pass over the test scenarios: the rows of one checkpoint.
type test struct {
	checkpoint string
	episode    int64
	last       time.Time
	rows       []Measurement
	baselines  map[string][]Measurement
}

// read collects the rows that are about one scenario, by the checkpoint they tested.
func (st *Stored) read(ctx context.Context, s store.Reader, meta metadata, episode int64) error {
	tests := map[string]*test{}
	aggregates, untested := 0, 0
	for row, err := range s.Rows(ctx, st.Experiment.ID, record.KindValidation) {
		if err != nil {
			return fmt.Errorf("validations of %s: %w", st.Learned.Name, err)
		}
		var sc scenario
		if text := row.Row.Get("test_scenario").Bytes(); len(text) > 0 {
			if err := json.Unmarshal(text, &sc); err != nil {
				return fmt.Errorf("test_scenario of validation %d of run %s: %w", row.Seq, row.RunID, err)
			}
		}
		if sc.name() == "" || len(sc.Files) > 0 {
			aggregates++
			continue
		}
		if sc.Split != "" && sc.Split != "test" {
			untested++
			continue
		}
		if err := st.add(tests, row, &sc, meta); err != nil {
			return err
		}
	}
	var chosen *test
	for _, t := range tests {
		if episode >= 0 && t.episode != episode {
			continue
		}
		if chosen == nil || t.last.After(chosen.last) {
			chosen = t
		}
	}
	if chosen == nil {
		return st.nothing(tests, aggregates, untested, episode)
	}
	if len(tests) > 1 && episode < 0 {
		st.Learned.Warnings = append(st.Learned.Warnings, fmt.Sprintf("%s was tested %d times; this is the last test, of the checkpoint of episode %d", st.Learned.Name, len(tests), chosen.episode))
	}
	st.Learned.Source = fmt.Sprintf("experiment in the database, checkpoint of episode %d", chosen.episode)
	st.Learned.Measured = latest(chosen.rows)
	st.Learned.of = tested{st.Experiment.Name, chosen.checkpoint, chosen.episode}
	for name, rows := range chosen.baselines {
		st.Baselines[name] = &Arm{
			Name: st.Learned.Name + ":" + name, Source: "baseline of the same test", Query: st.Learned.Query, Measured: latest(rows),
		}
	}
	return nil
}

// ErrNoTest is an experiment without a test scenario by scenario.
var ErrNoTest = errors.New("not tested")

// noTest is [ErrNoTest] in words.
type noTest struct{ says string }

func (e *noTest) Error() string        { return e.says }
func (e *noTest) Is(target error) bool { return target == ErrNoTest }

func (st *Stored) nothing(tests map[string]*test, aggregates, untested int, episode int64) error {
	switch name := st.Learned.Name; {
	case episode >= 0 && len(tests) > 0:
		var have []string
		for _, t := range tests {
			have = append(have, strconv.FormatInt(t.episode, 10))
		}
		slices.Sort(have)
		return fmt.Errorf("%s was not tested after episode %d; there are tests of episode %s", name, episode, strings.Join(have, ", "))
	case aggregates+untested > 0:
		return &noTest{fmt.Sprintf("%s has no test scenario by scenario: its %d validations are means over several scenarios or chose the checkpoint, and cannot be paired; train with test files, or compare results files", name, aggregates+untested)}
	default:
		return &noTest{fmt.Sprintf("%s has no test results: train with test files, or compare results files", name)}
	}
}

// add adds a row to its test, and what it says about baselines.
func (st *Stored) add(tests map[string]*test, row *store.Stored, sc *scenario, meta metadata) error {
	checkpoint := string(row.Row.Get("checkpoint_id").Bytes())
	t := tests[checkpoint]
	if t == nil {
		t = &test{checkpoint: checkpoint, baselines: map[string][]Measurement{}}
		tests[checkpoint] = t
	}
	t.episode = row.Row.Get("validation_episode").Int()
	if row.Time.After(t.last) {
		t.last = row.Time
	}
	m := Measurement{
		Scenario: sc.name(), Conditions: sc.conditions(meta), day: sc.daily(), signals: sc.signals(),
		Where: fmt.Sprintf("validation_results, run %s, record %d", row.RunID, row.Seq),
	}
	if sc.Seed != nil {
		m.Seed = sc.Seed.String()
	}
	measured := m
	var err error
	if measured.Metrics, err = numbers(row.Row.Get("traffic_metrics").Bytes()); err != nil {
		return fmt.Errorf("traffic_metrics of %s: %w", m.Where, err)
	}
	if r := row.Row.Get("total_reward"); !r.IsNull() {
		measured.Metrics["total_reward"] = r.Float()
	}
	t.rows = append(t.rows, measured)
	var baselines map[string]json.RawMessage
	if text := row.Row.Get("comparison_metrics").Bytes(); len(text) > 0 {
		if err := json.Unmarshal(text, &baselines); err != nil {
			return fmt.Errorf("comparison_metrics of %s: %w", m.Where, err)
		}
	}
	for name, text := range baselines {
		b := m
		if b.Metrics, err = numbers(text); err != nil || len(b.Metrics) == 0 {
			continue // a number of its own, not a baseline's measures
		}
		delete(b.Metrics, "improvement_percent")
		t.baselines[name] = append(t.baselines[name], b)
	}
	return nil
}

// latest keeps the last of the rows of one scenario and seed: a test that was repeated
// after a crash. Rows come by time.
func latest(rows []Measurement) []Measurement {
	at := map[string]int{}
	var kept []Measurement
	for _, m := range rows {
		if i, ok := at[m.key()]; ok {
			kept[i] = m
			continue
		}
		at[m.key()] = len(kept)
		kept = append(kept, m)
	}
	return kept
}

// learnedFrom notes the scenarios of the training's episodes, for experiments whose
// metadata do not name their demand.
func (st *Stored) learnedFrom(ctx context.Context, s store.Reader) error {
	for row, err := range s.Page(ctx, st.Experiment.ID, record.KindEpisode, store.Range{Columns: []string{"scenario_info"}}) {
		if err != nil {
			return fmt.Errorf("episodes of %s: %w", st.Learned.Name, err)
		}
		var sc scenario
		text := row.Row.Get("scenario_info").Bytes()
		if len(text) == 0 || json.Unmarshal(text, &sc) != nil {
			continue // what the scenario was is not known
		}
		for _, id := range []string{sc.Demand, sc.name(), sc.daily()} {
			if id != "" {
				st.Learned.Trained[id] = sc.name()
			}
		}
	}
	return nil
}

// numbers are the numbers of a JSON object; what is none is left out.
func numbers(text []byte) (map[string]float64, error) {
	out := map[string]float64{}
	if len(text) == 0 {
		return out, nil
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for n, v := range all {
		if f, ok := v.(float64); ok {
			out[n] = f
		}
	}
	return out, nil
}
