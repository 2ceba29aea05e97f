package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

// The example trains, is stopped, goes on, and everything is in the database.
func TestTrainStopResume(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "greenwave.db")
	args := []string{"-dir", filepath.Join(dir, "runs"), "-db", "sqlite:" + db, "-episodes"}
	for _, episodes := range []string{"30", "60"} {
		if err := run(t.Context(), append(args, episodes)); err != nil {
			t.Fatal(err)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := run(stopped, append(args, "70")); err == nil {
		t.Error("a run was started after the signal")
	}
	s, err := sqlite.Open(db, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := s.Experiment(t.Context(), "crossing-q")
	if err != nil {
		t.Fatal(err)
	}
	if e.TotalEpisodes != 60 || e.Status != "completed" || len(e.Runs) != 2 {
		t.Errorf("the experiment is %+v", e)
	}
}
