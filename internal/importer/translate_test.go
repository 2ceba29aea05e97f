package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/greenwave-traffic/greenwave/record"
)

func TestEpisodeNames(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"contract name wins over older ones",
			`{"episode_number":1,"total_reward":2,"steps_completed":7,"episode_steps":8,"step_count":9}`,
			`{"episode_number":1,"total_reward":2,"steps_completed":7,"episode_steps":8,"step_count":9}`},
		{"the final count wins over the running one",
			`{"episode_number":1,"total_reward":2,"vehicles_served":8,"final_completed_trips":9}`,
			`{"episode_number":1,"total_reward":2,"completed_trips":9,"vehicles_served":8}`},
		{"the number of decisions wins over the last one's number",
			`{"episode_number":1,"total_reward":2,"step_count":299,"episode_steps":300}`,
			`{"episode_number":1,"total_reward":2,"steps_completed":300,"step_count":299}`},
		{"null is no value",
			`{"episode_number":1,"total_reward":2,"completed_trips":null,"vehicles_served":8}`,
			`{"episode_number":1,"total_reward":2,"completed_trips":8}`},
		{"seconds become minutes and stay",
			`{"episode_number":1,"total_reward":2,"episode_time":90}`,
			`{"episode_number":1,"total_reward":2,"episode_duration_minutes":1.5,"episode_time":90}`},
		{"episodes count from 0", `{"episode_number":0,"total_reward":2}`, `{"episode_number":0,"total_reward":2}`},
		{"escaped names", `{"episode\u005fnumber":1,"total_reward":2,"vehicles\u005fserved":3}`,
			`{"episode_number":1,"total_reward":2,"completed_trips":3}`},
		{"zeros of the guide's dialect are measurements",
			`{"episode_number":1,"total_reward":2,"avg_queue_length":0,"buses_processed":0,"reward_components":{"avg_queue":1}}`,
			`{"episode_number":1,"total_reward":2,"avg_queue_length":0,"buses_processed":0,"reward_components":{"avg_queue":1}}`},
		{"zeros of the older logger without proof stay",
			`{"episode_number":1,"total_reward":2,"avg_queue_length":0,"buses_processed":0,"step_count":5}`,
			`{"episode_number":1,"total_reward":2,"steps_completed":5,"avg_queue_length":0,"buses_processed":0}`},
		{"a zero that the same line contradicts was not measured",
			`{"episode_number":1,"total_reward":2,"avg_queue_length":0.0,"step_count":5,"reward_components":{"avg_queue":1}}`,
			`{"episode_number":1,"total_reward":2,"steps_completed":5,"reward_components":{"avg_queue":1},"unmeasured":{"avg_queue_length":0.0}}`},
		{"public transport is filled together or not at all",
			`{"episode_number":1,"total_reward":2,"buses_processed":0,"pt_avg_waiting":0,"step_count":5,"reward_components":{"pt_avg_waiting":1}}`,
			`{"episode_number":1,"total_reward":2,"steps_completed":5,"reward_components":{"pt_avg_waiting":1},"unmeasured":{"buses_processed":0,"pt_avg_waiting":0}}`},
		{"a filled one proves the zeros beside it",
			`{"episode_number":1,"total_reward":2,"buses_processed":3,"pt_avg_waiting":0,"step_count":5,"reward_components":{"buses_processed":1}}`,
			`{"episode_number":1,"total_reward":2,"steps_completed":5,"buses_processed":3,"pt_avg_waiting":0,"reward_components":{"buses_processed":1}}`},
		{"trips that took no time were not measured",
			`{"episode_number":1,"total_reward":2,"vehicles_served":3,"avg_travel_time":0,"avg_queue_length":0,"buses_processed":0}`,
			`{"episode_number":1,"total_reward":2,"completed_trips":3,"unmeasured":{"avg_queue_length":0,"buses_processed":0},"avg_travel_time":0}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := translation{loc: time.UTC}
			data, err := tr.episode([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			sameRow(t, record.KindEpisode, data, c.want)
		})
	}
}

func TestStepNames(t *testing.T) {
	number := func([]member) (int64, error) { return 4, nil }
	for _, c := range []struct{ name, in, want string }{
		{"older names", `{"episode_id":"e","step":3,"reward":0.5,"vehicles":7,"timestamp":"2026-01-05T08:00:00.25"}`,
			`{"episode_number":4,"step_number":3,"immediate_reward":0.5,"active_vehicles":7,"real_timestamp":"2026-01-05T08:00:00.25Z","episode_id":"e"}`},
		{"the number wins over the id", `{"episode_number":2,"episode_id":"e","step":3}`, `{"episode_number":2,"step_number":3,"episode_id":"e"}`},
		{"a null number", `{"episode_number":null,"episode_id":"e","step":3}`, `{"episode_number":4,"step_number":3,"episode_id":"e"}`},
		{"one action", `{"episode":1,"step":3,"actions":{"main_agent":2}}`,
			`{"episode_number":1,"step_number":3,"action_taken":2,"intersection_metrics":{"actions":{"main_agent":2}}}`},
		{"actions join the metrics", `{"episode":1,"step":3,"actions":[4,5],"intersection_metrics":{"a":1}}`,
			`{"episode_number":1,"step_number":3,"action_taken":4,"intersection_metrics":{"a":1,"actions":[4,5]}}`},
		{"an action that is no number", `{"episode":1,"step":3,"actions":{"w":"green"}}`,
			`{"episode_number":1,"step_number":3,"intersection_metrics":{"actions":{"w":"green"}}}`},
		{"no action", `{"episode":1,"step":3,"actions":{}}`, `{"episode_number":1,"step_number":3,"intersection_metrics":{"actions":{}}}`},
		{"scalars stay", `{"episode":1,"step":3,"queue_length":12,"avg_speed":3.5}`,
			`{"episode_number":1,"step_number":3,"queue_length":12,"avg_speed":3.5}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := translation{loc: time.UTC}
			data, err := tr.step([]byte(c.in), number)
			if err != nil {
				t.Fatal(err)
			}
			sameRow(t, record.KindStep, data, c.want)
		})
	}
}

// sameRow compares records as rows, members of extra in any order.
func sameRow(t *testing.T, kind record.Kind, data []byte, want string) {
	t.Helper()
	row, err := record.Parse(kind, data, nil)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if got := record.AppendRow(nil, &row); !sameJSON(got, []byte(want)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

// namesOf are the names of both dialects, and some of nobody's.
func namesOf(kind record.Kind, aliases []alias) []string {
	names := []string{"episode_id", "session_id", "start_time", "unmeasured", "as_written", "reward_history", "avg_travel_time",
		"actions", "scenario", "queue_length", "memory_size", "comment"}
	for _, f := range record.SchemaOf(kind).Fields {
		names = append(names, f.Name)
	}
	for _, a := range aliases {
		names = append(names, a.others...)
	}
	return names
}

// TestNoValueIsLost: whatever mixture of the dialects a record is, each of its
// values stands in the row or in its extra, or the record is refused.
func TestNoValueIsLost(t *testing.T) {
	kinds := map[record.Kind][]alias{record.KindEpisode: episodeNames, record.KindStep: stepNames, record.KindValidation: validationNames}
	for kind, aliases := range kinds {
		names := namesOf(kind, aliases)
		t.Run(string(kind), rapid.MakeCheck(func(t *rapid.T) {
			in := map[string]any{}
			var marks []string
			for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 20, rapid.ID[string]).Draw(t, "names") {
				mark := fmt.Sprint(700001 + i)
				switch rapid.IntRange(0, 5).Draw(t, name) {
				case 0, 1:
					in[name] = 700001 + i
				case 2:
					in[name] = "text-" + mark
				case 3:
					in[name] = map[string]any{"west": 700001 + i}
				case 4:
					at := "2026-01-05 08:00:00." + mark
					in[name] = at
				case 5:
					in[name], mark = 0, ""
				}
				if mark != "" {
					marks = append(marks, mark)
				}
			}
			data, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			tr := translation{loc: time.FixedZone("", 8*3600)}
			var out []byte
			switch kind {
			case record.KindEpisode:
				out, err = tr.result(data)
			case record.KindStep:
				out, err = tr.step(data, func([]member) (int64, error) { return 1, nil })
			default:
				out, err = tr.validation(data)
			}
			if err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if !json.Valid(out) {
				t.Fatalf("%s became %s", data, out)
			}
			row, err := record.Parse(kind, out, nil)
			if err != nil {
				var refused *record.FieldError
				if !errors.As(err, &refused) {
					t.Fatalf("%s became %s: %v", data, out, err)
				}
				out = bytes.Clone(out) // reported; what was to be stored must be whole all the same
			} else {
				out = record.AppendRow(nil, &row)
			}
			for _, mark := range marks {
				if !bytes.Contains(out, []byte(mark)) {
					t.Fatalf("%s is lost: %s became %s", mark, data, out)
				}
			}
			if zeros(data) > zeros(out) {
				t.Fatalf("a zero is lost: %s became %s", data, out)
			}
		}))
	}
}

// zeros counts the numbers that are 0 in a JSON text.
func zeros(data []byte) int {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return -1
	}
	var count func(any) int
	count = func(v any) int {
		n := 0
		switch v := v.(type) {
		case map[string]any:
			for _, x := range v {
				n += count(x)
			}
		case []any:
			for _, x := range v {
				n += count(x)
			}
		case float64:
			if v == 0 {
				n = 1
			}
		}
		return n
	}
	return count(v)
}

// FuzzLine: a line is translated or refused, and what was JSON stays JSON.
func FuzzLine(f *testing.F) {
	for _, s := range []string{`{"episode_number":1,"total_reward":2}`, `{"step":1,"actions":{"a":1},"episode":2}`, `{"a":NaN}`,
		`{"timestamp":"2026-01-05 08:00:00","end_time":1}`, `{"intersection_metrics":{},"actions":[]}`, `{`, `{"a":[}`, `[1]`, `{"\u0061":{}}x`,
		`{"step_count":1,"reward_components":{"avg_queue":1},"avg_queue_length":0}`, `{"actions":`, `{"scenario":"Day 20260105, Cycle 1"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		one := func([]member) (int64, error) { return 1, nil }
		tr := translation{loc: time.UTC}
		for _, translate := range []func([]byte) ([]byte, error){
			tr.episode, tr.result, tr.validation,
			func(b []byte) ([]byte, error) { return tr.step(b, one) },
		} {
			before := bytes.Clone(line)
			out, err := translate(line)
			if !bytes.Equal(before, line) {
				t.Fatal("the line was changed")
			}
			if err == nil && json.Valid(line) != json.Valid(out) && json.Valid(line) {
				t.Fatalf("%q became %q", line, out)
			}
			if err == nil && !json.Valid(line) && json.Valid(out) {
				t.Fatalf("%q is not JSON but became %q", line, out)
			}
			if err != nil && json.Valid(line) && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{")) {
				t.Fatalf("%q was refused: %v", line, err)
			}
		}
	})
}
