package importer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// document reads a JSON object of any size from a file, value by value. It takes
// bare NaN and Infinity, as Python writes them.
type document struct {
	path   string
	file   *os.File
	r      *bufio.Reader
	sum    hash.Hash // of what was read; nil where it does not matter
	offset int64     // of the next byte
	line   int       // of the next byte, from 1
}

func openFile(path string, offset int64, line int) (*document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &document{path: path, file: f, r: bufio.NewReaderSize(f, tailBuffer), offset: offset, line: line}, nil
}

// openWhole opens a file at its beginning and keeps the sum of all that is read.
func openWhole(path string) (*document, error) {
	if err := checkEncoding(path); err != nil {
		return nil, err
	}
	d, err := openFile(path, 0, 1)
	if err != nil {
		return nil, err
	}
	d.sum = sha256.New()
	d.r.Reset(io.TeeReader(d.file, d.sum))
	if begin, _ := d.r.Peek(len(utf8BOM)); string(begin) == string(utf8BOM) {
		d.r.Discard(len(utf8BOM))
		d.offset += int64(len(utf8BOM))
	}
	return d, nil
}

func (d *document) close() { d.file.Close() }

// where is the place of the next byte, for messages.
func (d *document) where() string { return fmt.Sprintf("%s:%d", d.path, d.line) }

func (d *document) fault(what string) error {
	return fmt.Errorf("%s: %s (byte %d)", d.where(), what, d.offset)
}

// failed turns a failure to read into what a person should know.
func (d *document) failed(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the file ends in the middle (byte %d): it is not whole", d.where(), d.offset)
	}
	return fmt.Errorf("read %s: %w", d.path, err)
}

func (d *document) next() (byte, error) {
	c, err := d.r.ReadByte()
	if err != nil {
		return 0, d.failed(err)
	}
	d.offset++
	if c == '\n' {
		d.line++
	}
	return c, nil
}

// peek skips white space and returns the byte behind it without taking it.
func (d *document) peek() (byte, error) {
	for {
		c, err := d.next()
		if err != nil {
			return 0, err
		}
		if !isSpace(c) {
			d.back()
			return c, nil
		}
	}
}

// back gives back a byte that was no line break.
func (d *document) back() {
	d.r.UnreadByte() // right after ReadByte it cannot fail
	d.offset--
}

// expect takes a byte behind white space.
func (d *document) expect(want byte) error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c != want {
		return d.fault(fmt.Sprintf("expected %q, not %q", want, c))
	}
	_, err = d.next()
	return err
}

// value reads the next value into dst, up to limit bytes; what is more is only
// counted. It returns dst and the value's size.
func (d *document) value(dst []byte, limit int) ([]byte, int64, error) {
	if _, err := d.peek(); err != nil {
		return dst, 0, err
	}
	dst = dst[:0]
	begin := d.offset
	var e extent
	for {
		if _, err := d.r.Peek(1); err != nil {
			return dst, d.offset - begin, d.failed(err)
		}
		chunk, _ := d.r.Peek(d.r.Buffered()) // what is buffered can be looked at
		n, over := e.take(chunk)
		if room := limit - len(dst); room > 0 {
			dst = append(dst, chunk[:min(n, room)]...)
		}
		d.offset += int64(n)
		d.line += bytes.Count(chunk[:n], []byte{'\n'})
		d.r.Discard(n) // it is buffered
		if !over {
			continue
		}
		if d.offset == begin {
			return dst, d.offset - begin, d.fault("a value is missing")
		}
		return dst, d.offset - begin, nil
	}
}

// extent finds where a value ends that comes in pieces.
type extent struct {
	depth           int
	inText, escaped bool
}

// take looks at the next piece and returns how much of it belongs to the value, and
// whether the value is over.
func (e *extent) take(piece []byte) (n int, over bool) {
	for i := 0; i < len(piece); i++ {
		c := piece[i]
		if e.inText {
			switch {
			case e.escaped:
				e.escaped = false
			case c == '\\':
				e.escaped = true
			case c == '"':
				e.inText = false
				if e.depth == 0 {
					return i + 1, true
				}
			}
			continue
		}
		switch c {
		case '"':
			e.inText = true
		case '{', '[':
			e.depth++
		case '}', ']':
			if e.depth == 0 {
				return i, true
			}
			if e.depth--; e.depth == 0 {
				return i + 1, true
			}
		case ',', ' ', '\t', '\r', '\n':
			if e.depth == 0 {
				return i, true
			}
		}
	}
	return len(piece), false
}

// each calls fn for each member of an object, at its value; fn takes the value.
func (d *document) each(fn func(name string) error) error {
	if err := d.expect('{'); err != nil {
		return err
	}
	return d.elements('}', func() error {
		key, size, err := d.value(nil, 1<<16)
		if err != nil {
			return err
		}
		name, isText := text(key)
		if !isText || size > int64(len(key)) {
			return d.fault("expected the name of a field")
		}
		if err := d.expect(':'); err != nil {
			return err
		}
		return fn(name)
	})
}

// elements calls fn for each element up to the closing bracket.
func (d *document) elements(closing byte, fn func() error) error {
	for first := true; ; first = false {
		c, err := d.peek()
		if err != nil {
			return err
		}
		if c == closing {
			_, err = d.next()
			return err
		}
		if !first {
			if err := d.expect(','); err != nil {
				return err
			}
		}
		if err := fn(); err != nil {
			return err
		}
	}
}

// end makes sure that nothing follows and returns the sum of the file.
func (d *document) end() ([]byte, error) {
	for {
		if _, err := d.r.Peek(1); errors.Is(err, io.EOF) {
			return d.sum.Sum(nil), nil
		}
		c, err := d.next()
		if err != nil {
			return nil, err
		}
		if !isSpace(c) {
			return nil, d.fault("something follows the object")
		}
	}
}
