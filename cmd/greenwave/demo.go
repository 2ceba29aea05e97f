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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/demo"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
	"github.com/greenwave-traffic/greenwave/internal/trainer"
)

type demoCmd struct {
	Dir string `default:"greenwave-demo" help:"Folder to put everything into. What an earlier demo left there is replaced."`

	Episodes int `hidden:"" default:"48" help:"Episodes to train."`
	// What the demo starts itself with.
	Train    bool `hidden:"" help:"Train, as a process of its own."`
	LogSteps int  `hidden:"" default:"1" help:"Record every n-th step."`
	Recorded bool `hidden:"" help:"Show the recorded run even if SUMO is here."`

	Listen string `hidden:"" default:"127.0.0.1:8080" help:"Address of the dashboard; a free port where it is taken."`
}

const (
	demoExperiment = "corridor-demo"
	demoMarker     = ".greenwave-demo"
)

// killAt is the episode after which the training is killed: between two checkpoints,
// so that some episodes are trained twice.
func (c *demoCmd) killAt() int { return c.Episodes*5/8 + 1 }

func (c *demoCmd) runs() string     { return filepath.Join(c.Dir, "runs") }
func (c *demoCmd) database() string { return "sqlite:" + filepath.Join(c.Dir, "demo.db") }

// Run shows the whole way of a record: train, crash, resume, sync, verify, query, with
// the dashboard open beside it. Every number that it prints comes from the real thing.
func (c *demoCmd) Run(ctx context.Context, a *app) (err error) {
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
	d, err := c.dashboard(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if version, missing := sumo.Version(ctx, "sumo"); missing == nil && !c.Recorded {
		err = c.live(ctx, a, version)
	} else {
		err = c.recorded(a, missing)
	}
	if err != nil {
		return err
	}
	db := c.database()
	a.printf("\n%s\n\n", a.paint(blue, "$ export GREENWAVE_DB="+db))
	for _, step := range []struct {
		title string
		args  []string
	}{
		{"What the dashboard showed is in a database already; this sends what is not", []string{"sync", c.runs()}},
		{"Nothing is there twice, nothing is missing, every value is the same", []string{"verify", c.runs()}},
		{"", []string{"status", c.runs()}},
		{"Did it learn?", []string{"show", demoExperiment}},
		{"Against controllers that do not learn, on demand that it never saw (in s)", []string{"query", demoBaseline}},
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
	runs, _ := journal.Find(c.runs())
	a.facts(
		"the dashboard", programName()+" serve",
		"look around", programName()+` query "SELECT * FROM training_steps LIMIT 5"`,
		"read a run", programName()+" inspect \\\n  "+runs[0].Dir,
		"train longer", programName()+" train --help",
		"your own logs", programName()+" import production_logs",
		"from Go", "go doc github.com/greenwave-traffic/greenwave",
	)
	a.printf("Everything is in %s; delete it when you like.\n", c.Dir)
	d.stay(ctx, a)
	return nil
}

// live trains, is killed and trains on.
func (c *demoCmd) live(ctx context.Context, a *app, version string) error {
	a.title("A D3QN learns to control three intersections: ECOLAND, JOHNPAUL, SANDAWA")
	a.printf("SUMO %s simulates five minutes of a morning in each of %d episodes.\nEvery record is on disk before the training goes on. The dashboard's server\nreads it there and takes it to a database.\n\n", version, c.Episodes)
	acknowledged, err := c.child(ctx, a, false, c.killAt())
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
	a.printf("%s in the middle of the next episodes.\n", a.paint(amber, "Killed (SIGKILL)"))
	a.printf("It had been told that %d episodes are safe. Its journal has %d of them, whole,\nand %s of those that were cut off: %s.\n\n",
		acknowledged, left.episodes, of(left.steps, "step"), of(left.records, "record"))
	a.title("The training goes on from its last checkpoint, with the same numbers")
	_, err = c.child(ctx, a, true, 0)
	return err
}

// recorded unpacks the run that ships with the program.
func (c *demoCmd) recorded(a *app, missing error) error {
	// The dashboard's server reads the folder of runs: there the recorded one appears whole.
	unpacked := filepath.Join(c.Dir, "unpacked")
	made, err := demo.Recorded(unpacked)
	if err == nil {
		err = os.Rename(filepath.Join(unpacked, demoExperiment), filepath.Join(c.runs(), demoExperiment))
	}
	if err != nil {
		return err
	}
	a.title("A recorded training of three intersections: ECOLAND, JOHNPAUL, SANDAWA")
	why := "as asked"
	if missing != nil {
		why = missing.Error()
	}
	a.printf("No simulation runs here: %s.\nWhat follows is from a run of this demo on %s that ships with the program.\n", why, made.UTC().Format(time.DateOnly))
	return nil
}

const demoBaseline = `SELECT baseline_type,
       round(CAST(baseline_metrics ->> 'full_delay' AS numeric), 1) AS baseline,
       round(CAST(d3qn_metrics ->> 'full_delay' AS numeric), 1) AS d3qn,
       round(CAST(improvement_percentages ->> 'full_delay' AS numeric), 1)
         AS better_by_percent
FROM baseline_comparisons`

const demoQuery = `SELECT AVG(buses_processed) as avg_buses,
       AVG(jeepneys_processed) as avg_jeepneys,
       AVG(pt_passenger_throughput) as avg_pt_throughput
FROM training_episodes
WHERE experiment_id = (SELECT id FROM experiments
                       WHERE experiment_name = '` + demoExperiment + `')`

// train is the child process.
func (c *demoCmd) train(ctx context.Context, a *app) error {
	cfg, err := demo.Config(filepath.Join(c.Dir, "corridor"), c.Episodes)
	if err != nil {
		return err
	}
	cfg.LogSteps = c.LogSteps
	_, err = trainer.Train(context.WithoutCancel(ctx), ctx.Done(), cfg, trainer.Options{
		// What it tells of itself would be a second voice; what goes wrong is an error.
		Experiment: demoExperiment, Dir: c.Dir, Tags: []string{"demo"}, Resume: true,
		Logger: slog.New(slog.NewTextHandler(a.errw, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Progress: func(p trainer.Progress) {
			if p.Validation == nil {
				fmt.Fprintf(a.out, "episode %d delay %.2f\n", p.Episode, p.Metrics.FullDelay)
			}
		},
	})
	return err
}

// child runs the training as a process of its own. With killAt it is killed while the
// episode after killAt runs. It returns the last episode that it was told is safe.
func (c *demoCmd) child(ctx context.Context, a *app, resume bool, killAt int) (last int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	args := []string{"demo", "--train", "--dir", c.Dir, "--episodes", strconv.Itoa(c.Episodes), "--log-steps", strconv.Itoa(c.LogSteps)}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
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
	first, shown := 0, 0
	in := bufio.NewScanner(out)
	for in.Scan() {
		var number int
		var delay float64
		if _, err := fmt.Sscanf(in.Text(), "episode %d delay %f", &number, &delay); err != nil {
			a.printf("%s\n", visible(in.Text()))
			continue
		}
		if first == 0 {
			first, shown = number, number
			if resume {
				a.printf("resumed at episode %d\n", number)
			}
		}
		last = max(last, number)
		window = append(window, delay)
		if len(window) == 6 || number == killAt {
			sum := 0.0
			for _, d := range window {
				sum += d
			}
			mean := sum / float64(len(window))
			a.printf("episodes %3d to %3d  mean full delay %5.1f s  %s\n", shown, shown+len(window)-1, mean, strings.Repeat("▇", min(max(1, int(mean/3)), 36)))
			shown += len(window)
			window = window[:0]
		}
		a.progress.update("episodes", int64(last), int64(c.Episodes))
		if number == killAt {
			// Into the next episodes, so that steps are in flight.
			time.Sleep(700 * time.Millisecond)
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
	if err := os.MkdirAll(c.runs(), 0o755); err != nil {
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
