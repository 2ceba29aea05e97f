package importer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"time"
)

// errWaiting is a step whose episode has not ended yet.
var errWaiting = errors.New("its episode has not ended yet")

// episodeIndex knows the numbers of the episodes that steps name by an id. It reads
// the episodes file beside the steps file as far as that goes.
type episodeIndex struct {
	tail    tail
	loc     *time.Location
	missing bool // there is no such file

	numbers map[[16]byte]int32
	// ended is when the latest known episode of a session ended, begun when the
	// latest of all sessions began.
	ended map[[16]byte]time.Time
	begun time.Time
	ms    []member
}

func newEpisodeIndex(path string, opt Options) *episodeIndex {
	return &episodeIndex{
		tail:    tail{path: path, takeLast: !opt.Follow},
		loc:     opt.location(),
		numbers: map[[16]byte]int32{},
		ended:   map[[16]byte]time.Time{},
	}
}

// short is 16 bytes that stand for an id of any length.
func short(id []byte) [16]byte {
	sum := sha256.Sum256(id)
	return [16]byte(sum[:16])
}

// refresh reads what is new in the episodes file and reports whether there was
// anything.
func (x *episodeIndex) refresh() (bool, error) {
	fresh := false
	for {
		line, _, err := x.tail.read()
		switch {
		case errors.Is(err, io.EOF):
			return fresh, nil
		case errors.Is(err, fs.ErrNotExist):
			x.missing = true
			return fresh, nil
		case err != nil:
			return fresh, err
		}
		fresh, x.missing = true, false
		x.take(line)
	}
}

// take notes an episode. Of two numbers for one id the first counts, because it
// does not change when the file grows.
func (x *episodeIndex) take(line []byte) {
	var err error
	if x.ms, err = members(line, x.ms); err != nil {
		return // the episodes file's own source reports it
	}
	if id := value(x.ms, "episode_id"); id != nil {
		written := value(x.ms, "episode_number")
		if written == nil {
			written = value(x.ms, "episode")
		}
		n, ok := number(written)
		if _, known := x.numbers[short(id)]; ok && !known && n == math.Trunc(n) && n >= 0 && n <= math.MaxInt32 {
			x.numbers[short(id)] = int32(n)
		}
	}
	session := short(value(x.ms, "session_id"))
	if end := firstTime(x.ms, x.loc, "timestamp", "end_time"); end.After(x.ended[session]) {
		x.ended[session] = end
	}
	if begin := firstTime(x.ms, x.loc, "start_time"); begin.After(x.begun) {
		x.begun = begin
	}
}

// number finds the number of a step's episode. errWaiting says that the episode may
// still end; it is only returned while the file is followed.
func (x *episodeIndex) number(ms []member, follow bool) (int64, error) {
	id := value(ms, "episode_id")
	if id == nil {
		return 0, errors.New("step: it has neither episode_number nor episode_id: one is needed to know its episode")
	}
	key := short(id)
	n, ok := x.numbers[key]
	if !ok {
		if _, err := x.refresh(); err != nil {
			return 0, &indexError{err}
		}
		n, ok = x.numbers[key]
	}
	if ok {
		return int64(n), nil
	}
	if follow && !x.abandoned(ms) {
		return 0, errWaiting
	}
	name := filepath.Base(x.tail.path)
	if x.missing {
		return 0, fmt.Errorf("step: it has no episode_number, and there is no %s beside it that says which number episode_id %s has", name, id)
	}
	return 0, fmt.Errorf("step: its episode never ended: no line of %s has episode_id %s and an episode_number", name, id)
}

// abandoned reports whether the episode of a step will never end: the older logger
// writes an episode when it has ended, one after the other, so one that is missing
// while a later one is there was given up.
func (x *episodeIndex) abandoned(ms []member) bool {
	at := firstTime(ms, x.loc, "real_timestamp", "timestamp")
	if at.IsZero() {
		return false
	}
	return x.ended[short(value(ms, "session_id"))].After(at) || x.begun.After(at)
}

// indexError is a failure to read the episodes file, which is not the step's fault.
type indexError struct{ err error }

func (e *indexError) Error() string { return e.err.Error() }
func (e *indexError) Unwrap() error { return e.err }

// firstTime returns the first of the named members that is a time, or zero.
func firstTime(ms []member, loc *time.Location, names ...string) time.Time {
	for _, name := range names {
		if t, _, ok := parseTime(value(ms, name), loc); ok {
			return t
		}
	}
	return time.Time{}
}
