package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Reader reads a run's journal from a position, also while it is written. It never
// writes to the folder and needs no lock. It is used by one goroutine at a time.
type Reader struct {
	dir    string
	header Header

	next    uint64 // the sequence number that comes next
	seeking bool   // lines before next are passed without a word
	passed  uint64 // last sequence number that was passed

	seg  *segment // being read; nil between two segments
	last int      // number of the last segment that was left
	bad  *badPlace
	held Line // to be returned after a damage; without a kind there is none

	where []byte // for Line.Where
}

// segment is a segment being read.
type segment struct {
	file    segmentFile
	path    string
	scan    scanner
	lines   int
	sealed  bool
	rescued bool // read again after the next segment was seen
	skip    bool // it belongs to another run
}

// badPlace collects what cannot be read until the next good line says how many
// records it held.
type badPlace struct {
	fault *Fault
	lines uint64 // lines that may have been records
}

// Open opens a run's folder for reading.
func Open(runDir string) (*Reader, error) {
	l, err := list(runDir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	h, err := readHeader(runDir, l)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return &Reader{dir: runDir, header: h, next: 1}, nil
}

// readHeader returns the header of the first segment that has a whole one.
func readHeader(dir string, l listing) (Header, error) {
	if len(l.segments) == 0 {
		return Header{}, fmt.Errorf("%s: %w", dir, ErrEmpty)
	}
	var first error
	for _, s := range l.segments {
		h, err := segmentHeaderOf(dir, s)
		if err == nil || errors.Is(err, ErrFormat) || errors.Is(err, fs.ErrPermission) {
			return h.Header, err
		}
		if first == nil {
			first = err
		}
	}
	return Header{}, fmt.Errorf("no segment has a readable header: %w", first)
}

// segmentHeaderOf reads a segment's first line.
func segmentHeaderOf(dir string, s segmentFile) (segmentHeader, error) {
	src, path, err := openSegmentFile(dir, s)
	if err != nil {
		return segmentHeader{}, err
	}
	sc := scanner{src: src}
	c, err := sc.scan()
	if errors.Is(err, io.EOF) {
		err = errors.New("it has no whole line")
	}
	if err == nil {
		err = c.fault
	}
	var h segmentHeader
	if err == nil {
		var l Line
		if l, err = parseLine(c.raw); err == nil {
			h, err = parseSegmentHeader(l)
		}
	}
	if cerr := src.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return h, &Fault{File: path, Segment: s.number, Err: err}
	}
	return h, nil
}

// openSegmentFile opens a segment in the form that is there now: it may be
// compressed, and the plain file removed, at any moment.
func openSegmentFile(dir string, s segmentFile) (source, string, error) {
	base := filepath.Join(dir, s.base())
	for range 2 {
		for _, ext := range []string{plainExt, zstdExt} {
			src, err := openSource(base+ext, ext == zstdExt)
			if !errors.Is(err, fs.ErrNotExist) {
				return src, base + ext, err
			}
		}
	}
	return nil, base, fmt.Errorf("%s: %w", base+plainExt, fs.ErrNotExist)
}

// Header returns the run's header.
func (r *Reader) Header() Header { return r.header }

// Dir is the run's folder as it was given to Open.
func (r *Reader) Dir() string { return r.dir }

// Seek makes the next line the one after seq. It opens the right segment without
// reading those before it.
func (r *Reader) Seek(seq uint64) error {
	if err := r.leave(); err != nil {
		return err
	}
	l, err := list(r.dir)
	if err != nil {
		return fmt.Errorf("seek in journal: %w", err)
	}
	r.bad, r.held, r.last = nil, Line{}, 0
	r.next, r.seeking, r.passed = seq+1, seq > 0, 0
	for i := len(l.segments) - 1; i > 0; i-- {
		if s := l.segments[i]; s.first <= seq+1 {
			if err := r.enter(s); err != nil {
				return fmt.Errorf("seek in journal: %w", err)
			}
			r.passed = s.first - 1
			break
		}
	}
	return nil
}

// enter begins a segment.
func (r *Reader) enter(s segmentFile) error {
	src, path, err := openSegmentFile(r.dir, s)
	if err != nil {
		return err
	}
	r.seg = &segment{file: s, path: path, scan: scanner{src: src}}
	return nil
}

// leave closes the open segment.
func (r *Reader) leave() error {
	if r.seg == nil {
		return nil
	}
	r.last = r.seg.file.number
	err := r.seg.scan.src.close()
	r.seg = nil
	return err
}

// Close closes the files.
func (r *Reader) Close() error { return r.leave() }

// Next returns the next line, damage included. It is io.EOF at the end of what is
// written whole; calling it again later continues from there. An unfinished last
// line is not returned until it is whole.
func (r *Reader) Next() (Line, error) {
	for {
		if l := r.held; l.Kind != "" {
			r.held = Line{}
			return l, nil
		}
		if r.seg == nil {
			if l, done, err := r.advance(); done || err != nil {
				return l, err
			}
			continue
		}
		c, err := r.seg.scan.scan()
		if errors.Is(err, io.EOF) {
			if l, done, err := r.endOfSegment(); done || err != nil {
				return l, err
			}
			continue
		}
		if err != nil {
			return Line{}, fmt.Errorf("read journal: %w", err)
		}
		if l, ok, err := r.take(c); ok || err != nil {
			return l, err
		}
	}
}

// take looks at one chunk of the open segment.
func (r *Reader) take(c chunk) (Line, bool, error) {
	g := r.seg
	g.lines++
	if g.skip {
		return Line{}, false, nil
	}
	if c.fault != nil {
		r.addBad(c, c.fault)
		return Line{}, false, nil
	}
	l, err := parseLine(c.raw)
	if err != nil {
		r.addBad(c, err)
		return Line{}, false, nil
	}
	switch {
	case g.sealed:
		r.addBad(c, errors.New("line behind the seal"))
	case l.Kind == kindHeader:
		return Line{}, false, r.takeHeader(c, l)
	case l.Kind == kindSeal:
		s, err := parseSeal(l)
		if err != nil {
			r.addBad(c, err)
			break
		}
		g.sealed = true
		if d, ok := r.settle(s.LastSeq + 1); ok {
			return d, true, nil
		}
	case l.Seq == 0:
		r.addBad(c, fmt.Errorf("line of kind %s in the middle of a segment", l.Kind))
	case l.Seq < r.next && r.seeking:
		r.passed, r.bad = l.Seq, nil
	case l.Seq < r.next:
		r.addBad(c, fmt.Errorf("sequence number %d comes again, expected %d", l.Seq, r.next))
		r.bad.lines-- // it is no record of its own
	default:
		r.where = strconv.AppendInt(append(append(r.where[:0], g.path...), ':'), c.off, 10)
		l.Where, l.Number = string(r.where), g.lines
		if l.Seq > r.next && r.bad == nil && !r.seeking {
			r.bad = &badPlace{fault: r.fault(c, fmt.Errorf("records %d to %d are not there", r.next, l.Seq-1))}
		}
		d, ok := r.settle(l.Seq)
		r.next = l.Seq + 1
		if ok {
			r.held = l
			return d, true, nil
		}
		return l, true, nil
	}
	return Line{}, false, nil
}

func (r *Reader) takeHeader(c chunk, l Line) error {
	g := r.seg
	h, err := parseSegmentHeader(l)
	switch {
	case errors.Is(err, ErrFormat):
		return fmt.Errorf("%s: %w", g.path, err)
	case err != nil:
		r.addBad(c, err)
	case g.lines > 1:
		r.addBad(c, errors.New("header in the middle of a segment"))
	case h.RunID != r.header.RunID:
		r.addBad(c, fmt.Errorf("segment belongs to run %s, not %s", h.RunID, r.header.RunID))
		g.skip = true
	case h.Segment != g.file.number || h.FirstSeq != g.file.first:
		r.addBad(c, fmt.Errorf("header is of segment %s, not %s", segmentName(h.Segment, h.FirstSeq), g.file.base()))
		g.skip = true
	}
	if g.skip {
		r.bad.lines++ // it stands for at least one record
		return nil
	}
	// A compressed segment says where the wanted record is.
	if s, ok := g.scan.src.(*frameSource); ok && r.seeking {
		fr := s.ix.Frames
		i := len(fr) - 1
		for i > 0 && fr[i][2] > int64(r.next) {
			i--
		}
		if i > 0 {
			g.scan.jump(fr[i][1])
			g.lines = int(uint64(fr[i][2])-g.file.first) + 1 // the header and a line for each record
			r.passed = uint64(fr[i][2]) - 1
		}
	}
	return nil
}

func (r *Reader) fault(c chunk, err error) *Fault {
	return &Fault{File: r.seg.path, Segment: r.seg.file.number, Offset: c.off, Length: c.length, Err: err}
}

// controlPrefix begins a line that is no record, even when it is damaged behind.
const controlPrefix = `{"seq":0,`

func (r *Reader) addBad(c chunk, err error) {
	if r.bad == nil {
		r.bad = &badPlace{fault: r.fault(c, err)}
	} else {
		r.bad.fault.Length = 0 // more than one place
		if r.bad.fault.File == r.seg.path {
			r.bad.fault.Length = c.off + c.length - r.bad.fault.Offset
		}
	}
	if !bytes.HasPrefix(c.raw, []byte(controlPrefix)) {
		r.bad.lines++
	}
}

// settle turns the bad place before sequence number upto into a damage. There is
// none when nothing is bad, or when it lies before the position that was sought.
func (r *Reader) settle(upto uint64) (Line, bool) {
	bad := r.bad
	r.bad = nil
	if r.seeking {
		if upto < r.next {
			r.passed = upto - 1
			return Line{}, false
		}
		if upto == r.next && r.passed+1 < r.next {
			bad = nil
		}
		r.seeking = false
	}
	if upto <= r.next && bad == nil {
		return Line{}, false
	}
	if bad == nil {
		bad = &badPlace{fault: &Fault{File: r.dir, Err: fmt.Errorf("records %d to %d are not there", r.next, upto-1)}}
		if r.seg != nil {
			bad.fault.File, bad.fault.Segment, bad.fault.Offset = r.seg.path, r.seg.file.number, r.seg.scan.off
		}
	}
	d := Line{Seq: r.next, Damage: bad.fault, Where: bad.fault.where()}
	if upto > r.next {
		d.Lost = upto - r.next
		r.next = upto
	}
	return d, true
}

// endOfSegment is called where the open segment has no further whole line.
func (r *Reader) endOfSegment() (Line, bool, error) {
	g := r.seg
	tail := g.scan.tail
	if g.sealed {
		if tail > 0 {
			r.addBad(chunk{off: g.scan.off, length: tail}, errors.New("bytes behind the seal"))
			r.bad.lines--
		}
		return Line{}, false, r.leave()
	}
	_, plain := g.scan.src.(plainSource)
	if plain && !g.rescued {
		later, err := r.later()
		if err != nil {
			return Line{}, false, err
		}
		if later == nil {
			return r.end()
		}
		// The writer may have finished this one after we looked.
		g.rescued = true
		return Line{}, false, nil
	}
	if g.skip {
		return Line{}, false, r.leave()
	}
	if s, ok := g.scan.src.(*frameSource); ok {
		// The seal cannot be read; the index says it too.
		d, ok := r.settle(s.ix.LastSeq + 1)
		return d, ok, r.leave()
	}
	if tail > 0 {
		r.addBad(chunk{off: g.scan.off, length: tail}, errors.New("unfinished line in a segment that is not the last"))
	} else if r.bad == nil && !plain {
		r.addBad(chunk{off: g.scan.off}, errors.New("compressed segment ends without its seal"))
		r.bad.lines--
	}
	return Line{}, false, r.leave()
}

// advance goes to the segment behind r.last.
func (r *Reader) advance() (Line, bool, error) {
	s, err := r.later()
	if err != nil {
		return Line{}, false, err
	}
	if s == nil {
		return r.end()
	}
	if s.first > r.next {
		if s.number > r.last+1 && r.bad == nil && !r.seeking {
			r.bad = &badPlace{fault: &Fault{File: r.dir, Segment: r.last + 1, Err: missingSegments(r.last+1, s.number-1)}}
		}
		if d, ok := r.settle(s.first); ok {
			return d, true, nil
		}
	}
	if err := r.enter(*s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Line{}, false, nil // look again
		}
		return Line{}, false, fmt.Errorf("read journal: %w", err)
	}
	return Line{}, false, nil
}

func missingSegments(from, to int) error {
	if from == to {
		return fmt.Errorf("segment %d is missing", from)
	}
	return fmt.Errorf("segments %d to %d are missing", from, to)
}

// later finds the segment behind the open or the last one; nil when there is none
// yet. The usual one is found by its name alone.
func (r *Reader) later() (*segmentFile, error) {
	number := r.last
	if r.seg != nil {
		number = r.seg.file.number
	}
	if number > 0 && r.bad == nil && !r.seeking {
		s := segmentFile{number: number + 1, first: r.next}
		for _, ext := range []string{plainExt, zstdExt} {
			_, err := os.Stat(filepath.Join(r.dir, s.base()+ext))
			if err == nil {
				return &s, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read journal: %w", err)
			}
		}
		if live, err := held(r.dir); live || err != nil {
			return nil, err
		}
	}
	// A name that changes while the folder is listed can be missed: a gap counts
	// only when it is seen again.
	for try := 0; ; try++ {
		l, err := list(r.dir)
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		for _, s := range l.segments {
			if s.number > number {
				if s.number > number+1 && try < 3 {
					break
				}
				return &s, nil
			}
		}
		if try >= 3 || len(l.segments) == 0 || l.segments[len(l.segments)-1].number <= number {
			return nil, nil
		}
	}
}

// end is the end of what is there. What is bad before it waits for the next line,
// unless nobody writes any more.
func (r *Reader) end() (Line, bool, error) {
	if r.bad == nil {
		return Line{}, true, io.EOF
	}
	live, err := held(r.dir)
	if err != nil {
		return Line{}, false, err
	}
	if live {
		return Line{}, true, io.EOF
	}
	upto := r.next + r.bad.lines
	if r.seeking {
		upto = r.passed + 1 + r.bad.lines
	}
	if d, ok := r.settle(upto); ok {
		return d, true, nil
	}
	return Line{}, true, io.EOF
}
