// Package https lets a trainer record through a Greenwave server, so that runs can be
// synced to https://HOST from the trainer's own process, without access to a database.
// Import it for its effect:
//
//	import _ "github.com/greenwave-traffic/greenwave/destination/https"
//
// The token that the server asks for is taken from GREENWAVE_TOKEN, or stands in the
// URL as https://token:TOKEN@HOST.
package https

import (
	"context"

	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/remote"
)

func init() {
	for _, scheme := range []string{"https", "http"} {
		destination.Register(scheme, open)
	}
}

func open(_ context.Context, url string) (store.Destination, error) { return remote.Open(url) }
