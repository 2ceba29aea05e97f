// Package postgres links PostgreSQL, and with it Supabase, into a trainer, so that
// runs can be synced to postgres://… from the trainer's own process. Import it for
// its effect:
//
//	import _ "github.com/greenwave-traffic/greenwave/destination/postgres"
package postgres

import (
	"context"

	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
)

func init() {
	for _, scheme := range []string{"postgres", "postgresql"} {
		destination.Register(scheme, open)
	}
}

func open(ctx context.Context, url string) (store.Destination, error) {
	return postgres.Open(ctx, url, postgres.Options{})
}
