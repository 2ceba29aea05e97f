package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// source gives the uncompressed bytes of a segment.
type source interface {
	// readAt fills p, or some of it, from offset off. At the end of what is there
	// now it returns io.EOF; where bytes are lost, a *lostBytes.
	readAt(p []byte, off int64) (int, error)
	close() error
}

// lostBytes says that bytes cannot be decompressed.
type lostBytes struct {
	to     int64 // offset where it goes on; -1: nothing comes after
	reason error
}

func (e *lostBytes) Error() string { return e.reason.Error() }

// plainSource is a file that may still grow.
type plainSource struct{ f *os.File }

func (s plainSource) close() error { return s.f.Close() }

func (s plainSource) readAt(p []byte, off int64) (int, error) {
	n, err := s.f.ReadAt(p, off)
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// frameSource is a compressed segment with an index: a frame that cannot be read
// costs no other.
type frameSource struct {
	f    *os.File
	ix   indexEnd
	dec  *zstd.Decoder
	raw  []byte
	text []byte
	have int // which frame text is; -1: none
}

func (s *frameSource) close() error {
	s.dec.Close()
	return s.f.Close()
}

func (s *frameSource) readAt(p []byte, off int64) (int, error) {
	if off >= s.ix.Bytes {
		return 0, io.EOF
	}
	fr := s.ix.Frames
	i := sort.Search(len(fr), func(i int) bool { return fr[i][1] > off }) - 1
	cend, uend := s.ix.end, s.ix.Bytes
	if i+1 < len(fr) {
		cend, uend = fr[i+1][0], fr[i+1][1]
	}
	if s.have != i {
		s.have = -1
		if err := s.load(fr[i][0], cend, uend-fr[i][1]); err != nil {
			return 0, &lostBytes{to: uend, reason: fmt.Errorf("compressed bytes %d to %d: %w", fr[i][0], cend, err)}
		}
		s.have = i
	}
	return copy(p, s.text[off-fr[i][1]:]), nil
}

func (s *frameSource) load(from, to, size int64) error {
	if size > 2*MaxLine || to-from > 3*MaxLine || from >= to {
		return errors.New("index gives an impossible size")
	}
	if int64(cap(s.raw)) < to-from {
		s.raw = make([]byte, to-from)
	}
	s.raw = s.raw[:to-from]
	if _, err := s.f.ReadAt(s.raw, from); err != nil {
		return err
	}
	var err error
	if int64(cap(s.text)) < size {
		s.text = make([]byte, 0, size)
	}
	s.text, err = s.dec.DecodeAll(s.raw, s.text[:0])
	if err == nil && int64(len(s.text)) != size {
		err = fmt.Errorf("%d bytes where the index says %d", len(s.text), size)
	}
	return err
}

// streamSource is a compressed segment without an index. It is read in order.
type streamSource struct {
	f   *os.File
	dec *zstd.Decoder
	pos int64
	err error
}

func (s *streamSource) close() error {
	s.dec.Close()
	return s.f.Close()
}

func (s *streamSource) readAt(p []byte, off int64) (int, error) {
	if s.err == nil && off != s.pos {
		s.err = io.EOF
	}
	if s.err != nil {
		err := s.err
		s.err = io.EOF // what is lost is told once
		return 0, err
	}
	n, err := s.dec.Read(p)
	s.pos += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &lostBytes{to: -1, reason: fmt.Errorf("compressed data: %w", err)}
	}
	s.err = err
	if n > 0 {
		return n, nil
	}
	return s.readAt(p, s.pos)
}

// openSource opens a segment's file.
func openSource(path string, compressed bool) (source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if !compressed {
		return plainSource{f}, nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if ix, ok := readIndex(f, info.Size()); ok {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*MaxLine))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return &frameSource{f: f, ix: ix, dec: dec, have: -1}, nil
	}
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &streamSource{f: f, dec: dec}, nil
}

// scanner splits a segment into lines. Its memory is bounded by MaxLine.
type scanner struct {
	src      source
	buf      []byte
	r, w     int   // unread bytes of buf
	searched int   // bytes behind r in which there is no line break
	off      int64 // offset of buf[r] in the segment
	long     int64 // bytes of an over-long line that are passed
	tail     int64 // bytes of the unfinished last line when scan last returned io.EOF
}

// chunk is a whole line without its line break, or a place that is none.
type chunk struct {
	raw    []byte // valid until the next scan; nil when fault is set and the bytes are too many or lost
	off    int64
	length int64 // with the line break
	fault  error
}

const scanBuffer = 128 << 10

// scan returns the next line. At the end of the whole lines it returns io.EOF;
// called again it goes on from there.
func (s *scanner) scan() (chunk, error) {
	for {
		if i := bytes.IndexByte(s.buf[s.r+s.searched:s.w], '\n'); i >= 0 {
			n := s.searched + i + 1
			c := chunk{raw: s.buf[s.r : s.r+n-1], off: s.off - s.long, length: int64(n) + s.long}
			if c.length > MaxLine {
				c.raw, c.fault = nil, errTooLong
			}
			s.r += n
			s.off += int64(n)
			s.searched, s.long = 0, 0
			return c, nil
		}
		s.searched = s.w - s.r
		if s.searched >= MaxLine { // only to find its end
			s.long += int64(s.searched)
			s.off += int64(s.searched)
			s.r, s.w, s.searched = 0, 0, 0
		}
		s.room()
		n, err := s.src.readAt(s.buf[s.w:], s.off+int64(s.w-s.r))
		s.w += n
		if n > 0 {
			continue
		}
		var lost *lostBytes
		switch {
		case errors.As(err, &lost):
			c := chunk{off: s.off - s.long, fault: lost.reason}
			if lost.to >= 0 {
				c.length = lost.to - c.off
				s.off = lost.to
			} else {
				s.off += int64(s.w - s.r)
			}
			s.r, s.w, s.searched, s.long = 0, 0, 0, 0
			return c, nil
		case err == nil || errors.Is(err, io.EOF):
			// What is unfinished is read again: it may change until it is whole.
			s.tail = int64(s.w-s.r) + s.long
			s.w, s.searched = s.r, 0
			return chunk{}, io.EOF
		default:
			return chunk{}, err
		}
	}
}

// room makes place to read into.
func (s *scanner) room() {
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	if len(s.buf)-s.w >= scanBuffer/4 {
		return
	}
	if s.r > 0 {
		copy(s.buf, s.buf[s.r:s.w])
		s.r, s.w = 0, s.w-s.r
	}
	if len(s.buf)-s.w < scanBuffer/2 {
		s.buf = append(make([]byte, 0, max(scanBuffer, 2*len(s.buf))), s.buf[:s.w]...)
		s.buf = s.buf[:cap(s.buf)]
	}
}

// jump makes the scanner go on at an offset where a line begins.
func (s *scanner) jump(off int64) {
	s.r, s.w, s.searched, s.long, s.off = 0, 0, 0, 0, off
}
