package pythontest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/record"
)

// run runs the real program.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t), args...).CombinedOutput()
	return string(out), err
}

// sameRecords are logged by both clients.
var sameRecords = []struct {
	kind record.Kind
	data string
}{
	{"step", `{"episode_number":1,"step_number":0,"active_vehicles":219,"queue_lengths":{"ECOLAND":{"north":3,"south":0}},"waiting_times":{"ECOLAND":17.25},"speeds":{"ECOLAND":18.51,"JOHNPAUL":0.5},"state_vector":[0,0.5,-1.25,1e-7],"action_taken":3,"immediate_reward":-0.125,"intersection_metrics":{"ECOLAND":{"action":1}},"simulation_time":35.5,"real_timestamp":"2026-01-02T03:04:05.000006Z"}`},
	{"step", `{"episode_number":1,"step_number":1,"speeds":{"5th.Ave":"-Infinity"},"state_vector":[1,"Infinity","NaN"],"immediate_reward":"NaN","real_timestamp":"2026-01-02T03:04:06Z","mine":{"a":[1,2,{"b":"x ü 🚦 <&>"}]},"other":null}`},
	{"episode", `{"episode_number":1,"scenario_info":{"cycle":1,"day":"20250708","intersections":["ECOLAND","JOHNPAUL","SANDAWA"]},"total_reward":164.67,"steps_completed":300,"epsilon_value":0.885,"avg_loss":0.007,"memory_size":300,"max_queue_length":135,"reward_components":{"waiting_penalty":-15.2},"timestamp":"2026-01-02T03:05:00Z","seed":7}`},
	{"episode", `{"episode_number":2,"total_reward":"-Infinity","timestamp":"2026-01-02T03:06:00+08:00"}`},
	{"checkpoint", `{"checkpoint_type":"best","model_path":"s3://bucket/model","model_size_mb":4.5,"model_hash":"abc","episode_number":2,"hyperparameters":{"lr":0.001},"created_at":"2026-01-02T03:07:00Z"}`},
	{"validation", `{"validation_episode":2,"test_scenario":{"seed":1},"total_reward":12.5,"traffic_metrics":{"delay":54.1},"confidence_interval":[1.5,2.5],"timestamp":"2026-01-02T03:08:00Z"}`},
	{"baseline", `{"baseline_type":"fixed_time","d3qn_metrics":{"delay":54.1},"baseline_metrics":{"delay":64.9},"notes":"a\nb","comparison_date":"2026-01-02T03:09:00Z"}`},
	{"experiment", `{"convergence_episode":2,"metadata":{"group":"a"}}`},
}

// tables are compared without what differs by nature: ids, and when it was recorded.
var tables = map[string]string{
	"training_steps":       "episode_number, step_number, active_vehicles, queue_lengths, waiting_times, speeds, state_vector, action_taken, immediate_reward, intersection_metrics, simulation_time, real_timestamp, extra",
	"training_episodes":    "episode_number, scenario_info, total_reward, steps_completed, epsilon_value, avg_loss, memory_size, max_queue_length, reward_components, timestamp, extra",
	"model_checkpoints":    "episode_number, checkpoint_type, model_path, model_size_mb, model_hash, hyperparameters, created_at, extra",
	"validation_results":   "validation_episode, test_scenario, total_reward, traffic_metrics, confidence_interval, timestamp, extra",
	"baseline_comparisons": "baseline_type, d3qn_metrics, baseline_metrics, comparison_date, notes, extra",
	"experiments":          "experiment_name, config, status, total_episodes, best_reward, convergence_episode, metadata",
}

// TestSameRows logs the same records with both clients and compares their rows.
func TestSameRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logGo(t, filepath.Join(dir, "go"))
	var lines bytes.Buffer
	for _, r := range sameRecords {
		one, err := json.Marshal(map[string]any{"kind": r.kind, "data": json.RawMessage(r.data)})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(one, '\n'))
	}
	// The texts for numbers that are not finite become Python's own.
	text := bytes.ReplaceAll(lines.Bytes(), []byte(`"NaN"`), []byte("NaN"))
	text = bytes.ReplaceAll(text, []byte(`"Infinity"`), []byte("Infinity"))
	text = bytes.ReplaceAll(text, []byte(`"-Infinity"`), []byte("-Infinity"))
	input := filepath.Join(dir, "records.jsonl")
	if err := os.WriteFile(input, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := python(t, "../../internal/pythontest/testdata/same.py", filepath.Join(dir, "python"), input).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, who := range []string{"go", "python"} {
		for _, command := range []string{"sync", "verify"} {
			if out, err := run(t, command, filepath.Join(dir, who), "--db", "sqlite:"+filepath.Join(dir, who+".db")); err != nil {
				t.Fatalf("%s %s: %v\n%s", command, who, err, out)
			}
		}
	}
	for table, columns := range tables {
		rows := map[string]string{}
		for _, who := range []string{"go", "python"} {
			out, err := run(t, "query", "SELECT "+columns+" FROM "+table+" ORDER BY 1, 2", "--csv", "--db", "sqlite:"+filepath.Join(dir, who+".db"))
			if err != nil {
				t.Fatalf("%s: %v\n%s", table, err, out)
			}
			rows[who] = out
		}
		if rows["go"] != rows["python"] || strings.Count(rows["go"], "\n") < 2 {
			t.Errorf("%s\nlogged by Go:\n%s\nlogged by Python:\n%s", table, rows["go"], rows["python"])
		}
	}
}

func logGo(t *testing.T, dir string) {
	t.Helper()
	r, err := greenwave.Start(context.WithoutCancel(t.Context()), greenwave.Config{
		Experiment: "same", Dir: dir, Hyperparameters: map[string]any{"lr": 0.1, "layers": []int{64, 32}},
		Logger: slog.New(slog.DiscardHandler), ResourcesEvery: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sameRecords {
		var err error
		switch s.kind {
		case record.KindStep:
			var v greenwave.Step
			err = decode(s.data, &v, func() error { return r.LogStep(v) })
		case record.KindEpisode:
			var v greenwave.Episode
			err = decode(s.data, &v, func() error { return r.LogEpisode(v) })
		case record.KindCheckpoint:
			var v greenwave.Checkpoint
			err = decode(s.data, &v, func() error { _, err := r.LogCheckpoint(v); return err })
		case record.KindValidation:
			var v greenwave.Validation
			err = decode(s.data, &v, func() error { return r.LogValidation(v) })
		case record.KindBaseline:
			var v greenwave.Baseline
			err = decode(s.data, &v, func() error { return r.LogBaseline(v) })
		case record.KindExperiment:
			var v greenwave.Experiment
			err = decode(s.data, &v, func() error { return r.LogExperiment(v) })
		}
		if err != nil {
			t.Fatalf("%s: %v", s.data, err)
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
}

func decode(data string, into any, then func() error) error {
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return err
	}
	return then()
}
