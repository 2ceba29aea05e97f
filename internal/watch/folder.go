package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/importer"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// FolderOptions are how a folder is read.
type FolderOptions struct {
	Rules alert.Rules
	Zone  *time.Location // of times in logs that are written without one
	Now   func() time.Time
}

// Folder reads journals, and logs of other loggers, while they are written. It is used
// by one goroutine at a time.
type Folder struct {
	dir     string
	opt     FolderOptions
	host    string
	runs    map[string]*run // by folder, imports by their id
	byName  map[string]*experiment
	files   *importer.Watcher
	scanned time.Time
	pause   time.Duration // until the next look for new runs
	faults  []string      // what could not be read, of the latest look
}

// How often a folder is looked at: for new lines in what is written, and for new runs.
const (
	readEvery = 100 * time.Millisecond
	scanEvery = time.Second
	// tellEvery is when waiting ends without news: ages on the screen grow.
	tellEvery = time.Second
)

// OpenFolder prepares to read a folder.
func OpenFolder(dir string, opt FolderOptions) (*Folder, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	host, _ := os.Hostname() // without it a run of any host may be this one's
	return &Folder{
		dir: dir, opt: opt, host: host, runs: map[string]*run{}, byName: map[string]*experiment{},
		files: importer.NewWatcher([]string{dir}, importer.Options{Location: opt.Zone, Follow: true}),
	}, nil
}

// Name is the folder.
func (f *Folder) Name() string { return f.dir }

// Close closes the files.
func (f *Folder) Close() error {
	var errs []error
	for _, r := range f.runs {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// Wait returns when a journal has grown or a run has come or gone.
func (f *Folder) Wait(ctx context.Context) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	begun := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if f.look() || time.Since(begun) >= tellEvery {
			return nil
		}
	}
}

// look reads what is new and reports whether there was anything.
func (f *Folder) look() bool {
	changed := false
	if time.Since(f.scanned) >= f.pause {
		changed = f.scan()
	}
	for _, r := range f.runs {
		if r.live || r.unread {
			changed = r.read(f.opt.Now()) || changed
		}
	}
	return changed
}

// scan looks for runs that are new, have grown or have ended.
func (f *Folder) scan() bool {
	begun := time.Now()
	before := len(f.runs)
	changed := false
	infos, errs := journal.Find(f.dir)
	for _, info := range infos {
		r := f.runs[info.Dir]
		if r == nil {
			r = &run{dir: info.Dir, id: info.Header.RunID, header: info.Header}
			r.open = func() (syncer.Source, error) { return syncer.Journal(r.dir) }
			f.enlist(info.Dir, r, info.Header.Experiment, info.Header.Config, info.Header.StartedAt)
		}
		// Another machine's lock is not seen here: believe what it writes.
		live := info.Live || info.Header.Host != f.host && f.opt.Now().Sub(r.sign) < store.StaleAfter
		changed = changed || live != r.live
		r.live = live
		r.unread = r.unread || info.Logged > r.seq
		if r.live || !r.confirmedAny || r.confirmed.Synced < info.Logged {
			if list := syncer.LastConfirmed(r.dir); len(list) > 0 {
				changed = changed || list[0] != r.confirmed
				r.confirmed, r.confirmedAny = list[0], true
			}
		}
	}
	sources, faults := f.files.Scan()
	for _, src := range sources {
		of := src.Run()
		r := &run{id: of.ID, imported: true, live: true, src: src}
		if old := f.runs[of.ID]; old != nil {
			_ = src.Close() // a summary that was written again: what it says was read
			continue
		}
		f.enlist(of.ID, r, of.Experiment, of.Config, of.StartedAt)
	}
	f.faults = f.faults[:0]
	for _, err := range append(errs, faults...) {
		if !errors.Is(err, journal.ErrEmpty) {
			f.faults = append(f.faults, err.Error())
		}
	}
	f.scanned = time.Now()
	f.pause = max(scanEvery, 20*time.Since(begun))
	return changed || len(f.runs) != before
}

func (f *Folder) enlist(key string, r *run, name string, config []byte, started time.Time) {
	e := f.byName[name]
	if e == nil {
		e = &experiment{name: name, episodes: map[int64]*point{}, seen: f.opt.Now()}
		f.byName[name] = e
	}
	r.of, r.started, r.unread, r.status = e, started, true, "running"
	r.sign = started
	e.plan(config)
	e.runs = append(e.runs, r)
	slices.SortFunc(e.runs, func(a, b *run) int { return a.started.Compare(b.started) })
	f.runs[key] = r
}

// Experiments lists what was read.
func (f *Folder) Experiments(ctx context.Context) ([]Experiment, error) {
	if f.scanned.IsZero() {
		f.look()
	}
	if len(f.byName) == 0 && len(f.faults) > 0 {
		return nil, fmt.Errorf("nothing in %s can be read: %s", f.dir, strings.Join(f.faults, "; "))
	}
	list := make([]Experiment, 0, len(f.byName))
	for _, e := range f.byName {
		list = append(list, e.line(f.opt.Now()))
	}
	slices.SortFunc(list, newestFirst)
	return list, ctx.Err()
}

// Show returns one experiment.
func (f *Folder) Show(_ context.Context, name string) (*Detail, error) {
	e := f.byName[name]
	if e == nil {
		return nil, fmt.Errorf("%w: %q in %s", ErrUnknown, name, f.dir)
	}
	now := f.opt.Now()
	d := e.detail(now)
	for _, a := range f.opt.Rules.Judge(now, e.forRules(now)) {
		d.Alerts = append(d.Alerts, Alert{ID: a.Rule, Rule: a.Rule, Severity: a.Severity, Message: a.Message, WhatToDo: a.WhatToDo, Since: e.alertSince(a.Rule, now), Open: true})
	}
	e.forgetAlerts(d.Alerts)
	return d, nil
}

// Episodes lists episodes behind a number.
func (f *Folder) Episodes(_ context.Context, name string, last int64, limit int) ([]Episode, error) {
	e := f.byName[name]
	if e == nil {
		return nil, fmt.Errorf("%w: %q in %s", ErrUnknown, name, f.dir)
	}
	numbers := e.numbers()
	at, _ := slices.BinarySearch(numbers, last+1)
	numbers = numbers[at:]
	numbers = numbers[max(0, len(numbers)-limit):]
	list := make([]Episode, len(numbers))
	for i, n := range numbers {
		list[i] = e.episodes[n].Episode
	}
	return list, nil
}

// run is a journal or a log that is read.
type run struct {
	dir, id  string
	imported bool
	header   journal.Header
	of       *experiment
	started  time.Time
	open     func() (syncer.Source, error)
	src      syncer.Source // nil while it is closed

	live, unread bool
	seq          uint64 // last record that was read
	sign         time.Time
	progress     time.Time // last step, episode or the like
	ended        time.Time
	status       string // as logged
	reason       string
	damage       int
	trouble      string // why it cannot be read
	step         []byte // the latest step as it was logged
	stepAt       time.Time
	disk         *float64
	signals      alert.Signals

	confirmed    syncer.Confirmed
	confirmedAny bool
}

func (r *run) close() error {
	if r.src == nil {
		return nil
	}
	err := r.src.Close()
	r.src = nil
	return err
}

// newSteps is how many new steps at most are followed for what signals show: more
// come only when a long journal is read at once.
const newSteps = 200

// read takes what is new.
func (r *run) read(now time.Time) (changed bool) {
	r.unread = false
	if r.src == nil {
		src, err := r.open()
		if err == nil {
			err = src.Seek(r.seq)
		}
		if err != nil {
			r.trouble = err.Error()
			return false
		}
		r.src = src
	}
	var steps [][]byte
	for {
		item, err := r.src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.trouble = err.Error()
			break
		}
		changed, r.trouble = true, ""
		r.seq = max(r.seq, item.Seq)
		if item.Err != nil {
			r.damage++
			r.seq = item.Seq + max(item.Lost, 1) - 1
			continue
		}
		r.sign = item.Time
		if item.Kind == record.KindStep {
			r.step, r.stepAt, r.progress = append(r.step[:0], item.Data...), item.Time, item.Time
			if len(steps) == newSteps {
				steps = steps[1:]
			}
			steps = append(steps, slices.Clone(item.Data))
			continue
		}
		r.take(item)
	}
	for _, data := range steps {
		if row, err := record.Parse(record.KindStep, data, nil); err == nil {
			r.signals.Step(&row)
		}
	}
	if r.imported {
		// Nobody says whether such a log is still written.
		r.live = true
		if changed && now.Sub(r.sign) < store.StaleAfter {
			r.sign = now
		}
	} else if !r.live {
		_ = r.close() // it was only read; the next look opens it again when it has grown
	}
	return changed
}

// take reads a record that is not a step. One that breaks a rule is a dead letter for
// a sync; here it is left out.
func (r *run) take(item syncer.Item) {
	row, err := record.Parse(item.Kind, item.Data, nil)
	if err != nil {
		r.damage++
		return
	}
	switch item.Kind {
	case record.KindEpisode:
		r.progress = item.Time
		r.of.take(r.id, item, &row)
	case record.KindCheckpoint, record.KindValidation, record.KindBaseline:
		r.progress = item.Time
	case record.KindResource:
		if v := row.Get("disk_free_mb"); !v.IsNull() {
			r.disk = new(v.Float())
		}
	case record.KindExperiment:
		if v := row.Get("config"); !v.IsNull() {
			r.of.plan(v.Bytes())
		}
	case record.KindEnd:
		r.ended = item.Time
		r.status, r.reason = string(row.Get("status").Bytes()), string(row.Get("reason").Bytes())
	}
}

// state is the run's status as it is now.
func (r *run) state(now time.Time) string {
	switch {
	case !r.ended.IsZero():
		return r.status
	case r.live && !r.imported, now.Sub(r.sign) < store.StaleAfter && r.imported:
		return "running"
	}
	return "interrupted"
}
