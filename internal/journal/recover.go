package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Report says what Recover did.
type Report struct {
	Trimmed     int64    // bytes of an unfinished last line
	TrimmedAt   string   // file:offset where that line began; empty when there was none
	Quarantined []Line   // damaged places that were copied to quarantine.jsonl now
	Sealed      []string // files that were sealed or compressed, by their name afterwards
	Removed     []string // leftovers that were removed: unfinished files, plain forms of whole compressed ones
}

// recoverBudget bounds the time that Recover takes: so many bytes it compresses in
// one call. Sealed segments beyond stay as they are, which every reader takes.
const recoverBudget = 256 << 20

// Recover repairs a run that no process holds: it trims an unfinished last line,
// copies damaged lines of the unsealed segment to quarantine.jsonl, seals what a
// crash left unsealed, and reports each thing that it did. A second call finds
// nothing to do; a crash in the middle is recovered by the next call. Create on a
// new run never needs it; readers work without. The numbered steps are in
// docs/journal-format.md.
func Recover(runDir string) (Report, error) { return recoverRun(runDir, osFS{}, time.Now) }

func recoverRun(dir string, fsys FS, now func() time.Time) (Report, error) {
	// Not the lock first: it would make a lock file in any folder.
	l, err := list(dir)
	if err == nil && len(l.segments) == 0 && !l.locked {
		err = fmt.Errorf("%s: %w", dir, ErrEmpty)
	}
	if err != nil {
		return Report{}, fmt.Errorf("recover journal: %w", err)
	}
	lock, err := lockRun(dir) // step 1
	if err != nil {
		return Report{}, fmt.Errorf("recover journal: %w", err)
	}
	rec := &recovery{dir: dir, fs: fsys, now: now}
	err = rec.run()
	if cerr := lock.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return rec.report, fmt.Errorf("recover journal: %w", err)
	}
	return rec.report, nil
}

type recovery struct {
	dir    string
	fs     FS
	now    func() time.Time
	report Report
}

func (r *recovery) run() error {
	l, err := list(r.dir)
	if err != nil {
		return err
	}
	for _, name := range l.tmp { // step 2
		if err := r.remove(name); err != nil {
			return err
		}
	}
	if len(l.segments) == 0 {
		return fmt.Errorf("%s: %w: its writer ended before the first record; remove the folder", r.dir, ErrEmpty)
	}
	header, err := readHeader(r.dir, l)
	if err != nil {
		return err
	}
	for i := range l.segments { // step 3
		if s := &l.segments[i]; s.plain && s.zstd {
			if err := r.pair(s); err != nil {
				return err
			}
		}
	}
	if err := r.sealLast(header, l.segments); err != nil { // steps 4 to 7
		return err
	}
	if err := r.compress(); err != nil { // step 8
		return err
	}
	return r.fs.SyncDir(r.dir)
}

func (r *recovery) remove(name string) error {
	if err := r.fs.Remove(filepath.Join(r.dir, name)); err != nil {
		return err
	}
	r.report.Removed = append(r.report.Removed, name)
	return nil
}

// pair decides between the two forms of a segment: the compressed one stays when
// it holds the bytes of the plain one, else the plain one does.
func (r *recovery) pair(s *segmentFile) error {
	plain, err := hashSegment(filepath.Join(r.dir, s.base()+plainExt), false)
	if err != nil {
		return err
	}
	zst, err := hashSegment(filepath.Join(r.dir, s.base()+zstdExt), true)
	var lost *lostBytes
	if err != nil && !errors.As(err, &lost) {
		return err
	}
	if err == nil && plain == zst {
		s.plain = false
		return r.remove(s.base() + plainExt)
	}
	s.zstd = false
	return r.remove(s.base() + zstdExt)
}

// hashSegment is the SHA-256 of a segment's uncompressed bytes.
func hashSegment(path string, compressed bool) (string, error) {
	src, err := openSource(path, compressed)
	if err != nil {
		return "", err
	}
	defer src.close()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		n, err := src.readAt(buf, off)
		h.Write(buf[:n])
		off += int64(n)
		if errors.Is(err, io.EOF) {
			return sumText(h), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// ending is what a scan of the last segment finds.
type ending struct {
	header  bool      // its first line is its header
	seal    *seal     // it has its seal
	last    uint64    // last sequence number, damaged lines counted
	micro   int64     // time of the last whole line
	size    int64     // bytes of whole lines
	torn    int64     // bytes behind them
	sum     hash.Hash // of the whole lines
	damaged []entry
}

// examine reads a plain segment from beginning to end.
func examine(path string, s segmentFile) (ending, error) {
	e := ending{last: s.first - 1, sum: sha256.New()}
	f, err := os.Open(path)
	if err != nil {
		return e, err
	}
	defer f.Close()
	sc := scanner{src: plainSource{f}}
	for {
		c, err := sc.scan()
		if errors.Is(err, io.EOF) {
			e.size, e.torn = sc.off, sc.tail
			break
		}
		if err != nil {
			return e, err
		}
		e.seal = nil
		fault := c.fault
		var l Line
		if fault == nil {
			l, fault = parseLine(c.raw)
		}
		switch {
		case fault != nil:
			lost := uint64(1)
			if bytes.HasPrefix(c.raw, []byte(controlPrefix)) {
				lost = 0
			}
			if n := len(e.damaged); n == 0 || !e.damaged[n-1].join(c) {
				e.damaged = append(e.damaged, newEntry(s, c, fault, e.last+1))
			}
			e.damaged[len(e.damaged)-1].Lost += lost
			e.last += lost
			continue
		case l.Kind == kindHeader:
			e.header = e.header || c.off == 0
		case l.Kind == kindSeal:
			if v, err := parseSeal(l); err == nil {
				e.seal = &v
				e.last = max(e.last, v.LastSeq)
			}
		case l.Seq > 0:
			e.last = l.Seq
		}
		e.micro = max(e.micro, l.Time.UnixMicro())
	}
	// A second pass over bytes that are in memory by now.
	if _, err := io.CopyN(e.sum, f, e.size); err != nil {
		return e, err
	}
	return e, nil
}

// sealLast makes the last segment whole and gives the run its final seal.
func (r *recovery) sealLast(header Header, segments []segmentFile) error {
	last := segments[len(segments)-1]
	if !last.plain {
		end, prev, err := r.compressedEnd(last)
		if err != nil || end == nil || end.Final {
			return err
		}
		return r.finalSegment(header, last.number+1, end.LastSeq+1, prev, 0)
	}
	name := last.base() + plainExt
	path := filepath.Join(r.dir, name)
	e, err := examine(path, last) // step 4
	if err != nil {
		return err
	}
	if len(e.damaged) > 0 { // step 5
		added, err := quarantine(r.fs, r.dir, e.damaged, r.now())
		if err != nil {
			return err
		}
		r.report.Quarantined = append(r.report.Quarantined, added...)
	}
	if e.torn > 0 { // step 6
		f, err := r.fs.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(e.size), f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("trim %s at offset %d: %w", path, e.size, err)
		}
		r.report.Trimmed, r.report.TrimmedAt = e.torn, fmt.Sprintf("%s:%d", path, e.size)
	}
	switch { // step 7
	case e.seal != nil && e.seal.Final:
		return nil
	case e.seal != nil:
		return r.finalSegment(header, last.number+1, e.seal.LastSeq+1, sumText(e.sum), e.micro)
	case e.size == 0:
		prev, err := r.previous(segments)
		if err != nil {
			return err
		}
		return r.finalSegment(header, last.number, last.first, prev, 0)
	}
	return r.appendSeal(name, last, e)
}

// compressedEnd returns the seal of a compressed last segment and the SHA-256 of
// its bytes; nil when it cannot be told, which Next and Verify report.
func (r *recovery) compressedEnd(s segmentFile) (*seal, string, error) {
	path := filepath.Join(r.dir, s.base()+zstdExt)
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if ix, ok := readIndex(f, st.Size()); ok {
		return &ix.seal, ix.SHA256, nil
	}
	var last Line
	src, err := openSource(path, true)
	if err != nil {
		return nil, "", err
	}
	defer src.close()
	for sc := (scanner{src: src}); ; {
		c, err := sc.scan()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", err
		}
		if last = (Line{}); c.fault == nil {
			last, _ = parseLine(c.raw)
		}
	}
	if last.Kind != kindSeal {
		return nil, "", nil
	}
	end, err := parseSeal(last)
	if err != nil {
		return nil, "", nil //nolint:nilerr // a seal that cannot be read is none
	}
	sum, err := hashSegment(path, true)
	return &end, sum, err
}

// previous returns the SHA-256 of the last segment but one.
func (r *recovery) previous(segments []segmentFile) (string, error) {
	if len(segments) < 2 {
		return "", nil
	}
	s := segments[len(segments)-2]
	sum, err := hashSegment(s.path(r.dir), !s.plain)
	var lost *lostBytes
	if errors.As(err, &lost) {
		return "", nil // the chain is broken there; Verify says so
	}
	return sum, err
}

// appendSeal ends the last segment.
func (r *recovery) appendSeal(name string, s segmentFile, e ending) error {
	path := filepath.Join(r.dir, name)
	f, err := r.fs.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	w := r.writer(Header{}, name, s.number, s.first, e.micro)
	w.file, w.size, w.sum = f, e.size, newChainSum(e.sum)
	defer w.sum.close()
	w.seq.Store(e.last)
	return errors.Join(r.finish(w), f.Close())
}

// finalSegment writes a last segment that holds no record. Its file may be there,
// empty, from a crash.
func (r *recovery) finalSegment(header Header, number int, first uint64, prev string, micro int64) error {
	name := segmentName(number, first) + plainExt
	w := r.writer(header, name, number, first, micro)
	w.seq.Store(first - 1)
	w.sum = newChainSum(sha256.New())
	defer w.sum.close()
	if err := w.openSegment(name, 0, prev); err != nil {
		return err
	}
	return errors.Join(r.finish(w), w.file.Close())
}

func (r *recovery) writer(h Header, name string, number int, first uint64, micro int64) *Writer {
	return &Writer{dir: r.dir, fs: r.fs, now: r.now, header: h, name: name, number: number, first: first, micro: micro}
}

func (r *recovery) finish(w *Writer) error {
	if err := w.seal(seal{Final: true, Recovered: true}); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("make %s durable: %w", filepath.Join(r.dir, w.name), err)
	}
	r.report.Sealed = append(r.report.Sealed, w.name)
	return nil
}

// compress compresses the sealed segments, within the budget.
func (r *recovery) compress() error {
	l, err := list(r.dir)
	if err != nil {
		return err
	}
	budget := int64(recoverBudget)
	for _, s := range l.segments {
		if !s.plain || s.zstd {
			continue
		}
		if budget -= s.bytes; budget < 0 {
			return nil
		}
		name := s.base() + plainExt
		sealed, err := hasSeal(filepath.Join(r.dir, name), s)
		if err != nil {
			return err
		}
		if !sealed {
			continue // in the middle, after a power failure: it stays as it is
		}
		if err := compressSegment(r.fs, r.dir, name); err != nil {
			return err
		}
		if n := len(r.report.Sealed); n > 0 && r.report.Sealed[n-1] == name {
			r.report.Sealed = r.report.Sealed[:n-1]
		}
		r.report.Sealed = append(r.report.Sealed, s.base()+zstdExt)
	}
	return nil
}

// hasSeal looks at the end of a plain segment.
func hasSeal(path string, s segmentFile) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	var end Info
	if err := end.readEnd(f, st.Size(), s); err != nil {
		return false, err
	}
	return end.sealLine && end.Torn == 0, nil
}
