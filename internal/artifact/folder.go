package artifact

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Folder is a store in a folder: aa/aabbcc… for each file. Nothing is read or written
// outside of it, whatever links are in it.
type Folder struct {
	dir  string
	root *os.Root
}

// OpenFolder opens a folder and makes it when it is not there. Close it.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder of a store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of a store: %w", err)
	}
	return &Folder{dir: dir, root: root}, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Name is the folder's path.
func (f *Folder) Name() string { return f.dir }

// Path is where a file with this hash is or would be.
func (f *Folder) Path(hash string) string { return filepath.Join(f.dir, hash[:2], hash) }

func place(hash string) string { return path.Join(hash[:2], hash) }

// Copy stores a file under the hash that it turns out to have. It returns when the copy
// is on the disk. A file that changes meanwhile is ErrChanged.
func (f *Folder) Copy(from string) (Object, error) {
	in, err := os.Open(from)
	if err != nil {
		return Object{}, err
	}
	defer in.Close()
	before, err := in.Stat()
	if err != nil {
		return Object{}, err
	}
	if !before.Mode().IsRegular() {
		return Object{}, &fs.PathError{Op: "read", Path: from, Err: errors.New("not a file")}
	}
	return f.write(in, func(o Object) error {
		after, err := in.Stat()
		if err == nil && (after.Size() != o.Size || !after.ModTime().Equal(before.ModTime())) {
			err = fmt.Errorf("%s: %w: save the model under another name and rename it when it is whole", from, ErrChanged)
		}
		return err
	})
}

// Put stores content: see Store.
func (f *Folder) Put(ctx context.Context, o Object, content Content) error {
	if err := CheckHash(o.Hash); err != nil {
		return err
	}
	if held, err := f.Stat(ctx, o.Hash); err == nil && held.Size == o.Size {
		return nil
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := f.write(reader{ctx, content}, func(got Object) error {
		if got.Hash != o.Hash {
			return fmt.Errorf("file %s: %w: its content has the SHA-256 %s now", o.Hash, ErrChanged, got.Hash)
		}
		return nil
	})
	return err
}

// write brings content to the disk under a name of its own first; it gets its place
// when it is whole and check has nothing against it.
func (f *Folder) write(in io.Reader, check func(Object) error) (o Object, err error) {
	return f.writeTo(func(o Object) string { return place(o.Hash) }, in, func(o Object) error {
		err := check(o)
		if err == nil {
			err = f.root.MkdirAll(o.Hash[:2], 0o755)
		}
		return err
	})
}

// writeTo is write for a place of any name, whose folder is there when check has been
// called.
func (f *Folder) writeTo(to func(Object) string, in io.Reader, check func(Object) error) (o Object, err error) {
	part := "." + rand.Text() + ".part"
	out, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return o, err
	}
	defer func() {
		_ = out.Close()
		if err != nil {
			_ = f.root.Remove(part)
		}
	}()
	sum := sha256.New()
	if o.Size, err = io.Copy(io.MultiWriter(out, sum), in); err != nil {
		return o, err
	}
	o.Hash = hex.EncodeToString(sum.Sum(nil))
	if check != nil {
		if err = check(o); err != nil {
			return o, err
		}
	}
	if err = out.Sync(); err != nil {
		return o, err
	}
	if err = out.Close(); err != nil {
		return o, err
	}
	if err = f.root.Rename(part, to(o)); err != nil {
		return o, err
	}
	return o, f.sync(parents(to(o))...)
}

// parents are the folders above a place, up to the store's own.
func parents(name string) (dirs []string) {
	for name != "." {
		name = path.Dir(name)
		dirs = append(dirs, name)
	}
	return dirs
}

// sync makes the names in folders durable.
func (f *Folder) sync(dirs ...string) error {
	for _, dir := range dirs {
		d, err := f.root.Open(dir)
		if err != nil {
			return err
		}
		err = d.Sync()
		if err = errors.Join(err, d.Close()); err != nil {
			return err
		}
	}
	return nil
}

// reader stops when its context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Open reads a file: see Store.
func (f *Folder) Open(_ context.Context, hash string) (io.ReadCloser, error) {
	in, err := f.open(hash)
	if err != nil {
		return nil, err // not a nil *os.File that is not nil
	}
	return in, nil
}

func (f *Folder) open(hash string) (*os.File, error) {
	if err := CheckHash(hash); err != nil {
		return nil, err
	}
	in, err := f.root.Open(place(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: file %s: %w", f.dir, hash, ErrNotFound)
	}
	return in, err
}

// Stat looks for a file: see Store.
func (f *Folder) Stat(_ context.Context, hash string) (Object, error) {
	if err := CheckHash(hash); err != nil {
		return Object{}, err
	}
	st, err := f.root.Stat(place(hash))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Object{}, fmt.Errorf("%s: file %s: %w", f.dir, hash, ErrNotFound)
	case err != nil:
		return Object{}, err
	}
	return Object{Hash: hash, Size: st.Size(), Time: st.ModTime()}, nil
}

// Remove deletes a file: see Store.
func (f *Folder) Remove(_ context.Context, hash string) error {
	if err := CheckHash(hash); err != nil {
		return err
	}
	if err := f.root.Remove(place(hash)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// All lists the files: see Store.
func (f *Folder) All(ctx context.Context) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		err := fs.WalkDir(f.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			hash := path.Base(p)
			if d.IsDir() || CheckHash(hash) != nil || p != place(hash) || !d.Type().IsRegular() {
				return nil
			}
			st, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed in this moment
			}
			if err != nil {
				return err
			}
			if !yield(Object{Hash: hash, Size: st.Size(), Time: st.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Object{}, fmt.Errorf("%s: %w", f.dir, err))
		}
	}
}

// Sweep removes what copies that were cut off have left behind.
func (f *Folder) Sweep() error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".part") {
			if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
