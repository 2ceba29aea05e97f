package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/importer"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

type importCmd struct {
	Paths      []string `arg:"" name:"path" help:"Folders and files."`
	Experiment string   `placeholder:"NAME" help:"Name of the experiment, instead of what the files say."`
	Follow     bool     `help:"Go on while a trainer still writes to the files, until a signal."`
	Restore    bool     `help:"Bring back experiments that were deleted from the database after they had been imported."`
	Timezone   string   `placeholder:"ZONE" default:"UTC" help:"Zone of times that are written without one, as Asia/Manila."`
}

type importOptions struct {
	importer.Options
	restore bool
}

// Run imports files: every line ends as a row or is reported.
func (c *importCmd) Run(ctx context.Context, a *app) error {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return &usageError{fmt.Errorf("--timezone %q is not a time zone", c.Timezone), "use a name such as Asia/Manila or UTC"}
	}
	return a.importSources(ctx, c.Paths, importOptions{
		Options: importer.Options{Experiment: c.Experiment, Location: zone, Follow: c.Follow},
		restore: c.Restore,
	})
}

// importSources carries the files at the paths to the database.
func (a *app) importSources(ctx context.Context, paths []string, opt importOptions) error {
	watcher := importer.NewWatcher(paths, opt.Options)
	sources, faults := watcher.Scan()
	all := slices.Clone(sources)
	defer func() {
		for _, s := range all {
			_ = s.Close() // they were only read
		}
	}()
	if len(sources) == 0 && !opt.Follow {
		if len(faults) > 0 {
			return errors.Join(faults...)
		}
		return next(fmt.Errorf("nothing to import in %s", visible(strings.Join(paths, ", "))), "files are named <experiment>_episodes.jsonl, <experiment>_steps.jsonl, or hold results as JSON")
	}
	dest, err := a.openDestination(ctx, opt.Follow)
	if err != nil {
		return err
	}
	defer dest.Close()
	s, err := syncer.New(dest, a.syncConfig(opt.Follow, opt.restore))
	if err != nil {
		return err
	}
	var sum syncer.Summary
	if opt.Follow {
		all, faults, sum, err = a.followFiles(ctx, s, watcher, sources, faults)
	} else {
		sum, err = s.Sources(ctx, plainSources(sources))
	}
	sum.Unreadable = append(sum.Unreadable, faults...)
	sum.Dir = refusedIn(all, s.Reports())
	if !a.cli.JSON {
		a.imported(all, s.Reports())
	}
	return a.conclude(ctx, sum, err)
}

// followFiles syncs the sources, and those of files that appear later, until the
// context ends.
func (a *app) followFiles(ctx context.Context, s *syncer.Syncer, watcher *importer.Watcher, sources []importer.Source, faults []error) ([]importer.Source, []error, syncer.Summary, error) {
	all := slices.Clone(sources)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		sum  syncer.Summary
		errs []error
	)
	follow := func(sources []importer.Source) {
		if len(sources) == 0 {
			return
		}
		wg.Go(func() {
			one, err := s.Sources(ctx, plainSources(sources))
			mu.Lock()
			defer mu.Unlock()
			sum = together(sum, one)
			if err != nil && ctx.Err() == nil {
				errs = append(errs, err)
			}
		})
	}
	follow(sources)
	rescan := time.NewTicker(2 * time.Second)
	defer rescan.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return all, faults, sum, errors.Join(errs...)
		case <-rescan.C:
			more, trouble := watcher.Scan()
			for _, t := range trouble {
				a.warnf("%s", oneLine(describe(t)))
			}
			all, faults = append(all, more...), append(faults, trouble...)
			follow(more)
		}
	}
}

func plainSources(list []importer.Source) []syncer.Source {
	out := make([]syncer.Source, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// refusedIn is the folder of the first file with refused records; empty when there is
// none.
func refusedIn(sources []importer.Source, reports []syncer.Report) string {
	dead := map[string]bool{}
	for _, r := range reports {
		dead[r.RunID] = r.Dead > 0
	}
	for _, s := range sources {
		if dead[s.Run().ID] {
			return filepath.Dir(s.Found().Path)
		}
	}
	return ""
}

// imported prints a line for each file, and what in it is not whole yet.
func (a *app) imported(sources []importer.Source, reports []syncer.Report) {
	byRun := map[string]syncer.Report{}
	for _, r := range reports {
		byRun[r.RunID] = r
	}
	t := newTable("file", "~experiment", ">records", ">stored", ">superseded", ">refused")
	for _, s := range sources {
		r := byRun[s.Run().ID]
		t.add(clipLeft(visible(s.Found().Path), 30), visible(s.Run().Experiment), count(r.Logged), count(r.Stored), count(r.Superseded), count(r.Dead))
	}
	if t.len() > 0 {
		a.print(t)
	}
	for _, s := range sources {
		for _, e := range s.Unfinished() {
			a.warnf("%s", visible(oneLine(e.Error())))
		}
	}
}

// together adds up two summaries of different sources.
func together(a, b syncer.Summary) syncer.Summary {
	a.Runs += b.Runs
	a.Logged += b.Logged
	a.Synced += b.Synced
	a.Stored += b.Stored
	a.Superseded += b.Superseded
	a.Dead += b.Dead
	a.Pending += b.Pending
	a.New += b.New
	a.Repeated += b.Repeated
	a.Quarantined += b.Quarantined
	a.Failed = append(a.Failed, b.Failed...)
	a.Unreadable = append(a.Unreadable, b.Unreadable...)
	return a
}
