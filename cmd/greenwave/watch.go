package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/watch"
)

type watchCmd struct {
	Experiment string `arg:"" optional:"" help:"Name of the experiment to open; without it: all."`
	Dir        string `placeholder:"DIR" xor:"where" help:"Folder of journals, or of another logger's files, to follow; no database is needed. Default: runs or production_logs in the working folder."`
	Server     string `placeholder:"URL" xor:"where" help:"Server (greenwave serve) to ask instead, as http://host:8080; its token is taken from GREENWAVE_TOKEN."`
	Once       bool   `help:"Print how things are now as lines, and end."`
	Rules      string `placeholder:"FILE" help:"Rules of alerts for --dir. Default: alerts.json where it is there, else all rules."`
	Timezone   string `placeholder:"ZONE" default:"UTC" help:"Zone of times in logs that are written without one, as Asia/Manila."`
}

// Run watches in the terminal; elsewhere it prints a line for each event.
func (c *watchCmd) Run(ctx context.Context, a *app) error {
	src, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	in := os.Stdin
	_, seen := terminal(a.out)
	_, typed := terminal(in)
	if seen && typed && !c.Once && !a.cli.JSON {
		err = watch.Run(ctx, src, c.Experiment, watch.Terminal{In: in, Out: a.out, Colour: a.colour, Env: os.Environ()})
	} else {
		err = watch.Lines(ctx, src, c.Experiment, watch.Log{Out: a.out, JSON: a.cli.JSON, Colour: a.colour, Once: c.Once, Now: a.now})
	}
	if errors.Is(err, watch.ErrUnknown) {
		err = next(err, "without a name it lists what is there")
	}
	return errors.Join(err, src.Close())
}

func (c *watchCmd) open(ctx context.Context, a *app) (watch.Source, error) {
	if c.Server != "" {
		src, err := watch.OpenServer(ctx, c.Server, a.getenv("GREENWAVE_TOKEN"))
		if err != nil {
			return nil, &usageError{fmt.Errorf("--server: %w", err), "greenwave watch --help shows how it is used"}
		}
		return src, nil
	}
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--timezone %q is not a time zone", c.Timezone), "use a name such as Asia/Manila or UTC"}
	}
	dir := c.Dir
	if dir == "" {
		dir = defaultDir()
	}
	if dir == "" {
		return nil, &usageError{errors.New("there is no folder runs or production_logs here"), "give a folder with --dir, or a server with --server http://localhost:8080"}
	}
	rules, err := alert.Load(c.Rules, a.env)
	if err != nil {
		return nil, &usageError{err, "see docs/alerts.md"}
	}
	src, err := watch.OpenFolder(dir, watch.FolderOptions{Rules: rules, Zone: zone, Now: a.now})
	if errors.Is(err, os.ErrNotExist) {
		err = next(fmt.Errorf("no folder %s", visible(dir)), "give the folder of your runs, or a server with --server")
	}
	return src, err
}
