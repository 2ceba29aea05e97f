package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

const (
	metadataKey = "__metadata__"
	maxHeader   = 100_000_000 // bytes, as the format says
)

// File is an open file whose header is known to be right.
type File struct {
	path     string
	r        io.ReaderAt
	close    func() error
	start    int64 // of the data
	metadata map[string]string
	entries  map[string]entry
}

// Open reads and checks a file's header. Close it when it is no longer used.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tensors: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("tensors: %w", err)
	}
	t, err := parse(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is no safetensors file, or damaged: %w", path, err)
	}
	t.path, t.close = path, f.Close
	return t, nil
}

// parse checks a header of a file of so many bytes.
func parse(r io.ReaderAt, size int64) (*File, error) {
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, fmt.Errorf("it has %d bytes", size)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("its header would have %d bytes, in a file of %d", n, size)
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	f := &File{r: r, start: 8 + int64(n), entries: map[string]entry{}}
	if err := f.fields(text); err != nil {
		return nil, err
	}
	return f, f.checkLayout(size - f.start)
}

// fields reads the header's object, name by name, so that a repeated one is seen.
func (f *File) fields(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return errors.New("its header is no JSON object")
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return fmt.Errorf("header: %w", err)
		}
		name, _ := token.(string)
		if name == metadataKey {
			if f.metadata != nil {
				return errors.New("header: metadata twice")
			}
			if err := dec.Decode(&f.metadata); err != nil {
				return fmt.Errorf("header: metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := dec.Decode(&e); err != nil {
			return fmt.Errorf("header: tensor %q: %w", name, err)
		}
		if _, twice := f.entries[name]; twice {
			return fmt.Errorf("header: tensor %q is there twice", name)
		}
		f.entries[name] = e
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("header: something follows the object")
	}
	return nil
}

// checkLayout makes sure that the tensors cover the data without gaps or overlaps.
func (f *File) checkLayout(size int64) error {
	names := make([]string, 0, len(f.entries))
	for name, e := range f.entries {
		n, ok := elements(e.Shape)
		if !ok {
			return fmt.Errorf("tensor %q has the shape %v", name, e.Shape)
		}
		if s := e.Type.size(); s == 0 {
			return fmt.Errorf("tensor %q has the type %q, which is not known", name, e.Type)
		} else if e.Offsets[1]-e.Offsets[0] != int64(n)*int64(s) {
			return fmt.Errorf("tensor %q takes %d bytes, its shape %v of %s needs %d", name, e.Offsets[1]-e.Offsets[0], e.Shape, e.Type, n*s)
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := f.entries[a].Offsets, f.entries[b].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(a, b))
	})
	at := int64(0)
	for _, name := range names {
		o := f.entries[name].Offsets
		if o[0] != at {
			return fmt.Errorf("tensor %q begins at byte %d of the data, expected at %d", name, o[0], at)
		}
		at = o[1]
	}
	if at != size {
		return fmt.Errorf("the tensors take %d bytes and the data has %d", at, size)
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.close() }

// Metadata returns the texts in the header's __metadata__; nil when there are none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Shape returns a tensor's shape; ok is false when there is no tensor of the name.
func (f *File) Shape(name string) (shape []int, ok bool) {
	e, ok := f.entries[name]
	return e.Shape, ok
}

// Read fills the tensor t, whose name, type and shape must be those in the file, with
// the file's data.
func (f *File) Read(t Tensor) error {
	e, ok := f.entries[t.Name]
	switch {
	case !ok:
		return fmt.Errorf("%s has no tensor %s", f.path, t.Name)
	case e.Type != t.Type || !slices.Equal(e.Shape, t.Shape):
		return fmt.Errorf("%s: tensor %s is %s %v, wanted is %s %v: it was written with other settings", f.path, t.Name, e.Type, e.Shape, t.Type, t.Shape)
	}
	if err := t.check(); err != nil {
		return err
	}
	size, length := t.Type.size(), t.length()
	buf := make([]byte, min(length, chunk)*size)
	for from := 0; from < length; from += chunk {
		part := buf[:min(chunk, length-from)*size]
		if _, err := f.r.ReadAt(part, f.start+e.Offsets[0]+int64(from*size)); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: tensor %s: %w", f.path, t.Name, err)
		}
		t.take(part, from)
	}
	return nil
}
