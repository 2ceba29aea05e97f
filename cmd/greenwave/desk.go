package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
)

// desk looks at the tokens that serve --auth lets in: the database's own, and those of
// the users of the Supabase project that SUPABASE_URL names.
func (a *app) desk(ctx context.Context, st store.Store) (*access.Desk, error) {
	keeper, ok := st.(store.TokenKeeper)
	if !ok {
		return nil, fmt.Errorf("%s keeps no tokens", st.Name())
	}
	d := &access.Desk{Keeper: keeper, Now: a.now}
	project := a.getenv("SUPABASE_URL")
	if project == "" {
		return d, nil
	}
	if _, ok := st.(*postgres.Store); !ok {
		a.warnf("warning: users of SUPABASE_URL are not let in: what each may see is held by the policies of PostgreSQL, and the database is %s", st.Name())
		return d, nil
	}
	issuer, err := issuerOf(project)
	if err != nil {
		return nil, &usageError{fmt.Errorf("SUPABASE_URL: %w", err), "it is https://PROJECT.supabase.co"}
	}
	d.Users, err = access.NewUsers(ctx, access.UsersOptions{Issuer: issuer, Secret: a.getenv("SUPABASE_JWT_SECRET")})
	if err != nil {
		return nil, &usageError{fmt.Errorf("--auth: %w", err), "see docs/supabase.md"}
	}
	return d, nil
}

// sessions logs in users by e-mail and password, where the project's key is known.
func (a *app) sessions(d *access.Desk) *access.Sessions {
	if d == nil || d.Users == nil {
		return nil
	}
	key := cmp.Or(a.getenv("SUPABASE_ANON_KEY"), a.getenv("SUPABASE_PUBLISHABLE_KEY"))
	if key == "" {
		a.warnf("the login page takes tokens only: for e-mail and password set SUPABASE_ANON_KEY to the project's publishable or anon key")
		return nil
	}
	issuer, err := issuerOf(a.getenv("SUPABASE_URL"))
	if err != nil {
		return nil // desk has refused it
	}
	return &access.Sessions{Issuer: issuer, Key: key, Now: a.now}
}

// issuerOf is who issues the tokens of a project. Keys that come unprotected over a
// network could be anybody's.
func issuerOf(project string) (string, error) {
	u, err := url.Parse(project)
	if err != nil || u.Host == "" || u.User != nil {
		return "", errors.New("it is no address of a project")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Host)) {
		return "", errors.New("it must begin with https://")
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/") + "/auth/v1", nil
}
