package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Users checks the tokens of Supabase's users.
type Users struct {
	keys     jwt.Keyfunc
	methods  []string
	issuer   string
	audience string
}

// UsersOptions say whose tokens are believed.
type UsersOptions struct {
	Issuer string // "https://PROJECT.supabase.co/auth/v1"
	JWKS   string // address of the issuer's public keys; empty: Issuer/.well-known/jwks.json
	Secret string // the older secret that a project shares with its servers; with it the JWKS is not asked
}

// NewUsers begins to follow the issuer's keys, until ctx ends.
func NewUsers(ctx context.Context, opt UsersOptions) (*Users, error) {
	if opt.Issuer == "" {
		return nil, errors.New("who issues the tokens is not said")
	}
	u := &Users{issuer: strings.TrimSuffix(opt.Issuer, "/"), audience: authenticated}
	if opt.Secret != "" {
		if len(opt.Secret) < 32 {
			return nil, errors.New("the JWT secret has fewer than 32 characters: copy the whole of it from the project's page")
		}
		u.methods = []string{"HS256"}
		u.keys = func(*jwt.Token) (any, error) { return []byte(opt.Secret), nil }
		return u, nil
	}
	if opt.JWKS == "" {
		opt.JWKS = u.issuer + "/.well-known/jwks.json"
	}
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{opt.JWKS}, keyfunc.Override{
		HTTPTimeout:     10 * time.Second,
		RefreshInterval: 10 * time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", opt.JWKS, err)
	}
	// Never HS256 here: a public key must not serve as a shared secret.
	u.methods = []string{"ES256", "RS256"}
	u.keys = keys.Keyfunc
	return u, nil
}

// Caller says who shows a user's token.
func (u *Users) Caller(_ context.Context, text string, now time.Time) (*Caller, error) {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods(u.methods), jwt.WithIssuer(u.issuer), jwt.WithAudience(u.audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithLeeway(5*time.Second))
	if _, err := parser.ParseWithClaims(text, claims, u.keys); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, reason(err))
	}
	if role, _ := claims["role"].(string); role != authenticated {
		return nil, fmt.Errorf("%w: its role is %q; people come as authenticated, servers with a token of greenwave token create", ErrUnknown, role)
	}
	subject, err := claims.GetSubject()
	if err != nil {
		return nil, fmt.Errorf("%w: it names no user", ErrUnknown)
	}
	id, err := uuid.Parse(subject)
	if err != nil || id == uuid.Nil {
		return nil, fmt.Errorf("%w: it names no user", ErrUnknown)
	}
	claims["sub"] = id.String()
	raw, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("%w: its claims cannot be passed on", ErrUnknown)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil {
		return nil, fmt.Errorf("%w: when it ends cannot be read", ErrUnknown)
	}
	return &Caller{Name: "user " + id.String(), Scopes: []string{Read, Record}, Experiments: "*", UserID: id.String(), Expires: expires.Time, claims: string(raw)}, nil
}

// reason says in few words what is wrong, without anything of the token.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "it has expired: log in again"
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "it is not valid yet: compare the clocks of the two servers"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "it is for somebody else (its audience is not authenticated)"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return "another project has issued it"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "it does not say when it ends, for whom it is, or who has issued it"
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "it cannot be read"
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return "it is signed with a key or a method that this server does not know (is the project's JWKS reachable from it?)"
	default:
		return "its signature is not of a key that this server trusts"
	}
}
