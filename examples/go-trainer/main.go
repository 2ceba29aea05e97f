// Command go-trainer trains a signal controller for one crossing and records it. It
// is small on purpose: a queue model instead of a simulator, a table instead of a
// network. What it shows is the recording.
//
//	go run ./examples/go-trainer -episodes 200 -db sqlite:greenwave.db
//	greenwave show crossing-q --db sqlite:greenwave.db
//
// Stop it with ctrl-C or kill -9 and start it again: it goes on where it was.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/greenwave-traffic/greenwave"
	_ "github.com/greenwave-traffic/greenwave/destination/postgres"
	_ "github.com/greenwave-traffic/greenwave/destination/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-trainer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("go-trainer", flag.ContinueOnError)
	experiment := flags.String("experiment", "crossing-q", "name of the experiment")
	dir := flags.String("dir", "runs", "folder of the runs")
	db := flags.String("db", "", "database to sync to (default: what the environment says, or none)")
	episodes := flags.Int("episodes", 100, "train up to this episode")
	if err := flags.Parse(args); err != nil {
		return err
	}

	// Resume, not Start: after a crash the training goes on.
	recording, err := greenwave.Resume(ctx, greenwave.Config{
		Experiment:         *experiment,
		Dir:                *dir,
		Description:        "tabular Q-learning on one crossing",
		Hyperparameters:    map[string]any{"alpha": alpha, "gamma": gamma, "steps": steps},
		Destination:        *db,
		DestinationFromEnv: true,
		LogInterval:        10,
	})
	if err != nil {
		return err
	}
	q, done, err := restore(recording)
	if err != nil {
		return recording.Fail(err)
	}
	for episode := done + 1; episode <= *episodes && ctx.Err() == nil; episode++ {
		if err := train(ctx, recording, q, episode); err != nil {
			// The record is missing, the training is not: go on.
			slog.Warn("not recorded", "episode", episode, "error", err)
		}
		if episode%25 == 0 || episode == *episodes {
			if err := save(recording, q, *dir, episode); err != nil {
				slog.Warn("the checkpoint was not recorded", "episode", episode, "error", err)
			}
		}
	}
	if err := recording.Finish(); err != nil { // as interrupted when ctx has ended
		return err
	}
	rep := recording.Report()
	fmt.Printf("%s: %d records logged, %d synced, %d waiting, in %s\n", rep.Status, rep.Logged, rep.Synced, rep.Pending, rep.Dir)
	return nil
}

const (
	alpha, gamma = 0.1, 0.95
	steps        = 120 // of 5 s
	longest      = 12  // a queue is not told apart beyond this
)

// table holds the value of keeping (0) and of switching (1) the green.
type table [longest + 1][longest + 1][2][2]float64

// train runs one episode: two approaches, one green.
func train(ctx context.Context, recording *greenwave.Run, q *table, episode int) error {
	begun := time.Now()
	random := rand.New(rand.NewPCG(uint64(episode), 1))
	epsilon := max(0.02, 1-float64(episode)/60)
	var queues [2]int
	var total, waited float64
	var served, worst, green int
	for step := range steps {
		if ctx.Err() != nil {
			return nil // an unfinished episode is not logged
		}
		a, b, g := min(queues[0], longest), min(queues[1], longest), green
		action := 0
		if random.Float64() < epsilon {
			action = random.IntN(2)
		} else if q[a][b][g][1] > q[a][b][g][0] {
			action = 1
		}
		out := 2 // vehicles in 5 s of green
		if action == 1 {
			green, out = 1-green, 0 // the yellow costs the step
		}
		left := min(queues[green], out)
		queues[green] -= left
		served += left
		for i, rate := range []float64{0.35, 0.9} {
			for range 2 {
				if random.Float64() < rate/2 {
					queues[i]++
				}
			}
		}
		reward := -float64(queues[0] + queues[1])
		total += reward
		waited += 5 * float64(queues[0]+queues[1])
		worst = max(worst, queues[0], queues[1])
		next := &q[min(queues[0], longest)][min(queues[1], longest)][green]
		value := &q[a][b][g][action]
		*value += alpha * (reward + gamma*max(next[0], next[1]) - *value)
		err := recording.LogStep(greenwave.Step{
			EpisodeNumber: episode, StepNumber: step,
			ActiveVehicles:  new(queues[0] + queues[1]),
			QueueLengths:    map[string]map[string]float64{"crossing": {"north": float64(queues[0]), "east": float64(queues[1])}},
			StateVector:     []float32{float32(a), float32(b), float32(g)},
			ActionTaken:     new(action),
			ImmediateReward: new(reward),
			SimulationTime:  new(float64(5 * step)),
		})
		if err != nil {
			slog.Warn("not recorded", "episode", episode, "step", step, "error", err)
		}
	}
	return recording.LogEpisode(greenwave.Episode{
		EpisodeNumber: episode, TotalReward: total, StepsCompleted: new(steps),
		EpsilonValue: new(epsilon), CompletedTrips: new(served),
		AvgWaitingTime: new(waited / float64(max(served, 1))), MaxQueueLength: new(float64(worst)),
		EpisodeDurationMinutes: new(time.Since(begun).Minutes()),
	})
}

// save writes the table to a file, whole or not at all, and logs it as a checkpoint.
func save(recording *greenwave.Run, q *table, dir string, episode int) error {
	data, err := json.Marshal(q)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%04d.json", filepath.Base(recording.Dir()), episode))
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	_, err = recording.LogCheckpoint(greenwave.Checkpoint{EpisodeNumber: new(episode), CheckpointType: "regular", ModelPath: path})
	return err
}

// restore loads what the run before has learned, and how far it was then. Episodes
// after the last checkpoint are trained again; the later ones count.
func restore(recording *greenwave.Run) (*table, int, error) {
	q := new(table)
	c, err := recording.LastCheckpoint()
	if err != nil || c == nil {
		return q, 0, err
	}
	data, err := os.ReadFile(c.ModelPath)
	if err == nil {
		err = json.Unmarshal(data, q)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("the last checkpoint: %w", err)
	}
	return q, *c.EpisodeNumber, nil
}
