package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

const scratchPrefix = "greenwave_verify_"

// scratchName names a scratch database by when it was made.
func scratchName() string {
	return scratchPrefix + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text()[:6])
}

// sweepScratch drops scratch databases that nobody is connected to and that are too old
// for somebody to be about to. That it fails is no reason not to go on.
func (s *Store) sweepScratch(ctx context.Context) {
	rows, err := s.pool.Query(ctx, `SELECT datname::text FROM pg_database d WHERE datname LIKE 'greenwave\_verify\_%'
		AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.datname = d.datname)`)
	if err != nil {
		return
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return
	}
	for _, name := range names {
		made, _, _ := strings.Cut(strings.TrimPrefix(name, scratchPrefix), "_")
		if n, err := strconv.ParseInt(made, 10, 64); err == nil && time.Since(time.Unix(n, 0)) > 10*time.Minute {
			_, _ = s.pool.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name))
		}
	}
}

// Scratch makes an empty database on the same server: see store.Scratch. Scratch
// databases that were left behind by programs that were killed are dropped.
func (s *Store) Scratch(ctx context.Context) (store.Scratch, error) {
	s.sweepScratch(ctx)
	name := scratchName()
	if _, err := s.pool.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		if slices.Contains([]string{"42501", "0A000", "25001"}, code(err)) {
			err = &whole{fmt.Errorf("%s: %w: this user may not make a database to restore into: name an empty one, on any server, with --scratch: %w", s.name, store.ErrAuth, err)}
		}
		return nil, s.wrap("make a database to restore into", err)
	}
	to, err := open(ctx, s.address, name, s.opt)
	if err != nil {
		return nil, err
	}
	return &scratch{Store: to, drop: func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
		return s.wrap("drop the database that was restored into", err)
	}}, nil
}

// AsScratch takes the database itself, which must be empty, as one to restore into.
func (s *Store) AsScratch(ctx context.Context) (store.Scratch, error) {
	var tables, routines int
	var schema string
	err := s.pool.QueryRow(ctx, `SELECT coalesce(current_schema(), ''),
		(SELECT count(*) FROM pg_class c WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')),
		(SELECT count(*) FROM pg_proc p WHERE pronamespace = to_regnamespace(quote_ident(current_schema())) AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e'))`).Scan(&schema, &tables, &routines)
	if err != nil {
		return nil, s.wrap("look whether it is empty", err)
	}
	if tables+routines > 0 || schema == "" {
		return nil, fmt.Errorf("%s: %w: schema %s has %d tables and %d functions, and all that is restored into it is deleted again: name an empty database", s.name, store.ErrNotEmpty, schema, tables, routines)
	}
	_, hadAuth, err := standIn(ctx, s.pool)
	if err != nil {
		return nil, s.wrap("look whether it is empty", err)
	}
	return &scratch{Store: s, kept: true, drop: func(ctx context.Context) error { return s.wrap("empty it again", s.dropAll(ctx, hadAuth)) }}, nil
}

// scratch is a database for a moment.
type scratch struct {
	*Store
	kept bool // the store is somebody else's
	drop func(context.Context) error
}

// Discard deletes what was restored: see store.Scratch.
func (s *scratch) Discard(ctx context.Context) error {
	if !s.kept {
		s.Close()
	}
	return s.drop(ctx)
}

// dropAll drops everything in the schema that no extension brought.
func (s *Store) dropAll(ctx context.Context, keepAuth bool) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT format('DROP %s IF EXISTS %s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
			  FROM pg_class c WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'v', 'm', 'S')
			   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'i', 'a'))
			UNION ALL SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure)
			  FROM pg_proc p WHERE pronamespace = to_regnamespace(quote_ident(current_schema()))
			   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')`)
		if err != nil {
			return err
		}
		drops, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if ours, _, err := standIn(ctx, tx); err != nil {
			return err
		} else if ours && !keepAuth {
			drops = append(drops, "DROP SCHEMA auth CASCADE")
		}
		for _, drop := range drops {
			if _, err := tx.Exec(ctx, drop); err != nil {
				return err
			}
		}
		return nil
	})
}
