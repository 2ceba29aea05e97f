package greenwave

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// LogCheckpoint records a saved model and returns its id, to be named by the
// [Validation] of it. Where ModelSizeMB or ModelHash is empty the file at ModelPath is
// read to fill both in, so save the model first; a ModelPath with a scheme, such as
// s3://bucket/model, is not read. It returns when the record is on the disk.
func (r *Run) LogCheckpoint(c Checkpoint) (id string, err error) {
	if r.ended.Load() {
		return "", ErrFinished
	}
	if c.ModelPath != "" && !strings.Contains(c.ModelPath, "://") && (c.ModelSizeMB == nil || c.ModelHash == "") {
		size, hash, err := measure(c.ModelPath)
		if err != nil {
			return "", fmt.Errorf("greenwave: checkpoint: model_path: %w: save the model before it is logged, or give ModelSizeMB and ModelHash", err)
		}
		if c.ModelSizeMB == nil {
			c.ModelSizeMB = new(float64(size) / 1e6)
		}
		if c.ModelHash == "" {
			c.ModelHash = hash
		}
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	at, err := r.write(s, &c, true)
	if err != nil {
		return "", err
	}
	return store.RowID(at.run, at.seq), nil
}

// measure reads a file once: its size in bytes and its SHA-256 in hexadecimal.
func measure(path string) (size int64, hash string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	if !st.Mode().IsRegular() {
		return 0, "", &os.PathError{Op: "read", Path: path, Err: errors.New("not a file")}
	}
	sum := sha256.New()
	size, err = io.Copy(sum, f)
	if err != nil {
		return 0, "", err
	}
	return size, hex.EncodeToString(sum.Sum(nil)), nil
}
