package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type reportCmd struct {
	Experiment string  `arg:"" help:"Name of the experiment."`
	Format     string  `enum:"text,md,latex,html,pdf,json" default:"text" help:"text, md, latex, html (one file with figures), pdf (needs Chromium) or json."`
	Out        string  `placeholder:"FILE" help:"Write to this file; figures of md and latex go beside it, as SVG and, where Chromium is there, as PNG."`
	Baseline   string  `placeholder:"NAME" help:"Baseline of the city's page. Default: fixed_time."`
	Hours      float64 `default:"4" help:"Hours a day with traffic such as was simulated, for the hours saved."`
	Force      bool    `help:"Compare although the conditions differ; the report is marked."`
}

// Run writes the report of an experiment.
func (c *reportCmd) Run(ctx context.Context, a *app) error {
	if a.cli.JSON {
		c.Format = "json"
	}
	if c.Format == "pdf" && c.Out == "" {
		return &usageError{errors.New("--format pdf without --out"), "give a file with --out"}
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	origin := a.origin()
	origin.Database = s.Name()
	d, err := report.Experiment(ctx, s, c.Experiment, report.Options{Baseline: c.Baseline, Hours: c.Hours, Force: c.Force}, origin)
	if errors.Is(err, store.ErrNotFound) {
		return notFound(ctx, s, c.Experiment, err)
	}
	if err != nil {
		return err
	}
	switch c.Format {
	case "json":
		return a.deliver(c.Out, func(w io.Writer) error { return report.JSON(w, d) })
	case "pdf":
		return a.pdf(ctx, d, c.Out)
	}
	if err := a.document(d, c.Format, c.Out); err != nil {
		return err
	}
	if c.Out != "" && (c.Format == "md" || c.Format == "latex") {
		return a.pictures(ctx, d, filepath.Join(filepath.Dir(c.Out), "figures"))
	}
	return nil
}

// browser is the path of a Chromium; empty when there is none.
func browser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// chromium runs a browser without a window, for at most a minute.
func chromium(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	profile, err := os.MkdirTemp("", "greenwave-browser-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	flags := []string{"--headless", "--disable-gpu", "--user-data-dir=" + profile}
	if os.Getuid() == 0 {
		flags = append(flags, "--no-sandbox") // the browser does not start as root otherwise; it loads only our own file
	}
	out, err := exec.CommandContext(ctx, browser(), append(flags, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("chromium: %w: %s", err, clip(oneLine(string(out)), 200))
	}
	return nil
}

// pdf prints the page of a document.
func (a *app) pdf(ctx context.Context, d *report.Document, out string) error {
	if browser() == "" {
		return next(errors.New("no Chromium was found to print the PDF"), "install it (apt-get install chromium), or take --format html and print it from a browser, or --format latex")
	}
	page, err := os.CreateTemp("", "greenwave-report-*.html")
	if err != nil {
		return err
	}
	defer os.Remove(page.Name())
	if err := errors.Join(d.HTML(page), page.Close()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	if err := chromium(ctx, "--no-pdf-header-footer", "--print-to-pdf="+out, "file://"+page.Name()); err != nil {
		return err
	}
	st, err := os.Stat(out)
	if err != nil {
		return fmt.Errorf("chromium wrote no PDF: %w", err)
	}
	a.printf("%s written, %s\n", visible(out), size(st.Size()))
	return nil
}

// pictures makes PNGs of the figures, twice as large, where a browser is there.
func (a *app) pictures(ctx context.Context, d *report.Document, folder string) error {
	if browser() == "" {
		a.warnf("no Chromium: the figures are SVG only")
		return nil
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	figures := d.Figures()
	for i, f := range figures {
		a.progress.update("figures", int64(i), int64(len(figures)))
		w, h := report.Size(f)
		if err := chromium(ctx, "--force-device-scale-factor=2", "--hide-scrollbars", fmt.Sprintf("--window-size=%d,%d", w, h),
			"--screenshot="+filepath.Join(folder, f.Name+".png"), "file://"+filepath.Join(folder, f.Name+".svg")); err != nil {
			return err
		}
	}
	a.printf("%s in %s, as SVG and PNG\n", of(len(figures), "figure"), visible(folder))
	return nil
}
