package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
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

// TestKilledWhileItCarriesModels: greenwave sync is killed again and again while it
// sends models to a bucket, later each time; then it is let finish. Each model is there
// once, whole, and no part is left behind.
func TestKilledWhileItCarriesModels(t *testing.T) {
	const models = 3
	server := artifacttest.NewServer(t)
	runs, db := t.TempDir(), "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db")
	run, err := greenwave.Start(t.Context(), greenwave.Config{Experiment: "corridor", Dir: runs})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range models {
		o, data := artifacttest.Content(uint64(i), 20<<20)
		path := filepath.Join(t.TempDir(), "model.bin")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := run.LogCheckpoint(greenwave.Checkpoint{EpisodeNumber: new(i), CheckpointType: "regular", ModelPath: path}); err != nil {
			t.Fatal(err)
		}
		want[o.Hash] = true
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	program := testProgram(t)
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, append(args, "--db", db, "--models", server.URL("team"))...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+artifacttest.Key, "AWS_SECRET_ACCESS_KEY="+artifacttest.Secret, "DATABASE_URL=", "GREENWAVE_DB=")
		return cmd
	}
	stored := func() (bytes int64) {
		err := filepath.WalkDir(server.Bucket(), func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil { // a part may be gone by now
					bytes += info.Size()
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	killed := 0
	for kills := range 8 {
		cmd := start("sync", runs)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		enough := int64(kills+1) * (models * 20 << 20) / 9 // of the bytes of all models
		until(t, "enough is sent, or all", func() bool { return stored() >= enough || len(ended) > 0 })
		_ = cmd.Process.Kill()
		if <-ended != nil {
			killed++
		}
	}
	if killed < 4 {
		t.Errorf("%d of 8 processes were killed before they had ended", killed)
	}
	for _, args := range [][]string{{"sync", runs}, {"checkpoint", "verify"}} {
		if out, err := start(args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	err = filepath.WalkDir(server.Bucket(), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if !want[d.Name()] {
				t.Errorf("left behind: %s", path)
			}
			delete(want, d.Name())
		}
		return err
	})
	if err != nil || len(want) > 0 {
		t.Errorf("not in the bucket: %v, %v", want, err)
	}
}
