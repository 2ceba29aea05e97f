package comparison

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// IsFile reports whether a name of an arm is a file: by its ending.
func IsFile(name string) bool {
	base, _, _ := strings.Cut(name, "#")
	return slices.Contains([]string{".csv", ".json", ".jsonl"}, strings.ToLower(filepath.Ext(base)))
}

// ReadFile reads the arms of a results file: a table (CSV) with a column scenario and a
// row for each, or what greenwave evaluate --json prints. A name may end in
// "#controller" where a file has several.
func ReadFile(name string) ([]*Arm, error) {
	path, only, _ := strings.Cut(name, "#")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var arms []*Arm
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		arm, err := readTable(path, text)
		if err != nil {
			return nil, err
		}
		arms = []*Arm{arm}
	} else if arms, err = readEvaluations(path, text); err != nil {
		return nil, err
	}
	if only == "" {
		return arms, nil
	}
	for _, a := range arms {
		if a.Name == only || strings.HasSuffix(a.Name, "#"+only) {
			return []*Arm{a}, nil
		}
	}
	var have []string
	for _, a := range arms {
		have = append(have, a.Name)
	}
	return nil, fmt.Errorf("%s has no controller %q; it has %s", path, only, strings.Join(have, ", "))
}

// columnConditions are columns that state a condition.
var columnConditions = map[string]string{
	"horizon_s": Horizon, "horizon": Horizon, "episode_duration": Horizon, "warmup_s": Warmup, "warmup": Warmup, "warmup_time": Warmup, "begin_s": Begin,
	"network_sha256": Network, "demand_sha256": DemandOf, "sumo_version": SUMO, "metrics_version": Version, "teleport_s": Teleport,
}

var dailyName = regexp.MustCompile(`\d{8}_cycle_\d+`)

// readTable reads a table. Columns that are no numbers everywhere are left out, and so
// are those that count rows.
func readTable(path string, text []byte) (*Arm, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: no header: %w", path, err)
	}
	place := func(names ...string) int {
		return slices.IndexFunc(head, func(h string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(h))) })
	}
	at, seed := place("scenario", "bundle_name"), place("seed", "sumo_seed")
	if at < 0 {
		return nil, fmt.Errorf("%s: no column scenario: there are %s", path, strings.Join(head, ", "))
	}
	a := &Arm{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Source: path}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		m := Measurement{Scenario: row[at], Conditions: map[string]string{}, Metrics: map[string]float64{}, Where: fmt.Sprintf("%s:%d", path, line)}
		if m.Scenario == "" {
			return nil, fmt.Errorf("%s:%d: no scenario", path, line)
		}
		m.day = dailyName.FindString(m.Scenario)
		if seed >= 0 {
			m.Seed = row[seed]
		}
		for i, v := range row {
			name := strings.TrimSpace(head[i])
			if c, ok := columnConditions[name]; ok {
				if v != "" {
					m.Conditions[c] = v
				}
				continue
			}
			if i == at || i == seed || name == "episode" {
				continue
			}
			if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
				m.Metrics[name] = f
			} else if v == "" && MetricOf(name).Better != 0 {
				return nil, fmt.Errorf("%s:%d: %s of scenario %s is empty", path, line, name, m.Scenario)
			}
		}
		a.Measured = append(a.Measured, m)
	}
	if len(a.Measured) == 0 {
		return nil, fmt.Errorf("%s: no rows", path)
	}
	return a, nil
}

// evaluation is a line of greenwave evaluate --json.
type evaluation struct {
	Controller string `json:"controller"`
	Routes     string `json:"routes"`
	scenario
	Evaluated *json.Number `json:"seed"`
}

// readEvaluations reads lines of greenwave evaluate --json, an arm for each controller.
func readEvaluations(path string, text []byte) ([]*Arm, error) {
	var arms []*Arm
	dec := json.NewDecoder(bytes.NewReader(text))
	for n := 1; ; n++ {
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: object %d: %w", path, n, err)
		}
		var e evaluation
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("%s: object %d: %w", path, n, err)
		}
		if e.Controller == "" || e.Routes == "" {
			return nil, fmt.Errorf("%s: object %d has no controller and routes: it is not from greenwave evaluate --json (a whole experiment in a file is read with greenwave import, and then compared by its name)", path, n)
		}
		measures, err := numbers(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: object %d: %w", path, n, err)
		}
		for _, no := range []string{"seed", "begin_s", "warmup_s", "horizon_s"} {
			delete(measures, no)
		}
		m := Measurement{Scenario: scenarioName(e.Routes), Conditions: e.conditions(metadata{}), Metrics: measures, Where: fmt.Sprintf("%s, object %d", path, n)}
		m.day = dailyName.FindString(m.Scenario)
		if e.Evaluated != nil {
			m.Seed = e.Evaluated.String()
		}
		name := filepath.Base(e.Controller)
		i := slices.IndexFunc(arms, func(a *Arm) bool { return a.Name == name })
		if i < 0 {
			i = len(arms)
			arms = append(arms, &Arm{Name: name, Source: path})
		}
		arms[i].Measured = append(arms[i].Measured, m)
	}
	if len(arms) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return arms, nil
}

// scenarioName is the name of the demand files, without folders and endings.
func scenarioName(routes string) string {
	var names []string
	for r := range strings.SplitSeq(routes, ",") {
		names = append(names, strings.TrimSuffix(strings.TrimSuffix(filepath.Base(r), ".xml"), ".rou"))
	}
	return strings.Join(names, "+")
}
