package postgres_test

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave"
	_ "github.com/greenwave-traffic/greenwave/destination/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin starts a run whose reports come through a channel that never blocks it.
func begin(t *testing.T, destination string, timeout time.Duration) (*greenwave.Run, <-chan greenwave.Report) {
	t.Helper()
	reports := make(chan greenwave.Report, 1)
	run, err := greenwave.Start(t.Context(), greenwave.Config{
		Experiment: "corridor", Dir: t.TempDir(), Destination: destination, FinishTimeout: timeout,
		Logger: slog.New(slog.DiscardHandler),
		OnReport: func(r greenwave.Report) {
			select {
			case <-reports: // the one before was not read
			default:
			}
			reports <- r
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Finish() })
	return run, reports
}

// wait takes reports until one is as wanted.
func wait(t *testing.T, reports <-chan greenwave.Report, what string, wanted func(greenwave.Report) bool) greenwave.Report {
	t.Helper()
	late := time.After(time.Minute)
	var last greenwave.Report
	for {
		select {
		case last = <-reports:
			if wanted(last) {
				return last
			}
		case <-late:
			t.Fatalf("no report says that %s; the last was %+v", what, last)
		}
	}
}

// train logs episodes from first on, with steps, and wants each call to be quick:
// the destination must not be waited for.
func train(t *testing.T, run *greenwave.Run, first, episodes int) {
	t.Helper()
	begun := time.Now()
	for e := first; e < first+episodes; e++ {
		for s := range 10 {
			if err := run.LogStep(greenwave.Step{EpisodeNumber: e, StepNumber: s, ImmediateReward: new(1.0)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: e, TotalReward: float64(e)}); err != nil {
			t.Fatal(err)
		}
	}
	// Far more than a busy disk takes, far less than any time-out of a network.
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("%d episodes took %v", episodes, took)
	}
}

// count asks the database itself.
func count(t *testing.T, address, table string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func finish(t *testing.T, run *greenwave.Run) greenwave.Report {
	t.Helper()
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	return run.Report()
}

func settled(r greenwave.Report) bool {
	return r.Synced == r.Logged && r.Pending == 0 && r.Dead == 0 && r.LastError == ""
}

func TestSyncsBesideTheTraining(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	run, reports := begin(t, address, time.Minute)
	train(t, run, 1, 3)
	wait(t, reports, "33 records are synced before the end", func(r greenwave.Report) bool { return r.Synced >= 33 })
	if n := count(t, address, "training_episodes"); n != 3 {
		t.Errorf("%d episodes are in the database during the run, want 3", n)
	}
	rep := finish(t, run)
	if !settled(rep) || rep.Sync != greenwave.SyncInProcess {
		t.Errorf("the report is %+v", rep)
	}
	if n := count(t, address, "training_steps"); n != 30 {
		t.Errorf("%d steps are in the database, want 30", n)
	}
	if n := count(t, address, "experiments WHERE status = 'completed' AND total_episodes = 3"); n != 1 {
		t.Error("the experiment is not completed with 3 episodes")
	}
}

func TestAServerThatIsDown(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	address := server.Database(t)
	server.Kill(t)
	run, reports := begin(t, address, time.Minute)
	train(t, run, 1, 2)
	wait(t, reports, "the database is away", func(r greenwave.Report) bool { return r.LastError != "" && r.Pending > 0 })
	server.Start(t)
	wait(t, reports, "everything is synced", func(r greenwave.Report) bool { return r.Synced >= 22 && r.LastError == "" })

	server.Kill(t) // and away again, in the middle
	train(t, run, 3, 2)
	wait(t, reports, "the database is away again", func(r greenwave.Report) bool { return r.LastError != "" })
	server.Start(t)
	if rep := finish(t, run); !settled(rep) {
		t.Errorf("the report is %+v", rep)
	}
	if n := count(t, address, "training_steps"); n != 40 {
		t.Errorf("%d steps are in the database, want 40", n)
	}
}

// Somebody holds a lock on the table for as long as the training goes.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	run, reports := begin(t, address, time.Minute)
	train(t, run, 1, 1)
	wait(t, reports, "the first episode is synced", func(r greenwave.Report) bool { return r.Synced >= 11 })
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE training_episodes"); err != nil {
		t.Fatal(err)
	}
	train(t, run, 2, 50)
	if rep := run.Report(); rep.Logged < 561 || rep.Pending == 0 {
		t.Errorf("while the table is locked the report is %+v", rep)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if rep := finish(t, run); !settled(rep) {
		t.Errorf("the report is %+v", rep)
	}
	if n := count(t, address, "training_episodes"); n != 51 {
		t.Errorf("%d episodes are in the database, want 51", n)
	}
}

// What cannot work is reported, without the password, and Finish does not wait for
// longer than it may.
func TestADestinationThatIsWrong(t *testing.T) {
	t.Parallel()
	const secret = "s3cret/pass"
	server := pgtest.Shared(t)
	locked, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	locked.User = url.UserPassword(pgtest.LockedUser, secret)
	nowhere := "postgres://greenwave:" + url.QueryEscape(secret) + "@127.0.0.1:1/db"
	for name, address := range map[string]string{
		"password": locked.String(),
		"port":     nowhere,
		"database": server.URL("no_such_database"),
		"url":      "postgres://u:" + secret + "@host:port:port/%zz",
	} {
		t.Run(name, func(t *testing.T) {
			run, reports := begin(t, address, 100*time.Millisecond)
			train(t, run, 1, 2)
			wait(t, reports, "something is wrong", func(r greenwave.Report) bool { return r.LastError != "" })
			begun := time.Now()
			rep := finish(t, run)
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("Finish took %v", took)
			}
			if rep.Durable != 23 || rep.Synced != 0 || rep.LastError == "" {
				t.Errorf("the report is %+v", rep)
			}
			if said := rep.LastError + rep.Destination; strings.Contains(said, secret) || strings.Contains(said, "s3cret") {
				t.Errorf("the report tells the password: %s", said)
			}
			t.Log(rep.LastError)
		})
	}
}
