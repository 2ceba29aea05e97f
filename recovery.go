package greenwave

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

// retryEvery is how often a disk that refused a write is tried again.
const retryEvery = time.Second

// room is what must fit on the disk before recording resumes, in bytes, so that a
// disk that is almost full does not fill up with beginnings of journals.
const room = 1 << 20

// fail takes a journal that has failed out of use. It does not block: it may be
// called by the journal's own goroutine.
func (r *recorder) fail(w *journal.Writer, err error) {
	r.mu.Lock()
	first := r.writer == w && w != nil
	if first {
		r.writer = nil
		r.cause = reason(err)
		r.nextTry = time.Now().Add(retryEvery)
		r.failed = append(r.failed, w)
	}
	r.mu.Unlock()
	if first {
		r.onFail(r.why())
	}
}

// why says in full why nothing is recorded.
func (r *recorder) why() error {
	r.mu.RLock()
	cause := r.cause
	r.mu.RUnlock()
	hint := "see to the disk"
	if errors.Is(cause, syscall.ENOSPC) || errors.Is(cause, syscall.EDQUOT) {
		hint = "make room on the disk"
	}
	return fmt.Errorf("%w: %s of %s; the training can go on, and recording resumes by itself", cause, hint, r.dir)
}

// reason leaves out of a journal's error that nothing more is recorded there: the
// recorder sees to that.
func reason(err error) error {
	if !errors.Is(err, journal.ErrFailed) {
		return err
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if !errors.Is(e, journal.ErrFailed) {
				return e
			}
		}
	}
	return err
}

// failure is why recording has stopped; nil while it goes on.
func (r *recorder) failure() error {
	r.mu.RLock()
	stopped := r.writer == nil && r.cause != nil
	r.mu.RUnlock()
	if !stopped {
		return nil
	}
	return r.why()
}

// reopen goes on in a new part if the disk takes writes again. Unless it is forced
// it does nothing when somebody else is at it or the last try was less than
// retryEvery ago.
func (r *recorder) reopen(force bool) bool {
	if force {
		r.retry.Lock()
	} else if !r.retry.TryLock() {
		return false
	}
	defer r.retry.Unlock()
	r.mu.Lock()
	ready := r.writer != nil || r.ended
	early := !force && time.Now().Before(r.nextTry)
	if !early {
		r.nextTry = time.Now().Add(retryEvery)
	}
	r.mu.Unlock()
	switch {
	case ready:
		return true
	case early:
		return false
	}
	r.closeFailed()
	w, err := r.nextPart()
	r.mu.Lock()
	if err != nil {
		r.cause = reason(err)
	} else {
		r.cause, r.writer = nil, w
		r.id, r.runDir = w.Header().RunID, w.Dir()
	}
	r.mu.Unlock()
	if err != nil {
		return false
	}
	r.onPart(w.Dir())
	r.onBack()
	return true
}

// nextPart makes a new folder, which says first what the ones before could not take.
func (r *recorder) nextPart() (*journal.Writer, error) {
	if err := hasRoom(r.dir); err != nil {
		return nil, err
	}
	r.header.RunID = newRunID()
	r.header.StartedAt = later(time.Now(), r.opt.NotBefore)
	w, err := r.create()
	if err != nil {
		return nil, err
	}
	if err := r.confess(w); err != nil {
		r.mu.Lock()
		r.failed = append(r.failed, w)
		r.mu.Unlock()
		return nil, err
	}
	return w, nil
}

// bury is closeFailed for those who do not hold retry.
func (r *recorder) bury() {
	r.retry.Lock()
	defer r.retry.Unlock()
	r.closeFailed()
}

// closeFailed closes the journals that have failed, which releases their locks and
// tells the sync that they are over. The next part continues the last of them.
func (r *recorder) closeFailed() {
	r.mu.RLock()
	failed := r.failed
	r.mu.RUnlock()
	for _, w := range failed {
		_ = w.Close() // the failure that is known already
		p := part{w.Logged(), w.Durable()}
		r.header.Continues = w.Header().RunID
		r.opt.NotBefore = later(r.opt.NotBefore, lastTime(w.Dir()))
		r.lostMu.Lock()
		r.doubt += p.logged - p.durable
		r.lostMu.Unlock()
		r.mu.Lock()
		r.parts = append(r.parts, p)
		r.failed = r.failed[1:]
		r.mu.Unlock()
	}
}

// lastTime is the time of a journal's last line.
func lastTime(runDir string) time.Time {
	info, err := journal.Stat(runDir)
	if err != nil {
		// The disk does not even read: the clock is the best that is known.
		return time.Now()
	}
	return info.LastTime
}

// confess writes into a new journal what the ones before could not take: a heartbeat
// with the calls that failed, by kind, and the number of records that were written
// but never confirmed to be on the disk.
func (r *recorder) confess(w *journal.Writer) error {
	r.lostMu.Lock()
	now, doubt := maps.Clone(r.lost), r.doubt
	fresh := map[record.Kind]uint64{}
	for k, n := range now {
		if n > r.told[k] {
			fresh[k] = n - r.told[k]
		}
	}
	r.lostMu.Unlock()
	h := record.Heartbeat{Extra: record.Extra{"not_recorded": fresh}}
	if doubt > 0 {
		h.Extra["unconfirmed"] = doubt
	}
	data, err := h.AppendJSON(nil)
	if err != nil {
		return err
	}
	if _, err := w.Append(string(record.KindHeartbeat), data, true); err != nil {
		return err
	}
	r.lostMu.Lock()
	r.told = now
	r.doubt -= doubt
	r.lostMu.Unlock()
	return nil
}

// hasRoom finds out whether a disk takes writes again.
func hasRoom(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".room-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, room))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// newRunID makes a run id. Ids sort by time.
func newRunID() string { return uuid.Must(uuid.NewV7()).String() }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
