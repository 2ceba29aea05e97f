package importer

import (
	"encoding/json"
	"regexp"
	"strings"
)

func quoted(name string) []byte {
	q, _ := json.Marshal(name) // a string cannot fail
	return q
}

// dayAndCycle is how the older logger names a scenario: "Day 20250829, Cycle 1".
var dayAndCycle = regexp.MustCompile(`^Day ([0-9]{8}), Cycle ([0-9]{1,9})$`)

// result translates an entry of training_results, an episode.
func (t *translation) result(data []byte) ([]byte, error) {
	if err := t.begin(data, episodeNames); err != nil {
		return nil, err
	}
	if i := find(t.ms, "scenario"); i >= 0 && !t.has("scenario_info") {
		if name, isText := text(t.ms[i].value); isText {
			var info object
			info.reset()
			info.put("bundle_name", t.ms[i].value)
			if m := dayAndCycle.FindStringSubmatch(name); m != nil {
				info.put("day", quoted(m[1]))
				cycle := strings.TrimLeft(m[2], "0")
				if cycle == "" {
					cycle = "0"
				}
				info.put("cycle", []byte(cycle))
			}
			t.replace("scenario_info", info.close(), i)
		}
	}
	t.leaveOutUnmeasured()
	return t.finish(), nil
}

// validation translates an entry of validation_results. The means over the
// scenarios go to traffic_metrics.
func (t *translation) validation(data []byte) ([]byte, error) {
	if err := t.begin(data, validationNames); err != nil {
		return nil, err
	}
	if i := find(t.ms, "scenarios_tested"); i >= 0 && !t.has("test_scenario") {
		var scenario object
		scenario.reset()
		scenario.put("scenarios_tested", t.ms[i].value)
		t.replace("test_scenario", scenario.close(), i)
	}
	if !t.has("traffic_metrics") {
		var metrics object
		metrics.reset()
		for i, m := range t.ms {
			if t.fate[i] == "" && strings.HasPrefix(string(m.name), "avg_") {
				metrics.add(m.key, m.value)
				t.fate[i] = leftOut
			}
		}
		if !metrics.empty() {
			t.replace("traffic_metrics", metrics.close(), -1)
		}
	}
	return t.finish(), nil
}

// replace writes a column that takes the place of member i and of a null of its own.
func (t *translation) replace(column string, value []byte, i int) {
	if own := find(t.ms, column); own >= 0 {
		t.fate[own] = leftOut
	}
	if i >= 0 {
		t.fate[i] = leftOut
	}
	t.out.put(column, value)
}
