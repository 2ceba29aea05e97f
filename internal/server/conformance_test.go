package server_test

import (
	"context"
	"database/sql"
	"iter"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/remote"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/store/storetest"
)

// through is a database that is written, and asked about runs, through a server. The
// rest of the suite's questions go to the database itself, so that it is the database
// that says what the server has made of what was sent.
type through struct {
	store.Store
	far *remote.Store
	web *httptest.Server
}

func throughServer(t *testing.T, st store.Store) store.Store {
	t.Helper()
	web := httptest.NewServer(server.New(server.Options{Store: st, Tokens: []string{token}, Rate: 10_000, Ingests: 100}))
	far, err := remote.Open("http://token:" + url.PathEscape(token) + "@" + web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &through{Store: st, far: far, web: web}
}

const token = "a token of some length"

func (s *through) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	return s.far.Register(ctx, run, restore)
}

func (s *through) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	return s.far.Apply(ctx, b)
}

func (s *through) Replay(ctx context.Context, b store.Batch) (store.Result, error) {
	return s.far.Replay(ctx, b)
}

func (s *through) MarkInterrupted(ctx context.Context, runID string, since time.Time) error {
	return s.far.MarkInterrupted(ctx, runID, since)
}

func (s *through) States(ctx context.Context, runIDs []string) (map[string]store.State, error) {
	return s.far.States(ctx, runIDs)
}

func (s *through) DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[store.DeadLetter, error] {
	return s.far.DeadLetters(ctx, runIDs)
}

func (s *through) Close() {
	s.far.Close()
	s.web.Close()
	s.Store.Close()
}

// TestRemoteConformanceSQLite holds the way over HTTP to every sentence that a
// database is held to.
func TestRemoteConformanceSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database {
		path := filepath.Join(t.TempDir(), "conformance.db")
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)&_pragma=foreign_keys(1)")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return storetest.Database{SQL: db, Open: func(t *testing.T) store.Store {
			st, err := sqlite.Open(path, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return throughServer(t, st)
		}}
	})
}

func TestRemoteConformancePostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database {
		address := pgtest.Database(t)
		db, err := sql.Open("pgx", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return storetest.Database{SQL: db, Open: func(t *testing.T) store.Store {
			st, err := postgres.Open(t.Context(), address, postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return throughServer(t, st)
		}}
	})
}
