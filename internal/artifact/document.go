package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
)

// ErrName is a text that cannot be the name of a document.
var ErrName = errors.New("not a name of a document")

// DocumentLimit is the most that a document may hold, in bytes.
const DocumentLimit = 64 << 20

// Documents keeps small texts by name beside the files of a store: what a file is, and
// what was found out about it. A name is a path of plain names, "backups/x/manifest.json".
type Documents interface {
	// PutDocument writes a document, whole or not at all, in place of one of that name.
	PutDocument(ctx context.Context, name string, data []byte) error
	// Document reads one; ErrNotFound.
	Document(ctx context.Context, name string) ([]byte, error)
	// DocumentNames lists the names that begin with prefix, in order. A prefix that is
	// not empty ends in "/".
	DocumentNames(ctx context.Context, prefix string) iter.Seq2[string, error]
	// RemoveDocument deletes one. One that is not there is no error.
	RemoveDocument(ctx context.Context, name string) error
}

// Shelf is a store with documents beside its files.
type Shelf interface {
	Store
	Documents
}

// CheckName makes sure that a text is the name of a document: at least two plain names
// with "/" between them, the first of which no file's place begins with.
func CheckName(name string) error {
	parts := strings.Split(name, "/")
	ok := len(parts) >= 2 && len(parts[0]) > 2 && parts[0] != "sha256" && len(name) <= 500
	for _, part := range parts {
		ok = ok && part != "" && part[0] != '.' && !strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		})
	}
	if !ok {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}

// CheckPrefix makes sure that names can begin with a text.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if !strings.HasSuffix(prefix, "/") || CheckName(prefix+"x") != nil {
		return fmt.Errorf("%w begins with %q", ErrName, prefix)
	}
	return nil
}

// PutDocument writes a document: see Documents.
func (f *Folder) PutDocument(ctx context.Context, name string, data []byte) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	_, err := f.writeTo(func(Object) string { return name }, reader{ctx, strings.NewReader(string(data))}, nil)
	return err
}

// Document reads a document: see Documents.
func (f *Folder) Document(_ context.Context, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	in, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %s: %w", f.dir, name, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return ReadDocument(in, f.dir+": "+name)
}

// ReadDocument reads a document to its end, no further than DocumentLimit.
func ReadDocument(in io.Reader, what string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, DocumentLimit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(data) > DocumentLimit {
		return nil, fmt.Errorf("%s: larger than the %d bytes that a document may have", what, DocumentLimit)
	}
	return data, nil
}

// DocumentNames lists documents: see Documents.
func (f *Folder) DocumentNames(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := CheckPrefix(prefix); err != nil {
			yield("", err)
			return
		}
		top := "."
		if prefix != "" {
			top = strings.TrimSuffix(prefix, "/")
		}
		var names []string
		err := fs.WalkDir(f.root.FS(), top, func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // nothing there yet, or removed in this moment
			}
			if err = errors.Join(err, ctx.Err()); err == nil && d.Type().IsRegular() && CheckName(p) == nil {
				names = append(names, p)
			}
			return err
		})
		if err != nil {
			yield("", fmt.Errorf("%s: %w", f.dir, err))
			return
		}
		slices.Sort(names) // a walk sorts "a/b" before "a-b"
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// RemoveDocument deletes a document: see Documents.
func (f *Folder) RemoveDocument(_ context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = f.root.Remove(path.Dir(name)) // its folder goes with the last of them
	return nil
}

var _ Shelf = (*Folder)(nil)

// mode of the files that a folder holds.
const mode os.FileMode = 0o644
