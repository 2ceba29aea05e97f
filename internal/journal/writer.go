package journal

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Writer appends to a run's journal. Its methods may be called concurrently.
//
// mu guards the open segment. syncMu is taken before mu by whoever makes the
// journal durable; it is never held while appending, so that an append waits for a
// disk only when it asks to.
type Writer struct {
	dir    string
	fs     FS
	now    func() time.Time
	limit  int64
	every  time.Duration
	onErr  func(error)
	header Header
	lock   *os.File

	mu       sync.Mutex
	file     File
	name     string // of file, in dir
	number   int    // of the segment
	first    uint64 // sequence number of its first record
	size     int64
	sum      *chainSum // of the segment's bytes
	buf      []byte
	enc      encoder
	micro    int64         // time of the last line
	writes   uint64        // lines written, of any kind
	rotated  []sealedFile  // sealed and not yet durable
	newNames bool          // the folder has names that are not yet durable
	waiting  bool          // the background sync knows that there is work
	err      error         // the first failure
	closed   bool          //
	seq      atomic.Uint64 // last record written; changed under mu

	syncMu  sync.Mutex
	synced  uint64        // writes that are durable; under syncMu
	durable atomic.Uint64 // last durable record; changed under syncMu

	dirty    chan struct{} // to the background sync: there is work
	stop     chan struct{}
	syncDone chan struct{}
	appended chan struct{}
	sealer   *sealer

	closeOnce sync.Once
	closeErr  error
}

// sealedFile is a segment that has its seal.
type sealedFile struct {
	file File
	name string
}

// Create makes <dir>/<experiment folder>/<run id>/, locks it and writes the header.
// FolderName says what the experiment's folder is called. When it returns, the
// header is durable. It refuses a folder that already has a journal: a run is
// resumed by a new run whose header names it in Continues.
func Create(dir string, h Header, opt Options) (*Writer, error) {
	if err := checkHeader(h); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	w := &Writer{
		fs: opt.FS, now: opt.Now, limit: opt.SegmentSize, every: opt.SyncEvery, onErr: opt.OnError,
		dir:   filepath.Join(dir, FolderName(h.Experiment), h.RunID),
		micro: -62135596800 * 1e6, // year 1
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), syncDone: make(chan struct{}),
		appended: make(chan struct{}, 1),
	}
	if w.fs == nil {
		w.fs = osFS{}
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.limit <= 0 {
		w.limit = defaultSegmentSize
	}
	if w.every <= 0 {
		w.every = defaultSyncEvery
	}
	if !opt.NotBefore.IsZero() {
		if y := opt.NotBefore.UTC().Year(); y < minYear || y >= maxYear {
			return nil, fmt.Errorf("create journal: NotBefore is in the year %d", y)
		}
		w.micro = opt.NotBefore.UnixMicro()
	}
	h.Format = Format
	if h.StartedAt.IsZero() {
		h.StartedAt = w.now()
	}
	h.StartedAt = h.StartedAt.UTC()
	w.header = h
	w.sum = newChainSum(sha256.New())
	if err := w.begin(); err != nil {
		w.sum.close()
		return nil, fmt.Errorf("create journal: %w", err)
	}
	w.sealer = startSealer(w.fs, w.dir)
	go w.syncLoop()
	return w, nil
}

func checkHeader(h Header) error {
	if err := checkRunID(h.RunID); err != nil {
		return err
	}
	if h.Continues != "" {
		if err := checkRunID(h.Continues); err != nil {
			return fmt.Errorf("the run that it continues: %w", err)
		}
	}
	if h.Experiment == "" {
		return errors.New("the experiment has no name")
	}
	if !utf8.ValidString(h.Experiment) {
		return fmt.Errorf("experiment name %q is not UTF-8", h.Experiment)
	}
	for name, v := range map[string]json.RawMessage{"config": h.Config, "metadata": h.Metadata} {
		if v == nil {
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(v, &object); err != nil || object == nil {
			return fmt.Errorf("%s must be a JSON object", name)
		}
	}
	return nil
}

// begin makes the folder and its first segment. The segment appears under its
// name only when its header is whole, so a folder with a segment has a header.
func (w *Writer) begin() (err error) {
	if err := w.fs.MkdirAll(w.dir, 0o755); err != nil {
		return fmt.Errorf("%w: choose a folder that may be written to", err)
	}
	w.lock, err = lockRun(w.dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.lock.Close())
		}
	}()
	l, err := list(w.dir)
	if err != nil {
		return err
	}
	if len(l.segments) > 0 {
		return fmt.Errorf("%s: %w: it has a journal: resume it by a new run that continues it", w.dir, fs.ErrExist)
	}
	w.number, w.first = 1, 1
	w.name = segmentName(1, 1) + plainExt
	if err := w.openSegment(w.name+tmpExt, os.O_TRUNC, ""); err != nil {
		return err
	}
	err = w.file.Sync()
	if err == nil {
		err = w.fs.Rename(filepath.Join(w.dir, w.name+tmpExt), filepath.Join(w.dir, w.name))
	}
	// The names of the folders above count too.
	for _, d := range []string{w.dir, filepath.Dir(w.dir), filepath.Dir(filepath.Dir(w.dir))} {
		if err == nil {
			err = w.fs.SyncDir(d)
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%w: nothing was recorded", err), w.file.Close())
	}
	w.synced = w.writes
	return nil
}

// openSegment makes the file of segment w.number and writes its header.
func (w *Writer) openSegment(name string, flag int, prev string) error {
	data, err := marshal(segmentHeader{Header: w.header, Segment: w.number, FirstSeq: w.first, PrevSHA256: prev})
	if err != nil {
		return fmt.Errorf("encode the header: %w", err)
	}
	if n := lineSize(0, kindHeader, data); n > MaxLine {
		return fmt.Errorf("%w: the header has %d bytes, at most %d are allowed", ErrTooLarge, n, MaxLine)
	}
	f, err := w.fs.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND|flag, 0o644)
	if err != nil {
		return err
	}
	w.file, w.size = f, 0
	w.sum.restart()
	if err := w.write(0, kindHeader, data); err != nil {
		w.file = nil
		return errors.Join(err, f.Close())
	}
	return nil
}

// write appends one line with one write. After an error it takes away what was
// written of it, where that is possible.
func (w *Writer) write(seq uint64, kind string, data []byte) error {
	w.micro = max(w.micro+1, min(w.now().UnixMicro(), maxMicro))
	w.buf = w.enc.line(w.buf[:0], seq, w.micro, kind, data)
	n, err := w.file.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = errors.New("short write")
	}
	if err != nil {
		if n > 0 {
			if terr := w.file.Truncate(w.size); terr != nil {
				err = fmt.Errorf("%w (and the %d bytes of the unfinished line stay: %w)", err, n, terr)
			}
		}
		return fmt.Errorf("write %s at offset %d: %w", filepath.Join(w.dir, w.name), w.size, err)
	}
	w.sum.write(w.buf)
	w.size += int64(n)
	w.writes++
	return nil
}

// maxMicro is the last microsecond whose year has four digits.
const maxMicro = 253402300799999999

// keepBuffer is how large a line buffer is kept for the next line.
const keepBuffer = 1 << 20

// Append writes one record with one write. data is one JSON object without line
// breaks. With durable it returns after fdatasync; otherwise the fdatasync follows
// within SyncEvery. When it returns nil the record survives kill -9. After an error
// other than ErrTooLarge and ErrInvalid every further call returns ErrFailed wrapping
// the first one.
func (w *Writer) Append(kind string, data []byte, durable bool) (seq uint64, err error) {
	if err := checkRecord(kind, data); err != nil {
		return 0, err
	}
	w.mu.Lock()
	seq, err = w.append(kind, data)
	target := w.writes
	wake := err == nil && !durable && !w.waiting
	w.waiting = w.waiting || wake
	w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	notify(w.appended)
	if wake {
		notify(w.dirty)
	}
	if durable {
		if err := w.sync(target); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *Writer) append(kind string, data []byte) (uint64, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.closed {
		return 0, ErrClosed
	}
	seq := w.seq.Load() + 1
	n := lineSize(seq, kind, data)
	if n > MaxLine {
		return 0, fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrTooLarge, kind, n, MaxLine)
	}
	if w.size+int64(n)+sealSize > w.limit && seq > w.first {
		if err := w.rotate(seq); err != nil {
			return 0, w.fail(err)
		}
	}
	if err := w.write(seq, kind, data); err != nil {
		return 0, w.fail(err)
	}
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	w.seq.Store(seq)
	return seq, nil
}

// sealSize is about what a seal needs.
const sealSize = 256

// rotate seals the open segment and begins the next one, whose first record will
// be seq. The fdatasync of both is left to sync.
func (w *Writer) rotate(seq uint64) error {
	if err := w.seal(seal{}); err != nil {
		return err
	}
	w.rotated = append(w.rotated, sealedFile{w.file, w.name})
	w.file = nil
	prev := w.sum.text()
	w.number++
	w.first = seq
	w.name = segmentName(w.number, seq) + plainExt
	w.newNames = true
	return w.openSegment(w.name, os.O_EXCL, prev)
}

// seal writes the seal line of the open segment.
func (w *Writer) seal(s seal) error {
	s.LastSeq = w.seq.Load()
	s.Records = s.LastSeq + 1 - w.first
	s.SHA256 = w.sum.text()
	data, err := marshal(s)
	if err != nil {
		return fmt.Errorf("encode the seal: %w", err)
	}
	return w.write(0, kindSeal, data)
}

// fail makes the journal fail, for good. It is called with mu held and returns the
// error for the caller.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %w: nothing more is recorded here; %s, then log to a new run that continues this one",
			ErrFailed, err, remedy(err))
	}
	return w.err
}

// Logged returns the last sequence number written.
func (w *Writer) Logged() uint64 { return w.seq.Load() }

// Durable returns the last sequence number that fdatasync has confirmed.
func (w *Writer) Durable() uint64 { return w.durable.Load() }

// Dir is the run's folder.
func (w *Writer) Dir() string { return w.dir }

// Header is the run's header as it was written.
func (w *Writer) Header() Header { return w.header }

// Appended is signalled (never blocking the writer) after appends, so that a reader
// in the same process need not poll.
func (w *Writer) Appended() <-chan struct{} { return w.appended }
