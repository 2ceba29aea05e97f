package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are the numbered files; newest is the number of the last.
var migrations, newest = func() (fs.FS, int64) {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	files, err := fs.Glob(sub, "*.sql")
	if err != nil || len(files) == 0 {
		panic("no migrations are embedded")
	}
	last, err := goose.NumericComponent(files[len(files)-1])
	if err != nil {
		panic(err) // as above
	}
	return sub, last
}()

// versionTable is where goose notes what it applied.
const versionTable = "greenwave_schema_version"

// migrationLock is the key of the advisory lock that one migrating process holds.
const migrationLock = 0x677265656e776176 // "greenwav"

// Migrate brings the schema to a version, all or nothing, in one transaction that
// holds a lock until it ends: see store.Migrator.
func (s *Store) Migrate(ctx context.Context, version int64) ([]int64, error) {
	if version == -1 {
		version = newest
	}
	if version < 0 || version > newest {
		return nil, fmt.Errorf("%w: there is no version %d; the newest is %d", store.ErrSchema, version, newest)
	}
	var applied []int64
	err := s.migrate(ctx, func(ctx context.Context, p *goose.Provider) error {
		current, err := p.GetDBVersion(ctx)
		if err != nil {
			return err
		}
		if current > newest {
			return versionError(current)
		}
		run := p.UpTo
		if version < current {
			run = p.DownTo
		}
		results, err := run(ctx, version)
		for _, r := range results {
			applied = append(applied, r.Source.Version)
		}
		return err
	})
	if err != nil {
		return nil, s.wrap("migrate", err)
	}
	return applied, nil
}

// Down undoes the newest applied migration: see store.Migrator.
func (s *Store) Down(ctx context.Context) (int64, error) {
	var undone int64
	err := s.migrate(ctx, func(ctx context.Context, p *goose.Provider) error {
		current, err := p.GetDBVersion(ctx)
		if err != nil || current == 0 {
			return err
		}
		if current > newest {
			return versionError(current)
		}
		result, err := p.Down(ctx)
		if err == nil {
			undone = result.Source.Version
		}
		return err
	})
	s.checked.Store(false)
	return undone, s.wrap("migrate down", err)
}

// migrate runs fn with a provider that works inside one transaction. The lock belongs
// to the transaction, not to the session, so that it holds through a pooler; and as
// there is one transaction only, waiting processes cannot starve the one that works.
func (s *Store) migrate(ctx context.Context, fn func(context.Context, *goose.Provider) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		db := sql.OpenDB(&txConnector{tx: tx})
		defer db.Close()
		p, err := goose.NewProvider(goose.DialectPostgres, db, migrations,
			goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
		if err != nil {
			return err
		}
		return fn(ctx, p)
	})
}

// Version returns the schema's version and the newest known: see store.Migrator.
func (s *Store) Version(ctx context.Context) (current, known int64, err error) {
	ctx, cancel := s.command(ctx)
	defer cancel()
	current, err = schemaVersion(ctx, s.pool)
	return current, newest, s.wrap("asking for the version of its tables", noAnswer(ctx, err))
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func schemaVersion(ctx context.Context, q querier) (version int64, err error) {
	var exists bool
	if err := q.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", versionTable).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable).Scan(&version)
	return version, err
}

// checkVersion is ErrSchema unless the schema is the one of this program.
func (s *Store) checkVersion(ctx context.Context, q querier) error {
	if s.checked.Load() {
		return nil
	}
	version, err := schemaVersion(ctx, q)
	if err != nil {
		return err
	}
	if version != newest {
		return versionError(version)
	}
	s.checked.Store(true)
	return nil
}

func versionError(version int64) error {
	switch {
	case version == 0:
		return fmt.Errorf("%w: the database has no tables of greenwave; run greenwave migrate up", store.ErrSchema)
	case version < newest:
		return fmt.Errorf("%w: the database has version %d, this program needs %d; run greenwave migrate up", store.ErrSchema, version, newest)
	default:
		return fmt.Errorf("%w: the database has version %d, this program knows %d; upgrade greenwave", store.ErrSchema, version, newest)
	}
}

var errUnsupported = errors.New("not supported inside a migration")
