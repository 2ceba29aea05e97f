// Package sqlite keeps Greenwave's records in a SQLite file, without cgo.
//
// The file has the same tables, columns and views as PostgreSQL. It is in WAL mode,
// so that readers (pandas, a dashboard, the sqlite3 shell) never wait for a sync,
// and every commit is on disk when it returns (synchronous FULL): a batch that was
// reported as synced survives a power cut. Do not put the file on a network file
// system: SQLite's locks and its shared memory need a local one.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Options of a store. The zero value is right for production.
type Options struct {
	Now func() time.Time // nil: time.Now
	// Busy is how long a call waits for another process that writes.
	// Defaults to 30 s.
	Busy time.Duration
	// Readers is how many statements may read at once. Defaults to 4.
	Readers int
}

// Store is a database in a file. Its methods may be called concurrently; writes
// follow one another on one connection.
type Store struct {
	path  string
	name  string
	now   func() time.Time
	busy  time.Duration
	write chan *writer // holds the writer when nobody uses it; closed never

	snapshot *sql.Tx // of a snapshot: all that is read is read in it

	mu     sync.Mutex
	read   *sql.DB
	nread  int
	closed bool
}

var _ store.Store = (*Store)(nil)

// Open prepares a store for the file at path. It does not touch the file: the first
// call that needs it does, and [Store.Migrate] is the one that creates it.
func Open(path string, opt Options) (*Store, error) {
	if path == "" {
		return nil, errors.New("sqlite: the path of the database file is empty")
	}
	if strings.HasPrefix(path, ":memory:") || strings.HasPrefix(path, "file:") {
		return nil, fmt.Errorf("sqlite: %q is not a file: give a path, such as sqlite:greenwave.db", path)
	}
	if strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("sqlite: the path %q contains a NUL", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s := &Store{path: abs, name: "sqlite:" + path, now: opt.Now, busy: opt.Busy, nread: opt.Readers, write: make(chan *writer, 1)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.busy <= 0 {
		s.busy = 30 * time.Second
	}
	if s.nread <= 0 {
		s.nread = 4
	}
	s.write <- &writer{}
	return s, nil
}

// Name returns "sqlite:path".
func (s *Store) Name() string { return s.name }

// Close waits for the write that is under way and closes the file. Calling it twice
// is safe.
func (s *Store) Close() {
	s.mu.Lock()
	read, closed := s.read, s.closed
	s.read, s.closed = nil, true
	s.mu.Unlock()
	if closed {
		return
	}
	if read != nil {
		_ = read.Close()
	}
	w := <-s.write
	w.close()
	s.write <- w
}

var errClosed = errors.New("sqlite: the store is closed")

// uri returns the file's address for the driver. Mode is SQLite's: ro, rw or rwc.
func (s *Store) uri(mode string, params ...string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(s.path)}
	q := url.Values{"mode": {mode}, "_busy_timeout": {fmt.Sprint(s.busy.Milliseconds())}, "_foreign_keys": {"1"}, "_error_rc": {"1"}}
	for i := 0; i+1 < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// readConnector opens connections that cannot write.
type readConnector struct{ s *Store }

func (c readConnector) Driver() driver.Driver { return readDriver }

// Connect opens the file for reading. A file in WAL mode needs a second file beside
// it even for that; where the folder takes none, and no other process can be
// writing therefore, the file is read as it is.
func (c readConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.s.mustExist(); err != nil {
		return nil, err
	}
	conn, err := readDriver.Open(c.s.uri("ro", "_query_only", "1"))
	if err == nil {
		if _, err = pragmaInt(ctx, conn, "user_version"); err == nil {
			return conn, nil
		}
		_ = conn.Close()
	}
	var failure *driversqlite.Error
	if !errors.As(err, &failure) {
		return nil, err
	}
	switch failure.Code() & 0xff {
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
	default:
		return nil, err
	}
	if wal, statErr := os.Stat(c.s.path + "-wal"); statErr == nil && wal.Size() > 0 {
		return nil, fmt.Errorf("%w; its last commits are in %s-wal, which can only be read where the folder can be written to: copy both files", err, c.s.path)
	}
	return readDriver.Open(c.s.uri("ro", "_query_only", "1", "immutable", "1"))
}

// querier is what reading needs: the pool of connections or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// reader returns where to read: the pool of connections that cannot write, or the
// snapshot's transaction.
func (s *Store) reader(ctx context.Context) (querier, error) {
	if s.snapshot != nil {
		return s.snapshot, nil
	}
	db, err := s.readers(ctx)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// readers returns the pool of connections that cannot write.
func (s *Store) readers(ctx context.Context) (*sql.DB, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	if s.read == nil {
		s.read = sql.OpenDB(readConnector{s})
		s.read.SetMaxOpenConns(s.nread)
		s.read.SetConnMaxIdleTime(time.Minute)
	}
	db := s.read
	s.mu.Unlock()
	return db, s.checkVersion(ctx, sqlVersion(db))
}

// mustExist tells a file that is not there from one that cannot be read, which
// SQLite does not.
func (s *Store) mustExist() error {
	switch info, err := os.Stat(s.path); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: %w: there is no such file; make it with: greenwave migrate up --db %s", s.name, store.ErrAuth, s.name)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", s.name, store.ErrAuth, err)
	case info.IsDir():
		return fmt.Errorf("%s: %w: it is a folder; name a file in it", s.name, store.ErrAuth)
	}
	return nil
}
