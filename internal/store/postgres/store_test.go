package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/storetest"
)

// migrateEnv makes the test binary a process that migrates the database it names.
const migrateEnv = "GREENWAVE_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateEnv); url != "" {
		if err := migrateOnce(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// migrateOnce migrates and prints how many migrations it applied.
func migrateOnce(url string) error {
	ctx := context.Background()
	s, err := postgres.Open(ctx, url, postgres.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	applied, err := s.Migrate(ctx, -1)
	fmt.Println(len(applied))
	return err
}

// TestTenProcessesMigrate starts ten processes at once on an empty database, direct
// and through a pooler that has two connections for all of them.
func TestTenProcessesMigrate(t *testing.T) {
	server := pgtest.Shared(t)
	direct := server.Database(t)
	pooled := server.Database(t)
	for name, url := range map[string]string{"direct": direct, "pooled": server.Bouncer(t, 2).Through(t, pooled)} {
		t.Run(name, func(t *testing.T) {
			outputs := make([]string, 10)
			var wg sync.WaitGroup
			for i := range outputs {
				wg.Go(func() {
					cmd := exec.CommandContext(t.Context(), os.Args[0])
					cmd.Env = append(os.Environ(), migrateEnv+"="+url)
					out, err := cmd.CombinedOutput()
					outputs[i] = strings.TrimSpace(string(out))
					if err != nil {
						outputs[i] += " " + err.Error()
					}
				})
			}
			wg.Wait()
			all := fmt.Sprint(value[int](t, connect(t, url), `SELECT count(*) FROM greenwave_schema_version WHERE version_id > 0`))
			winners := 0
			for _, out := range outputs {
				switch out {
				case all:
					winners++
				case "0":
				default:
					t.Errorf("a process said %q", out)
				}
			}
			if winners != 1 {
				t.Errorf("%d processes applied the migrations, want 1", winners)
			}
		})
	}
}

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
