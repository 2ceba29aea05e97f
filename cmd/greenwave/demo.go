package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/demo"
	"github.com/greenwave-traffic/greenwave/internal/journal"
)

type demoCmd struct {
	Dir string `default:"greenwave-demo" help:"Folder to put everything into. What an earlier demo left there is replaced."`

	// What the demo starts itself with.
	Train bool `hidden:"" help:"Train, as a process of its own."`
}

const (
	demoExperiment = "toy-corridor"
	demoEpisodes   = 100
	demoKillAt     = 58 // between two checkpoints, so that some episodes are trained twice
	demoMarker     = ".greenwave-demo"
)

func (c *demoCmd) runs() string { return filepath.Join(c.Dir, "runs") }

// Run shows the whole way of a record in a few seconds: train, crash, resume, sync,
// verify, query, export. Every number that it prints comes from the real thing.
func (c *demoCmd) Run(ctx context.Context, a *app) error {
	if c.Train {
		return c.train(ctx, a)
	}
	if a.cli.JSON {
		return &usageError{errors.New("demo has no --json"), "run it without"}
	}
	begun := a.now()
	if err := c.clear(); err != nil {
		return err
	}
	a.title("A small controller learns on a toy queue model of three intersections")
	a.printf("Q-learning, %d episodes of five simulated minutes. Each episode is on disk\nbefore the training goes on; no database is there yet.\n\n", demoEpisodes)

	acknowledged, err := c.trainUntilKilled(ctx, a)
	if err != nil {
		return err
	}
	left, err := c.afterCrash()
	if err != nil {
		return err
	}
	if left.episodes < acknowledged {
		return fmt.Errorf("%d episodes were said to be safe and the journal in %s has %d", acknowledged, left.dir, left.episodes)
	}
	a.printf("%s in the middle of episode %d.\n", a.paint(amber, "Killed (SIGKILL)"), left.episodes+1)
	a.printf("It had been told that %d episodes are safe. Its journal has %d of them, whole,\nand %s of the one that was cut off: %s.\n\n",
		acknowledged, left.episodes, of(left.steps, "step"), of(left.records, "record"))

	a.title("The training goes on from its last checkpoint")
	if _, err := c.child(ctx, a, true, 0); err != nil {
		return err
	}
	db := "sqlite:" + filepath.Join(c.Dir, "demo.db")
	a.printf("\n%s\n\n", a.paint(blue, "$ export GREENWAVE_DB="+db))
	for _, step := range []struct {
		title string
		args  []string
	}{
		{"Both runs go to a database, each record once", []string{"sync", c.runs()}},
		{"Nothing is there twice, nothing is missing, every value is the same", []string{"verify", c.runs()}},
		{"", []string{"status", c.runs()}},
		{"Did it learn?", []string{"show", demoExperiment}},
		{"Against a fixed-time program, on traffic that it never saw (seconds of waiting)", []string{"query", demoBaseline}},
		{"The guide's own questions", []string{"query", "SELECT * FROM performance_analytics\nWHERE experiment_name = '" + demoExperiment + "'"}},
		{"", []string{"query", demoQuery}},
		{"As files for the next tool", []string{"export", demoExperiment, "--format", "csv", "--out", filepath.Join(c.Dir, "export")}},
	} {
		if step.title != "" {
			a.title(step.title)
		}
		a.printf("%s\n", a.paint(blue, "$ "+commandLine(step.args)))
		if err := a.again(ctx, append(step.args, "--db", db)); err != nil {
			return err
		}
		a.printf("\n")
	}
	a.title(fmt.Sprintf("Done in %s. What next?", duration(a.now().Sub(begun))))
	a.facts(
		"look around", programName()+` query "SELECT * FROM training_steps LIMIT 5"`,
		"read a run", programName()+" inspect \\\n  "+left.dir,
		"your own logs", programName()+" import production_logs",
		"from Go", "go doc github.com/greenwave-traffic/greenwave",
	)
	a.printf("Everything is in %s; delete it when you like.\n", c.Dir)
	return nil
}

const demoBaseline = `SELECT d3qn_metrics ->> 'avg_waiting_time' AS trained,
       baseline_metrics ->> 'avg_waiting_time' AS fixed_time
FROM baseline_comparisons`

const demoQuery = `SELECT AVG(buses_processed) as avg_buses,
       AVG(jeepneys_processed) as avg_jeepneys,
       AVG(pt_passenger_throughput) as avg_pt_throughput
FROM training_episodes
WHERE experiment_id = (SELECT id FROM experiments
                       WHERE experiment_name = '` + demoExperiment + `')`

// train is the child process.
func (c *demoCmd) train(ctx context.Context, a *app) error {
	return demo.Train(ctx, demo.Options{
		Dir: c.runs(), Models: filepath.Join(c.Dir, "models"), Experiment: demoExperiment,
		Episodes: demoEpisodes, SaveEvery: 10, Pace: 16 * time.Millisecond, Progress: a.out,
		// What it tells of itself would be a second voice; what goes wrong is an error.
		Logger: slog.New(slog.NewTextHandler(a.errw, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// trainUntilKilled starts the training and kills it in the middle of an episode.
func (c *demoCmd) trainUntilKilled(ctx context.Context, a *app) (acknowledged int, err error) {
	return c.child(ctx, a, false, demoKillAt)
}

// child runs the training as a process of its own. With killAt it is killed while the
// episode after killAt runs. It returns the last episode that it was told is safe.
func (c *demoCmd) child(ctx context.Context, a *app, resume bool, killAt int) (last int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	args := []string{"demo", "--train", "--dir", c.Dir}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = a.errw
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	// A signal from the terminal reaches the child by itself; this process waits.
	signal.Ignore(syscall.SIGPIPE)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var window []float64
	first := 0
	in := bufio.NewScanner(out)
	for in.Scan() {
		var number int
		var reward float64
		if _, err := fmt.Sscanf(in.Text(), "episode %d reward %f", &number, &reward); err != nil {
			a.printf("%s\n", visible(in.Text()))
			continue
		}
		if first == 0 {
			first = number
			if resume {
				a.printf("resumed at episode %d\n", number)
			}
		}
		last = number
		window = append(window, reward)
		if number%10 == 0 || number == killAt {
			sum := 0.0
			for _, r := range window {
				sum += r
			}
			mean := sum / float64(len(window))
			a.printf("episodes %3d to %3d  mean reward %8.1f  %s\n", number-len(window)+1, number, mean, strings.Repeat("▇", max(1, int((430+mean)/8))))
			window = window[:0]
		}
		a.progress.update("episodes", int64(number), demoEpisodes)
		if number == killAt {
			// Into the next episode, so that steps are in flight.
			time.Sleep(10 * time.Millisecond)
			if err := cmd.Process.Kill(); err != nil {
				return last, err
			}
		}
	}
	a.progress.clear()
	err = cmd.Wait()
	if killAt > 0 && last >= killAt {
		return last, nil
	}
	if err != nil {
		return last, fmt.Errorf("the training ended early: %w", err)
	}
	return last, nil
}

// leftover is what a killed process left in its journal.
type leftover struct {
	dir             string
	episodes, steps int // whole episodes, and steps of the one that was cut off
	records         uint64
}

// afterCrash reads the journal of the killed process.
func (c *demoCmd) afterCrash() (leftover, error) {
	runs, errs := journal.Find(c.runs())
	if len(runs) != 1 {
		return leftover{}, errors.Join(append(errs, fmt.Errorf("%d runs in %s, one is expected", len(runs), c.runs()))...)
	}
	left := leftover{dir: runs[0].Dir}
	r, err := journal.Open(left.dir)
	if err != nil {
		return left, err
	}
	defer r.Close()
	for {
		line, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return left, nil
		case err != nil:
			return left, err
		case line.Damage != nil:
			return left, line.Damage
		}
		left.records++
		switch line.Kind {
		case "episode":
			left.episodes++
			left.steps = 0
		case "step":
			left.steps++
		}
	}
}

// clear takes away what an earlier demo left, and nothing else.
func (c *demoCmd) clear() error {
	marker := filepath.Join(c.Dir, demoMarker)
	entries, err := os.ReadDir(c.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		if _, err := os.Stat(marker); err != nil {
			return next(fmt.Errorf("%s is not empty and not from an earlier demo", c.Dir), "give another folder with --dir")
		}
		if err := os.RemoveAll(c.Dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(marker, []byte("greenwave demo replaces this folder\n"), 0o644)
}

// again runs a command of this program with the same output.
func (a *app) again(ctx context.Context, args []string) error {
	b := *a
	b.cli = cli{}
	if code := run(ctx, args, &b); code != exitDone {
		return fmt.Errorf("greenwave %s ended with exit code %d", args[0], code)
	}
	return nil
}

func (a *app) title(s string) { a.printf("%s\n", a.paint(strong, s)) }

// programName is what one types to run this program from here.
func programName() string {
	if _, err := exec.LookPath("greenwave"); err == nil || filepath.IsAbs(os.Args[0]) {
		return "greenwave"
	}
	return os.Args[0]
}

// commandLine is a command as one would type it.
func commandLine(args []string) string {
	parts := []string{programName()}
	for _, arg := range args {
		if strings.ContainsAny(arg, " '\n*") {
			arg = `"` + arg + `"`
		}
		parts = append(parts, arg)
	}
	return strings.Join(parts, " ")
}
