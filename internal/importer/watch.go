package importer

import (
	"errors"
	"os"
	"time"
)

// Watcher opens the files below some paths, and those that appear there later.
type Watcher struct {
	paths []string
	opt   Options
	open  map[string]state
	said  map[string]bool // errors that were reported
}

// state is what a file was like when it was opened.
type state struct {
	role    Role
	size    int64
	written time.Time
}

// NewWatcher prepares to search the paths. It does nothing yet.
func NewWatcher(paths []string, opt Options) *Watcher {
	return &Watcher{paths: paths, opt: opt, open: map[string]state{}, said: map[string]bool{}}
}

// Scan opens what was not there at the last scan: new files, files that had been
// empty, and summaries and results that were written again. The caller closes the
// sources. An error is reported once, not at each scan; with Options.Follow a file
// without a whole record is no error, because it may get one.
func (w *Watcher) Scan() ([]Source, []error) {
	found, errs := Find(w.paths, w.opt)
	var sources []Source
	for _, f := range found {
		info, err := os.Stat(f.Path)
		if err != nil {
			errs = append(errs, hint(err))
			continue
		}
		now := state{f.Role, info.Size(), info.ModTime()}
		if before, ok := w.open[f.Path]; ok && (before == now || f.Role == Episodes || f.Role == Steps) {
			continue
		}
		s, err := Open(f, w.opt)
		if err != nil {
			errs = append(errs, hint(err))
			continue
		}
		w.open[f.Path] = now
		sources = append(sources, s)
	}
	return sources, w.fresh(errs)
}

func (w *Watcher) fresh(errs []error) []error {
	var out []error
	for _, err := range errs {
		if w.opt.Follow && errors.Is(err, ErrNothingYet) || w.said[err.Error()] {
			continue
		}
		w.said[err.Error()] = true
		out = append(out, err)
	}
	return out
}
