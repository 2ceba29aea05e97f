package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/greenwave-traffic/greenwave"
)

// trainModels is a trainer that saves three models: "trainmodels DIR EXPERIMENT". The
// one that it calls best is not the one with the best validation.
func trainModels() {
	if err := saveModels(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func saveModels(dir, experiment string) error {
	run, err := greenwave.Start(context.Background(), greenwave.Config{Experiment: experiment, Dir: dir})
	if err != nil {
		return err
	}
	for i, c := range []greenwave.Checkpoint{
		{EpisodeNumber: new(10), CheckpointType: "regular", ValidationReward: new(-50.0)},
		{EpisodeNumber: new(20), CheckpointType: "regular", ValidationReward: new(-30.0)},
		{EpisodeNumber: new(30), CheckpointType: "best", ValidationReward: new(-40.0)},
	} {
		c.ModelPath = filepath.Join(dir, fmt.Sprintf("%s-%d.bin", experiment, i))
		if err := os.WriteFile(c.ModelPath, fmt.Appendf(nil, "weights of episode %d\n", *c.EpisodeNumber), 0o644); err != nil {
			return err
		}
		if _, err := run.LogCheckpoint(c); err != nil {
			return err
		}
	}
	return run.Finish()
}
