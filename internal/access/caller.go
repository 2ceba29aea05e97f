package access

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// The scopes of a token.
const (
	Read   = "read"   // look at experiments and everything under them
	Record = "record" // send records, and ask how far they are
)

// The roles of a database that a caller may have.
const (
	authenticated = "authenticated"
	serviceRole   = "service_role"
)

// Caller is who calls.
type Caller struct {
	Name        string   // for logs
	Scopes      []string // Read, Record
	Experiments string   // names that it is good for; * stands for any text
	UserID      string   // UUID; empty: a server
	Expires     time.Time
	claims      string // of a user's own token
}

type callerKey struct{}

// With returns the context of a caller: what a database does in it, it does as the
// caller.
func (c *Caller) With(ctx context.Context) context.Context {
	id := store.Identity{Role: serviceRole, Claims: `{"role":"service_role"}`}
	if c.UserID != "" {
		id = store.Identity{Role: authenticated, Claims: c.claims}
		if c.claims == "" {
			claims, err := json.Marshal(map[string]string{"sub": c.UserID, "role": authenticated, "aud": authenticated})
			if err != nil {
				panic(err) // a map of texts
			}
			id.Claims = string(claims)
		}
	}
	return context.WithValue(store.As(ctx, id), callerKey{}, c)
}

// From returns the caller; nil is one without limits.
func From(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// Key names what the caller sees: two with one key see the same.
func (c *Caller) Key() string {
	if c == nil {
		return ""
	}
	return c.UserID + " " + c.Experiments
}

// May reports whether the caller has one of the scopes.
func (c *Caller) May(scopes ...string) bool {
	return c == nil || slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(c.Scopes, s) })
}

// Reaches reports whether the caller's token is good for an experiment.
func (c *Caller) Reaches(experiment string) bool {
	return c == nil || Match(c.Experiments, experiment)
}

// ReachesAll reports whether there is no experiment that the token is not good for.
func (c *Caller) ReachesAll() bool { return c == nil || c.Experiments == "*" }

// Match reports whether a name fits a pattern, in which * stands for any text and
// everything else for itself.
func Match(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, parts[0])
	last := parts[len(parts)-1]
	if !ok || len(name) < len(last) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[:len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = rest
	}
	return true
}
