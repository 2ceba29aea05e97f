package journal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Info is what is known of a run without reading its records.
type Info struct {
	Dir       string
	Header    Header
	Logged    uint64    // last sequence number
	Live      bool      // a process holds the lock
	Sealed    bool      // it has its final seal: closed in good order, or recovered
	Recovered bool      // the final seal was written by Recover
	Segments  int       //
	Bytes     int64     // on disk
	Torn      int64     // bytes of an unfinished last line
	LastTime  time.Time // of the last whole line

	sealLine bool // the last line is a seal
}

// Stat looks at one run's folder; it reads no more than a segment's beginning and
// the last segment's end.
func Stat(runDir string) (Info, error) {
	info := Info{Dir: runDir}
	// The lock first: who has closed the journal since then has sealed it.
	live, err := held(runDir)
	if err != nil {
		return info, fmt.Errorf("journal: %w", err)
	}
	info.Live = live
	for try := 0; ; try++ {
		l, err := list(runDir)
		if err == nil {
			info, err = statListing(info, l)
		}
		if err != nil && errors.Is(err, os.ErrNotExist) && try < 3 {
			continue // a segment was compressed in this moment
		}
		if err != nil {
			return info, fmt.Errorf("journal: %w", err)
		}
		return info, nil
	}
}

func statListing(info Info, l listing) (Info, error) {
	var err error
	if info.Header, err = readHeader(info.Dir, l); err != nil {
		return info, err
	}
	info.Segments, info.Bytes = 0, 0
	for i, s := range l.segments {
		info.Bytes += s.bytes
		if i == 0 || s.number != l.segments[i-1].number {
			info.Segments++
		}
	}
	last := l.segments[len(l.segments)-1]
	info.Logged = last.first - 1
	info.LastTime = info.Header.StartedAt
	f, err := os.Open(last.path(info.Dir))
	if err != nil {
		return info, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return info, err
	}
	if last.plain {
		return info, info.readEnd(f, st.Size(), last)
	}
	if ix, ok := readIndex(f, st.Size()); ok {
		info.Logged, info.Sealed, info.Recovered, info.LastTime = ix.LastSeq, ix.Final, ix.Recovered, ix.line.Time
		return info, nil
	}
	return info, info.readAll(last)
}

// readEnd looks for the last whole lines of a plain segment.
func (info *Info) readEnd(f io.ReaderAt, size int64, s segmentFile) error {
	for n := int64(64 << 10); ; n *= 4 {
		n = min(n, size)
		tail := make([]byte, n)
		if got, err := f.ReadAt(tail, size-n); err != nil && !errors.Is(err, io.EOF) {
			return err
		} else if int64(got) < n {
			size, n = size-n+int64(got), int64(got) // it was trimmed meanwhile
			tail = tail[:n]
		}
		end := bytes.LastIndexByte(tail, '\n') + 1
		if end == 0 && n < size && n <= MaxLine {
			continue
		}
		info.Torn = n - int64(end)
		if end == 0 {
			info.Torn = size
			return nil
		}
		var bad uint64
		for rest := tail[:end]; len(rest) > 0; {
			begin := bytes.LastIndexByte(rest[:len(rest)-1], '\n') + 1
			raw := rest[begin : len(rest)-1]
			if begin == 0 && n < size {
				break // perhaps not its beginning
			}
			if info.lastLine(raw, &bad) {
				return nil
			}
			rest = rest[:begin]
		}
		if n == size || n > 2*MaxLine {
			info.Logged = s.first - 1 + bad
			return nil
		}
	}
}

// lastLine takes the facts from a line near the end; false when it is damaged.
func (info *Info) lastLine(raw []byte, bad *uint64) bool {
	l, err := parseLine(raw)
	if err != nil {
		if !bytes.HasPrefix(raw, []byte(controlPrefix)) {
			*bad++
		}
		return false
	}
	info.LastTime = l.Time
	switch l.Kind {
	case kindSeal:
		s, err := parseSeal(l)
		if err != nil {
			return false
		}
		info.Logged, info.Sealed, info.Recovered = s.LastSeq, s.Final, s.Recovered
		info.sealLine = *bad == 0
	case kindHeader:
		info.Logged += *bad
	default:
		info.Logged = l.Seq + *bad
	}
	return true
}

// readAll is for a compressed last segment that has no index.
func (info *Info) readAll(s segmentFile) error {
	src, _, err := openSegmentFile(info.Dir, s)
	if err != nil {
		return err
	}
	sc := scanner{src: src}
	var bad uint64
	for {
		c, err := sc.scan()
		if err != nil {
			info.Logged += bad
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, src.close())
		}
		if c.fault != nil || !info.lastLine(c.raw, &bad) {
			continue
		}
		info.Logged -= bad // those were before this line
		bad = 0
		if l, err := parseLine(c.raw); err == nil && l.Seq > 0 {
			info.Logged = l.Seq
		}
	}
}

// Find lists the run folders at or below dir, sorted by start time. Folders that
// cannot be read come as errors beside the rest.
func Find(dir string) ([]Info, []error) {
	var f finder
	f.walk(dir)
	slices.SortFunc(f.runs, func(a, b Info) int {
		return cmp.Or(a.Header.StartedAt.Compare(b.Header.StartedAt), cmp.Compare(a.Dir, b.Dir))
	})
	return f.runs, f.errs
}

type finder struct {
	runs []Info
	errs []error
}

func (f *finder) walk(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("find journals: %w", err))
		return
	}
	l, err := listEntries(entries)
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("find journals: %w", err))
		return
	}
	if len(l.segments) > 0 || l.locked && checkRunID(filepath.Base(dir)) == nil {
		info, err := Stat(dir)
		switch {
		case err == nil:
			f.runs = append(f.runs, info)
		case errors.Is(err, ErrEmpty) && info.Live: // it is just being made
		default:
			f.errs = append(f.errs, err)
		}
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			f.walk(filepath.Join(dir, e.Name()))
		}
	}
}
