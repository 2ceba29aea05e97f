package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

type exportCmd struct {
	Experiment  string `arg:"" help:"Name of the experiment."`
	Format      string `enum:"csv,json,parquet,sqlite,tensorboard" default:"csv" help:"csv, json (one object a line), parquet, sqlite (a database of this experiment) or tensorboard (an event file)."`
	Out         string `required:"" placeholder:"DIR" help:"Folder to write to; it is made when it does not exist."`
	Force       bool   `help:"Replace an export that is in the folder already."`
	Spreadsheet bool   `help:"CSV: put an apostrophe before texts that a spreadsheet would take for a formula."`
	archiveFlag `embed:""`
}

// Run writes an experiment to files.
func (c *exportCmd) Run(ctx context.Context, a *app) error {
	if c.Spreadsheet && c.Format != "csv" {
		return &usageError{fmt.Errorf("--spreadsheet with --format %s", c.Format), "it is about CSV only"}
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	reader, end, err := c.withArchived(ctx, a, s, c.Experiment)
	if err != nil {
		return err
	}
	defer end()
	m, err := export.Export(ctx, reader, c.Experiment, export.Format(c.Format), c.Out, export.Options{
		Version: programVersion(), Database: s.Name(), Now: a.now, Force: c.Force, Spreadsheet: c.Spreadsheet,
		Copy:     sqlite.Copy,
		Progress: func(p export.Progress) { a.progress.update("rows of "+p.Table, p.Rows, 0) },
	})
	switch {
	case errors.Is(err, export.ErrExists):
		return next(err, "give another folder with --out, or --force")
	case err != nil:
		return notFound(ctx, s, c.Experiment, err)
	}
	if a.cli.JSON {
		return a.json(m)
	}
	t := newTable("~file", ">rows", ">size", "SHA-256")
	var rows, bytes int64
	for _, f := range m.Files {
		t.add(f.Name, count(f.Rows), size(f.Bytes), clip(f.SHA256, 17))
		rows += f.Rows
		bytes += f.Bytes
	}
	a.print(t)
	a.printf("%s in %s, %s, with manifest.json in %s\n", of(rows, "row"), of(len(m.Files), "file"), size(bytes), visible(c.Out))
	return nil
}
