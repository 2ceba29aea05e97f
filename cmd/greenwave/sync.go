package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/importer"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

type syncCmd struct {
	Dir        string `arg:"" help:"Folder of runs, or one run."`
	Follow     bool   `help:"Go on: send new records and new runs as they appear, until a signal."`
	UntilEnded bool   `help:"With --follow: end when the runs that are there now have ended and all is sent."`
	Restore    bool   `help:"Bring back experiments that were deleted from the database after they had been synced."`
	modelsFlag `embed:""`
}

// Run carries a folder to the database.
func (c *syncCmd) Run(ctx context.Context, a *app) error {
	if c.UntilEnded && !c.Follow {
		return &usageError{errors.New("--until-ended without --follow"), "add --follow"}
	}
	found, err := a.find(c.Dir)
	if err != nil {
		return err
	}
	if found.imported() {
		return a.importSources(ctx, []string{c.Dir}, importOptions{Options: importer.Options{Follow: c.Follow}, restore: c.Restore})
	}
	dest, err := a.openDestination(ctx, c.Follow)
	if err != nil {
		return err
	}
	defer dest.Close()
	carrier, err := c.carrier(a, dest)
	if err != nil {
		return err
	}
	s, err := syncer.New(dest, a.syncConfig(c.Follow, c.Restore))
	if err != nil {
		return err
	}
	stopped := func() {}
	if carrier != nil && c.Follow {
		following, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { carrier.follow(following, c.Dir) })
		stopped = func() { cancel(); wg.Wait() }
	}
	var sum syncer.Summary
	if c.UntilEnded {
		sources, errs := found.open()
		defer closeAll(sources)
		sum, err = s.Sources(ctx, sources)
		sum.Unreadable = append(sum.Unreadable, errs...)
	} else {
		sum, err = s.Folder(ctx, c.Dir)
	}
	stopped()
	err = a.conclude(ctx, sum, err)
	if carrier != nil && ctx.Err() == nil && (err == nil || errors.Is(err, errRefused)) {
		err = errors.Join(err, carrier.finish(ctx, c.Dir))
	}
	return err
}

// syncConfig reports progress in the way that suits the output.
func (a *app) syncConfig(follow, restore bool) syncer.Config {
	cfg := syncer.Config{Follow: follow, Restore: restore, Logger: a.logger(), Now: a.now}
	switch {
	case a.cli.JSON && follow:
		cfg.ReportEvery = time.Second
		cfg.OnReport = func(r syncer.Report) { _ = a.json(r) }
	case a.progress.on:
		runs := map[string]syncer.Report{}
		cfg.ReportEvery = 100 * time.Millisecond
		cfg.OnReport = func(r syncer.Report) {
			runs[r.RunID] = r
			var synced, logged uint64
			for _, r := range runs {
				synced += r.Synced
				logged += r.Logged
			}
			a.progress.update("records", int64(synced), int64(logged))
		}
	}
	return cfg
}

// conclude prints what a sync did and turns it into an exit code.
func (a *app) conclude(ctx context.Context, sum syncer.Summary, err error) error {
	stopped := ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled))
	if err != nil && !stopped {
		return err
	}
	for _, e := range sum.Unreadable {
		a.warnf("%s", oneLine(describe(e)))
	}
	for _, r := range sum.Failed {
		a.warnf("%s/%s: %s", visible(r.Experiment), short(r.RunID), oneLine(r.LastError))
	}
	if a.cli.JSON {
		if err := a.json(sum); err != nil {
			return err
		}
	} else {
		a.printf("%s\n", sum.String())
	}
	switch {
	case stopped && sum.Pending > 0:
		return next(fmt.Errorf("stopped by a signal with %s left", of(sum.Pending, "record")), "run the command again to send them")
	case len(sum.Failed) > 0 && sum.Failed[0].Err != nil:
		return fmt.Errorf("%s stopped, the first with: %w", of(len(sum.Failed), "run"), sum.Failed[0].Err)
	case !sum.Complete():
		return next(errors.New("not everything could be sent"), "mend what is said above and run the command again")
	case sum.Dead > 0:
		return errRefused
	}
	return nil
}
