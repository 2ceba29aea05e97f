package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

// What callers with limits may do. Where the database has policies they decide what
// such a caller sees and writes; what a token's scopes and its pattern of experiments
// leave out is left out here.

// scopes are the scopes of which a caller's token must have one.
func (r Route) scopes() []string {
	switch {
	case strings.HasSuffix(r.Path, "/states"), strings.HasSuffix(r.Path, "/dead-letters"), strings.HasSuffix(r.Path, "/logout"):
		return []string{access.Read, access.Record}
	case r.Method == http.MethodGet:
		return []string{access.Read}
	}
	return []string{access.Record}
}

// allow refuses a caller whose token is not for this.
func (r Route) allow(c *access.Caller) error {
	if !c.May(r.scopes()...) {
		return forbidden(fmt.Sprintf("this token is for %s: %s %s needs one for %s", strings.Join(c.Scopes, " and "), r.Method, r.Path, strings.Join(r.scopes(), " or ")))
	}
	if (r.Path == "/metrics" || strings.HasSuffix(r.Path, "/doctor")) && c != nil && (c.UserID != "" || !c.ReachesAll()) {
		return forbidden("metrics and checks tell of all experiments: they need a token for all of them that is nobody's own")
	}
	return nil
}

func forbidden(message string) *Failure {
	return &Failure{Status: http.StatusForbidden, Code: wire.CodeForbidden, Message: message}
}

// reach refuses an experiment that the caller's token is not good for.
func reach(ctx context.Context, experiment string) error {
	if c := access.From(ctx); !c.Reaches(experiment) {
		return forbidden(fmt.Sprintf("this token is good for experiments %q, not for %q", c.Experiments, experiment))
	}
	return nil
}

// reached leaves out the runs that the caller's token is not good for.
func reached(ctx context.Context, states map[string]store.State) map[string]store.State {
	c := access.From(ctx)
	for id, state := range states {
		if !c.Reaches(state.Experiment) {
			delete(states, id)
		}
	}
	return states
}
