package export

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrExists means that the folder holds an export already.
var ErrExists = errors.New("an export is there already")

// partialName is the folder inside of the export's folder in which the files are
// written. It goes when the export is whole or has failed; one that stays behind
// was left by a process that was killed.
const partialName = ".partial"

// folder is where an export is being written.
type folder struct {
	dir     string // where the files appear in the end
	partial string // where they are written
	made    bool   // dir did not exist before
	old     []File // of the export that is replaced
}

// openFolder makes the folder and claims it.
func openFolder(dir string, format Format, force bool) (*folder, error) {
	f := &folder{dir: dir, partial: filepath.Join(dir, partialName)}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		f.made = true
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder for the export: %w", err)
	}
	if !force {
		if err := f.mustBeFree(format); err != nil {
			return nil, err
		}
	} else {
		if m, err := ReadManifest(dir); err == nil {
			f.old = m.Files
		}
		if err := os.RemoveAll(f.partial); err != nil {
			return nil, fmt.Errorf("removing what another export left: %w", err)
		}
	}
	err := os.Mkdir(f.partial, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %s; another export writes there or was killed: remove that folder, or use --force", ErrExists, f.partial)
	}
	if err != nil {
		return nil, fmt.Errorf("the folder for the export cannot be written: %w", err)
	}
	return f, nil
}

func (f *folder) mustBeFree(format Format) error {
	names := []string{ManifestName}
	switch format {
	case SQLite:
		names = append(names, databaseName)
	case TensorBoard:
	default:
		for _, t := range tables() {
			names = append(names, t.name+format.extension())
		}
	}
	for _, name := range names {
		path := filepath.Join(f.dir, name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%w: %s; choose another folder, or use --force to replace it", ErrExists, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking at the folder for the export: %w", err)
		}
	}
	return nil
}

// publish gives the files their names, the manifest last. A manifest that is there
// goes first, so that it never describes files that it does not.
func (f *folder) publish(m *Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	out, err := f.create(ManifestName)
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(append(data, '\n')); err != nil {
		return err
	}
	if _, err := out.finish(); err != nil {
		return err
	}
	manifest := filepath.Join(f.dir, ManifestName)
	if err := os.Remove(manifest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing the export: %w", err)
	}
	if err := syncFolder(f.dir); err != nil {
		return err
	}
	for _, file := range f.old {
		if err := os.Remove(filepath.Join(f.dir, file.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("replacing the export: %w", err)
		}
	}
	for _, file := range m.Files {
		if err := os.Rename(filepath.Join(f.partial, file.Name), filepath.Join(f.dir, file.Name)); err != nil {
			return fmt.Errorf("finishing the export: %w", err)
		}
	}
	if err := syncFolder(f.dir); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(f.partial, ManifestName), manifest); err != nil {
		return fmt.Errorf("finishing the export: %w", err)
	}
	if err := os.Remove(f.partial); err != nil {
		return fmt.Errorf("finishing the export: %w", err)
	}
	return syncFolder(f.dir)
}

// abandon removes what has been written.
func (f *folder) abandon() error {
	if err := os.RemoveAll(f.partial); err != nil {
		return fmt.Errorf("removing the unfinished export: %w", err)
	}
	if f.made {
		os.Remove(f.dir) // stays when somebody has put something there
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}

// file counts and hashes what is written to it.
type file struct {
	name string
	f    *os.File
	buf  *bufio.Writer
	hash hash.Hash
	size int64
}

func (f *folder) create(name string) (*file, error) {
	out, err := os.OpenFile(filepath.Join(f.partial, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &file{name: name, f: out, buf: bufio.NewWriterSize(out, 1<<20), hash: sha256.New()}, nil
}

// Write implements io.Writer.
func (f *file) Write(p []byte) (int, error) {
	f.hash.Write(p)
	f.size += int64(len(p))
	return f.buf.Write(p)
}

// finish makes the file durable and returns its name, size and sum.
func (f *file) finish() (File, error) {
	if err := f.buf.Flush(); err != nil {
		return File{}, err
	}
	if err := f.f.Sync(); err != nil {
		return File{}, err
	}
	err := f.f.Close()
	f.f = nil
	return File{Name: f.name, Bytes: f.size, SHA256: hex.EncodeToString(f.hash.Sum(nil))}, err
}

// discard closes the file when finish has not.
func (f *file) discard() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
}
