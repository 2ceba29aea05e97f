package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Verify checks the chain of segments and every checksum and returns each fault, a
// *Fault with segment and offset. It reads the whole journal. The other error is
// for a folder that cannot be read. A journal that is being written is checked as
// far as it is whole.
func Verify(runDir string) ([]error, error) {
	live, err := held(runDir)
	if err != nil {
		return nil, fmt.Errorf("verify journal: %w", err)
	}
	l, err := list(runDir)
	if err != nil {
		return nil, fmt.Errorf("verify journal: %w", err)
	}
	h, err := readHeader(runDir, l)
	if err != nil {
		return nil, fmt.Errorf("verify journal: %w", err)
	}
	v := verifier{dir: runDir, run: h.RunID, next: 1}
	for i, s := range l.segments {
		v.last = i == len(l.segments)-1
		v.live = live
		if s.number != v.number+1 {
			v.faults = append(v.faults, &Fault{File: runDir, Segment: v.number + 1, Err: missingSegments(v.number+1, s.number-1)})
			v.next, v.prev = s.first, ""
		} else if v.final {
			v.faults = append(v.faults, &Fault{File: s.path(runDir), Segment: s.number, Err: errors.New("segment behind the one with the final seal")})
		}
		v.number = s.number
		err := v.segment(s)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // taken away while we looked; the names tell
			v.faults = append(v.faults, &Fault{File: s.path(runDir), Segment: s.number, Err: missingSegments(s.number, s.number)})
		}
		if err != nil {
			return v.faults, fmt.Errorf("verify journal: %w", err)
		}
	}
	return v.faults, nil
}

type verifier struct {
	dir, run   string
	live, last bool
	number     int
	next       uint64 // sequence number that comes next
	unsure     bool   // damage just before explains a gap in the numbers
	micro      int64  // time of the last line
	prev       string // SHA-256 of the segment before; empty when it is not known
	final      bool
	faults     []error

	file segmentFile
	path string
}

func (v *verifier) fault(c chunk, format string, args ...any) {
	v.faults = append(v.faults, &Fault{File: v.path, Segment: v.file.number, Offset: c.off, Length: c.length, Err: fmt.Errorf(format, args...)})
}

func (v *verifier) segment(s segmentFile) error {
	src, path, err := openSegmentFile(v.dir, s)
	if err != nil {
		return err
	}
	defer src.close()
	v.file, v.path, v.final = s, path, false
	micro := v.micro
	sum := sha256.New()
	sc := scanner{src: src}
	sealed, lost := false, false
	for lines := 0; ; lines++ {
		c, err := sc.scan()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		before := ""
		if c.raw == nil {
			lost = true
		} else {
			if !lost && bytes.HasPrefix(c.raw, []byte(controlPrefix)) {
				before = sumText(sum)
			}
			sum.Write(c.raw)
			sum.Write([]byte{'\n'})
		}
		fault := c.fault
		var l Line
		if fault == nil {
			l, fault = parseLine(c.raw)
		}
		if fault != nil {
			v.fault(c, "%w", fault)
			v.unsure = true
			continue
		}
		if sealed {
			v.fault(c, "line behind the seal")
		}
		m := l.Time.UnixMicro()
		if m <= v.micro && v.micro != 0 && (l.Seq == 0 || l.Seq >= v.next) {
			v.fault(c, "time is not after the line before")
		}
		v.micro = max(v.micro, m)
		switch {
		case lines == 0 && l.Kind != kindHeader:
			v.fault(c, "segment does not begin with its header")
		case l.Kind == kindHeader && lines > 0:
			v.fault(c, "header in the middle of a segment")
		case l.Kind == kindHeader:
			if mine, err := v.header(c, l); err != nil || !mine {
				v.prev, v.unsure, v.micro = "", true, micro
				return err
			}
		case l.Kind == kindSeal:
			sealed = true
			v.seal(c, l, before)
		case l.Seq == 0:
			v.fault(c, "line of kind %s in the middle of a segment", l.Kind)
		case l.Seq != v.next:
			if l.Seq < v.next || !v.unsure {
				v.fault(c, "sequence number is %d, expected %d", l.Seq, v.next)
			}
			v.next = max(v.next, l.Seq+1)
			v.unsure = false
		default:
			v.next++
			v.unsure = false
		}
	}
	end := chunk{off: sc.off, length: sc.tail}
	switch {
	case sc.tail > 0 && !(v.last && v.live):
		v.fault(end, "unfinished last line of %d bytes", sc.tail)
	case !sealed && (!v.last || s.zstd && !s.plain):
		v.fault(end, "segment has no seal")
		lost, v.unsure = true, true
	}
	v.prev = ""
	if !lost && sc.tail == 0 {
		v.prev = sumText(sum)
	}
	if fsrc, ok := src.(*frameSource); ok && !lost && fsrc.ix.SHA256 != v.prev {
		v.fault(chunk{}, "bytes have SHA-256 %s, the index says %s", v.prev, fsrc.ix.SHA256)
	}
	return nil
}

// header checks a segment's header; false when the segment is not of this run.
func (v *verifier) header(c chunk, l Line) (bool, error) {
	h, err := parseSegmentHeader(l)
	switch {
	case errors.Is(err, ErrFormat):
		return false, fmt.Errorf("%s: %w", v.path, err)
	case err != nil:
		v.fault(c, "%w", err)
	case h.RunID != v.run:
		v.fault(c, "segment belongs to run %s, not %s", h.RunID, v.run)
		return false, nil
	case h.Segment != v.file.number || h.FirstSeq != v.file.first:
		v.fault(c, "header is of segment %s", segmentName(h.Segment, h.FirstSeq))
	case h.FirstSeq != v.next && !(v.unsure && h.FirstSeq > v.next):
		v.fault(c, "first sequence number is %d, expected %d", h.FirstSeq, v.next)
	}
	if err == nil {
		v.next = max(v.next, h.FirstSeq)
		v.unsure = false
		// Where the segment before is missing or damaged that has been told, but a
		// chain that should not begin here is a fault of its own.
		if v.prev != "" && h.PrevSHA256 != v.prev {
			v.fault(c, "chain is broken: the segment before has SHA-256 %s, the header says %q", v.prev, h.PrevSHA256)
		} else if v.file.number == 1 && h.PrevSHA256 != "" {
			v.fault(c, "chain is broken: the first segment names one before it")
		}
	}
	return true, nil
}

func (v *verifier) seal(c chunk, l Line, sum string) {
	s, err := parseSeal(l)
	if err != nil {
		v.fault(c, "%w", err)
		return
	}
	v.final = s.Final
	if sum != "" && s.SHA256 != sum {
		v.fault(c, "bytes before the seal have SHA-256 %s, the seal says %s", sum, s.SHA256)
	}
	if s.LastSeq+1 != v.next {
		if !v.unsure || s.LastSeq+1 < v.next {
			v.fault(c, "seal says that the last sequence number is %d, it is %d", s.LastSeq, v.next-1)
		}
		v.next = max(v.next, s.LastSeq+1)
	}
	if s.Records != s.LastSeq+1-v.file.first {
		v.fault(c, "seal counts %d records, the segment has %d", s.Records, s.LastSeq+1-v.file.first)
	}
}
