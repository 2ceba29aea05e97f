package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/greenwave-traffic/greenwave/internal/importer"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// folder is what was found at the DIR of a command: journals of runs, or else the
// files of an older logger.
type folder struct {
	dir      string
	journals []journal.Info
	files    []importer.Found
	faults   []error // what is there and cannot be read
}

func (f *folder) imported() bool { return len(f.journals) == 0 && len(f.files) > 0 }

// find looks at a folder. It is an error when nothing in it is ours.
func (a *app) find(dir string) (*folder, error) {
	st, err := os.Stat(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, next(fmt.Errorf("no folder %s", visible(dir)), "give the folder of your runs (runs, or production_logs)")
		}
		return nil, err
	}
	f := &folder{dir: dir}
	if st.IsDir() {
		f.journals, f.faults = journal.Find(dir)
	}
	if len(f.journals) == 0 {
		files, faults := importer.Find([]string{dir}, importer.Options{})
		f.files = files
		if len(files) > 0 {
			f.faults = append(f.faults, faults...)
		}
	}
	if len(f.journals)+len(f.files) == 0 {
		if len(f.faults) > 0 {
			return nil, errors.Join(f.faults...)
		}
		return nil, next(fmt.Errorf("no runs in %s", visible(dir)), "a run is a folder with segments; logs are <experiment>_episodes.jsonl and the like")
	}
	return f, nil
}

// open opens everything that was found as a source.
func (f *folder) open() ([]syncer.Source, []error) {
	var sources []syncer.Source
	faults := f.faults
	for _, j := range f.journals {
		s, err := syncer.Journal(j.Dir)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		sources = append(sources, s)
	}
	for _, found := range f.files {
		s, err := importer.Open(found, importer.Options{})
		switch {
		case errors.Is(err, importer.ErrNothingYet):
		case err != nil:
			faults = append(faults, err)
		default:
			sources = append(sources, s)
		}
	}
	return sources, faults
}

func closeAll(sources []syncer.Source) {
	for _, s := range sources {
		_ = s.Close() // they were only read
	}
}

// statusOfFiles is the status of imported files: the file is the journal.
func (a *app) statusOfFiles(ctx context.Context, f *folder, reader syncer.Asked) ([]syncer.RunStatus, error) {
	sources, faults := f.open()
	defer closeAll(sources)
	ids := make([]string, len(sources))
	for i, s := range sources {
		ids[i] = s.Run().ID
	}
	states := map[string]store.State{}
	if reader != nil {
		var err error
		if states, err = reader.States(ctx, ids); err != nil {
			return nil, err
		}
	}
	var list []syncer.RunStatus
	for _, s := range sources {
		run := s.Run()
		logged, err := s.Logged()
		if err != nil {
			faults = append(faults, err)
			continue
		}
		st, known := states[run.ID]
		r := syncer.RunStatus{
			RunID: run.ID, Experiment: run.Experiment, Dir: f.dir, StartedAt: run.StartedAt,
			Logged: logged, Durable: logged, Status: "not synced", Asked: reader != nil,
		}
		if known {
			r.Status, r.ConfirmedAt = st.Status, st.UpdatedAt
			if st.Status == "running" && a.now().Sub(st.LastHeartbeat) > store.StaleAfter {
				r.Status = "interrupted"
			}
			settled := min(st.Cursor, logged)
			r.Dead = min(st.Dead, settled)
			r.Synced, r.Superseded, r.Ahead = settled-r.Dead, st.Superseded, st.Cursor-settled
		}
		r.Missing = logged - r.Synced - r.Dead
		list = append(list, r)
	}
	return list, errors.Join(faults...)
}
