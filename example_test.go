package greenwave_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/greenwave-traffic/greenwave"
)

// config is that of the examples: a folder that is thrown away, and a quiet log.
func config() (cfg greenwave.Config, remove func()) {
	dir, err := os.MkdirTemp("", "greenwave-example-*")
	if err != nil {
		panic(err)
	}
	return greenwave.Config{Experiment: "corridor-d3qn", Dir: dir, Logger: slog.New(slog.DiscardHandler)},
		func() { _ = os.RemoveAll(dir) }
}

// start begins the run of an example.
func start() (run *greenwave.Run, done func()) {
	cfg, remove := config()
	run, err := greenwave.Start(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	return run, func() { _ = run.Finish(); remove() }
}

func Example() {
	cfg, remove := config()
	defer remove()
	run, err := greenwave.Start(context.Background(), cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	for episode := 1; episode <= 3; episode++ {
		total := 0.0
		for step := range 30 {
			reward := -1.5
			total += reward
			err := run.LogStep(greenwave.Step{
				EpisodeNumber: episode, StepNumber: step,
				ActionTaken: new(step % 4), ImmediateReward: new(reward), SimulationTime: new(float64(10 * step)),
			})
			if err != nil {
				fmt.Println(err)
			}
		}
		err := run.LogEpisode(greenwave.Episode{EpisodeNumber: episode, TotalReward: total, StepsCompleted: new(30)})
		if err != nil {
			fmt.Println(err)
		}
	}
	if err := run.Finish(); err != nil {
		fmt.Println(err)
	}
	rep := run.Report()
	fmt.Println(rep.Status, rep.Logged, "logged,", rep.Durable, "on disk")
	// Output: completed 94 logged, 94 on disk
}

// With signal.NotifyContext a SIGTERM ends the run as interrupted, with everything
// that was logged on the disk.
func ExampleStart() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, remove := config()
	defer remove()
	cfg.Description = "dueling double DQN on the three junctions"
	cfg.Hyperparameters = map[string]any{"gamma": 0.97, "learning_rate": 5e-4, "hidden": []int{128, 128}}
	cfg.Metadata = map[string]any{"group": "ablation", "seed": 7}
	cfg.LogInterval = 10
	cfg.OnReport = func(r greenwave.Report) {
		if r.LastError != "" {
			fmt.Println("recording:", r.LastError)
		}
	}
	run, err := greenwave.Start(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.Report().Status)
	if err := run.Finish(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(run.Report().Status)
	// Output:
	// running
	// completed
}

// A job that may be stopped and started again at any time always resumes.
func ExampleResume() {
	cfg, remove := config()
	defer remove()
	for range 2 {
		run, err := greenwave.Resume(context.Background(), cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		last, ok := run.LastEpisode()
		fmt.Println("last episode:", last, ok)
		for episode := last + 1; episode <= last+5; episode++ {
			if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: episode, TotalReward: 1}); err != nil {
				fmt.Println(err)
			}
		}
		if err := run.Pause("to be continued"); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// last episode: 0 false
	// last episode: 5 true
}

func ExampleRun_LogStep() {
	run, done := start()
	defer done()
	err := run.LogStep(greenwave.Step{
		EpisodeNumber:  1,
		StepNumber:     60,
		ActiveVehicles: new(45),
		QueueLengths: map[string]map[string]float64{
			"ECOLAND": {"north": 3, "south": 7, "east": 2, "west": 5},
		},
		WaitingTimes:        map[string]float64{"ECOLAND": 15.2}, // seconds
		Speeds:              map[string]float64{"ECOLAND": 18.5}, // km/h
		StateVector:         []float32{0.15, 0.23, 0.45},
		ActionTaken:         new(3),
		ImmediateReward:     new(2.34),
		IntersectionMetrics: map[string]any{"actions": map[string]int{"ECOLAND": 3}},
		SimulationTime:      new(360.0), // seconds
	})
	fmt.Println(err)
	// Output: <nil>
}

// A value that breaks a rule is refused, with the field and the rule.
func ExampleRun_LogEpisode() {
	run, done := start()
	defer done()
	episode := greenwave.Episode{
		EpisodeNumber: 1,
		TotalReward:   164.67,
		EpsilonValue:  new(88.5),
		Extra:         greenwave.Extra{"weather": "rain"}, // fields without a column are kept
	}
	err := run.LogEpisode(episode)
	var field *greenwave.FieldError
	if errors.As(err, &field) {
		fmt.Println(field)
	}
	episode.EpsilonValue = new(0.885)
	fmt.Println(run.LogEpisode(episode))
	// Output:
	// episode: epsilon_value is 88.5: must be a number from 0 to 1
	// <nil>
}

// The size and the SHA-256 of the model are taken from its file.
func ExampleRun_LogCheckpoint() {
	run, done := start()
	defer done()
	model := filepath.Join(run.Dir(), "..", "model-0005.bin")
	_, err := run.LogCheckpoint(greenwave.Checkpoint{CheckpointType: "best", ModelPath: model})
	fmt.Println("before it is saved:", errors.Is(err, os.ErrNotExist))
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		fmt.Println(err)
	}
	id, err := run.LogCheckpoint(greenwave.Checkpoint{
		EpisodeNumber: new(5), CheckpointType: "best", ModelPath: model, ValidationReward: new(171.2),
	})
	fmt.Println(len(id), err)
	// Output:
	// before it is saved: true
	// 36 <nil>
}

func ExampleRun_LogValidation() {
	run, done := start()
	defer done()
	checkpoint, err := run.LogCheckpoint(greenwave.Checkpoint{
		EpisodeNumber: new(5), CheckpointType: "best", ModelPath: "s3://models/model-0005.bin",
	})
	if err != nil {
		fmt.Println(err)
	}
	err = run.LogValidation(greenwave.Validation{
		CheckpointID:       checkpoint,
		ValidationEpisode:  new(5),
		TestScenario:       map[string]any{"day": "20250708", "cycle": 3},
		TotalReward:        new(171.2),
		TrafficMetrics:     map[string]any{"avg_waiting_time": 16.4},
		ConfidenceInterval: map[string]any{"level": 0.95, "low": 165.1, "high": 177.3},
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleRun_LogBaseline() {
	run, done := start()
	defer done()
	err := run.LogBaseline(greenwave.Baseline{
		BaselineType:           "max_pressure",
		TestScenarios:          []string{"20250708-3", "20250709-1"},
		D3QNMetrics:            map[string]any{"delay": 54.7},
		BaselineMetrics:        map[string]any{"delay": 58.2},
		ImprovementPercentages: map[string]any{"delay": 6.0},
		StatisticalTests:       map[string]any{"delay": map[string]any{"method": "paired t", "p": 0.003}},
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleRun_LogExperiment() {
	run, done := start()
	defer done()
	fmt.Println(run.LogExperiment(greenwave.Experiment{ConvergenceEpisode: new(212)}))
	// Output: <nil>
}

// Steps are on the disk within 100 ms. Flush is for those who cannot wait.
func ExampleRun_Flush() {
	run, done := start()
	defer done()
	for step := range 100 {
		if err := run.LogStep(greenwave.Step{EpisodeNumber: 1, StepNumber: step}); err != nil {
			fmt.Println(err)
		}
	}
	err := run.Flush()
	fmt.Println(run.Report().Durable, err)
	// Output: 100 <nil>
}

// The first end counts, so Finish can be deferred.
func ExampleRun_Finish() {
	cfg, remove := config()
	defer remove()
	train := func() (run *greenwave.Run, err error) {
		run, err = greenwave.Start(context.Background(), cfg)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, run.Finish()) }()
		diverged := errors.New("the loss is NaN")
		return run, errors.Join(diverged, run.Fail(diverged))
	}
	run, err := train()
	fmt.Println(err)
	fmt.Println(run.Report().Status)
	// Output:
	// the loss is NaN
	// failed
}

func ExampleRun_Report() {
	cfg, remove := config()
	defer remove()
	cfg.LogInterval = 10
	run, err := greenwave.Start(context.Background(), cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	for step := range 100 {
		if err := run.LogStep(greenwave.Step{EpisodeNumber: 1, StepNumber: step}); err != nil {
			fmt.Println(err)
		}
	}
	if err := run.Finish(); err != nil {
		fmt.Println(err)
	}
	rep := run.Report()
	fmt.Printf("%d logged, %d on disk, %d steps left out, %d synced (%s)\n", rep.Logged, rep.Durable, rep.Skipped, rep.Synced, rep.Sync)
	// Output: 11 logged, 11 on disk, 90 steps left out, 0 synced (none)
}
