package record

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// refusals are records that Parse refuses; testdata/errors.golden has what it says.
var refusals = []struct {
	kind Kind
	data string
}{
	{KindStep, ``},
	{KindStep, `[]`},
	{KindStep, `{`},
	{KindStep, `{"episode_number": 1`},
	{KindStep, `{"episode_number": 1,}`},
	{KindStep, `{"episode_number" 1}`},
	{KindStep, `{"episode_number": 1} {}`},
	{KindStep, `{"episode_number": `},
	{KindStep, `{"episode_number": nul}`},
	{KindStep, `{"bad` + "\xff" + `": 1}`},
	{KindStep, `{"half \ud800": 1}`},
	{KindStep, `{}`},
	{KindStep, `{"episode_number": 1}`},
	{KindStep, `{"episode_number": null, "step_number": 1}`},
	{KindStep, `{"episode_number": NaN, "step_number": 1}`},
	{KindStep, `{"episode_number": "1", "step_number": 1}`},
	{KindStep, `{"episode_number": 1.5, "step_number": 1}`},
	{KindStep, `{"episode_number": -1, "step_number": 1}`},
	{KindStep, `{"episode_number": 2147483648, "step_number": 1}`},
	{KindStep, `{"episode_number": 99999999999999999999, "step_number": 1}`},
	{KindStep, `{"episode_number": true, "step_number": 1}`},
	{KindStep, `{"episode_number": 01, "step_number": 1}`},
	{KindStep, `{"episode_number": 1, "episode_number": 1, "step_number": 1}`},
	{KindStep, `{"x": 1, "\u0078": 2}`},
	{KindStep, `{"active_vehicles": "45"}`},
	{KindStep, `{"active_vehicles": 3.5}`},
	{KindStep, `{"active_vehicles": -3}`},
	{KindStep, `{"action_taken": 9223372036854775808}`},
	{KindStep, `{"immediate_reward": "2.34"}`},
	{KindStep, `{"immediate_reward": 1e999}`},
	{KindStep, `{"immediate_reward": 1.}`},
	{KindStep, `{"immediate_reward": .5}`},
	{KindStep, `{"immediate_reward": +1}`},
	{KindStep, `{"immediate_reward": Nan}`},
	{KindStep, `{"immediate_reward": {"a": 1}}`},
	{KindStep, `{"simulation_time": -0.5}`},
	{KindStep, `{"queue_lengths": [1, 2]}`},
	{KindStep, `{"queue_lengths": {"ECOLAND": {"north": "3"}}}`},
	{KindStep, `{"queue_lengths": {"ECOLAND": {"north": 3, "south": [1, {"a": true}]}}}`},
	{KindStep, `{"waiting_times": {"5th.Ave": "15.2"}}`},
	{KindStep, `{"speeds": {"ECOLAND": 1e400}}`},
	{KindStep, `{"speeds": {"ECOLAND": 12 13}}`},
	{KindStep, `{"intersection_metrics": {"a": {"b": [1, 2, tru]}}}`},
	{KindStep, `{"intersection_metrics": {"a": "NUL \u0000 inside"}}`},
	{KindStep, `{"intersection_metrics": {"a": ["half \udc00"]}}`},
	{KindStep, `{"intersection_metrics": {"a": "` + "caf\xe9" + `"}}`},
	{KindStep, `{"intersection_metrics": {"a": "` + "tab\t" + `"}}`},
	{KindStep, `{"intersection_metrics": {"a": 1e-99999}}`},
	{KindStep, `{"intersection_metrics": ` + strings.Repeat(`{"a":`, 501) + `1` + strings.Repeat(`}`, 501) + `}`},
	{KindStep, `{"state_vector": [0.15, 0.23, 0.45, "..."]}`},
	{KindStep, `{"state_vector": [0.15, "0.23"]}`},
	{KindStep, `{"state_vector": [0.15, [0.23]]}`},
	{KindStep, `{"state_vector": [0.15, true]}`},
	{KindStep, `{"state_vector": [0.15, 1e999]}`},
	{KindStep, `{"state_vector": [0.15,]}`},
	{KindStep, `{"state_vector": [0.15 0.23]}`},
	{KindStep, `{"state_vector": [0.15`},
	{KindStep, `{"state_vector": "0.15"}`},
	{KindStep, `{"real_timestamp": 1751967000}`},
	{KindStep, `{"real_timestamp": "yesterday"}`},
	{KindStep, `{"real_timestamp": "2025-02-29T00:00:00Z"}`},
	{KindStep, `{"real_timestamp": "2025-02-28"}`},
	{KindStep, `{"real_timestamp": "2025-02-28T25:00:00"}`},
	{KindStep, `{"notes": [1, 2}`},
	{KindStep, `{"notes": 1e999}`},
	{KindStep, `{"notes": {"a\u0000": 1}}`},
	{KindStep, `{"notes": `},
	{KindStep, `{"non_finite": "speeds"}`},
	{KindStep, `{"non_finite": [1]}`},
	{KindEpisode, `{"episode_number": 1}`},
	{KindEpisode, `{"episode_number": 1, "total_reward": "164.67"}`},
	{KindEpisode, `{"epsilon_value": 1.5}`},
	{KindEpisode, `{"avg_waiting_time": -17.18}`},
	{KindEpisode, `{"scenario_info": "morning"}`},
	{KindEpisode, `{"reward_components": {"waiting_penalty": "-15.2"}}`},
	{KindCheckpoint, `{"checkpoint_type": "latest", "model_path": "m.pt"}`},
	{KindCheckpoint, `{"checkpoint_type": "best"}`},
	{KindCheckpoint, `{"checkpoint_type": "best", "model_path": ""}`},
	{KindCheckpoint, `{"checkpoint_type": 1}`},
	{KindCheckpoint, `{"model_path": "a\u0000b"}`},
	{KindValidation, `{"checkpoint_id": "7"}`},
	{KindValidation, `{"checkpoint_id": "3f1e2d4c-0000-4000-8000-00000000000g"}`},
	{KindBaseline, `{"notes": "` + strings.Repeat("long ", 40) + `", "notes": ""}`},
	{KindBaseline, `{}`},
	{KindEnd, `{"status": "` + strings.Repeat("long ", 40) + `"}`},
	{KindEnd, `{}`},
	{"steps", `{}`},
}

func TestErrorMessages(t *testing.T) {
	var got bytes.Buffer
	for _, r := range refusals {
		_, err := Parse(r.kind, []byte(r.data), nil)
		if err == nil {
			t.Errorf("%s %s: no error", r.kind, r.data)
			continue
		}
		data := r.data
		if len(data) > 80 {
			data = data[:80] + "…"
		}
		fmt.Fprintf(&got, "%s %q\n    %v\n", r.kind, data, err)
	}
	golden(t, "errors.golden", got.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with go test ./record -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if that is right, run go test ./record -update\ngot:\n%s", path, got)
	}
}

// An error of a field is a *FieldError that names it, so that reports can be
// grouped.
func TestFieldError(t *testing.T) {
	_, err := Parse(KindStep, []byte(`{"state_vector": [0.15, "..."]}`), nil)
	var fe *FieldError
	if !errors.As(err, &fe) {
		t.Fatalf("%T is not a *FieldError", err)
	}
	want := FieldError{KindStep, "state_vector[1]", `"..."`, "must be a number"}
	if *fe != want {
		t.Errorf("got %+v, want %+v", *fe, want)
	}
}
