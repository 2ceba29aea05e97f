package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Info is what was written.
type Info struct {
	Size   int64  // bytes
	SHA256 string // of the file, in hexadecimal
}

// entry is a tensor in the header.
type entry struct {
	Type    Type     `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // from the end of the header
}

// chunk is how many elements are written or read at a time.
const chunk = 1 << 14

// Write writes a file whole or not at all: to a temporary file beside it, flushed to
// the disk, which then takes its name. metadata goes to the header's __metadata__.
func Write(path string, metadata map[string]string, tensors []Tensor) (Info, error) {
	info, err := write(path, metadata, tensors)
	if err != nil {
		return Info{}, fmt.Errorf("tensors %s were not written: %w", path, err)
	}
	return info, nil
}

func write(path string, metadata map[string]string, tensors []Tensor) (info Info, err error) {
	header, err := header(metadata, tensors)
	if err != nil {
		return info, err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	hash := sha256.New()
	out := io.MultiWriter(f, hash)
	n, err := out.Write(header)
	info.Size = int64(n)
	if err != nil {
		return info, err
	}
	buf := make([]byte, 0, 8*chunk)
	for _, t := range tensors {
		length := t.length()
		for from := 0; from < length; from += chunk {
			buf = t.append(buf[:0], from, min(from+chunk, length))
			n, err := out.Write(buf)
			info.Size += int64(n)
			if err != nil {
				return info, err
			}
		}
	}
	if err := f.Chmod(0o644); err != nil {
		return info, err
	}
	if err := f.Sync(); err != nil {
		return info, err
	}
	if err := f.Close(); err != nil {
		return info, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return info, err
	}
	info.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return info, syncDir(dir)
}

// header lays the tensors out and returns the header with its length in front,
// padded so that the data begins at a multiple of eight bytes.
func header(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	fields := map[string]any{}
	if len(metadata) > 0 {
		fields[metadataKey] = metadata
	}
	at := int64(0)
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, err
		}
		if _, twice := fields[t.Name]; twice || t.Name == metadataKey {
			return nil, fmt.Errorf("tensor %q is there twice", t.Name)
		}
		end := at + int64(t.length()*t.Type.size())
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		fields[t.Name] = entry{t.Type, shape, [2]int64{at, end}}
		at = end
	}
	var text bytes.Buffer
	text.Write(make([]byte, 8))
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil {
		return nil, err
	}
	text.Truncate(text.Len() - 1) // the encoder's line end
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	if text.Len()-8 > maxHeader {
		return nil, fmt.Errorf("the header has %d bytes, at most %d are allowed", text.Len()-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(text.Bytes(), uint64(text.Len()-8))
	return text.Bytes(), nil
}

// syncDir makes a new name in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
