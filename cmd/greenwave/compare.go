package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/provenance"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

type compareCmd struct {
	Arms     []string `arg:"" name:"arm" help:"What to compare: EXPERIMENT, EXPERIMENT@EPISODE (the test of that checkpoint), EXPERIMENT:BASELINE, or a file: CSV with a column scenario, or what evaluate --json printed."`
	Metric   []string `placeholder:"NAME,..." help:"Metrics to compare. Default: all that the arms have and that have a better direction."`
	Baseline []string `placeholder:"NAME,..." help:"Compare each experiment with these baselines of its own test. Default for a single experiment: all."`
	Format   string   `enum:"text,md,latex,html,pdf,csv,json" default:"text" help:"text, md, latex (booktabs), html (one file with figures), pdf (needs Chromium), csv or json."`
	Out      string   `placeholder:"FILE" help:"Write to this file; figures of md and latex go beside it, as SVG and, where Chromium is there, as PNG."`
	Force    bool     `help:"Compare although the conditions differ; every output is marked."`
	Record   bool     `help:"Store the result with the experiment, in baseline_comparisons and validation_results: it is written to a journal below --runs and synced. The same comparison of the same data is stored once."`
	runsFlag `embed:""`
}

// Run compares. The exit code is 1 when the arms are unlike.
func (c *compareCmd) Run(ctx context.Context, a *app) error {
	if a.cli.JSON {
		c.Format = "json"
	}
	if err := needsFile(c.Format, c.Out); err != nil {
		return err
	}
	var db store.Store
	defer func() {
		if db != nil {
			db.Close()
		}
	}()
	open := func() (store.Reader, error) {
		if db != nil {
			return db, nil
		}
		var err error
		db, err = a.openReader(ctx)
		return db, err
	}
	contests, err := comparison.Choose(ctx, c.Arms, c.Baseline, open)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) && len(c.Arms) > 0 && db != nil {
			return notFound(ctx, db, c.missing(ctx, db), err)
		}
		return err
	}
	r, err := comparison.Compare(contests, comparison.Options{Metrics: c.Metric, Force: c.Force})
	if unlike, ok := errors.AsType[*comparison.UnlikeError](err); ok {
		return next(unlike, "measure both under the same conditions, or give --force, which marks every output as unlike")
	}
	if err != nil {
		return err
	}
	origin := a.origin()
	var states []provenance.State
	if db != nil {
		origin.Database = db.Name()
		if states, err = c.integrity(ctx, a, db, c.Arms, record.KindValidation, record.KindBaseline); err != nil {
			return err
		}
	}
	if c.Record {
		if db == nil {
			return &usageError{errors.New("--record with files alone"), "name an experiment of the database first: it is what a comparison is stored with"}
		}
		if err := c.record(ctx, a, db, r, states); err != nil {
			return err
		}
	}
	if c.Format == "json" || c.Format == "csv" {
		return a.deliver(c.Out, func(w io.Writer) error {
			if c.Format == "csv" {
				return report.ComparisonCSV(w, r, func(p *comparison.Pair) string { return strings.Join(marked(states, p.A, p.B), "; ") })
			}
			return report.JSON(w, map[string]any{"command": origin.Command, "database": origin.Database, "comparison": r, "integrity": states})
		})
	}
	return a.document(ctx, vouched(report.Comparison(r, origin), states), c.Format, c.Out)
}

// missing is the first name that is neither a file nor an experiment.
func (c *compareCmd) missing(ctx context.Context, s store.Reader) string {
	for _, n := range c.Arms {
		if _, err := s.Experiment(ctx, n); !comparison.IsFile(n) && err != nil {
			return n
		}
	}
	return c.Arms[0]
}

// origin says by what a document is made.
func (a *app) origin() report.Origin {
	return report.Origin{Command: a.command(), Version: programVersion(), Now: a.now()}
}

// command is the command line without what belongs to this machine: the database, which
// may have a password, where the journals are, and where the output goes.
func (a *app) command() string {
	parts := []string{"greenwave"}
	skip := false
	for _, arg := range a.args {
		name, _, joined := strings.Cut(arg, "=")
		switch {
		case skip:
			skip = false
		case name == "--db" || name == "--config" || name == "--out" || name == "--runs":
			skip = !joined
		default:
			if strings.ContainsAny(arg, " '\"$&;|<>()*?") {
				arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
			}
			parts = append(parts, arg)
		}
	}
	return strings.Join(parts, " ")
}
