package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type compareCmd struct {
	Arms     []string `arg:"" name:"arm" help:"What to compare: EXPERIMENT, EXPERIMENT@EPISODE (the test of that checkpoint), EXPERIMENT:BASELINE, or a file: CSV with a column scenario, or what evaluate --json printed."`
	Metric   []string `placeholder:"NAME,..." help:"Metrics to compare. Default: all that the arms have and that have a better direction."`
	Baseline []string `placeholder:"NAME,..." help:"Compare each experiment with these baselines of its own test. Default for a single experiment: all."`
	Format   string   `enum:"text,md,latex,html,csv,json" default:"text" help:"text, md, latex (booktabs), html (one file with figures), csv or json."`
	Out      string   `placeholder:"FILE" help:"Write to this file; figures of md and latex go beside it."`
	Force    bool     `help:"Compare although the conditions differ; every output is marked."`
}

// Run compares. The exit code is 1 when the arms are unlike.
func (c *compareCmd) Run(ctx context.Context, a *app) error {
	if a.cli.JSON {
		c.Format = "json"
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
	if db != nil {
		origin.Database = db.Name()
	}
	if c.Format == "json" || c.Format == "csv" {
		return a.deliver(c.Out, func(w io.Writer) error {
			if c.Format == "csv" {
				return report.ComparisonCSV(w, r)
			}
			return report.JSON(w, map[string]any{"command": origin.Command, "database": origin.Database, "comparison": r})
		})
	}
	return a.document(report.Comparison(r, origin), c.Format, c.Out)
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
// may have a password, and where the output goes.
func (a *app) command() string {
	parts := []string{"greenwave"}
	skip := false
	for _, arg := range a.args {
		name, _, joined := strings.Cut(arg, "=")
		switch {
		case skip:
			skip = false
		case name == "--db" || name == "--config" || name == "--out":
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

// document writes a document in a format, with the figures that it links.
func (a *app) document(d *report.Document, format, out string) error {
	if out != "" && (format == "md" || format == "latex") {
		if err := writeFigures(d, filepath.Dir(out)); err != nil {
			return err
		}
	}
	return a.deliver(out, func(w io.Writer) error {
		switch format {
		case "md":
			return d.Markdown(w, "figures/")
		case "latex":
			return d.LaTeX(w, "figures/")
		case "html":
			return d.HTML(w)
		}
		return d.Terminal(w, a.width)
	})
}

// writeFigures writes the figures into the folder figures in dir.
func writeFigures(d *report.Document, dir string) error {
	folder := filepath.Join(dir, "figures")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, f := range d.Figures() {
		if err := os.WriteFile(filepath.Join(folder, f.Name+".svg"), f.SVG, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// deliver writes to a file, whole or not at all, or to the output.
func (a *app) deliver(out string, write func(io.Writer) error) error {
	a.progress.clear()
	if out == "" {
		return write(a.out)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	part := out + ".part"
	if err := os.WriteFile(part, b.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(part, out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s written, %s\n", visible(out), size(int64(b.Len())))
	return err
}
