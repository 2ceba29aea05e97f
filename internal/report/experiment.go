package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/learning"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Options are what the report of an experiment can be told.
type Options struct {
	Baseline  string   // of the city's page; "": fixed_time, else the first
	Hours     float64  // a day for which such traffic is assumed
	Threshold *float64 // a level of the moving mean to look for
	Force     bool     // compare what is unlike, and mark it
	Draws     int      // of the bootstraps; 0: the default
}

// Findings are what is known of an experiment: everything that its report says, as JSON
// has it. What is null is named in Missing.
type Findings struct {
	Experiment Subject            `json:"experiment"`
	Warnings   []string           `json:"warnings,omitempty"`
	Missing    []Lack             `json:"missing,omitempty"`
	Learning   *learning.Curve    `json:"learning"`
	Seeds      []Seed             `json:"seeds,omitempty"` // of its group, itself included
	Validation *learning.Carry    `json:"validation_against_training"`
	Fights     []learning.Fight   `json:"reward_parts_that_fight,omitempty"`
	Test       *comparison.Result `json:"test"`
	// Recorded are the comparisons that the database holds.
	Recorded []RecordedComparison `json:"recorded_comparisons,omitempty"`
	City     *comparison.City     `json:"city"`
	Hours    float64              `json:"hours_a_day"`
	Hash     string               `json:"data_sha256"` // of episodes and validations
	Queries  []string             `json:"queries"`
	Origin   Origin               `json:"origin"`

	training  *learning.Training
	group     []*learning.Training
	foughtFor bool // there were parts of the reward to look at
	episode   *lastEpisode
}

// Subject says which experiment it is.
type Subject struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Status      string      `json:"status"`
	Episodes    int64       `json:"episodes"`
	BestReward  *float64    `json:"best_reward"`
	LastReward  *float64    `json:"latest_reward"`
	Converged   *int64      `json:"convergence_episode"` // as the database has it
	Created     time.Time   `json:"created_at"`
	Completed   *time.Time  `json:"completed_at"`
	Metadata    [][2]string `json:"metadata,omitempty"`
}

// Lack is something that the data do not hold, with the way to get it.
type Lack struct {
	What string `json:"what"`
	How  string `json:"how"`
}

// Seed is one experiment of a group.
type Seed struct {
	Name  string          `json:"name"`
	Curve *learning.Curve `json:"learning"`
}

// Read finds out what there is to say of an experiment.
func Read(ctx context.Context, s store.Reader, name string, o Options, origin Origin) (*Findings, error) {
	t, err := learning.Read(ctx, s, name)
	if err != nil {
		return nil, err
	}
	f := &Findings{Experiment: subject(t.Experiment), Hours: o.Hours, Hash: t.Hash, Queries: []string{t.Query}, Origin: origin, training: t}
	switch t.Experiment.Status {
	case "running":
		f.warn("the experiment is still running: every number here will change")
	case "interrupted", "failed", "paused":
		f.warn("the experiment is %s: it may not have come to what it would have", t.Experiment.Status)
	}
	if t.Left > 0 {
		f.warn("%s without a reward that is a number are left out", of(t.Left, "episode"))
	}
	if err := f.learn(ctx, s, o); err != nil {
		return nil, err
	}
	if err := f.test(ctx, s, name, o); err != nil {
		return nil, err
	}
	if err := f.recorded(ctx, s); err != nil {
		return nil, err
	}
	if f.episode, err = readLastEpisode(ctx, s, t.Experiment.ID); err != nil {
		return nil, fmt.Errorf("steps of %s: %w", name, err)
	}
	if len(f.episode.times) == 0 {
		f.lack("queues and signals of an episode: no steps are stored", "record steps (log_steps in the training's configuration), and report before they are cleaned up")
	}
	return f, nil
}

func (f *Findings) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

func (f *Findings) lack(what, how string) { f.Missing = append(f.Missing, Lack{what, how}) }

func (f *Findings) learn(ctx context.Context, s store.Reader, o Options) (err error) {
	t := f.training
	if f.Learning = t.Describe(o.Threshold); f.Learning == nil {
		f.lack("learning: "+t.Lacks(), "train longer, or import the episodes: greenwave import FOLDER")
	}
	if f.group, err = learning.Seeds(ctx, s, t); err != nil {
		return err
	}
	if len(f.group) > 1 {
		for _, g := range f.group {
			f.Seeds = append(f.Seeds, Seed{g.Experiment.Name, g.Describe(o.Threshold)})
		}
	} else {
		f.lack("what the seed does: there is one training", "greenwave train … --seeds 5 trains a group of seeds; other experiments join one by their metadata's group")
	}
	if f.Validation = t.Validation(f.Learning); f.Validation == nil {
		f.lack(fmt.Sprintf("training against validation: %s", of(len(t.Validated), "validation")), "greenwave train … --validation-routes FILE validates while it trains; trainers of one's own log validations with the SDK")
	}
	if f.Fights, f.foughtFor = t.Fights(); !f.foughtFor {
		f.lack("parts of the reward: fewer than 30 episodes have two of them", "log reward_components with each episode")
	}
	return nil
}

// test compares with all baselines of the last test.
func (f *Findings) test(ctx context.Context, s store.Reader, name string, o Options) error {
	stored, err := comparison.Load(ctx, s, name, -1)
	switch {
	case errors.Is(err, comparison.ErrNoTest):
		f.lack("test: "+err.Error(), "greenwave train … --test-routes FILES --baselines fixed_time,max_pressure tests the best checkpoint; results in files: greenwave compare OURS.csv THEIRS.csv")
		return nil
	case err != nil:
		return err
	case len(stored.Baselines) == 0:
		f.lack("baselines: nothing says whether the experiment is better than what is there", "name baselines in the training's configuration, or compare with another experiment: greenwave compare "+name+" OTHER")
		return nil
	}
	var contests []comparison.Contest
	for _, b := range slices.Sorted(maps.Keys(stored.Baselines)) {
		contests = append(contests, comparison.Contest{A: stored.Learned, B: stored.Baselines[b]})
	}
	r, err := comparison.Compare(contests, comparison.Options{Force: o.Force, Draws: o.Draws})
	if unlike, ok := errors.AsType[*comparison.UnlikeError](err); ok {
		f.lack("test: "+unlike.Error(), "measure both under the same conditions, or give --force, which marks every output as unlike")
		return nil
	}
	if err != nil {
		f.lack("test: "+err.Error(), "test on more scenarios or seeds")
		return nil // the rest of the report stands without it
	}
	i, err := r.PairWith(o.Baseline)
	if err != nil {
		return err
	}
	f.Test = r
	f.Queries = append(f.Queries, stored.Learned.Query)
	if f.City, err = comparison.CityOf(r, i); err != nil {
		return err
	}
	for _, l := range f.City.Lacks {
		f.lack(l, "test again with this version: greenwave train records it")
	}
	return nil
}

func subject(e store.Experiment) Subject {
	s := Subject{
		Name: e.Name, Description: e.Description, Status: e.Status, Episodes: e.TotalEpisodes, BestReward: e.BestReward, LastReward: e.LatestReward,
		Converged: e.ConvergenceEpisode, Created: e.CreatedAt.UTC(),
	}
	if !e.CompletedAt.IsZero() {
		at := e.CompletedAt.UTC()
		s.Completed = &at
	}
	var meta map[string]any
	if len(e.Metadata) > 0 && json.Unmarshal(e.Metadata, &meta) == nil {
		for _, k := range []string{"algorithm", "seed", "group", "network", "network_sha256", "sumo_version", "metrics_version"} {
			if v, ok := meta[k]; ok {
				s.Metadata = append(s.Metadata, [2]string{strings.ReplaceAll(k, "_", " "), fmt.Sprint(v)})
			}
		}
	}
	return s
}
