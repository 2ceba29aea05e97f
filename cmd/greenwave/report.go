package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/greenwave-traffic/greenwave/internal/provenance"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type reportCmd struct {
	Experiment string   `arg:"" help:"Name of the experiment."`
	Format     string   `enum:"text,md,latex,html,pdf,csv,json" default:"text" help:"text, md, latex (booktabs), html (one file with figures), pdf (needs Chromium), csv or json."`
	Out        string   `placeholder:"FILE" help:"Write to this file; figures of md and latex go beside it, as SVG and, where Chromium is there, as PNG."`
	City       bool     `help:"Only the page for those who decide about signals."`
	Baseline   string   `placeholder:"NAME" help:"Baseline of the city's page. Default: fixed_time, else the first."`
	Hours      float64  `default:"4" help:"Hours a day with such traffic as was simulated, for what is saved a day."`
	Threshold  *float64 `placeholder:"REWARD" help:"Say when the moving mean of the reward was first at this level (--threshold=-50 for one below 0)."`
	Force      bool     `help:"Compare although the conditions differ; every output is marked."`
	runsFlag   `embed:""`
}

// Run writes the report of an experiment.
func (c *reportCmd) Run(ctx context.Context, a *app) error {
	if a.cli.JSON {
		c.Format = "json"
	}
	if err := needsFile(c.Format, c.Out); err != nil {
		return err
	}
	if !(c.Hours > 0 && c.Hours <= 24) {
		return &usageError{fmt.Errorf("--hours %g", c.Hours), "a day has more than 0 and at most 24 hours"}
	}
	if c.City && (c.Format == "json" || c.Format == "csv") {
		return &usageError{fmt.Errorf("--city with --format %s", c.Format), "json and csv have the numbers of the whole report: leave --city out"}
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	origin := a.origin()
	origin.Database = s.Name()
	f, err := report.Read(ctx, s, c.Experiment, report.Options{Baseline: c.Baseline, Hours: c.Hours, Threshold: c.Threshold, Force: c.Force}, origin)
	if errors.Is(err, store.ErrNotFound) {
		return notFound(ctx, s, c.Experiment, err)
	}
	if err != nil {
		return err
	}
	states, err := c.integrity(ctx, a, s, []string{c.Experiment}, resultKinds...)
	if err != nil {
		return err
	}
	for _, st := range states {
		if st.Marked() {
			a.warnf("warning: %s", visible(oneLine(st.String())))
		}
	}
	switch {
	case c.Format == "json":
		return a.deliver(c.Out, func(w io.Writer) error {
			return report.JSON(w, struct {
				*report.Findings
				Integrity []provenance.State `json:"integrity"`
			}{f, states})
		})
	case c.Format == "csv":
		return a.deliver(c.Out, func(w io.Writer) error { return f.CSV(w, marked(states)) })
	case c.City:
		page, ok := f.CityPage()
		if !ok {
			return next(fmt.Errorf("%s has no test against a baseline: there is nothing to tell a city", visible(c.Experiment)), "greenwave report "+visible(c.Experiment)+" says what is missing and how to get it")
		}
		return a.document(ctx, vouched(page, states), c.Format, c.Out)
	}
	return a.document(ctx, vouched(f.Document(), states), c.Format, c.Out)
}
