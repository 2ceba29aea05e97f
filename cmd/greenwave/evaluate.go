package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
	"github.com/greenwave-traffic/greenwave/internal/traci"
)

type evaluateCmd struct {
	Sumocfg    string   `placeholder:"FILE" help:"SUMO's configuration, in place of --net, --routes, --additional, --begin and, where it has an end, --horizon."`
	Net        string   `placeholder:"FILE" help:"SUMO's network (.net.xml)."`
	Routes     []string `placeholder:"FILE" help:"Demand files, each a scenario of its own."`
	Additional []string `placeholder:"FILE" help:"Further files for SUMO, for every scenario."`
	Controller []string `default:"program,actuated,max-pressure" help:"Controllers: program, webster, actuated, max-pressure, longest-queue, random, or a checkpoint (.safetensors)."`
	Seeds      []int    `default:"42" help:"SUMO's seeds; the same for every controller."`
	Begin      int      `default:"0" help:"Second of the demand's own clock at which the warm-up begins."`
	Warmup     int      `default:"30" help:"Seconds under the network's own program before the measuring begins."`
	Horizon    int      `default:"300" help:"Seconds that are controlled and measured."`
	Emissions  bool     `help:"Measure CO2 and fuel too; the simulation is slower with it. They are in --json."`
	Sumo       string   `default:"sumo" help:"SUMO's executable."`
}

// evaluationJSON is one controller on one demand file with one seed.
type evaluationJSON struct {
	Controller    string `json:"controller"`
	Routes        string `json:"routes"`
	DemandSHA256  string `json:"demand_sha256"`
	NetworkSHA256 string `json:"network_sha256"`
	Seed          int    `json:"seed"`
	Begin         int    `json:"begin_s"`
	Warmup        int    `json:"warmup_s"`
	Horizon       int    `json:"horizon_s"`
	MetricsOf     string `json:"metrics_version"`
	sumo.Metrics
}

// Run measures controllers over the same seconds of the same traffic.
func (c *evaluateCmd) Run(ctx context.Context, a *app) error {
	demand, err := c.demand()
	if err != nil {
		return err
	}
	cfg := sumo.Config{Program: c.Sumo}
	controllers := make([]controller.Controller, len(c.Controller))
	for i, name := range c.Controller {
		p, err := trained(name)
		if err != nil {
			return err
		}
		if p != nil {
			// All arms have the decision interval and the signal times of the training.
			controllers[i], cfg.Interval, cfg.Timing = p.Controller(), p.Interval, p.Timing
			continue
		}
		if controllers[i], err = controller.New(name); err != nil {
			return &usageError{err, "choose some of these, or name a checkpoint (a file that ends in .safetensors)"}
		}
	}
	network, err := sumo.ReadNetwork(c.Net)
	if err != nil {
		return err
	}
	env, err := sumo.New(network, cfg)
	if err != nil {
		return err
	}
	defer env.Close()
	dir, err := os.MkdirTemp("", "greenwave-evaluate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	total := int64(len(controllers) * len(demand) * len(c.Seeds))
	done := int64(0)
	t := newTable("controller", ">full delay s", ">delay s", ">backlog", ">queue", ">km/h", ">veh/h", ">pax/h")
	for i, ctl := range controllers {
		name := c.Controller[i]
		var sum sumo.Metrics
		n := 0
		for _, files := range demand {
			routes := strings.Join(files, ",")
			hash, err := sumo.HashFiles(files)
			if err != nil {
				return err
			}
			for _, seed := range c.Seeds {
				s := sumo.Scenario{Routes: files, Additional: c.Additional, Seed: seed, Begin: c.Begin, Warmup: c.Warmup, Horizon: c.Horizon, Emissions: c.Emissions}
				m, err := controller.Evaluate(ctx, env, ctl, s, dir, nil)
				if err != nil {
					return explainSUMO(fmt.Errorf("%s on %s with seed %d: %w", name, routes, seed, err))
				}
				done++
				a.progress.update("scenarios", done, total)
				if a.cli.JSON {
					if err := a.json(evaluationJSON{name, filepath.ToSlash(routes), hash, network.Hash, seed, c.Begin, c.Warmup, c.Horizon, sumo.MetricsVersion, m}); err != nil {
						return err
					}
				}
				n++
				sum.FullDelay += m.FullDelay
				sum.Delay += m.Delay
				sum.Backlog += m.Backlog
				sum.Queue += m.Queue
				sum.Speed += m.Speed
				sum.VehiclesPerHour += m.VehiclesPerHour
				sum.PassengersPerHour += m.PassengersPerHour
			}
		}
		mean := func(v float64, digits int) string { return strconv.FormatFloat(v/float64(n), 'f', digits, 64) }
		t.add(shortNames(c.Controller)[i], mean(sum.FullDelay, 1), mean(sum.Delay, 1), mean(float64(sum.Backlog), 1), mean(sum.Queue, 1), mean(sum.Speed, 1),
			count(int64(sum.VehiclesPerHour/float64(n)+0.5)), count(int64(sum.PassengersPerHour/float64(n)+0.5)))
	}
	if a.cli.JSON {
		return nil
	}
	a.print(t)
	a.printf("means over %s and %s, %d s after a warm-up of %d s\n(full delay counts the vehicles that never got in)\n",
		of(len(demand), "demand file"), of(len(c.Seeds), "seed"), c.Horizon, c.Warmup)
	return nil
}

// demand returns the demand files of each scenario, after a configuration of SUMO has
// filled in what it says.
func (c *evaluateCmd) demand() (scenarios [][]string, err error) {
	if c.Sumocfg != "" {
		if c.Net != "" || len(c.Routes) > 0 {
			return nil, &usageError{errors.New("--sumocfg and --net or --routes"), "give one or the other"}
		}
		cfg, err := sumo.ReadConfiguration(c.Sumocfg)
		if err != nil {
			return nil, err
		}
		c.Net, c.Begin, c.Additional = cfg.Net, cfg.Begin, append(cfg.Additional, c.Additional...)
		if length := cfg.End - cfg.Begin - c.Warmup; cfg.End > 0 && length > 0 {
			c.Horizon = length
		}
		return [][]string{cfg.Routes}, nil
	}
	if c.Net == "" || len(c.Routes) == 0 {
		return nil, &usageError{errors.New("no network or no demand"), "give --net and --routes, or --sumocfg"}
	}
	for _, r := range c.Routes {
		scenarios = append(scenarios, []string{r})
	}
	return scenarios, nil
}

// trained returns the policy of a checkpoint's path, or nil for other names.
func trained(name string) (*policy.Policy, error) {
	if !strings.HasSuffix(name, ".safetensors") {
		return nil, nil
	}
	return policy.Load(name)
}

// shortNames are controllers' names in a table: of a checkpoint the end of its path,
// with the folder where several end alike.
func shortNames(names []string) []string {
	short := make([]string, len(names))
	times := map[string]int{}
	for i, n := range names {
		short[i] = strings.TrimSuffix(filepath.Base(n), ".safetensors")
		times[short[i]]++
	}
	for i, n := range names {
		if times[short[i]] > 1 {
			short[i] = filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(n)), short[i]))
		}
	}
	return short
}

// explainSUMO adds what to do to an error of the simulation.
func explainSUMO(err error) error {
	if errors.Is(err, sumo.ErrNoTraffic) {
		return next(err, "give its first second with --begin")
	}
	var failed *traci.ProcessError
	if errors.As(err, &failed) && !strings.Contains(err.Error(), "apt-get") {
		return next(err, "check that the demand fits the network (sumo -n NET -r ROUTES shows more)")
	}
	return err
}
