package store

import (
	"context"
	"fmt"
	"time"
)

// ErrForbidden is an ErrAuth about what the caller may not do; see [As].
var ErrForbidden = fmt.Errorf("%w: not allowed", ErrAuth)

// Token is a key to a server, without the key itself.
type Token struct {
	ID          string // UUID
	Name        string // what it is for
	Hash        string // SHA-256 of the token, hexadecimal
	Scopes      string // "read", "record" or "read,record"
	Experiments string // names that it is good for; * stands for any text
	UserID      string // UUID of the user as whom it acts; empty: the server
	CreatedAt   time.Time
	ExpiresAt   time.Time
	RevokedAt   time.Time // zero when it was not revoked
	LastUsedAt  time.Time // zero when it was not used
}

// TokenKeeper keeps tokens.
type TokenKeeper interface {
	AddToken(ctx context.Context, t Token) error
	// Tokens lists all tokens, newest first.
	Tokens(ctx context.Context) ([]Token, error)
	// TokenByHash returns the token with a hash, whether or not it still holds;
	// ErrNotFound.
	TokenByHash(ctx context.Context, hash string) (Token, error)
	// RevokeToken ends a token; ErrNotFound. One that was revoked before stays so.
	RevokeToken(ctx context.Context, id string, at time.Time) error
	// UsedToken notes when a token was last used.
	UsedToken(ctx context.Context, id string, at time.Time) error
}

// Identity is as whom a database is to do what a caller asks for.
type Identity struct {
	Role   string // of the database: authenticated or service_role
	Claims string // of the caller's token, JSON
}

type identityKey struct{}

// As returns a context whose calls a database with roles does as somebody, so that its
// policies decide: see docs/security.md. A database without roles does not look at it.
func As(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// IdentityOf returns as whom a call is done; false: as the one who connected.
func IdentityOf(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}
