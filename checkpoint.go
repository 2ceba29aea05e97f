package greenwave

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// LogCheckpoint records a saved model and returns its id, to be named by the
// [Validation] of it. The file at ModelPath is copied, under its SHA-256, into the folder
// "models" of the run, from where a sync takes it to the store of models
// (docs/checkpoints.md); so save the model first, under a name of its own. ModelSizeMB and
// ModelHash are filled in where they are empty; a ModelHash that the file does not have is
// an error, and so is a file that changes meanwhile. A ModelPath with a scheme, such as
// s3://bucket/model, is not read. It returns when the copy and the record are on the disk.
//
// When only the copy fails, because the disk is full, the checkpoint is recorded without
// it: the record says so in extra.model_copy_error, and the Logger is told.
func (r *Run) LogCheckpoint(c Checkpoint) (id string, err error) {
	if r.ended.Load() {
		return "", ErrFinished
	}
	if c.ModelPath != "" && !strings.Contains(c.ModelPath, "://") {
		if err := r.copyModel(&c); err != nil {
			return "", err
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

// copyModel copies the file of a checkpoint and fills in what it turned out to be.
func (r *Run) copyModel(c *Checkpoint) error {
	size, hash, err := r.keep(c.ModelPath)
	if failed, ok := errors.AsType[*copyError](err); ok {
		r.log.Error("a model was not copied", "model", c.ModelPath, "error", failed)
		c.Extra = maps.Clone(c.Extra)
		if c.Extra == nil {
			c.Extra = Extra{}
		}
		c.Extra["model_copy_error"] = failed.Error()
		size, hash, err = measure(c.ModelPath)
	}
	if err != nil {
		return fmt.Errorf("greenwave: checkpoint: model_path: %w: save the model before it is logged", err)
	}
	if c.ModelHash != "" && !strings.EqualFold(c.ModelHash, hash) {
		return fmt.Errorf("greenwave: checkpoint: model_hash is %s, but %s has the SHA-256 %s", c.ModelHash, c.ModelPath, hash)
	}
	c.ModelHash = hash
	if c.ModelSizeMB == nil {
		c.ModelSizeMB = new(float64(size) / 1e6)
	}
	return nil
}

// copyError is a failure of the copy, not of the model.
type copyError struct{ err error }

func (e *copyError) Error() string { return e.err.Error() }
func (e *copyError) Unwrap() error { return e.err }

// keep copies a model into the run's folder.
func (r *Run) keep(path string) (size int64, hash string, err error) {
	folder, err := artifact.OpenFolder(filepath.Join(r.Dir(), artifact.FolderName))
	if err != nil {
		return 0, "", &copyError{err}
	}
	defer folder.Close()
	o, err := folder.Copy(path)
	switch {
	case err == nil:
		return o.Size, o.Hash, nil
	case errors.Is(err, artifact.ErrChanged):
		return 0, "", err
	}
	if _, _, readErr := measure(path); readErr != nil {
		return 0, "", readErr // it is the model that cannot be read
	}
	return 0, "", &copyError{err}
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
