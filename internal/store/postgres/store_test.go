package postgres_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store that is closed with the test.
func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// migrated opens an empty database with the tables laid out.
func migrated(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s := open(t, url)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	return s
}

// database returns the database of a test for the conformance suite; through is its
// URL as the store sees it.
func database(t *testing.T, direct, through string) storetest.Database {
	db, err := sql.Open("pgx", direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return storetest.Database{
		SQL: db,
		Open: func(t *testing.T) store.Store {
			s, err := postgres.Open(t.Context(), through, postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database {
		url := pgtest.Database(t)
		return database(t, url, url)
	})
}

// TestConformanceThroughPooler runs the suite through PgBouncer in transaction mode,
// with fewer connections to the server than the store has to the pooler.
func TestConformanceThroughPooler(t *testing.T) {
	server := pgtest.Shared(t)
	bouncer := server.Bouncer(t, 4)
	storetest.Run(t, func(t *testing.T) storetest.Database {
		url := server.Database(t)
		return database(t, url, bouncer.Through(t, url))
	})
}
