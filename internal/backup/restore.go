package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Find finds a backup by its id, the beginning of it, or "latest": the newest of which
// nothing bad is known.
func Find(ctx context.Context, s artifact.Shelf, ref string) (Backup, error) {
	list, err := List(ctx, s)
	if err != nil {
		return Backup{}, err
	}
	if ref == "" || ref == "latest" {
		if b := Latest(list); b != nil {
			return *b, nil
		}
		if len(list) == 0 {
			return Backup{}, fmt.Errorf("%s: %w: there is none at all", s.Name(), ErrNone)
		}
		return Backup{}, fmt.Errorf("%s: %w: of %d backups none is whole; the newest: %s", s.Name(), ErrNone, len(list), list[0].Problem)
	}
	list = slices.DeleteFunc(list, func(b Backup) bool { return !strings.HasPrefix(b.ID, ref) })
	switch len(list) {
	case 0:
		return Backup{}, fmt.Errorf("%s: backup %q: %w", s.Name(), ref, ErrNone)
	case 1:
		return list[0], nil
	}
	return Backup{}, fmt.Errorf("%s: backup %q: %w: %d begin like that", s.Name(), ref, ErrNone, len(list))
}

// Source is a backup to be brought back.
type Source struct {
	Store artifact.Shelf
	ID    string
	Key   Key
	Spool string
}

// Restore makes a database what a backup says and compares. The file is fetched and its
// hash compared before anything is touched. Without replace a database that holds rows is
// store.ErrNotEmpty. Differences are not an error here: somebody may be writing already.
func Restore(ctx context.Context, src Source, into store.Dumper, replace bool) (*Manifest, []store.Difference, error) {
	f, err := fetch(ctx, src)
	if err != nil {
		return nil, nil, err
	}
	defer f.close()
	if err := into.Restore(ctx, f.manifest.DumpInfo, f.spool.dir, f.open, replace); err != nil {
		return f.manifest, nil, err
	}
	got, err := into.Content(ctx)
	if err != nil {
		return f.manifest, nil, fmt.Errorf("it is restored, and could not be compared: %w", err)
	}
	return f.manifest, f.content.Compare(got, f.content.Major != got.Major), nil
}

// fetched is a backup on this machine, with the hash that its manifest says.
type fetched struct {
	manifest *Manifest
	content  store.Content
	spool    *spool
	key      Key
}

// fetch brings a backup to this machine. A key that does not fit shows before the file
// travels.
func fetch(ctx context.Context, src Source) (f *fetched, err error) {
	m, err := ReadManifest(ctx, src.Store, src.ID)
	if err != nil {
		return nil, err
	}
	f = &fetched{manifest: m, key: src.Key}
	bad := func(what string) error {
		return fmt.Errorf("%s: backup %s: %w: %s", src.Store.Name(), m.ID, ErrDamaged, what)
	}
	text, err := src.Store.Document(ctx, folder+m.ID+contentFile)
	if errors.Is(err, artifact.ErrNotFound) {
		return nil, bad("content.json is gone")
	}
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != m.ContentHash {
		return nil, bad("content.json has another SHA-256 than the manifest says")
	}
	if err := json.Unmarshal(text, &f.content); err != nil {
		return nil, bad("content.json: " + err.Error())
	}
	if err := f.tryKey(ctx, src.Store); err != nil {
		if errors.Is(err, artifact.ErrNotFound) {
			return nil, bad("its file is not in the store")
		}
		return nil, err
	}
	if f.spool, err = newSpool(src.Spool); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(f.spool.path("file"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = artifact.Fetch(ctx, src.Store, m.File.SHA256, file)
		err = errors.Join(err, file.Close())
	}
	if err == nil {
		return f, nil
	}
	f.close()
	if errors.Is(err, artifact.ErrDamaged) || errors.Is(err, artifact.ErrNotFound) {
		err = bad(err.Error())
	}
	return nil, err
}

// tryKey finds the key of the file itself in the head of an encrypted file, so that a
// passphrase, which is slow to try on purpose, is tried once.
func (f *fetched) tryKey(ctx context.Context, s artifact.Shelf) error {
	if f.manifest.Encryption == "" {
		return nil
	}
	in, err := s.Open(ctx, f.manifest.File.SHA256)
	if err != nil {
		return err
	}
	defer in.Close()
	own, err := f.key.unlock(in, f.manifest)
	if err == nil {
		f.key = own
	}
	if errors.Is(err, ErrDamaged) {
		return nil // what is wrong with it shows when its hash is compared
	}
	return err
}

// open gives the dump from its start.
func (f *fetched) open() (io.ReadCloser, error) {
	file, err := os.Open(f.spool.path("file"))
	if err != nil {
		return nil, err
	}
	plain, err := unseal(file, f.manifest, f.key)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &both{plain, file}, nil
}

func (f *fetched) close() { f.spool.remove() }

type both struct {
	io.ReadCloser
	file *os.File
}

func (b *both) Close() error { return errors.Join(b.ReadCloser.Close(), b.file.Close()) }

// Verify restores a backup into a scratch database and compares row by row and object by
// object. How it ended is noted beside the backup when it says something about it: a
// wrong key or a server without room do not. It is ErrDiffers when the comparison finds
// something, which the verification lists.
func Verify(ctx context.Context, src Source, scratch func(ctx context.Context, m *Manifest) (store.Scratch, error), by string, now func() time.Time) (*Manifest, Verification, error) {
	start := now()
	v := Verification{At: start.UTC().Truncate(time.Second), By: by}
	m, err := compare(ctx, src, scratch, &v)
	v.Seconds = now().Sub(start).Round(time.Millisecond).Seconds()
	v.OK = err == nil
	if ctx.Err() != nil || !tells(err) {
		return m, v, err
	}
	if err != nil && !errors.Is(err, ErrDiffers) {
		v.Error = err.Error()
	}
	text, jsonErr := json.MarshalIndent(v, "", "  ")
	if jsonErr != nil {
		return m, v, errors.Join(err, jsonErr)
	}
	return m, v, errors.Join(err, src.Store.PutDocument(ctx, folder+src.ID+verifiedFile, append(text, '\n')))
}

// tells reports whether an outcome says something about the backup.
func tells(err error) bool {
	for _, other := range []error{ErrKey, ErrNone, store.ErrTemporary, store.ErrAuth, store.ErrNotEmpty, syscall.ENOSPC, os.ErrPermission, errElsewhere} {
		if errors.Is(err, other) {
			return false
		}
	}
	return err == nil || !strings.Contains(err.Error(), "No space left on device")
}

// errElsewhere marks an error that is not the backup's.
var errElsewhere = errors.New("the backup was not looked at")

func compare(ctx context.Context, src Source, scratch func(context.Context, *Manifest) (store.Scratch, error), v *Verification) (m *Manifest, err error) {
	f, err := fetch(ctx, src)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			err = &elsewhere{err}
		}
		return nil, err
	}
	defer f.close()
	m = f.manifest
	db, err := scratch(ctx, m)
	if err != nil {
		return m, &elsewhere{err}
	}
	defer func() { err = errors.Join(err, db.Discard(context.WithoutCancel(ctx))) }()
	v.Into = db.Name()
	if err := db.Restore(ctx, m.DumpInfo, f.spool.dir, f.open, false); err != nil {
		return m, err
	}
	got, err := db.Content(ctx)
	if err != nil {
		return m, &elsewhere{err}
	}
	for name := range f.content.Tables {
		v.Rows += f.content.Table(name).Rows
	}
	v.Objects = len(f.content.Objects)
	differences := f.content.Compare(got, f.content.Major != got.Major)
	for _, d := range differences {
		v.Differences = append(v.Differences, d.String())
	}
	if len(differences) > 0 {
		return m, fmt.Errorf("backup %s: %w in %d places: %s", m.ID, ErrDiffers, len(differences), differences[0])
	}
	return m, nil
}

// elsewhere is an error that says nothing of the backup.
type elsewhere struct{ err error }

func (e *elsewhere) Error() string   { return e.err.Error() }
func (e *elsewhere) Unwrap() []error { return []error{e.err, errElsewhere} }

// kind is the first words of an object's name, "policy" or "row security".
func kind(object string) string {
	if strings.HasPrefix(object, "row security ") {
		return "row security"
	}
	k, _, _ := strings.Cut(object, " ")
	return k
}
