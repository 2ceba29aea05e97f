package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

var _ store.Dumper = (*Store)(nil)

// stepPages are copied between two looks at the context: 16 MB of our pages.
const stepPages = 1024

// Dump copies the file, page by page, as it is at one moment, while others go on writing
// to it: see store.Dumper. The copy is made in dir first.
func (s *Store) Dump(ctx context.Context, dir string, w io.Writer) (info store.DumpInfo, content store.Content, err error) {
	info, content, err = s.dump(ctx, dir, w)
	return info, content, s.wrap(err)
}

func (s *Store) dump(ctx context.Context, dir string, w io.Writer) (info store.DumpInfo, content store.Content, err error) {
	info.Engine, info.Tool = "sqlite", "SQLite's online backup"
	if err := s.mustExist(); err != nil {
		return info, content, err
	}
	path := filepath.Join(dir, "copy.db")
	if err := s.copyTo(ctx, path); err != nil {
		return info, content, err
	}
	in, err := os.Open(path)
	if err != nil {
		return info, content, err
	}
	defer in.Close()
	defer os.Remove(path)
	db := sql.OpenDB(readOnlyFile{fileURI(path, "mode", "ro", "immutable", "1")})
	defer db.Close()
	if info.SchemaVersion, err = sqlVersion(db)(ctx); err != nil {
		return info, content, err
	}
	if info.SchemaVersion == 0 {
		return info, content, s.versionError(0)
	}
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&info.ServerVersion); err != nil {
		return info, content, err
	}
	info.Tool += " " + info.ServerVersion
	if content, err = contentOf(ctx, db); err != nil {
		return info, content, err
	}
	if _, err := io.Copy(w, stopping{ctx, in}); err != nil {
		return info, content, fmt.Errorf("writing the dump: %w", err)
	}
	return info, content, nil
}

// copyTo copies the database into a new file. A transaction of the copying connection
// keeps what it reads as it was at the beginning.
func (s *Store) copyTo(ctx context.Context, path string) error {
	conn, err := new(driversqlite.Driver).Open(s.uri("ro"))
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, statement := range []string{"BEGIN", "SELECT count(*) FROM sqlite_schema"} {
		rows, err := conn.(driver.QueryerContext).QueryContext(ctx, statement, nil)
		if err != nil {
			return err
		}
		if err := errors.Join(drain(rows), rows.Close()); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // SQLite's own would be readable by others
		return err
	}
	b, err := conn.(interface {
		NewBackup(string) (*driversqlite.Backup, error)
	}).NewBackup(fileURI(path, "mode", "rw", "_synchronous", "OFF"))
	if err != nil {
		return err
	}
	err = s.steps(ctx, b)
	return errors.Join(err, b.Finish())
}

func drain(rows driver.Rows) error {
	values := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// steps copies until everything is.
func (s *Store) steps(ctx context.Context, b *driversqlite.Backup) error {
	for {
		more, err := s.step(ctx, b, stepPages)
		if err == nil && more {
			err = ctx.Err()
		}
		if err != nil || !more {
			return err
		}
	}
}

// step copies some pages. It waits for others who write as long as any call does.
func (s *Store) step(ctx context.Context, b *driversqlite.Backup, pages int32) (more bool, err error) {
	deadline := time.Now().Add(s.busy)
	for {
		more, err = b.Step(pages)
		var failure *driversqlite.Error
		if !errors.As(err, &failure) || failure.Code()&0xff != lib.SQLITE_BUSY || time.Now().After(deadline) {
			return more, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func fileURI(path string, params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// stopping is a reader that ends with its context.
type stopping struct {
	ctx context.Context
	io.Reader
}

func (r stopping) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
