package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token and show it, this once."`
	List   tokenListCmd   `cmd:"" help:"List tokens: what each is for and whether it still holds."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token now, on every server within three seconds."`
}

type tokenCreateCmd struct {
	Name        string   `arg:"" help:"What it is for, as 'corridor trainer'."`
	Scope       []string `default:"record" placeholder:"SCOPE" help:"read (look at experiments), record (send records), or read,record. Defaults to record."`
	Experiments string   `default:"*" placeholder:"PATTERN" help:"Only experiments whose name fits, as 'corridor-*'. Defaults to all."`
	Days        float64  `default:"90" placeholder:"N" help:"End by itself after so many days. Defaults to 90."`
	User        string   `placeholder:"UUID" help:"Act as this user of Supabase: what is recorded is its own, and it sees what it may see."`
}

// Run makes a token.
func (c *tokenCreateCmd) Run(ctx context.Context, a *app) error {
	secret, t, err := access.New(c.Name, c.Scope, c.Experiments, c.User, a.now(), time.Duration(c.Days*24*float64(time.Hour)))
	if err != nil {
		return &usageError{err, "see greenwave token create --help"}
	}
	s, keeper, err := a.openTokens(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := keeper.AddToken(ctx, t); err != nil {
		return err
	}
	if a.cli.JSON {
		return a.json(struct {
			tokenJSON
			Token string `json:"token"`
		}{tokenJSONOf(&t, a.now()), secret})
	}
	a.printf("%s\n", secret)
	a.warnf("This is shown once. A trainer takes it from GREENWAVE_TOKEN; it is for %s on experiments %s until %s.",
		strings.ReplaceAll(t.Scopes, ",", " and "), visible(t.Experiments), t.ExpiresAt.Format(time.DateOnly))
	return nil
}

type tokenJSON struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	State       string     `json:"state"` // valid, expired or revoked
	Scopes      []string   `json:"scopes"`
	Experiments string     `json:"experiments"`
	UserID      string     `json:"user_id,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	RevokedAt   *time.Time `json:"revoked_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
}

func tokenJSONOf(t *store.Token, now time.Time) tokenJSON {
	state := "valid"
	switch {
	case !t.RevokedAt.IsZero():
		state = "revoked"
	case !now.Before(t.ExpiresAt):
		state = "expired"
	}
	return tokenJSON{t.ID, t.Name, state, strings.Split(t.Scopes, ","), t.Experiments, t.UserID, t.CreatedAt, t.ExpiresAt, instant(t.RevokedAt), instant(t.LastUsedAt)}
}

type tokenListCmd struct{}

// Run lists tokens, newest first.
func (c *tokenListCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	keeper, ok := s.(store.TokenKeeper)
	if !ok {
		return fmt.Errorf("%s keeps no tokens", s.Name())
	}
	all, err := keeper.Tokens(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		t := tokenJSONOf(&all[i], a.now())
		if a.cli.JSON {
			if err := a.json(t); err != nil {
				return err
			}
			continue
		}
		used := "never used"
		if t.LastUsedAt != nil {
			used = "used " + a.ago(*t.LastUsedAt)
		}
		a.printf("%s  %s  %s  %s on %s, until %s, %s\n", t.ID, t.State, visible(t.Name), strings.Join(t.Scopes, ","), visible(t.Experiments), t.ExpiresAt.Format(time.DateOnly), used)
	}
	if len(all) == 0 && !a.cli.JSON {
		a.printf("no tokens; make one with greenwave token create NAME\n")
	}
	return nil
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"Its id, as greenwave token list shows it."`
}

// Run ends a token.
func (c *tokenRevokeCmd) Run(ctx context.Context, a *app) error {
	s, keeper, err := a.openTokens(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := keeper.RevokeToken(ctx, c.ID, a.now()); err != nil {
		return next(err, "greenwave token list shows the ids")
	}
	if a.cli.JSON {
		return a.json(map[string]string{"id": c.ID, "state": "revoked"})
	}
	a.printf("revoked %s\n", visible(c.ID))
	return nil
}

// openTokens opens a database to change its tokens.
func (a *app) openTokens(ctx context.Context) (store.Store, store.TokenKeeper, error) {
	s, err := a.openWriter(ctx)
	if err != nil {
		return nil, nil, err
	}
	keeper, ok := s.(store.TokenKeeper)
	if !ok {
		s.Close()
		return nil, nil, fmt.Errorf("%s keeps no tokens", s.Name())
	}
	return s, keeper, nil
}
