package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
	"github.com/greenwave-traffic/greenwave/internal/trainer"
)

type trainCmd struct {
	File string `arg:"" optional:"" placeholder:"FILE" help:"Configuration of the training (JSON); docs/training.md has every name. Flags win over it."`

	Sumocfg          string   `placeholder:"FILE" help:"SUMO's configuration, in place of --net, --routes, --additional, --begin and, where it has an end, --horizon."`
	Net              string   `placeholder:"FILE" help:"SUMO's network (.net.xml)."`
	Routes           []string `placeholder:"FILE" help:"Demand files to train on, each a scenario of its own."`
	ValidationRoutes []string `placeholder:"FILE" help:"Demand files to choose the best checkpoint on. Default: the last of three or more --routes is held out."`
	TestRoutes       []string `placeholder:"FILE" help:"Demand files for the final comparison with controllers that are not trained."`
	Additional       []string `placeholder:"FILE" help:"Further files for SUMO, for every scenario."`
	Episodes         int      `help:"Episodes to train (default 100)."`
	Seed             int      `help:"First seed (default 1)."`
	Seeds            int      `default:"1" help:"Trainings with seeds that follow each other, grouped."`
	Begin            *int     `help:"Second of the demand's own clock at which the warm-up begins (default 0)."`
	Warmup           *int     `help:"Seconds under the network's own program before the measuring begins (default 30)."`
	Horizon          int      `help:"Seconds that are controlled and measured (default 300)."`
	Workers          int      `help:"SUMO processes side by side (default 2). The result depends on it as on a seed."`
	Sumo             string   `help:"SUMO's executable (default sumo)."`
	Out              string   `default:"training" help:"Folder for journals, models and the training's state."`
	Experiment       string   `help:"Name of the experiment; -s1, -s2, … is added with --seeds. Default: from the network's name."`
	Group            string   `help:"Name that groups the trainings. Default: the experiment's name with --seeds."`
	Tag              []string `help:"Tags of the experiments."`
	Resume           bool     `help:"Go on where an earlier training with the same settings stopped, exactly."`
}

// config is the file's configuration with the flags over it.
func (c *trainCmd) config() (trainer.Config, error) {
	var cfg trainer.Config
	if c.File != "" {
		var err error
		if cfg, err = trainer.ReadConfig(c.File); err != nil {
			return cfg, err
		}
	}
	if c.Sumocfg != "" {
		from, err := sumo.ReadConfiguration(c.Sumocfg)
		if err != nil {
			return cfg, err
		}
		if len(from.Routes) > 1 {
			return cfg, fmt.Errorf("SUMO's configuration %s has %d demand files that make one scenario: join them into one, so that it can be told apart from others", c.Sumocfg, len(from.Routes))
		}
		cfg.Net, cfg.Routes, cfg.Additional, cfg.Begin = from.Net, from.Routes, from.Additional, from.Begin
		warmup := 30
		if cfg.Warmup != nil {
			warmup = *cfg.Warmup
		}
		if c.Warmup != nil {
			warmup = *c.Warmup
		}
		if length := from.End - from.Begin - warmup; from.End > 0 && length > 0 {
			cfg.Horizon = length
		}
	}
	for _, f := range []struct {
		flag string
		to   *string
	}{{c.Net, &cfg.Net}, {c.Sumo, &cfg.SUMO}} {
		if f.flag != "" {
			*f.to = f.flag
		}
	}
	for _, f := range []struct {
		flag []string
		to   *[]string
	}{{c.Routes, &cfg.Routes}, {c.ValidationRoutes, &cfg.Validation}, {c.TestRoutes, &cfg.Test}, {c.Additional, &cfg.Additional}} {
		if len(f.flag) > 0 {
			*f.to = f.flag
		}
	}
	for _, f := range []struct{ flag, to *int }{
		{&c.Episodes, &cfg.Episodes}, {&c.Seed, &cfg.Seed}, {&c.Horizon, &cfg.Horizon}, {&c.Workers, &cfg.Workers},
	} {
		if *f.flag != 0 {
			*f.to = *f.flag
		}
	}
	if c.Begin != nil {
		cfg.Begin = *c.Begin
	}
	if c.Warmup != nil {
		cfg.Warmup = new(*c.Warmup)
	}
	return cfg.WithDefaults(), nil
}

// Run trains once for each seed and compares at the end.
func (c *trainCmd) Run(ctx context.Context, a *app) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return &usageError{err, "greenwave train --help shows the flags, docs/training.md the file"}
	}
	if c.Seeds < 1 {
		return &usageError{fmt.Errorf("--seeds %d", c.Seeds), "at least 1"}
	}
	name := c.Experiment
	if name == "" {
		name = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(cfg.Net), ".xml"), ".net") + "-d3qn"
	}
	group := c.Group
	if group == "" && c.Seeds > 1 {
		group = name
	}
	destination := ""
	if a.cli.DB != "" {
		destination = a.cli.DB
	}
	// The first signal ends the training after the episodes that are running.
	stop := ctx.Done()
	ctx = context.WithoutCancel(ctx)
	var results []trainer.Result
	for i := range c.Seeds {
		one := cfg
		one.Seed += i
		opt := trainer.Options{
			Experiment: name, Dir: c.Out, Destination: destination, Group: group, Tags: c.Tag, Resume: c.Resume,
			Logger: slog.New(slog.NewTextHandler(a.errw, &slog.HandlerOptions{Level: slog.LevelWarn})),
		}
		if c.Seeds > 1 {
			opt.Experiment += "-s" + strconv.Itoa(one.Seed)
		}
		watch := trainWatch{a: a, every: max(one.Episodes/20, 1)}
		opt.Progress = watch.tell
		if !a.cli.JSON {
			a.title(fmt.Sprintf("%s: %s with seed %d", opt.Experiment, of(one.Episodes, "episode"), one.Seed))
		}
		a.progress.restart()
		res, err := trainer.Train(ctx, stop, one, opt)
		notRecorded := errors.Is(err, greenwave.ErrNotRecorded) // the training itself came to its end
		if err != nil && !notRecorded {
			return explainSUMO(err)
		}
		results = append(results, res)
		if err := c.report(a, one, res); err != nil {
			return err
		}
		if notRecorded {
			return err
		}
		if res.Interrupted {
			return next(errors.New("interrupted; what was learned is saved"), "go on with the same command and --resume")
		}
	}
	if len(results) > 1 {
		return c.pooled(a, results)
	}
	return nil
}

// trainWatch prints a line now and then.
type trainWatch struct {
	a       *app
	every   int
	reward  float64
	delay   float64
	n       int
	started bool
}

func (w *trainWatch) tell(p trainer.Progress) {
	a := w.a
	if v := p.Validation; v != nil {
		if !a.cli.JSON {
			best := ""
			if v.Best {
				best = a.paint(green, "  best so far")
			}
			a.printf("  validation after %d: full delay %.1f s, reward %.0f%s\n", v.Episode, v.FullDelay, v.Reward, best)
		}
		return
	}
	w.n++
	w.reward += p.Reward
	w.delay += p.Metrics.FullDelay
	a.progress.update("episodes", int64(p.Episode), int64(p.Episodes))
	if p.Episode%w.every != 0 || a.cli.JSON {
		return
	}
	n := float64(w.n)
	left := ""
	if p.Left > time.Second {
		left = ", " + duration(p.Left) + " left"
	}
	a.printf("  episode %d of %d: reward %.0f, full delay %.1f s (means of %d)%s\n", p.Episode, p.Episodes, w.reward/n, w.delay/n, w.n, left)
	w.n, w.reward, w.delay = 0, 0, 0
}

// trainingJSON is one training for machines.
type trainingJSON struct {
	Experiment   string              `json:"experiment"`
	Seed         int                 `json:"seed"`
	Episodes     int                 `json:"episodes"`
	Interrupted  bool                `json:"interrupted"`
	Best         string              `json:"best_checkpoint"`
	BestEpisode  int                 `json:"best_episode"`
	Validation   float64             `json:"validation_full_delay"`
	FullDelay    *float64            `json:"test_full_delay"`
	Baselines    map[string]float64  `json:"test_baselines,omitempty"`
	Improvements map[string]float64  `json:"test_improvements_percent,omitempty"`
	PHolm        map[string]*float64 `json:"test_p_holm,omitempty"`
	Last         trainer.Summary     `json:"last_10_episodes"`
	All          trainer.Summary     `json:"all_episodes"`
	Logged       uint64              `json:"logged"`
	Synced       uint64              `json:"synced"`
}

func (c *trainCmd) report(a *app, cfg trainer.Config, res trainer.Result) error {
	if a.cli.JSON {
		j := trainingJSON{Experiment: res.Experiment, Seed: cfg.Seed, Episodes: res.Episodes, Interrupted: res.Interrupted, Best: res.Best, Logged: res.Report.Logged, Synced: res.Report.Synced,
			Last: res.Curve.Last(10), All: res.Curve.Last(res.Episodes)}
		if res.BestAt != nil {
			j.BestEpisode, j.Validation = res.BestAt.Episode, res.BestAt.FullDelay
		}
		if t := res.Test; t != nil {
			j.FullDelay = new(meanDelay(t.Learned))
			j.Baselines, j.Improvements, j.PHolm = map[string]float64{}, map[string]float64{}, map[string]*float64{}
			for _, v := range t.Baselines {
				j.Baselines[v.Name], j.Improvements[v.Name], j.PHolm[v.Name] = meanDelay(v.Metrics), v.Improvement, new(v.P)
			}
		}
		return a.json(j)
	}
	if t := res.Test; t != nil {
		a.printf("\n")
		printTest(a, *t)
	}
	if last := res.Curve.Last(10); last.Episodes > 0 {
		a.printf("last %s, exploring: full delay %.1f s (median %.1f s), plain delay %.1f s (median %.1f s); gridlocked %d, of all %d\n", of(last.Episodes, "episode"),
			last.FullDelay, last.FullDelayMedian, last.Delay, last.DelayMedian, last.Gridlocked, res.Curve.Last(res.Episodes).Gridlocked)
	}
	where := "in " + filepath.Join(c.Out, "runs")
	if d := res.Report.Destination; d != "" {
		where = fmt.Sprintf("%s of them synced to %s", count(int64(res.Report.Synced)), d)
	}
	best := ""
	if res.Best != "" {
		best = "; best checkpoint " + res.Best
	}
	lost := ""
	if n := res.Report.NotRecorded; n > 0 {
		lost = fmt.Sprintf(" (%s could not be: the disk refused them)", count(int64(n)))
	}
	a.printf("%s: %s recorded%s, %s%s\n\n", res.Experiment, of(int(res.Report.Logged), "record"), lost, where, best)
	return nil
}

// printTest prints the final comparison.
func printTest(a *app, t trainer.Test) {
	table := newTable("controller", ">full delay s", ">delay s", ">backlog", ">km/h", ">pax/h", ">D3QN is better by", ">p (Holm)")
	row := func(name string, metrics []sumo.Metrics, better, p string) {
		var m sumo.Metrics
		for _, x := range metrics {
			m.Delay += x.Delay
			m.Backlog += x.Backlog
			m.Speed += x.Speed
			m.PassengersPerHour += x.PassengersPerHour
		}
		n := float64(len(metrics))
		table.add(name, fmt.Sprintf("%.1f", meanDelay(metrics)), fmt.Sprintf("%.1f", m.Delay/n), fmt.Sprintf("%.1f", float64(m.Backlog)/n),
			fmt.Sprintf("%.1f", m.Speed/n), count(int64(m.PassengersPerHour/n+0.5)), better, p)
	}
	row("d3qn", t.Learned, "", "")
	for _, v := range t.Baselines {
		row(v.Name, v.Metrics, fmt.Sprintf("%.1f %%", v.Improvement), fmt.Sprintf("%.4f", v.P))
	}
	a.print(table)
	a.printf("on demand that was never trained on: %s, paired by demand file and seed; %s\n", of(len(t.Learned), "scenario"), t.Baselines[0].Test.Method)
}

func meanDelay(metrics []sumo.Metrics) float64 {
	sum := 0.0
	for _, m := range metrics {
		sum += m.FullDelay
	}
	return sum / float64(len(metrics))
}

// printCurves prints what each training came to: its best checkpoint in validation and
// its last episodes, which still explore.
func printCurves(a *app, results []trainer.Result) {
	t := newTable("training", ">best at", ">full s", ">mean s", ">median", ">plain", ">median", ">gridlocks")
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	for _, r := range results {
		after, best := "-", "-"
		if r.BestAt != nil {
			after, best = strconv.Itoa(r.BestAt.Episode), f(r.BestAt.FullDelay)
		}
		last, all := r.Curve.Last(10), r.Curve.Last(len(r.Curve.FullDelay))
		t.add(r.Experiment, after, best, f(last.FullDelay), f(last.FullDelayMedian), f(last.Delay), f(last.DelayMedian),
			fmt.Sprintf("%d, %d", last.Gridlocked, all.Gridlocked))
	}
	a.print(t)
	a.printf("best at: episode and full delay of the best validation; then full and plain delay\nof the last 10 episodes, which explore; gridlocks among these and among all\n")
}

// pooled compares all seeds together: in each scenario the mean over the trainings
// with the baselines, which are the same for all.
func (c *trainCmd) pooled(a *app, results []trainer.Result) error {
	first := results[0].Test
	if a.cli.JSON {
		return nil
	}
	a.title(fmt.Sprintf("All %d trainings", len(results)))
	printCurves(a, results)
	if first == nil {
		return nil
	}
	pooled := trainer.Test{Scenarios: first.Scenarios, Learned: make([]sumo.Metrics, len(first.Learned))}
	for _, r := range results {
		for i, m := range r.Test.Learned {
			p, n := &pooled.Learned[i], float64(len(results))
			p.FullDelay += m.FullDelay / n
			p.Delay += m.Delay / n
			p.Backlog += m.Backlog
			p.Speed += m.Speed / n
			p.PassengersPerHour += m.PassengersPerHour / n
		}
	}
	for i := range pooled.Learned {
		pooled.Learned[i].Backlog /= len(results)
	}
	for _, v := range first.Baselines {
		pooled.Baselines = append(pooled.Baselines, trainer.Versus{Name: v.Name, Metrics: v.Metrics})
	}
	if err := trainer.Judge(pooled.Learned, pooled.Baselines); err != nil {
		return err
	}
	a.printf("\ntogether, the mean over them in each scenario:\n")
	printTest(a, pooled)
	return nil
}
