// Package artifact keeps the files of models under the SHA-256 of their content: in a
// folder, or in a bucket (package s3). A file that is there is whole, and it is never
// written a second time.
//
// A trainer copies its models beside its journal ([Folder.Copy]); [Uploader] carries
// them from there to the store of a team, as often as it takes.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Errors that callers branch on.
var (
	// ErrNotFound is a hash that the store does not have.
	ErrNotFound = errors.New("no such file")
	// ErrDamaged is content that does not have the hash under which it is kept.
	ErrDamaged = errors.New("damaged")
	// ErrChanged is a file that was written to while it was read.
	ErrChanged = errors.New("changed while it was read")
	// ErrHash is a text that is not a SHA-256 in hexadecimal.
	ErrHash = errors.New("not a SHA-256 in hexadecimal")
)

// Object is a file in a store.
type Object struct {
	Hash string // SHA-256 of the content, 64 lower-case hexadecimal digits
	Size int64  // bytes
	Time time.Time
}

// Content is a file to be stored, read from the start to the end, perhaps twice.
type Content interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// Store keeps files by hash. Its methods may be called concurrently, from any number
// of processes.
type Store interface {
	// Put stores content that has the hash and size of o. It returns nil at once when
	// the store has it. What was begun before and cut off is gone on with. Content that
	// turns out to have another hash is ErrChanged, and nothing is stored.
	Put(ctx context.Context, o Object, content Content) error
	// Open reads a file; ErrNotFound. What is read is not checked: see Fetch.
	Open(ctx context.Context, hash string) (io.ReadCloser, error)
	// Stat looks whether a file is there; ErrNotFound.
	Stat(ctx context.Context, hash string) (Object, error)
	// Remove deletes a file. One that is not there is no error.
	Remove(ctx context.Context, hash string) error
	// All lists the files by hash.
	All(ctx context.Context) iter.Seq2[Object, error]
	// Name says which store it is, without secrets.
	Name() string
}

// CheckHash makes sure that a text is a hash, and so can be part of a path.
func CheckHash(hash string) error {
	if len(hash) != sha256.Size*2 {
		return fmt.Errorf("%w: %q", ErrHash, hash)
	}
	for _, c := range []byte(hash) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%w: %q", ErrHash, hash)
		}
	}
	return nil
}

// Fetch copies a file out of a store and checks its hash: ErrDamaged when it has
// another one, and then into is not to be used.
func Fetch(ctx context.Context, s Store, hash string, into io.Writer) (size int64, err error) {
	in, err := s.Open(ctx, hash)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(into, sum), in)
	if err != nil {
		return size, fmt.Errorf("%s: file %s: %w", s.Name(), hash, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != hash {
		return size, fmt.Errorf("%s: file %s is %w: its content has the SHA-256 %s", s.Name(), hash, ErrDamaged, got)
	}
	return size, nil
}
