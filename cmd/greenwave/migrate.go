package main

import (
	"context"
	"fmt"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Bring the tables to the newest version."`
	Down   migrateDownCmd   `cmd:"" help:"Undo the newest migration. It deletes what its tables hold."`
	Status migrateStatusCmd `cmd:"" help:"Say which version the tables have."`
	Print  migratePrintCmd  `cmd:"" help:"Print the whole schema as one SQL file, for Supabase's SQL editor."`
}

type migrateUpCmd struct{}

// Run brings the schema to the newest version.
func (migrateUpCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	applied, err := s.Migrate(ctx, -1)
	if err != nil {
		return err
	}
	current, newest, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		if applied == nil {
			applied = []int64{}
		}
		return a.json(map[string]any{"database": s.Name(), "applied": applied, "version": current, "newest": newest})
	}
	if len(applied) == 0 {
		a.printf("%s is up to date at version %d\n", s.Name(), current)
		return nil
	}
	a.printf("%s: %s applied, now at version %d\n", s.Name(), of(len(applied), "migration"), current)
	return nil
}

type migrateDownCmd struct {
	Yes bool `help:"Do it although the database holds experiments, and delete them."`
	To  int  `default:"-1" placeholder:"VERSION" help:"Undo every migration above this version, 0 for all. Default: the newest alone."`
}

// Run undoes the newest migration, when nothing is lost by it or the user said so.
func (c *migrateDownCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openExisting(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	current, newest, err := s.Version(ctx)
	if err != nil {
		return err
	}
	switch {
	case current == 0 || c.Yes:
	case current != newest:
		return next(fmt.Errorf("%s has tables of version %d and this program cannot see what they hold", s.Name(), current), "migrate down --yes undoes the newest migration, with what its tables hold")
	default:
		held, err := s.Experiments(ctx)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return next(fmt.Errorf("%s holds %s", s.Name(), of(len(held), "experiment")), "export them or sync their journals elsewhere; migrate down --yes deletes them")
		}
	}
	return c.undo(ctx, a, s, current)
}

// undo goes down to the version that was asked for, a migration at a time.
func (c *migrateDownCmd) undo(ctx context.Context, a *app, s store.Store, current int64) error {
	undone := []int64{}
	for current > 0 && (c.To < 0 && len(undone) == 0 || c.To >= 0 && current > int64(c.To)) {
		one, err := s.Down(ctx)
		if err != nil {
			return err
		}
		undone = append(undone, one)
		if !a.cli.JSON {
			a.printf("%s: migration %d undone\n", s.Name(), one)
		}
		if current, _, err = s.Version(ctx); err != nil {
			return err
		}
	}
	switch {
	case a.cli.JSON:
		return a.json(map[string]any{"database": s.Name(), "undone": undone})
	case len(undone) > 0:
	case current == 0:
		a.printf("%s has no Greenwave tables: nothing to undo\n", s.Name())
	default:
		a.printf("%s is at version %d: nothing to undo\n", s.Name(), current)
	}
	return nil
}

type migrateStatusCmd struct{}

// Run says which version the schema has.
func (migrateStatusCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openExisting(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	current, newest, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.json(map[string]any{"database": s.Name(), "version": current, "newest": newest, "up_to_date": current == newest})
	}
	switch {
	case current == newest:
		a.printf("%s is up to date at version %d\n", s.Name(), current)
	case current == 0:
		a.printf("%s has no Greenwave tables; version %d is the newest: greenwave migrate up\n", s.Name(), newest)
	case current < newest:
		a.printf("%s is at version %d of %d: greenwave migrate up\n", s.Name(), current, newest)
	default:
		return checkVersion(ctx, s)
	}
	return nil
}

type migratePrintCmd struct {
	Dialect string `enum:"postgres,sqlite" default:"postgres" help:"Which database: postgres or sqlite."`
}

// Run prints the schema; it needs no database.
func (c *migratePrintCmd) Run(a *app) error {
	if c.Dialect == "sqlite" {
		return sqlite.PrintSchema(a.out)
	}
	return postgres.PrintSchema(a.out)
}
