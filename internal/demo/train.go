package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave"
)

// Options of a training.
type Options struct {
	Dir        string        // folder of the runs
	Models     string        // folder of the saved models
	Experiment string        // name
	Episodes   int           // last episode
	SaveEvery  int           // episodes between checkpoints
	Pace       time.Duration // least time that an episode takes, so that there is something to watch
	Logger     *slog.Logger  // nil: slog.Default
	Progress   io.Writer     // gets one line "episode N reward R" after each acknowledged episode
}

// Train trains from the last checkpoint, if there is one, to the last episode,
// recording all of it, and ends with a
// validation on held-out traffic and a comparison with a fixed-time program.
func Train(ctx context.Context, opt Options) error {
	cfg := greenwave.Config{
		Experiment: opt.Experiment, Dir: opt.Dir, Mode: greenwave.Offline,
		Description:     "Tabular Q-learning on a toy queue model of three intersections",
		Hyperparameters: map[string]any{"algorithm": "tabular Q-learning", "alpha": alpha, "gamma": gamma, "episodes": opt.Episodes, "interval_s": interval, "seed": 7},
		Metadata:        map[string]any{"tags": []string{"demo"}, "model": "toy queue model"},
		Logger:          opt.Logger,
	}
	// Resume is Start when there is no earlier run.
	run, err := greenwave.Resume(ctx, cfg)
	if err != nil {
		return err
	}
	if err := train(ctx, opt, run); err != nil {
		if errors.Is(err, context.Canceled) {
			return errors.Join(err, run.Interrupt("stopped by a signal"))
		}
		return errors.Join(err, run.Fail(err))
	}
	return run.Finish()
}

func train(ctx context.Context, opt Options, run *greenwave.Run) error {
	l := newLearner(7)
	first := 1
	c, err := run.LastCheckpoint()
	if err != nil {
		return err
	}
	if c != nil {
		saved, err := load(*c)
		if err != nil {
			return err
		}
		l.Agents, first = saved.Agents, saved.Episode+1
	}
	begun := time.Now()
	best := math.Inf(-1)
	checkpoint := ""
	for number := first; number <= opt.Episodes; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.epsilon = max(0.02, 1-float64(number)/(0.6*float64(opt.Episodes)))
		began := time.Now()
		o, err := play(trainingSeed(number), l, l, func(s greenwave.Step) error {
			if opt.Pace > 0 && s.StepNumber%(steps/4) == 0 {
				time.Sleep(opt.Pace / 4)
			}
			return run.LogStep(s)
		}, number)
		if err != nil {
			return err
		}
		if err := run.LogEpisode(o.episodeRecord(number, l.epsilon, time.Since(began).Minutes())); err != nil {
			return err
		}
		if opt.Progress != nil {
			fmt.Fprintf(opt.Progress, "episode %d reward %.2f\n", number, o.reward)
		}
		if number%opt.SaveEvery == 0 || number == opt.Episodes {
			reward, _ := evaluate(l, 5)
			kind := "regular"
			if number == opt.Episodes {
				kind = "final"
			} else if reward > best {
				kind = "best"
			}
			best = max(best, reward)
			c, err := save(opt.Models, l, number)
			if err != nil {
				return err
			}
			c.CheckpointType, c.ValidationReward = kind, new(reward)
			c.TrainingTimeMinutes = new(time.Since(begun).Minutes())
			if checkpoint, err = run.LogCheckpoint(c); err != nil {
				return err
			}
		}
	}
	return compare(run, l, opt.Episodes, checkpoint)
}

// evaluate plays held-out episodes without exploring and returns the mean reward and
// the mean waiting time in seconds.
func evaluate(c controller, episodes int) (reward, wait float64) {
	if l, ok := c.(*learner); ok {
		greedy := *l
		greedy.epsilon = 0
		c = &greedy
	}
	for i := range episodes {
		o, _ := play(heldOutSeed(i), c, nil, nil, 0) // without an observer nothing can fail
		reward += o.reward / float64(episodes)
		wait += o.measures().wait / float64(episodes)
	}
	return reward, wait
}

// compare records the validation and the comparison with the baseline, both on the
// same held-out traffic.
func compare(run *greenwave.Run, l *learner, episode int, checkpoint string) error {
	const held = 10
	reward, wait := evaluate(l, held)
	fixedReward, fixedWait := evaluate(fixedTime{}, held)
	scenarios := make([]string, held)
	for i := range scenarios {
		scenarios[i] = seedName(i)
	}
	err := run.LogValidation(greenwave.Validation{
		CheckpointID: checkpoint, ValidationEpisode: new(episode), TestScenario: map[string]any{"scenarios": scenarios}, TotalReward: new(reward),
		TrafficMetrics:    map[string]any{"avg_waiting_time": wait},
		ComparisonMetrics: map[string]any{"fixed_time": map[string]float64{"total_reward": fixedReward, "avg_waiting_time": fixedWait}},
	})
	if err != nil {
		return err
	}
	return run.LogBaseline(greenwave.Baseline{
		BaselineType: "fixed_time", TestScenarios: scenarios,
		D3QNMetrics:            map[string]any{"total_reward": reward, "avg_waiting_time": wait},
		BaselineMetrics:        map[string]any{"total_reward": fixedReward, "avg_waiting_time": fixedWait},
		ImprovementPercentages: map[string]any{"avg_waiting_time": 100 * (fixedWait - wait) / fixedWait},
		Notes:                  "Toy queue model; the trained controller is tabular Q-learning.",
	})
}

// model is a saved controller.
type model struct {
	Episode int      `json:"episode"`
	Agents  [3]agent `json:"agents"`
}

// save writes the model whole or not at all.
func save(dir string, l *learner, episode int) (greenwave.Checkpoint, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return greenwave.Checkpoint{}, err
	}
	data, err := json.Marshal(model{episode, l.Agents})
	if err != nil {
		return greenwave.Checkpoint{}, err
	}
	path := filepath.Join(dir, fmt.Sprintf("episode-%03d.json", episode))
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return greenwave.Checkpoint{}, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return greenwave.Checkpoint{}, err
	}
	return greenwave.Checkpoint{
		EpisodeNumber: new(episode), ModelPath: path, ModelSizeMB: new(float64(len(data)) / 1e6), ModelHash: digest(data),
	}, nil
}

// load reads the model of a checkpoint and makes sure that it is the one that was
// saved.
func load(c greenwave.Checkpoint) (model, error) {
	var m model
	data, err := os.ReadFile(c.ModelPath)
	if err != nil {
		return m, err
	}
	if h := digest(data); h != c.ModelHash {
		return m, fmt.Errorf("model %s has SHA-256 %s, its checkpoint says %s", c.ModelPath, h, c.ModelHash)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("model %s: %w", c.ModelPath, err)
	}
	for i := range m.Agents {
		if m.Agents[i].Q == nil {
			m.Agents[i].Q = map[int][2]float64{}
		}
	}
	return m, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
