package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	greenwave "github.com/greenwave-traffic/greenwave"
	_ "github.com/greenwave-traffic/greenwave/destination/postgres"
	_ "github.com/greenwave-traffic/greenwave/destination/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// The test binary runs again as a trainer or a syncer when this variable is set.
const roleEnv = "GREENWAVE_CRASH_ROLE"

const (
	experiment = "crash/corridor" // a name that is not a folder name
	stepsPer   = 40               // steps per episode
	episodes   = 5                // episodes per run, if it lives that long
	window     = 1000             // episode numbers per trainer
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "journal":
		err = trainOnJournal(os.Args[1], number(os.Args[2]))
	case "sdk":
		err = trainOnSDK(os.Args[1], number(os.Args[2]), "")
	case "sdk-sync":
		err = trainOnSDK(os.Args[1], number(os.Args[2]), os.Args[3])
	case "sync":
		err = syncForever(os.Args[1], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// acknowledge tells the test that the call for a record has returned. step -1 is
// the episode itself.
func acknowledge(episode, step int) error {
	_, err := fmt.Fprintf(os.Stdout, "%d %d\n", episode, step)
	return err
}

// trainOnJournal writes runs with small segments, so that they are sealed and
// compressed all the time.
func trainOnJournal(dir string, index int) error {
	host, _ := os.Hostname()
	for first := index * window; ; first += episodes {
		w, err := journal.Create(dir, journal.Header{
			Format: 1, RunID: uuid.NewString(), Experiment: experiment, Host: host, PID: os.Getpid(), StartedAt: time.Now(),
		}, journal.Options{SegmentSize: 4096, SyncEvery: 5 * time.Millisecond})
		if err != nil {
			return err
		}
		for episode := first; episode < first+episodes; episode++ {
			for step := range stepsPer {
				data := fmt.Appendf(nil, `{"episode_number":%d,"step_number":%d,"waiting_times":{"ECOLAND":%d.5},"state_vector":[0.25,%d]}`, episode, step, step, episode)
				if _, err := w.Append("step", data, false); err != nil {
					return err
				}
				if err := acknowledge(episode, step); err != nil {
					return err
				}
			}
			data := fmt.Appendf(nil, `{"episode_number":%d,"total_reward":%d.25}`, episode, episode)
			if _, err := w.Append("episode", data, true); err != nil {
				return err
			}
			if err := acknowledge(episode, -1); err != nil {
				return err
			}
		}
		if _, err := w.Append("end", []byte(`{"status":"completed"}`), true); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
}

// trainOnSDK writes runs as a Go trainer does, with its own sync when it has a
// destination.
func trainOnSDK(dir string, index int, db string) error {
	ctx := context.Background()
	for first := index * window; ; first += episodes {
		run, err := greenwave.Start(ctx, greenwave.Config{
			Experiment: experiment, Dir: dir, Destination: db, Logger: slog.New(slog.DiscardHandler),
			Hyperparameters: map[string]any{"first": first},
		})
		if err != nil {
			return err
		}
		for episode := first; episode < first+episodes; episode++ {
			for step := range stepsPer {
				err := run.LogStep(greenwave.Step{
					EpisodeNumber: episode, StepNumber: step, WaitingTimes: map[string]float64{"ECOLAND": float64(step) + 0.5},
					StateVector: []float32{0.25, float32(episode)},
				})
				if err != nil {
					return err
				}
				if err := acknowledge(episode, step); err != nil {
					return err
				}
			}
			if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: episode, TotalReward: float64(episode) + 0.25}); err != nil {
				return err
			}
			if err := acknowledge(episode, -1); err != nil {
				return err
			}
		}
		if err := run.Finish(); err != nil {
			return err
		}
	}
}

// syncForever follows the folder with batches so small that there are many commits.
func syncForever(dir, db string) error {
	store, err := destination.Open(context.Background(), db)
	if err != nil {
		return err
	}
	defer store.Close()
	fmt.Fprintln(os.Stdout, "ready")
	s, err := syncer.New(store, syncer.Config{
		Follow: true, MaxRows: 64, MaxDelay: 10 * time.Millisecond, Poll: 2 * time.Millisecond,
		Rescan: 10 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond,
		ReportEvery: 10 * time.Millisecond,
		OnReport: func(r syncer.Report) {
			if r.New > 0 {
				fmt.Fprintln(os.Stdout, r.New)
			}
		},
	})
	if err != nil {
		return err
	}
	_, err = s.Folder(context.Background(), dir)
	return err
}

// victim is a process that will be killed.
type victim struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	lines  []string      // what it wrote, whole lines only; valid when killed
	begun  chan struct{} // closed after the first line
	moving chan struct{} // closed after the second: something was done
	read   sync.WaitGroup
}

// start runs the test binary in a role.
func start(t *testing.T, role, dir, db string, index int) *victim {
	t.Helper()
	v := &victim{begun: make(chan struct{}), moving: make(chan struct{})}
	v.cmd = exec.Command(os.Args[0], dir, strconv.Itoa(index), db)
	v.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	v.cmd.Stderr = &v.stderr
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.read.Go(func() {
		in := bufio.NewReader(out)
		begun := sync.OnceFunc(func() { close(v.begun) })
		moving := sync.OnceFunc(func() { close(v.moving) })
		defer begun()
		defer moving()
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return // killed: an unfinished line was not written whole
			}
			v.lines = append(v.lines, strings.TrimSuffix(line, "\n"))
			begun()
			if len(v.lines) > 1 {
				moving()
			}
		}
	})
	return v
}

// kill ends the process by SIGKILL at a random time after it has begun, mostly
// after it has done something.
func (v *victim) kill(t *testing.T, random *rand.Rand, longest time.Duration) bool {
	t.Helper()
	select {
	case <-v.begun:
	case <-time.After(time.Minute):
		t.Error("a process has not begun after a minute")
	}
	if random.IntN(4) > 0 {
		select {
		case <-v.moving:
		case <-time.After(3 * time.Second): // there may be nothing to do
		}
	}
	<-time.After(time.Duration(random.Int64N(int64(longest))))
	v.cmd.Process.Kill()
	v.read.Wait()
	v.cmd.Wait()
	if status := v.cmd.ProcessState; status.Exited() {
		t.Errorf("a process ended by itself: %s\n%s", status, v.stderr.String())
		return false
	}
	return true
}
