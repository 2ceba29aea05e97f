package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// sealer compresses sealed segments in the background, one after the other.
type sealer struct {
	fs   FS
	dir  string
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex
	queue  []string
	closed bool
	err    error
}

func startSealer(fsys FS, dir string) *sealer {
	s := &sealer{fs: fsys, dir: dir, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.loop()
	return s
}

func (s *sealer) add(name string) {
	s.mu.Lock()
	s.queue = append(s.queue, name)
	s.mu.Unlock()
	notify(s.wake)
}

// close waits until the queue is done.
func (s *sealer) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	notify(s.wake)
	<-s.done
}

func (s *sealer) lastErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sealer) loop() {
	defer close(s.done)
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			closed := s.closed
			s.mu.Unlock()
			if closed {
				return
			}
			<-s.wake
			continue
		}
		name := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		if err := compressSegment(s.fs, s.dir, name); err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
		}
	}
}

const (
	frameSize = 1 << 20 // uncompressed bytes of a frame, up to the next line break
	// indexMagic begins the skippable frame that holds the index line.
	indexMagic = 0x184D2A5D
)

// compressSegment replaces a sealed segment by its compressed form. The plain file
// goes only when the other is durable under its name; a crash between any two steps
// leaves one that is whole.
func compressSegment(fsys FS, dir, name string) error {
	plain := filepath.Join(dir, name)
	target := strings.TrimSuffix(plain, plainExt) + zstdExt
	in, err := fsys.OpenFile(plain, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	err = compressTo(fsys, in, target+tmpExt)
	if cerr := in.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(target+tmpExt, target)
	}
	if err != nil {
		err = fmt.Errorf("compress %s: %w: it stays uncompressed", plain, err)
		if rerr := fsys.Remove(target + tmpExt); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return err
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("compress %s: %w: both forms stay", plain, err)
	}
	if err := fsys.Remove(plain); err != nil {
		return fmt.Errorf("compress %s: %w: both forms stay", plain, err)
	}
	return nil
}

func compressTo(fsys FS, in io.Reader, name string) (err error) {
	out, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(frameSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	defer enc.Close()

	var (
		ix     index
		next   = int64(1) // sequence number that the next record has at least
		last   Line       // the seal, when all is read
		offset int64
		whole  = sha256.New()
		buf    []byte // bytes of the frame, and some that come after
		frame  []byte
		micro  int64
	)
	for eof := false; !eof || len(buf) > 0; {
		buf, eof, err = fillFrame(in, buf, eof)
		if err != nil {
			return err
		}
		n := len(buf)
		if !eof || n > frameSize {
			n = frameEnd(buf)
		}
		if n == 0 {
			break
		}
		ix.Frames = append(ix.Frames, [3]int64{offset, ix.Bytes, next})
		for rest := buf[:n]; len(rest) > 0; {
			var raw []byte
			raw, rest, _ = bytes.Cut(rest, []byte("\n"))
			l, perr := parseLine(raw)
			if perr != nil {
				last = Line{}
				continue // damaged; the seal covers it as it is
			}
			if l.Seq > 0 {
				next = int64(l.Seq) + 1
			} else if h, herr := parseSegmentHeader(l); herr == nil {
				next = int64(h.FirstSeq)
			}
			last, micro = l, l.Time.UnixMicro()
			if l.Kind == kindSeal {
				if ix.seal, err = parseSeal(l); err != nil {
					return err
				}
			}
		}
		whole.Write(buf[:n])
		frame = enc.EncodeAll(buf[:n], frame[:0])
		if _, err := out.Write(frame); err != nil {
			return err
		}
		offset += int64(len(frame))
		ix.Bytes += int64(n)
		buf = append(buf[:0], buf[n:]...)
	}
	if last.Kind != kindSeal {
		return errors.New("it does not end with a seal")
	}
	ix.Frames[0][2] = int64(ix.LastSeq + 1 - ix.Records)
	ix.SHA256 = sumText(whole)
	data, err := marshal(ix)
	if err != nil {
		return err
	}
	var e encoder
	line := e.line(make([]byte, 8, 4096), 0, micro, kindIndex, data)
	binary.LittleEndian.PutUint32(line, indexMagic)
	binary.LittleEndian.PutUint32(line[4:], uint32(len(line)-8))
	if _, err := out.Write(line); err != nil {
		return err
	}
	return out.Sync()
}

// fillFrame reads until buf holds a frame with a line break at its end, or all
// that is left.
func fillFrame(in io.Reader, buf []byte, eof bool) ([]byte, bool, error) {
	for !eof && (len(buf) < frameSize || len(buf) < MaxLine && bytes.IndexByte(buf[frameSize-1:], '\n') < 0) {
		if cap(buf)-len(buf) < frameSize/4 {
			buf = append(make([]byte, 0, 2*cap(buf)+frameSize), buf...)
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			eof = true
		} else if err != nil {
			return buf, false, err
		}
	}
	return buf, eof, nil
}

// frameEnd is where a frame of buf ends: at the first line break from frameSize on.
func frameEnd(buf []byte) int {
	if i := bytes.IndexByte(buf[min(frameSize-1, len(buf)):], '\n'); i >= 0 {
		return min(frameSize-1, len(buf)) + i + 1
	}
	return len(buf)
}

// indexEnd is what is known from the end of a compressed segment.
type indexEnd struct {
	index
	line Line
	end  int64 // offset in the file where the compressed frames end
}

// readIndex reads the index line at the end of a compressed segment. It returns
// false when there is none, as in a file that zstd itself has written.
func readIndex(f *os.File, size int64) (indexEnd, bool) {
	for n := int64(64 << 10); ; n *= 8 {
		n = min(n, size)
		tail := make([]byte, n)
		if _, err := f.ReadAt(tail, size-n); err != nil && !errors.Is(err, io.EOF) {
			return indexEnd{}, false
		}
		i := bytes.LastIndex(tail, []byte(`{"seq":0,"time":"`))
		if i >= 8 {
			return parseIndex(tail[i-8:], size)
		}
		if n == size || n > MaxLine {
			return indexEnd{}, false
		}
	}
}

func parseIndex(b []byte, size int64) (indexEnd, bool) {
	var x indexEnd
	if binary.LittleEndian.Uint32(b) != indexMagic || int(binary.LittleEndian.Uint32(b[4:])) != len(b)-8 || b[len(b)-1] != '\n' {
		return x, false
	}
	var err error
	if x.line, err = parseLine(b[8 : len(b)-1]); err != nil || x.line.Kind != kindIndex {
		return x, false
	}
	x.end = size - int64(len(b))
	return x, unmarshalIndex(x.line.Data, &x.index) == nil && x.Frames[len(x.Frames)-1][0] < x.end
}
