package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// ErrUnknown is a token that lets nobody in. What wraps it may be told to the caller.
var ErrUnknown = errors.New("this token lets nobody in")

// remember is for how long a token that was looked up is believed: a token that is
// revoked ends within this time on every server.
const remember = 3 * time.Second

// Desk looks at tokens.
type Desk struct {
	Keeper store.TokenKeeper // API tokens; nil: none are known
	Users  *Users            // tokens of Supabase's users; nil: none are known
	Now    func() time.Time

	mu    sync.Mutex
	known map[string]looked // by hash
}

type looked struct {
	token store.Token
	at    time.Time
	noted time.Time // when its use was last written down
}

// Caller says who shows a token. An error that is not ErrUnknown is about the database
// or the keys that could not be asked.
func (d *Desk) Caller(ctx context.Context, secret string) (*Caller, error) {
	if strings.Count(secret, ".") == 2 && d.Users != nil {
		return d.Users.Caller(ctx, secret, d.Now())
	}
	if d.Keeper == nil || !wellFormed(secret) {
		return nil, fmt.Errorf("%w: it is not known here", ErrUnknown)
	}
	t, err := d.look(ctx, hash(secret))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: it is not known here", ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	now := d.Now()
	switch {
	case !t.RevokedAt.IsZero():
		return nil, fmt.Errorf("%w: it was revoked on %s", ErrUnknown, t.RevokedAt.Format(time.DateOnly))
	case !now.Before(t.ExpiresAt):
		return nil, fmt.Errorf("%w: it ended on %s; make another with greenwave token create", ErrUnknown, t.ExpiresAt.Format(time.DateOnly))
	}
	return &Caller{Name: "token " + t.Name, Scopes: strings.Split(t.Scopes, ","), Experiments: t.Experiments, UserID: t.UserID, Expires: t.ExpiresAt}, nil
}

// look finds a token, in memory where it was found a moment ago.
func (d *Desk) look(ctx context.Context, hash string) (store.Token, error) {
	now := d.Now()
	d.mu.Lock()
	l, ok := d.known[hash]
	d.mu.Unlock()
	if ok && now.Sub(l.at) < remember && !now.Before(l.at) {
		return l.token, nil
	}
	t, err := d.Keeper.TokenByHash(ctx, hash)
	if err != nil {
		return t, err
	}
	l.token, l.at = t, now
	note := t.RevokedAt.IsZero() && now.Before(t.ExpiresAt) && now.Sub(l.noted) >= time.Minute
	if note {
		l.noted = now
	}
	d.mu.Lock()
	if d.known == nil || len(d.known) > 10_000 {
		d.known = map[string]looked{}
	}
	d.known[hash] = l
	d.mu.Unlock()
	if note {
		_ = d.Keeper.UsedToken(ctx, t.ID, now) // a remark that may be missing
	}
	return t, nil
}
