package postgres_test

import (
	"fmt"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/storetest"
)

// TestOldestAndNewest lays out the tables on the oldest and the newest version that is
// supported, up, down and up again, and runs the matrix of the policies and the suite of
// stores there. All other tests run on Debian's version.
func TestOldestAndNewest(t *testing.T) {
	for _, major := range []int{pgtest.Oldest, pgtest.Newest} {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			server := pgtest.Embedded(t, major)
			url := server.Database(t)
			s := migrated(t, url)
			if n := value[int](t, connect(t, url), `SELECT current_setting('server_version_num')::int / 10000`); n != major {
				t.Fatalf("the server is of version %d", n)
			}
			for _, version := range []int64{0, -1} {
				if _, err := s.Migrate(t.Context(), version); err != nil {
					t.Fatal(err)
				}
			}
			t.Run("Policies", func(t *testing.T) { testPolicies(t, server.Database) })
			t.Run("Conformance", func(t *testing.T) {
				storetest.Run(t, func(t *testing.T) storetest.Database {
					url := server.Database(t)
					return database(t, url, url)
				})
			})
		})
	}
}
