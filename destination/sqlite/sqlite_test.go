package sqlite_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave"
	_ "github.com/greenwave-traffic/greenwave/destination/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func train(t *testing.T, destination string, mode greenwave.Mode, timeout time.Duration) greenwave.Report {
	t.Helper()
	run, err := greenwave.Start(t.Context(), greenwave.Config{
		Experiment: "corridor", Dir: t.TempDir(), Destination: destination, Mode: mode, FinishTimeout: timeout,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for e := range 5 {
		if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: e, TotalReward: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	return run.Report()
}

func experiment(t *testing.T, path string) store.Experiment {
	t.Helper()
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := s.Experiment(t.Context(), "corridor")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSyncsIntoANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenwave.db")
	for n := range 2 { // the second run finds the tables
		rep := train(t, "sqlite:"+path, "", time.Minute)
		if rep.Synced != 6 || rep.Pending != 0 || rep.LastError != "" || rep.Sync != greenwave.SyncInProcess || rep.Destination != "sqlite:"+path {
			t.Errorf("the report is %+v", rep)
		}
		if e := experiment(t, path); e.TotalEpisodes != 5 || e.Status != "completed" || len(e.Runs) != n+1 {
			t.Errorf("the experiment is %+v", e)
		}
	}
}

func TestBatchAndOfflineLeaveTheDatabaseAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenwave.db")
	for _, mode := range []greenwave.Mode{greenwave.Batch, greenwave.Offline} {
		rep := train(t, "sqlite:"+path, mode, time.Minute)
		if rep.Sync != greenwave.SyncNone || rep.Synced != 0 || rep.Pending != 0 || rep.LastError != "" {
			t.Errorf("%s: the report is %+v", mode, rep)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: the database was touched: %v", mode, err)
		}
	}
}

func TestADestinationThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("this is not a database, and it is longer than the header of one would be, so that it is read as such"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, destination := range map[string]string{
		"a folder":       "sqlite:" + dir,
		"no such folder": "sqlite:" + filepath.Join(dir, "no", "such", "db"),
		"garbage":        "sqlite:" + garbage,
		"no path":        "sqlite:",
		"no scheme":      "greenwave.db",
		"unknown scheme": "mysql://host/db",
	} {
		t.Run(name, func(t *testing.T) {
			rep := train(t, destination, "", 500*time.Millisecond)
			if rep.Durable != 6 || rep.Synced != 0 || rep.LastError == "" {
				t.Errorf("the report is %+v", rep)
			}
			t.Log(rep.LastError)
		})
	}
}
