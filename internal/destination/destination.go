// Package destination knows which kinds of databases are linked into the program.
// The packages destination/postgres and destination/sqlite register theirs when
// they are imported, as the drivers of database/sql do, so that a trainer carries
// only what it uses.
package destination

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Opener opens the database, or the server, that a URL names. It must not contact it:
// the first use does. One that lays out its own tables is a [store.Migrator] too.
type Opener func(ctx context.Context, url string) (store.Destination, error)

var (
	mu      sync.RWMutex
	openers = map[string]Opener{}
)

// Register makes an opener known for URLs of a scheme ("postgres", "sqlite"). It
// panics when the scheme is taken, because two packages then claim the same URLs.
func Register(scheme string, open Opener) {
	mu.Lock()
	defer mu.Unlock()
	if _, taken := openers[scheme]; taken {
		panic("destination: scheme " + scheme + " is registered twice")
	}
	openers[scheme] = open
}

// Schemes lists the registered schemes in alphabetical order.
func Schemes() []string {
	mu.RLock()
	defer mu.RUnlock()
	return slices.Sorted(maps.Keys(openers))
}

// Find returns the opener for a URL; ok is false when none is registered.
func Find(url string) (open Opener, ok bool) {
	scheme, _, _ := strings.Cut(url, ":")
	mu.RLock()
	defer mu.RUnlock()
	open, ok = openers[strings.ToLower(scheme)]
	return open, ok
}

// Missing says what to import for a URL whose scheme is not registered.
func Missing(url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	name := map[string]string{"http": "https", "postgresql": "postgres"}[scheme]
	if name == "" {
		name = scheme
	}
	return fmt.Sprintf("nothing is linked in for %s: import _ \"github.com/greenwave-traffic/greenwave/destination/%s\"", scheme, name)
}

// Open opens the database that a URL names, when its scheme is registered. Errors
// never hold the URL, which may hold a password.
func Open(ctx context.Context, url string) (store.Destination, error) {
	open, ok := Find(url)
	if !ok {
		return nil, errors.New(Missing(url))
	}
	return open(ctx, url)
}
