package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	driversqlite "modernc.org/sqlite"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Restore makes the database what a dump says: see store.Dumper. A database that is there
// is overwritten page by page in one transaction, so that whoever has it open sees the
// old one until it sees the new one; one that is not gets its name when it is whole.
func (s *Store) Restore(ctx context.Context, info store.DumpInfo, dir string, open func() (io.ReadCloser, error), replace bool) error {
	if info.Engine != "sqlite" {
		return fmt.Errorf("%s: %w: the backup is of %s and this is SQLite", s.name, store.ErrRefused, info.Engine)
	}
	if !s.there() {
		return s.wrap(s.restoreNew(ctx, open))
	}
	if err := s.mustBeEmpty(ctx, replace); err != nil {
		return s.wrap(err)
	}
	path := filepath.Join(dir, "restored.db")
	defer os.Remove(path)
	if err := unpack(ctx, path, open); err != nil {
		return s.wrap(err)
	}
	return s.wrap(s.overwrite(ctx, path, replace))
}

func (s *Store) there() bool {
	_, err := os.Stat(s.path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Store) mustBeEmpty(ctx context.Context, replace bool) error {
	if replace {
		return nil
	}
	content, err := s.Content(ctx)
	if err != nil {
		return err
	}
	delete(content.Tables, versionTable)
	if content.Empty() {
		return nil
	}
	return fmt.Errorf("%s: %w: it holds %d experiments, and %d rows of steps", s.name, store.ErrNotEmpty, len(content.Tables["experiments"]), content.Table("training_steps").Rows)
}

func unpack(ctx context.Context, path string, open func() (io.ReadCloser, error)) error {
	in, err := open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, stopping{ctx, in})
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// restoreNew makes a file that is not there.
func (s *Store) restoreNew(ctx context.Context, open func() (io.ReadCloser, error)) error {
	for _, left := range []string{s.path + "-wal", s.path + "-journal"} {
		if _, err := os.Stat(left); err == nil {
			return fmt.Errorf("%s: %w: %s is left of a database that is gone, and would be mixed into this one: move it away", s.name, store.ErrRefused, left)
		}
	}
	part := s.path + ".restoring"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(part)
	if err := unpack(ctx, part, open); err != nil {
		return err
	}
	// A link, unlike a new name, takes nobody's place who was faster.
	if err := os.Link(part, s.path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w: somebody made it meanwhile", s.name, store.ErrNotEmpty)
		}
		if err := os.Rename(part, s.path); err != nil { // a file system without links
			return err
		}
	}
	return syncFolder(filepath.Dir(s.path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// overwrite copies a file into the database.
func (s *Store) overwrite(ctx context.Context, from string, replace bool) error {
	if err := s.prepareFile(ctx); err != nil {
		return err
	}
	conn, err := new(driversqlite.Driver).Open(s.uri("rw", "_synchronous", "FULL"))
	if err != nil {
		return err
	}
	defer conn.Close()
	b, err := conn.(interface {
		NewRestore(string) (*driversqlite.Backup, error)
	}).NewRestore(fileURI(from, "mode", "ro", "immutable", "1"))
	if err != nil {
		return err
	}
	// The first step takes the right to write; from then on nobody adds anything.
	if _, err = s.step(ctx, b, 0); err == nil {
		err = s.mustBeEmpty(ctx, replace)
	}
	if err == nil {
		err = s.steps(ctx, b)
	}
	if err != nil {
		_ = b.Finish() // undoes what was copied, and says again why it ended
		return err
	}
	return b.Finish()
}

// NewScratch makes an empty database in a folder of its own: see store.Scratch.
func NewScratch(dir string) (store.Scratch, error) {
	own, err := os.MkdirTemp(dir, "scratch-*")
	if err != nil {
		return nil, err
	}
	s, err := Open(filepath.Join(own, "restored.db"), Options{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(own))
	}
	return &scratch{s, own}, nil
}

// scratch is a database for a moment.
type scratch struct {
	*Store
	dir string
}

// Discard deletes what was restored: see store.Scratch.
func (s *scratch) Discard(context.Context) error {
	s.Close()
	return os.RemoveAll(s.dir)
}
