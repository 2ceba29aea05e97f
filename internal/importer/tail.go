package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// errChanged is a file whose beginning is not what it was: shortened, or written
// again while it was read.
var errChanged = errors.New("was shortened or written again while it was read: import it anew")

// tail reads the lines of a file that may grow. Between calls that reach the end it
// keeps neither the file open nor a buffer, so that thousands can be followed.
type tail struct {
	path string
	// takeLast makes a last line without line break count as whole when it is a
	// whole object.
	takeLast bool

	file  *os.File
	head  []byte      // how the file begins, to notice that it was written again
	seen  os.FileInfo // as it was when it was last read to the end
	begin int64       // offset of the line that was returned last
	next  int64       // offset of the line that comes next
	line  int         // number of the line that was returned last, from 1
	over  int64       // bytes passed of a line that is too long
	torn  int64       // bytes behind the last whole line

	buf        []byte
	start, end int // unread part of buf
}

const tailBuffer = 64 << 10

var utf8BOM = []byte("\xef\xbb\xbf")

// read returns the next line that is not blank, without its line break, and its
// size in bytes. A line larger than MaxRecord is nil. The line is valid until the
// next call. io.EOF says that there is no further whole line for now.
func (t *tail) read() ([]byte, int64, error) {
	for {
		line, size, err := t.readLine()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("read %s: %w", t.path, err)
			}
			return nil, 0, err
		}
		if t.line == 1 {
			line = bytes.TrimPrefix(line, utf8BOM)
		}
		if size > MaxRecord || len(bytes.TrimSpace(line)) > 0 {
			return line, size, nil
		}
	}
}

func (t *tail) readLine() ([]byte, int64, error) {
	if t.file == nil {
		if err := t.reopen(); err != nil {
			return nil, 0, err
		}
	}
	searched := 0
	for {
		if i := bytes.IndexByte(t.buf[t.start+searched:t.end], '\n'); i >= 0 {
			line := t.buf[t.start : t.start+searched+i]
			t.start += searched + i + 1
			return t.deliver(line, 1)
		}
		searched = t.end - t.start
		if searched > MaxRecord || t.over > 0 && searched > 0 {
			t.over += int64(searched)
			t.start, t.end, searched = 0, 0, 0
			if len(t.buf) > tailBuffer {
				t.buf = nil // what follows needs little
			}
		}
		n, err := t.fill()
		if n > 0 {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		last := t.buf[t.start:t.end]
		if t.takeLast && t.over == 0 && whole(bytes.TrimPrefix(last, utf8BOM)) {
			t.start = t.end
			return t.deliver(last, 0)
		}
		t.torn = t.over + int64(len(last))
		return nil, 0, t.rest()
	}
}

// deliver accounts for a line that was found. brk is the size of its line break.
func (t *tail) deliver(line []byte, brk int64) ([]byte, int64, error) {
	size := t.over + int64(len(line))
	t.begin, t.next = t.next, t.next+size+brk
	t.line++
	t.torn = 0
	if size > MaxRecord {
		t.over = 0
		return nil, size, nil
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), size, nil
}

// fill reads more into the buffer, behind what is unread.
func (t *tail) fill() (int, error) {
	if t.start > 0 {
		t.end = copy(t.buf, t.buf[t.start:t.end])
		t.start = 0
	}
	if t.end == len(t.buf) {
		grown := make([]byte, min(max(tailBuffer, 2*t.end), MaxRecord+tailBuffer))
		copy(grown, t.buf)
		t.buf = grown
	}
	n, err := t.file.ReadAt(t.buf[t.end:], t.next+t.over+int64(t.end))
	t.end += n
	return n, err
}

// rest is called at the end of the file: it remembers what the file was like and
// lets go of it.
func (t *tail) rest() error {
	info, err := t.file.Stat()
	t.close()
	if err != nil {
		return err
	}
	t.seen = info
	if info.Size() < t.next {
		return errChanged
	}
	return io.EOF
}

// reopen opens the file again when there is more in it than at the last look.
func (t *tail) reopen() error {
	if t.seen != nil {
		info, err := os.Stat(t.path)
		if err != nil {
			return err
		}
		if info.Size() < t.next+t.over {
			return errChanged
		}
		if os.SameFile(info, t.seen) && info.Size() == t.seen.Size() && info.ModTime().Equal(t.seen.ModTime()) {
			return io.EOF
		}
	}
	f, err := os.Open(t.path)
	if err != nil {
		return err
	}
	if t.head == nil {
		t.head = make([]byte, 256)
		n, err := f.ReadAt(t.head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			f.Close()
			return err
		}
		t.head = t.head[:n]
	} else {
		begins := make([]byte, len(t.head))
		if n, _ := f.ReadAt(begins, 0); !bytes.Equal(begins[:n], t.head) {
			f.Close()
			return errChanged
		}
	}
	t.file = f
	return nil
}

// back makes the line that was returned last the next one again.
func (t *tail) back() {
	t.close()
	t.next, t.seen = t.begin, nil
	t.line--
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
	t.file, t.buf, t.start, t.end = nil, nil, 0, 0
}
