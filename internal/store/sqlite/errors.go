package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// errNoRow is how the driver says that a query has no further row.
var errNoRow = io.EOF

var sentinels = []error{
	store.ErrTemporary, store.ErrAuth, store.ErrRefused, store.ErrSchema, store.ErrCursorMoved,
	store.ErrExperimentDeleted, store.ErrNotFound, store.ErrNotEmpty, errClosed,
}

// wrap gives an error of the driver the meaning that callers branch on, the name of
// the file and, where there is one, a way out.
func (s *Store) wrap(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range sentinels {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w: %w", s.name, store.ErrTemporary, err)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w: %w", s.name, store.ErrAuth, err)
	}
	var failure *driversqlite.Error
	if !errors.As(err, &failure) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	hint, kind := classify(failure.Code())
	switch kind {
	case nil:
		return fmt.Errorf("%s: %w", s.name, err)
	case store.ErrAuth: //nolint:errorlint // classify returns the sentinels themselves
		hint = fmt.Sprintf(hint, filepath.Dir(s.path))
	}
	if hint != "" {
		hint = "; " + hint
	}
	return fmt.Errorf("%s: %w: %w%s", s.name, kind, err, hint)
}

// classify maps a result code of SQLite to a hint and the sentinel that it means. The
// hint of ErrAuth takes the folder of the file.
func classify(code int) (hint string, sentinel error) {
	switch code & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		return "another process writes to the file", store.ErrTemporary
	case lib.SQLITE_FULL:
		return "the disk or the user's quota is full; free some space", store.ErrTemporary
	case lib.SQLITE_IOERR:
		return "the disk could not read or write", store.ErrTemporary
	case lib.SQLITE_READONLY:
		return "the file, its folder or its file system is read-only for this user", store.ErrTemporary
	case lib.SQLITE_NOMEM, lib.SQLITE_INTERRUPT, lib.SQLITE_SCHEMA, lib.SQLITE_ABORT:
		return "", store.ErrTemporary
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_TOOBIG, lib.SQLITE_RANGE:
		return "", store.ErrRefused
	case lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return "the folder %s must exist, and this user must be allowed to write to it", store.ErrAuth
	case lib.SQLITE_NOTADB:
		return "the file is something else; name another file in %s", store.ErrAuth
	case lib.SQLITE_CORRUPT:
		return "the file is damaged; restore it from a backup, or remove it from %s and sync the journals again", store.ErrAuth
	default:
		return "", nil
	}
}
