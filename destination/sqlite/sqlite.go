// Package sqlite links SQLite into a trainer, so that runs can be synced to
// sqlite:PATH from the trainer's own process. Import it for its effect:
//
//	import _ "github.com/greenwave-traffic/greenwave/destination/sqlite"
package sqlite

import (
	"context"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

func init() {
	destination.Register("sqlite", func(_ context.Context, url string) (store.Destination, error) {
		return sqlite.Open(strings.TrimPrefix(url, "sqlite:"), sqlite.Options{})
	})
}
