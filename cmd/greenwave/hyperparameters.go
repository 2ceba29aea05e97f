package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/learning"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type hyperparametersCmd struct {
	Experiments []string `arg:"" optional:"" name:"experiment" help:"Experiments to look at, at least 3. Default: all in the database."`
	Group       []string `placeholder:"NAME,..." help:"Only experiments of these groups."`
	Of          string   `placeholder:"METRIC" help:"How an experiment came out: a metric of its test, last_rewards (mean of the last fifth of the episodes) or best_reward. Default: full_delay where all were tested, else last_rewards."`
	Format      string   `enum:"text,md,latex,html,pdf,json" default:"text" help:"text, md, latex (booktabs), html, pdf (needs Chromium) or json."`
	Out         string   `placeholder:"FILE" help:"Write to this file."`
}

// Run says which hyperparameters went together with how experiments came out.
func (c *hyperparametersCmd) Run(ctx context.Context, a *app) error {
	if a.cli.JSON {
		c.Format = "json"
	}
	if err := needsFile(c.Format, c.Out); err != nil {
		return err
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	names, err := c.chosen(ctx, s)
	if err != nil {
		return err
	}
	study, err := learning.Hyperparameters(ctx, s, names, c.Of)
	if errors.Is(err, store.ErrNotFound) {
		for _, n := range names {
			if _, missing := s.Experiment(ctx, n); missing != nil {
				return notFound(ctx, s, n, missing)
			}
		}
	}
	if err != nil {
		return err
	}
	origin := a.origin()
	origin.Database = s.Name()
	if c.Format == "json" {
		return a.deliver(c.Out, func(w io.Writer) error {
			return report.JSON(w, map[string]any{"command": origin.Command, "database": origin.Database, "study": study})
		})
	}
	return a.document(ctx, report.Hyperparameters(study, origin), c.Format, c.Out)
}

// chosen are the experiments to look at, each once.
func (c *hyperparametersCmd) chosen(ctx context.Context, s store.Reader) (names []string, err error) {
	if len(c.Experiments) > 0 && len(c.Group) == 0 {
		slices.Sort(c.Experiments)
		return slices.Compact(c.Experiments), nil
	}
	all, err := s.Experiments(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if len(c.Group) > 0 && !slices.Contains(c.Group, learning.GroupOf(e)) || len(c.Experiments) > 0 && !slices.Contains(c.Experiments, e.Name) {
			continue
		}
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no experiment is of group %v", c.Group)
	}
	slices.Sort(names)
	return names, nil
}
