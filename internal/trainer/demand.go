package trainer

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// SUMO's seeds: below firstSeed they belong to tests, from firstSeed on to
// validations, from trainingSeed on to training, so that they never meet.
const (
	firstSeed    = 1_000_000
	trainingSeed = 10_000_000
)

// Demand is the demand files of a training, split.
type Demand struct {
	Training, Validation, Test []File
	// SeedsOnly: the validation has the training's demand with seeds that the
	// training never uses, because there were too few files to hold one out.
	SeedsOnly bool
}

// File is a demand file.
type File struct {
	Path string `json:"path"`
	Hash string `json:"sha256"` // of its content, in hexadecimal
}

// Split reads the demand files and refuses to let a file be in two parts, under
// whatever name. Without files for validation the last of three or more training
// files is held out for it; with fewer, the validation takes the training's files
// with other seeds.
func (c Config) Split() (Demand, error) {
	var d Demand
	seen := map[string][2]string{} // by hash: part and path
	read := func(part string, paths []string) (files []File, err error) {
		for _, p := range paths {
			hash, err := sumo.HashFiles([]string{p})
			if err != nil {
				return nil, err
			}
			if before, ok := seen[hash]; ok && before[0] != part {
				return nil, fmt.Errorf("the same demand is for %s (%s) and for %s (%s): what was learned from must not be measured on; take it out of one of them",
					before[0], before[1], part, p)
			}
			seen[hash] = [2]string{part, p}
			files = append(files, File{Path: p, Hash: hash})
		}
		return files, nil
	}
	var err error
	if d.Training, err = read("training", c.Routes); err != nil {
		return d, err
	}
	if d.Validation, err = read("validation", c.Validation); err != nil {
		return d, err
	}
	if d.Test, err = read("test", c.Test); err != nil {
		return d, err
	}
	if n := len(d.Training); len(d.Validation) == 0 && n >= 3 {
		d.Validation, d.Training = d.Training[n-1:], d.Training[:n-1]
		if i := slices.IndexFunc(d.Training, func(f File) bool { return f.Hash == d.Validation[0].Hash }); i >= 0 {
			return d, fmt.Errorf("the last of the training files (%s) is held out for validation and has the same demand as %s: what was learned from must not be measured on; take one of them away, or name other files for validation",
				d.Validation[0].Path, d.Training[i].Path)
		}
	} else if len(d.Validation) == 0 {
		d.Validation, d.SeedsOnly = d.Training, true
	}
	return d, nil
}

// scenario is one simulation of a file.
func (c Config) scenario(f File, seed, horizon int) sumo.Scenario {
	return sumo.Scenario{
		Routes: []string{f.Path}, Additional: c.Additional, Seed: seed,
		Begin: c.Begin, Warmup: *c.Warmup, Horizon: horizon, Teleport: c.Teleport, Emissions: c.Emissions,
	}
}

// training returns an episode's demand and horizon, and its SUMO seed when it is
// tried for the attempt-th time (from 0). Episodes of a round have one horizon.
func (c Config) training(d Demand, episode, attempt int) (File, sumo.Scenario) {
	f := d.Training[(episode-1)%len(d.Training)]
	seed := trainingSeed + (c.Seed*100_003+episode)*8 + attempt
	return f, c.scenario(f, seed&0x7fffffff, c.horizon(episode))
}

// horizon is the horizon of an episode: that of its round.
func (c Config) horizon(episode int) int {
	return c.Horizons[(episode-1)/c.Workers%len(c.Horizons)]
}

// decisions is how many decisions a horizon has.
func (c Config) decisions(horizon int) int { return (horizon + c.Interval - 1) / c.Interval }

// held lists the scenarios of files with seeds, file by file.
func (c Config) held(files []File, seeds []int) (list []sumo.Scenario) {
	for _, f := range files {
		for _, s := range seeds {
			list = append(list, c.scenario(f, s, c.Horizon))
		}
	}
	return list
}

// validationSeeds are the seeds of each validation: always the same.
func (c Config) validationSeeds() []int {
	seeds := make([]int, c.ValidationSeeds)
	for i := range seeds {
		seeds[i] = firstSeed + i
	}
	return seeds
}

var dayAndCycle = regexp.MustCompile(`(\d{8})_cycle_(\d+)`)

// describe is the scenario_info of a simulation.
func describe(network *sumo.Network, f File, s sumo.Scenario) map[string]any {
	intersections := make([]string, len(network.Signals))
	for i, sig := range network.Signals {
		intersections[i] = sig.ID
	}
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(f.Path), ".xml"), ".rou")
	info := map[string]any{
		"scenario": name, "intersections": intersections, "demand_sha256": f.Hash, "sumo_seed": s.Seed,
		"begin_s": s.Begin, "warmup_s": s.Warmup, "horizon_s": s.Horizon,
	}
	if m := dayAndCycle.FindStringSubmatch(name); m != nil {
		info["day"], info["cycle"] = m[1], m[2]
	}
	return info
}
