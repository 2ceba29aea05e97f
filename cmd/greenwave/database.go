package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/remote"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// settings decides which database is meant and passes on what there is to warn of.
func (a *app) settings() (settings.Database, error) {
	db, err := settings.Load(settings.Input{DB: a.cli.DB, Config: a.cli.Config, Lookup: a.env})
	if err != nil {
		return db, &usageError{err, "see docs/configuration.md or greenwave status --help"}
	}
	if variable := a.getenv(warned); variable != "" {
		db.Warnings = append(db.Warnings, "the secret in --db was visible in the process list for a moment and may be in the shell's history: put it into "+variable+" or a configuration file")
	}
	for _, w := range db.Warnings {
		a.warnf("warning: %s", w)
	}
	return db, nil
}

// openDatabase opens the database as it is.
func (a *app) openDatabase(ctx context.Context) (store.Store, error) {
	db, err := a.settings()
	if err != nil {
		return nil, err
	}
	return open(ctx, db)
}

func open(ctx context.Context, db settings.Database) (store.Store, error) {
	if db.Server() {
		return nil, next(fmt.Errorf("%s is a server that takes records, and this command reads the database itself", db.Name), "give the database with --db, or ask the server: its API is at "+db.Name+"/api/v1")
	}
	if path, ok := db.SQLite(); ok {
		return sqlite.Open(path, sqlite.Options{})
	}
	return postgres.Open(ctx, db.URL, postgres.Options{})
}

// openExisting opens a database whatever the version of its tables. A file that
// does not exist is an error, not an empty database.
func (a *app) openExisting(ctx context.Context) (store.Store, error) {
	db, err := a.settings()
	if err != nil {
		return nil, err
	}
	if err := exists(db); err != nil {
		return nil, err
	}
	return open(ctx, db)
}

// openReader opens a database to read from it: one that exists, with the tables of
// this program.
func (a *app) openReader(ctx context.Context) (store.Store, error) {
	s, err := a.openExisting(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, s); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openWriter opens a database to write to it and brings its tables up to date.
// docs/decisions/0003-migrations.md says why it does not ask first.
func (a *app) openWriter(ctx context.Context) (store.Store, error) {
	db, err := a.settings()
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := a.prepare(ctx, s); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openWriterWaiting is openWriter for a command that goes on for days: a database that
// is away, or a password that is wrong for the moment, is waited for. Records are safe
// in their journals meanwhile.
func (a *app) openWriterWaiting(ctx context.Context, wait bool) (store.Store, error) {
	if !wait {
		return a.openWriter(ctx)
	}
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = 30 * time.Second
	said := ""
	for {
		s, err := a.openWriter(ctx)
		if err == nil || !errors.Is(err, store.ErrTemporary) && !errors.Is(err, store.ErrAuth) {
			return s, err
		}
		if line := oneLine(err.Error()); line != said {
			said = line
			a.warnf("%s: waiting for it", line)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// destination is what records can be sent to, and be asked what it has confirmed: a
// database or a server.
type destination interface {
	store.Destination
	syncer.Asked
	Name() string
}

// openDestination opens where records are sent: a database, whose tables are brought up
// to date, or a server, which has them. With wait it waits for a database that is away.
func (a *app) openDestination(ctx context.Context, wait bool) (destination, error) {
	db, err := a.settings()
	if err != nil {
		return nil, err
	}
	if db.Server() {
		return remote.Open(db.URL)
	}
	return a.openWriterWaiting(ctx, wait)
}

// openAsked opens what can be asked about runs and dead letters.
func (a *app) openAsked(ctx context.Context) (destination, error) {
	db, err := a.settings()
	if err != nil {
		return nil, err
	}
	if db.Server() {
		return remote.Open(db.URL)
	}
	return a.openReader(ctx)
}

// prepare lays out the tables of a database that is new or older than the program.
func (a *app) prepare(ctx context.Context, s store.Store) error {
	current, newest, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if current >= newest {
		return checkVersion(ctx, s)
	}
	applied, err := s.Migrate(ctx, -1)
	if err != nil {
		return fmt.Errorf("laying out the tables: %w", err)
	}
	if len(applied) > 0 && !a.cli.JSON {
		a.warnf("%s: tables brought to version %d", s.Name(), applied[len(applied)-1])
	}
	return nil
}

// checkVersion refuses a schema that this program does not know.
func checkVersion(ctx context.Context, s store.Store) error {
	current, newest, err := s.Version(ctx)
	switch {
	case err != nil:
		return err
	case current == 0:
		return next(fmt.Errorf("%s has no Greenwave tables", s.Name()), "run greenwave migrate up, or import or sync something into it")
	case current < newest:
		return next(fmt.Errorf("%s has tables of version %d, this program needs %d", s.Name(), current, newest), "run greenwave migrate up")
	case current > newest:
		return next(fmt.Errorf("%s has tables of version %d, this program knows only %d", s.Name(), current, newest), "use a newer greenwave")
	}
	return nil
}

// exists says plainly when a database file is not there.
func exists(db settings.Database) error {
	path, ok := db.SQLite()
	if !ok {
		return nil
	}
	switch st, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return next(fmt.Errorf("no database at %s", db.Name), "give another with --db, or fill it with greenwave sync, import or demo")
	case err != nil:
		return fmt.Errorf("database %s: %w", db.Name, err)
	case st.IsDir():
		return next(fmt.Errorf("%s is a folder", db.Name), "give the path of a file")
	}
	return nil
}
