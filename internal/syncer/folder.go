package syncer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Folder syncs the journals of all runs at or below dir. With Follow it picks up
// new runs and goes on until ctx ends. A run that fails does not stop the others.
func (s *Syncer) Folder(ctx context.Context, dir string) (Summary, error) {
	d, cancel := s.newSchedule(ctx)
	defer cancel()
	f := &folder{runs: map[string]*task{}}
	scans := make(chan scan)
	d.scans, d.admit = scans, f.admit
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer close(scans)
		s.watch(ctx, dir, scans)
	}()
	err := d.run()
	cancel()
	for range scans { // the last look around may still be on its way
	}
	<-watched
	if err == nil && !s.cfg.Follow {
		err = context.Cause(ctx)
	}
	s.refresh(context.WithoutCancel(ctx), f.tasks)
	sum := s.sum(f.tasks)
	sum.Dir, sum.Unreadable = dir, f.unreadable
	return sum, err
}

// scan is what a look around a folder has found.
type scan struct {
	runs   []journal.Info
	states map[string]store.State // what the database knows of those that are not live
	empty  []error                // folders whose process ended before it had recorded anything
	errs   []error
}

// find lists the runs at or below dir. Folders in which a process ended before it
// had made its journal hold nothing that was acknowledged; they come apart from
// those that cannot be read.
func find(dir string) (runs []journal.Info, empty, errs []error) {
	runs, all := journal.Find(dir)
	for _, err := range all {
		if errors.Is(err, journal.ErrEmpty) {
			empty = append(empty, err)
		} else {
			errs = append(errs, err)
		}
	}
	return runs, empty, errs
}

// watch looks for runs, with Follow again and again until ctx ends. The pause grows
// with the time that a look takes.
func (s *Syncer) watch(ctx context.Context, dir string, scans chan<- scan) {
	known := map[string]uint64{} // run → records when it was last passed on
	for {
		began := time.Now()
		infos, empty, errs := find(dir)
		found := scan{empty: empty, errs: errs}
		var ids []string
		for _, info := range infos {
			logged, old := known[info.Dir]
			if old && logged == info.Logged {
				continue
			}
			known[info.Dir] = info.Logged
			found.runs = append(found.runs, info)
			if !old && !info.Live {
				ids = append(ids, strings.ToLower(info.Header.RunID))
			}
		}
		if len(ids) > 1 {
			// Most runs of an old folder are settled; they need not be opened.
			found.states, _ = s.states(ctx, ids)
		}
		select {
		case scans <- found:
		case <-ctx.Done():
			return
		}
		if !s.cfg.Follow {
			return
		}
		pause := time.NewTimer(max(s.cfg.Rescan, 20*time.Since(began)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// folder is the runs of a folder that a schedule knows.
type folder struct {
	runs       map[string]*task // by folder of the run
	tasks      []*task
	unreadable []error // of the latest look
	told       []string
}

// admit takes new runs into the schedule, in the order in which they began, and
// those that have grown since they were done with.
func (f *folder) admit(d *schedule, found scan) {
	s := d.s
	f.unreadable = found.errs
	var told []string
	tell := func(text string, errs []error) {
		for _, err := range errs {
			told = append(told, err.Error())
			if !slices.Contains(f.told, err.Error()) {
				s.cfg.Logger.Warn(text, "reason", err)
			}
		}
	}
	tell("cannot read a folder", found.errs)
	tell("a run ended before it had recorded anything", found.empty)
	f.told = told
	for _, info := range found.runs {
		t := f.runs[info.Dir]
		if t != nil {
			if r := s.report(t); r.Ended && !r.Failed() && info.Logged > r.Synced {
				s.update(t, func(r *Report) { r.Ended = false })
				t.live = s.cfg.Follow && info.Live
				d.ready = append(d.ready, t)
			}
			continue
		}
		t = s.newTask(func() (Source, error) { return Journal(info.Dir) })
		t.live = s.cfg.Follow && info.Live
		t.run = store.Run{
			ID: strings.ToLower(info.Header.RunID), Experiment: info.Header.Experiment, Source: sourceJournal, StartedAt: info.Header.StartedAt,
		}
		t.report.Dir = info.Dir
		s.enlist(t)
		f.runs[info.Dir] = t
		f.tasks = append(f.tasks, t)
		s.found(t, info.Logged)
		if state, ok := found.states[t.run.ID]; ok && settled(state, info) {
			t.state, t.seen = state, true
			s.update(t, func(r *Report) {
				r.settle(state)
				r.ConfirmedAt, r.Ended = s.cfg.Now(), true
			})
			continue
		}
		d.ready = append(d.ready, t)
	}
}

// settled reports whether there is nothing to do for a run.
func settled(state store.State, info journal.Info) bool {
	return state.ExperimentID != "" && state.Cursor == info.Logged && state.Status != "running"
}
