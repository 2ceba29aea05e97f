package pythontest

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestArrays logs what the real numpy and pandas hold.
func TestArrays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs, db := filepath.Join(dir, "runs"), "sqlite:"+filepath.Join(dir, "arrays.db")
	if out, err := python(t, "../../internal/pythontest/testdata/arrays.py", runs).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, command := range []string{"sync", "verify"} {
		if out, err := run(t, command, runs, "--db", db); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	for query, want := range map[string]string{
		"SELECT episode_number, step_number, immediate_reward, action_taken, queue_lengths, speeds, real_timestamp, extra FROM training_steps": `1,2,-0.5,3,"{""A"":{""north"":4}}","{""A"":12.5}",2026-01-02T03:04:05Z,"{""mask"":[[true,false]],""frame"":{""a"":[1]},""non_finite"":[""state_vector[1]"",""state_vector[2]""]}"`,
		"SELECT total_reward, avg_loss, extra FROM training_episodes":                                                                          `,0.25,"{""non_finite"":[""total_reward""]}"`,
		"SELECT config FROM experiments": `"{""gamma"":0.5,""layers"":[64,32]}"`,
	} {
		out, err := run(t, "query", query, "--csv", "--db", db)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s\nwant %s", query, err, out, want)
		}
	}
}
