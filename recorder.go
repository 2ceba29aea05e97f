package greenwave

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

// recorder writes the journal of a run. A journal that has failed is never written
// again: the recorder goes on in a new folder, a new part of the run, as soon as the
// disk takes writes again (recovery.go).
type recorder struct {
	dir    string
	header journal.Header  // of the next part; under retry
	opt    journal.Options // of the next part; under retry

	onPart func(runDir string) // a part was begun
	onFail func(error)         // recording has stopped; must not block
	onBack func()              // recording goes on

	// mu is held for reading while a record is appended, and for writing, shortly,
	// when the part changes or the run ends.
	mu      sync.RWMutex
	writer  *journal.Writer // nil while the disk refuses
	id      string          // run id of the last part that was begun
	runDir  string          // its folder
	parts   []part          // that are no longer written
	failed  []*journal.Writer
	cause   error     // why writer is nil
	nextTry time.Time // when the disk is tried again
	ended   bool

	// retry is held by the one who looks after a failure. It may be held for as
	// long as a slow disk takes, so nobody who logs waits for it.
	retry sync.Mutex

	lostMu sync.Mutex
	lost   map[record.Kind]uint64 // calls that got ErrNotRecorded
	told   map[record.Kind]uint64 // of these, those that a journal knows of
	doubt  uint64                 // records of a failed journal that no fdatasync confirmed
}

// part is a folder of the run that is no longer written.
type part struct{ logged, durable uint64 }

// begin makes the first part. Its error is that of the file system: a run that
// cannot be recorded from the start is not begun.
func (r *recorder) begin() error {
	w, err := r.create()
	if err != nil {
		return fmt.Errorf("greenwave: cannot record in %s: %w", r.dir, err)
	}
	r.writer, r.id, r.runDir = w, w.Header().RunID, w.Dir()
	r.onPart(w.Dir())
	return nil
}

// create makes a folder for the run and its journal.
func (r *recorder) create() (*journal.Writer, error) {
	var w *journal.Writer
	made := make(chan struct{})
	opt := r.opt
	opt.OnError = func(err error) { // a failure in the background
		<-made
		r.fail(w, err)
	}
	defer close(made)
	var err error
	w, err = journal.Create(r.dir, r.header, opt)
	return w, err
}

// place is where a record stands.
type place struct {
	run string // run id
	seq uint64
}

// append records one record, durably or with the next fdatasync.
func (r *recorder) append(kind record.Kind, data []byte, durable bool) (place, error) {
	at, err := r.tryAppend(kind, data, durable)
	if errors.Is(err, errNoJournal) && r.reopen(false) {
		at, err = r.tryAppend(kind, data, durable)
	}
	if errors.Is(err, errNoJournal) {
		err = r.refuse(kind)
	}
	return at, err
}

// errNoJournal says that the disk has refused a write and recording has not resumed.
var errNoJournal = errors.New("no journal")

func (r *recorder) tryAppend(kind record.Kind, data []byte, durable bool) (place, error) {
	r.mu.RLock()
	w, id, ended := r.writer, r.id, r.ended
	if ended || w == nil {
		r.mu.RUnlock()
		if ended {
			return place{}, ErrFinished
		}
		return place{}, errNoJournal
	}
	seq, err := w.Append(string(kind), data, durable)
	r.mu.RUnlock()
	switch {
	case err == nil:
		return place{id, seq}, nil
	case errors.Is(err, journal.ErrTooLarge), errors.Is(err, journal.ErrInvalid):
		return place{}, fmt.Errorf("greenwave: %w", err)
	}
	r.fail(w, err)
	return place{}, r.refuse(kind)
}

// refuse counts a record that was not recorded and says why.
func (r *recorder) refuse(kind record.Kind) error {
	if kind != record.KindHeartbeat && kind != record.KindResource {
		r.lostMu.Lock()
		if r.lost == nil {
			r.lost = map[record.Kind]uint64{}
		}
		r.lost[kind]++
		r.lostMu.Unlock()
	}
	return fmt.Errorf("%w: %s: %w", ErrNotRecorded, kind, r.why())
}

// flush makes everything durable that was appended before.
func (r *recorder) flush() error {
	r.mu.RLock()
	w, ended := r.writer, r.ended
	var err error
	if w != nil && !ended {
		err = w.Flush()
	}
	r.mu.RUnlock()
	switch {
	case ended:
		return ErrFinished
	case w == nil:
		return fmt.Errorf("%w: %w", ErrNotRecorded, r.why())
	case err != nil:
		r.fail(w, err)
		return fmt.Errorf("%w: what was logged last may not be on the disk: %w", ErrNotRecorded, r.why())
	}
	return nil
}

// end writes the last record and closes the journal. Appends that are under way
// come before it, later ones get ErrFinished.
func (r *recorder) end(data []byte) error {
	r.mu.RLock()
	broken := r.writer == nil
	r.mu.RUnlock()
	if broken {
		r.reopen(true)
	}
	r.mu.Lock()
	w := r.writer
	r.ended = true
	r.mu.Unlock()
	if w == nil {
		r.bury()
		return r.refuse(record.KindEnd)
	}
	_, err := w.Append(string(record.KindEnd), data, true)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		r.fail(w, err)
		r.bury()
		return r.refuse(record.KindEnd)
	}
	return nil
}

// counts adds up the parts.
func (r *recorder) counts() (logged, durable, lost uint64) {
	r.mu.RLock()
	for _, p := range r.parts {
		logged, durable = logged+p.logged, durable+p.durable
	}
	for _, w := range append(r.failed[:len(r.failed):len(r.failed)], r.writer) {
		if w != nil {
			// In this order, so that durable never seems to be ahead.
			durable += w.Durable()
			logged += w.Logged()
		}
	}
	r.mu.RUnlock()
	r.lostMu.Lock()
	for _, n := range r.lost {
		lost += n
	}
	r.lostMu.Unlock()
	return logged, durable, lost
}
