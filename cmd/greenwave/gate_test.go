package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/greenwave-traffic/greenwave"
)

// trainPair records three checkpoints with a test of each on ten scenarios: that of
// episode 20 is better than that of 10 everywhere, that of 30 lets buses wait for it.
func trainPair() {
	if err := recordPair(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func recordPair(dir, experiment string) error {
	run, err := greenwave.Start(context.Background(), greenwave.Config{Experiment: experiment, Dir: dir})
	if err != nil {
		return err
	}
	for _, episode := range []int{10, 20, 30} {
		model := filepath.Join(dir, fmt.Sprintf("%s-%d.bin", experiment, episode))
		if err := os.WriteFile(model, fmt.Appendf(nil, "weights of %s, episode %d\n", experiment, episode), 0o644); err != nil {
			return err
		}
		id, err := run.LogCheckpoint(greenwave.Checkpoint{EpisodeNumber: &episode, CheckpointType: "regular", ModelPath: model})
		if err != nil {
			return err
		}
		for i := range 10 {
			noise := float64(i*7%5) / 4
			delay, buses := 60+float64(i)+noise, 40+float64(i)-noise
			switch episode {
			case 20:
				delay, buses = delay-6-noise, buses-2*noise
			case 30:
				delay, buses = delay-9-3*noise, buses+8+noise
			}
			traffic := map[string]any{"full_delay": delay, "pt_delay": buses}
			if episode > 10 { // the first was tested before this was measured
				traffic["worst_waiting"] = 60 + delay + float64(episode)
			}
			when := "am"
			if i > 4 {
				when = "pm"
			}
			err := run.LogValidation(greenwave.Validation{
				CheckpointID: id, ValidationEpisode: &episode, TotalReward: new(-delay),
				TestScenario: map[string]any{
					"scenario": fmt.Sprintf("%s_%d", when, i), "split": "test", "sumo_seed": 42, "horizon_s": 300, "warmup_s": 30,
					"network_sha256": "n", "demand_sha256": fmt.Sprint("d", i), "sumo_version": "1.15.0", "metrics_version": "1",
				},
				TrafficMetrics:    traffic,
				ComparisonMetrics: map[string]any{"fixed_time": map[string]any{"full_delay": delay + 5, "pt_delay": buses}},
			})
			if err != nil {
				return err
			}
		}
	}
	return run.Finish()
}
