package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/figure"
	"github.com/greenwave-traffic/greenwave/internal/report"
)

// needsFile refuses a PDF without a file to write it to.
func needsFile(format, out string) error {
	if format == "pdf" && out == "" {
		return &usageError{errors.New("--format pdf without --out"), "give a file with --out"}
	}
	return nil
}

// document writes a document in a format, with the figures that it links.
func (a *app) document(ctx context.Context, d *report.Document, format, out string) error {
	if format == "pdf" {
		return a.pdf(ctx, d, out)
	}
	if out != "" && (format == "md" || format == "latex") {
		if err := a.figures(ctx, d, filepath.Join(filepath.Dir(out), "figures")); err != nil {
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

// figures writes the figures into a folder, as SVG and, where a browser is there, as PNG.
func (a *app) figures(ctx context.Context, d *report.Document, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var drawings [][]byte
	var names []string
	for _, f := range d.Figures() {
		if err := os.WriteFile(filepath.Join(folder, f.Name+".svg"), f.SVG, 0o644); err != nil {
			return err
		}
		drawings, names = append(drawings, f.SVG), append(names, f.Name)
	}
	if browser() == "" {
		a.warnf("no Chromium was found: the figures are SVG only, and LaTeX shows PNG; install it (apt-get install chromium) and run this again")
		return nil
	}
	for _, s := range figure.Sheets(drawings) {
		pictures, err := photograph(ctx, s)
		if err != nil {
			return err
		}
		for _, p := range pictures {
			if err := os.WriteFile(filepath.Join(folder, names[0]+".png"), p, 0o644); err != nil {
				return err
			}
			names = names[1:]
		}
	}
	a.printf("%s in %s, as SVG and PNG\n", of(len(drawings), "figure"), visible(folder))
	return nil
}

// photograph has a browser draw a sheet of figures, twice as large.
func photograph(ctx context.Context, s *figure.Sheet) ([][]byte, error) {
	dir, err := os.MkdirTemp("", "greenwave-figures-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	page, picture := filepath.Join(dir, "sheet.html"), filepath.Join(dir, "sheet.png")
	if err := os.WriteFile(page, s.Page, 0o600); err != nil {
		return nil, err
	}
	err = chromium(ctx, "--force-device-scale-factor=2", "--hide-scrollbars", fmt.Sprintf("--window-size=%d,%d", s.Width, s.Height), "--screenshot="+picture, "file://"+page)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(picture)
	if err != nil {
		return nil, fmt.Errorf("chromium took no picture of the figures: %w", err)
	}
	return s.Cut(data)
}

// pdf prints the page of a document.
func (a *app) pdf(ctx context.Context, d *report.Document, out string) error {
	if browser() == "" {
		return next(errors.New("no Chromium was found to print the PDF"), "install it (apt-get install chromium), or take --format html and print it from a browser, or --format latex")
	}
	dir, err := os.MkdirTemp("", "greenwave-report-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	page, printed := filepath.Join(dir, "report.html"), filepath.Join(dir, "report.pdf")
	var b bytes.Buffer
	if err := d.HTML(&b); err != nil {
		return err
	}
	if err := os.WriteFile(page, b.Bytes(), 0o600); err != nil {
		return err
	}
	if err := chromium(ctx, "--no-pdf-header-footer", "--print-to-pdf="+printed, "file://"+page); err != nil {
		return err
	}
	data, err := os.ReadFile(printed)
	if err != nil {
		return fmt.Errorf("chromium wrote no PDF: %w", err)
	}
	return a.deliver(out, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
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

// chromium runs a browser without a window, for at most two minutes, with a profile of
// its own that is thrown away.
func chromium(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	profile, err := os.MkdirTemp("", "greenwave-browser-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	flags := []string{"--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking", "--user-data-dir=" + profile}
	if os.Getuid() == 0 {
		flags = append(flags, "--no-sandbox") // as root it does not start otherwise; it opens only a page of ours
	}
	out, err := exec.CommandContext(ctx, browser(), append(flags, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("chromium: %w: %s", err, clip(oneLine(string(out)), 200))
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
