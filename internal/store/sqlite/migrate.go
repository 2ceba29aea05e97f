package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	driversqlite "modernc.org/sqlite"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	versionTable = "greenwave_schema_version"

	// applicationID marks the file as Greenwave's in its header: "GrnW".
	applicationID = 0x47726e57

	// A page holds several steps with their state; on SQLite's default of 4 KiB
	// a step with a dense state of 600 numbers would fill a page and a half.
	pageSize = 16384
)

// prepareSQL makes goose's table before goose does, with a unique version. Two
// processes that apply one migration at the same time thus cannot both commit it:
// the second one's transaction fails as a whole.
var prepareSQL = []string{
	`CREATE TABLE IF NOT EXISTS ` + versionTable + ` (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL,
    is_applied INTEGER NOT NULL,
    tstamp     TIMESTAMP DEFAULT (datetime('now'))
)`,
	`CREATE UNIQUE INDEX IF NOT EXISTS ` + versionTable + `_unique ON ` + versionTable + ` (version_id)`,
	`INSERT OR IGNORE INTO ` + versionTable + ` (version_id, is_applied) VALUES (0, 1)`,
	fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
}

// newest is the version that this program's migrations lead to.
var newest = sync.OnceValue(func() int64 {
	files, _ := fs.Glob(migrations, "migrations/*.sql")
	var newest int64
	for _, name := range files {
		if v, err := goose.NumericComponent(name); err == nil {
			newest = max(newest, v)
		}
	}
	return newest
})

// Migrate brings the schema to the version; see [store.Migrator]. It creates the
// file when there is none.
func (s *Store) Migrate(ctx context.Context, version int64) ([]int64, error) {
	if version < 0 {
		version = newest()
	}
	if version > newest() {
		return nil, fmt.Errorf("%s: %w: there is no version %d, the newest is %d", s.name, store.ErrSchema, version, newest())
	}
	// Nearly always there is nothing to do, which a look without locks shows.
	if current, _, err := s.Version(ctx); err == nil && current == version && current > 0 {
		return nil, nil
	}
	var applied []int64
	err := s.goose(ctx, func(p *goose.Provider, current int64) (bool, error) {
		var result *goose.MigrationResult
		var err error
		switch {
		case current > newest():
			return true, s.versionError(current)
		case current == version:
			return true, nil
		case current < version:
			result, err = p.UpByOne(ctx)
		default:
			result, err = p.Down(ctx)
		}
		if err == nil {
			applied = append(applied, result.Source.Version)
		}
		return false, err
	})
	return applied, err
}

// Down undoes the newest migration; see [store.Migrator].
func (s *Store) Down(ctx context.Context) (int64, error) {
	var undone int64
	err := s.goose(ctx, func(p *goose.Provider, current int64) (bool, error) {
		switch {
		case current > newest():
			return true, s.versionError(current)
		case current == 0:
			return true, nil
		}
		result, err := p.Down(ctx)
		if err == nil {
			undone = result.Source.Version
		}
		return true, err
	})
	return undone, err
}

// Version returns the schema's version and the newest that this program knows; see
// [store.Migrator]. A file that does not exist has version 0.
func (s *Store) Version(ctx context.Context) (current, known int64, err error) {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return 0, newest(), nil
	}
	db := sql.OpenDB(readConnector{s})
	defer db.Close()
	current, err = sqlVersion(db)(ctx)
	return current, newest(), s.wrap(err)
}

// goose calls step with the current version until it says that it is done. A step
// that failed because another process took it first is seen in the version, and
// the loop goes on from there.
func (s *Store) goose(ctx context.Context, step func(*goose.Provider, int64) (bool, error)) error {
	if err := s.prepareFile(ctx); err != nil {
		return s.wrap(err)
	}
	// Migrations take the write lock when they begin, so that they queue up.
	db, err := sql.Open("sqlite", s.uri("rw", "_txlock", "immediate", "_synchronous", "FULL"))
	if err != nil {
		return s.wrap(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(database.DialectSQLite3, db, dir, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return s.wrap(err)
	}
	read := sqlVersion(db)
	for {
		before, err := read(ctx)
		if err != nil {
			return s.wrap(err)
		}
		done, err := step(p, before)
		if err != nil {
			after, readErr := read(ctx)
			if readErr != nil || after == before || ctx.Err() != nil {
				return s.wrap(fmt.Errorf("migration after version %d: %w", before, err))
			}
			continue
		}
		if done {
			return nil
		}
	}
}

// prepareFile creates the file where there is none and sets what is kept in its
// header: page size, WAL, application id. Any number of processes may do it at once.
func (s *Store) prepareFile(ctx context.Context) error {
	deadline := time.Now().Add(s.busy)
	for {
		err := s.prepareOnce(ctx)
		// Switching to WAL wants the file for itself and does not wait for it.
		var failure *driversqlite.Error
		if !errors.As(err, &failure) || time.Now().After(deadline) {
			return err
		}
		if _, sentinel := classify(failure.Code()); !errors.Is(sentinel, store.ErrTemporary) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Store) prepareOnce(ctx context.Context) error {
	conn, err := new(driversqlite.Driver).Open(s.uri("rwc", "_synchronous", "FULL"))
	if err != nil {
		return err
	}
	defer conn.Close()
	id, err := pragmaInt(ctx, conn, "application_id")
	if err != nil {
		return err
	}
	if id != 0 && id != applicationID {
		return fmt.Errorf("%s: %w: the file belongs to another program (application_id %#x); name another file", s.name, store.ErrSchema, id)
	}
	exec := func(statement string) error {
		_, err := conn.(driver.ExecerContext).ExecContext(ctx, statement, nil)
		return err
	}
	if id == 0 {
		// The page size of a file is settled by its first write; later this is
		// without effect.
		if err := exec(fmt.Sprintf("PRAGMA page_size = %d", pageSize)); err != nil {
			return err
		}
	}
	if err := exec("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	if id == applicationID {
		return nil
	}
	if err := exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, statement := range prepareSQL {
		if err := exec(statement); err != nil {
			return err // closing the connection rolls back
		}
	}
	return exec("COMMIT")
}

func pragmaInt(ctx context.Context, conn driver.Conn, name string) (int64, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "PRAGMA "+name, nil)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values := make([]driver.Value, 1)
	if err := rows.Next(values); err != nil {
		return 0, err
	}
	n, _ := values[0].(int64)
	return n, nil
}

const (
	hasVersionSQL = `SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '` + versionTable + `'`
	versionSQL    = `SELECT coalesce(max(version_id), 0) FROM ` + versionTable + ` WHERE is_applied`
)

func sqlVersion(db *sql.DB) func(context.Context) (int64, error) {
	return func(ctx context.Context) (version int64, err error) {
		var one int
		if err := db.QueryRowContext(ctx, hasVersionSQL).Scan(&one); errors.Is(err, sql.ErrNoRows) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		return version, db.QueryRowContext(ctx, versionSQL).Scan(&version)
	}
}

func (t *tx) version(context.Context) (int64, error) {
	if row, err := t.row(hasVersionSQL); row == nil || err != nil {
		return 0, err
	}
	row, err := t.row(versionSQL)
	if err != nil {
		return 0, err
	}
	return row[0].(int64), nil
}

// checkVersion refuses to work on a schema that this program does not know.
func (s *Store) checkVersion(ctx context.Context, version func(context.Context) (int64, error)) error {
	current, err := version(ctx)
	if err != nil {
		return s.wrap(err)
	}
	if current != newest() {
		return s.versionError(current)
	}
	return nil
}

func (s *Store) versionError(current int64) error {
	switch {
	case current > newest():
		return fmt.Errorf("%s: %w: the database has version %d, this program knows %d; use a newer greenwave", s.name, store.ErrSchema, current, newest())
	case current == 0:
		return fmt.Errorf("%s: %w: the database has no tables yet; run: greenwave migrate up --db %s", s.name, store.ErrSchema, s.name)
	default:
		return fmt.Errorf("%s: %w: the database has version %d, this program needs %d; run: greenwave migrate up --db %s", s.name, store.ErrSchema, current, newest(), s.name)
	}
}

// PrintSchema writes the whole schema as one SQL file. Piped into sqlite3 it makes
// the database that [Store.Migrate] makes.
func PrintSchema(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "-- Greenwave schema, version %d, for SQLite 3.37 or later.\n", newest())
	fmt.Fprintf(&b, "PRAGMA page_size = %d;\nPRAGMA journal_mode = WAL;\nPRAGMA foreign_keys = ON;\n\nBEGIN IMMEDIATE;\n\n", pageSize)
	for _, statement := range prepareSQL {
		fmt.Fprintf(&b, "%s;\n", statement)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		version, err := goose.NumericComponent(name)
		if err != nil {
			return err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		b.WriteByte('\n')
		for line := range strings.Lines(up) {
			if !strings.HasPrefix(line, "-- +goose") {
				b.WriteString(line)
			}
		}
		fmt.Fprintf(&b, "INSERT INTO %s (version_id, is_applied) VALUES (%d, 1);\n", versionTable, version)
	}
	b.WriteString("\nCOMMIT;\n")
	_, err = io.WriteString(w, b.String())
	return err
}
