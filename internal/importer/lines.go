package importer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// lines is a file of JSON lines as a source: the n-th line that is not blank is the
// record with sequence number n.
type lines struct {
	found Found
	opt   Options
	run   store.Run
	info  os.FileInfo // when it was opened

	tail    tail
	seq     uint64
	clock   clock
	start   time.Time     // of the clock
	guessed bool          // start is from when the file was last written
	index   *episodeIndex // of a steps file
	waiting bool          // the next step's episode has not ended yet
	trans   translation
	ms      []member

	counter tail // a second look at the file that only counts
	counted uint64
}

func openLines(f Found, opt Options) (Source, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	f.Size = info.Size()
	s := &lines{found: f, opt: opt, info: info, trans: translation{loc: opt.location()}}
	if err := s.begin(); err != nil {
		return nil, err
	}
	if f.Role == Steps {
		s.index = newEpisodeIndex(strings.TrimSuffix(f.Path, stepsSuffix)+episodesSuffix, opt)
	}
	s.counter = s.newTail()
	s.rewind()
	return s, nil
}

func (s *lines) newTail() tail { return tail{path: s.found.Path, takeLast: !s.opt.Follow} }

func (s *lines) rewind() {
	s.tail.close()
	s.tail, s.seq, s.waiting = s.newTail(), 0, false
	s.clock = clock{start: s.start}
}

// begin reads the first line, from which the run's identity derives.
func (s *lines) begin() error {
	if err := checkEncoding(s.found.Path); err != nil {
		return err
	}
	t := s.newTail()
	defer t.close()
	first, size, err := t.read()
	if errors.Is(err, io.EOF) {
		if t.torn > 0 {
			return fmt.Errorf("%s:%d: %w: an unfinished line of %d bytes", s.found.Path, t.line+1, ErrNothingYet, t.torn)
		}
		return fmt.Errorf("%s: %w: the file is empty", s.found.Path, ErrNothingYet)
	}
	if err != nil {
		return err
	}
	identity := sha256.Sum256(first)
	if first == nil { // too long to hold
		if identity, err = sumOf(s.found.Path, t.begin, size); err != nil {
			return err
		}
	}
	started := s.firstTime(&t, first)
	s.run = store.Run{
		ID:         runID(s.found, identity[:]),
		Experiment: s.found.Experiment,
		Source:     "import",
		StartedAt:  started.UTC().Truncate(time.Microsecond),
		Header:     header(s.found, filepath.Base(s.found.Path)),
	}
	return nil
}

// lookAhead is how many lines are searched for a first time.
const lookAhead = 1000

// firstTime sets when the clock starts and returns when the run started. Where the
// first records have no time, theirs is just before the first time there is; where
// there is none at all, when the file was last written.
func (s *lines) firstTime(t *tail, line []byte) time.Time {
	var err error
	for range lookAhead {
		if own := s.ownTime(line); !own.IsZero() {
			s.start = own.Add(-lookAhead * time.Microsecond)
			if begun := firstTime(s.ms, s.opt.location(), "start_time"); !begun.IsZero() {
				return begun
			}
			return own
		}
		if line, _, err = t.read(); err != nil {
			break
		}
	}
	s.start, s.guessed = s.info.ModTime(), true
	return s.start
}

// sumOf is the SHA-256 of size bytes of a file from offset on.
func sumOf(path string, offset, size int64) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err = io.Copy(h, io.NewSectionReader(f, offset, size)); err != nil {
		return sum, fmt.Errorf("read %s: %w", path, err)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// checkEncoding refuses what is not UTF-8 with its remedy.
func checkEncoding(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [4]byte
	n, err := io.ReadFull(f, b[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	switch s := string(b[:n]); {
	case strings.HasPrefix(s, "\xff\xfe"), strings.HasPrefix(s, "\xfe\xff"),
		n >= 2 && (b[0] == 0 && b[1] != 0 || b[0] != 0 && b[1] == 0):
		return fmt.Errorf("%s: it is UTF-16, not UTF-8: convert it with iconv -f UTF-16 -t UTF-8", path)
	case strings.HasPrefix(s, "\x1f\x8b"):
		return fmt.Errorf("%s: it is compressed: unpack it first with gunzip", path)
	case s == "\x28\xb5\x2f\xfd":
		return fmt.Errorf("%s: it is compressed: unpack it first with unzstd", path)
	}
	return nil
}

func (s *lines) Found() Found             { return s.found }
func (s *lines) Run() store.Run           { return s.run }
func (s *lines) Live() bool               { return s.opt.Follow }
func (s *lines) Changed() <-chan struct{} { return nil }

// Seek reads from the beginning: the time of a record depends on those before it.
func (s *lines) Seek(seq uint64) error {
	if seq < s.seq {
		s.rewind()
	}
	for s.seq < seq {
		line, _, err := s.tail.read()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: it has %d records, but %d were imported before: it was shortened, or it is an older copy; import the longer file",
				s.found.Path, s.seq, seq)
		}
		if err != nil {
			return err
		}
		s.seq++
		s.clock.next(s.ownTime(line))
	}
	s.waiting = false
	return nil
}

func (s *lines) ownTime(line []byte) time.Time {
	var err error
	if s.ms, err = members(line, s.ms); err != nil {
		return time.Time{}
	}
	return s.timeIn(s.ms)
}

func (s *lines) timeIn(ms []member) time.Time {
	if s.found.Role == Steps {
		return firstTime(ms, s.opt.location(), "real_timestamp", "timestamp")
	}
	return firstTime(ms, s.opt.location(), "timestamp", "end_time", "start_time")
}

func (s *lines) Next() (syncer.Item, error) {
	if s.waiting {
		fresh, err := s.index.refresh()
		if err != nil || !fresh {
			return syncer.Item{}, orEOF(err)
		}
		s.waiting = false
	}
	line, size, err := s.tail.read()
	if err != nil {
		return syncer.Item{}, err
	}
	item := syncer.Item{Seq: s.seq + 1, Kind: record.KindEpisode, Where: s.found.Path + ":" + strconv.Itoa(s.tail.line)}
	if s.found.Role == Steps {
		item.Kind = record.KindStep
	}
	if line == nil {
		item.Err = tooLarge("line", size)
	} else if item.Data, err = s.translate(line); err != nil {
		var broken *indexError
		if errors.Is(err, errWaiting) || errors.As(err, &broken) {
			s.tail.back()
			s.waiting = broken == nil
			if broken != nil {
				return syncer.Item{}, err
			}
			return syncer.Item{}, io.EOF
		}
		item.Data, item.Err = nil, err
	}
	own := time.Time{}
	if item.Err == nil {
		own = s.timeIn(s.trans.ms)
	} else {
		own, item.Lost = s.ownTime(line), 1
	}
	item.Time, item.Guessed = s.clock.next(own), s.guessed
	s.seq++
	return item, nil
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

func tooLarge(what string, size int64) error {
	return fmt.Errorf("%s of %d bytes is too large: the limit is %d", what, size, MaxRecord)
}

func (s *lines) translate(line []byte) ([]byte, error) {
	if s.found.Role == Episodes {
		return s.trans.episode(line)
	}
	return s.trans.step(line, func(ms []member) (int64, error) { return s.index.number(ms, s.opt.Follow) })
}

// Logged counts the records from where it last stopped counting.
func (s *lines) Logged() (uint64, error) {
	for {
		_, _, err := s.counter.read()
		if errors.Is(err, io.EOF) {
			return s.counted, nil
		}
		if err != nil {
			return s.counted, err
		}
		s.counted++
	}
}

func (s *lines) Unfinished() []error {
	var out []error
	if s.waiting {
		out = append(out, fmt.Errorf("%s:%d: %w: no line of %s says its number; it is imported when there is one",
			s.found.Path, s.tail.line+1, errWaiting, filepath.Base(s.index.tail.path)))
	}
	if !s.waiting && s.tail.torn > 0 {
		out = append(out, fmt.Errorf("%s:%d: the last line is unfinished (%d bytes): it is imported when it is whole",
			s.found.Path, s.tail.line+1, s.tail.torn))
	}
	return out
}

func (s *lines) Close() error {
	s.tail.close()
	s.counter.close()
	if s.index != nil {
		s.index.tail.close()
	}
	return nil
}
