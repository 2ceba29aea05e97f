package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const somebody = "a0000000-0000-4000-8000-000000000001"

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "any / thing", true}, {"a", "a", true}, {"a", "ab", false}, {"", "a", false}, {"", "", true},
		{"corridor-*", "corridor-s1", true}, {"corridor-*", "corridor", false}, {"*-s1", "corridor-s1", true}, {"a*a", "a", false}, {"a*a", "aa", true},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false}, {"a?", "ab", false}, {"[a]", "a", false}, {"a*b*b", "ab", false}, {"**", "x", true}, {"%", "x", false},
	} {
		if got := Match(test.pattern, test.name); got != test.want {
			t.Errorf("Match(%q, %q) is %v", test.pattern, test.name, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for what, make := range map[string]func() error{
		"no name":     func() error { _, _, err := New(" ", []string{Read}, "*", "", now, time.Hour); return err },
		"no scope":    func() error { _, _, err := New("x", nil, "*", "", now, time.Hour); return err },
		"odd scope":   func() error { _, _, err := New("x", []string{"read", "admin"}, "*", "", now, time.Hour); return err },
		"no pattern":  func() error { _, _, err := New("x", []string{Read}, "", "", now, time.Hour); return err },
		"no end":      func() error { _, _, err := New("x", []string{Read}, "*", "", now, 0); return err },
		"far end":     func() error { _, _, err := New("x", []string{Read}, "*", "", now, 1<<62); return err },
		"user's name": func() error { _, _, err := New("x", []string{Read}, "*", "ana", now, time.Hour); return err },
	} {
		if make() == nil {
			t.Errorf("%s: a token was made", what)
		}
	}
}

// TestTokens: a token lets in until it ends or is revoked; what is kept is not the token.
func TestTokens(t *testing.T) {
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	clock := now
	d := &Desk{Keeper: s, Now: func() time.Time { return clock }}
	secret, token, err := New("trainer", []string{Record, Read}, "corridor-*", somebody, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	kept, err := s.Tokens(t.Context())
	if err != nil || len(kept) != 1 {
		t.Fatalf("%+v, %v", kept, err)
	}
	if text, _ := json.Marshal(kept); strings.Contains(string(text), strings.TrimPrefix(secret, prefix)) || len(kept[0].Hash) != 64 {
		t.Errorf("the token is kept: %s", text)
	}
	c, err := d.Caller(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if !c.May(Read) || !c.May(Record) || c.UserID != somebody || !c.Reaches("corridor-s1") || c.Reaches("other") || c.ReachesAll() {
		t.Errorf("the caller is %+v", c)
	}
	id, ok := store.IdentityOf(c.With(t.Context()))
	if !ok || id.Role != "authenticated" || !strings.Contains(id.Claims, somebody) {
		t.Errorf("for the database it is %+v", id)
	}
	for what, text := range map[string]string{
		"nothing": "", "half of it": secret[:20], "one bit": secret[:len(secret)-2] + "AA", "another": prefix + strings.Repeat("A", 43),
		"its hash": token.Hash, "SQL": "' OR true --", "without prefix": strings.TrimPrefix(secret, prefix), "padded": secret + "=",
	} {
		if _, err := d.Caller(t.Context(), text); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	clock = now.Add(time.Hour)
	if _, err := d.Caller(t.Context(), secret); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after its end: %v", err)
	}
	clock = now.Add(time.Minute)
	if _, err := d.Caller(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeToken(t.Context(), token.ID, clock); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(remember)
	if _, err := d.Caller(t.Context(), secret); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("after it was revoked: %v", err)
	}
	if kept, _ := s.Tokens(t.Context()); kept[0].LastUsedAt.IsZero() {
		t.Error("its use was not noted")
	}
}

// issuer is a local Supabase Auth: it publishes the keys that it signs with.
type issuer struct {
	url string
	ec  *ecdsa.PrivateKey
	rs  *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if i.rs, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	point, err := i.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	keys, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kid": "ec", "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kid": "rs", "kty": "RSA", "alg": "RS256", "use": "sig", "n": b64(i.rs.N.Bytes()), "e": b64(big.NewInt(int64(i.rs.E)).Bytes())},
	}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/auth/v1/.well-known/jwks.json" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(keys)
	}))
	t.Cleanup(web.Close)
	i.url = web.URL + "/auth/v1"
	return i
}

func (i *issuer) claims(change func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{"iss": i.url, "aud": "authenticated", "sub": somebody, "role": "authenticated", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "email": "ana@example.com"}
	if change != nil {
		change(c)
	}
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestUsers: tokens of the issuer's keys are believed, and nothing else is.
func TestUsers(t *testing.T) {
	i := newIssuer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	users, err := NewUsers(ctx, UsersOptions{Issuer: i.url})
	if err != nil {
		t.Fatal(err)
	}
	d := &Desk{Users: users, Now: func() time.Time { return now }}
	for what, text := range map[string]string{
		"ES256": sign(t, jwt.SigningMethodES256, "ec", i.ec, i.claims(nil)),
		"RS256": sign(t, jwt.SigningMethodRS256, "rs", i.rs, i.claims(nil)),
	} {
		c, err := d.Caller(t.Context(), text)
		if err != nil || c.UserID != somebody {
			t.Errorf("%s: %+v, %v", what, c, err)
			continue
		}
		id, _ := store.IdentityOf(c.With(t.Context()))
		if id.Role != "authenticated" || !strings.Contains(id.Claims, "ana@example.com") {
			t.Errorf("%s: for the database it is %+v", what, id)
		}
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&i.rs.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := sign(t, jwt.SigningMethodES256, "ec", i.ec, i.claims(nil))
	parts := strings.Split(good, ".")
	forged, _ := json.Marshal(i.claims(func(c jwt.MapClaims) { c["sub"] = "b0000000-0000-4000-8000-000000000002" }))
	ec := func(change func(jwt.MapClaims)) string {
		return sign(t, jwt.SigningMethodES256, "ec", i.ec, i.claims(change))
	}
	for what, text := range map[string]string{
		"alg none":                 sign(t, jwt.SigningMethodNone, "ec", jwt.UnsafeAllowNoneSignatureType, i.claims(nil)),
		"no signature":             parts[0] + "." + parts[1] + ".",
		"another's key":            sign(t, jwt.SigningMethodES256, "ec", stranger, i.claims(nil)),
		"an unknown key":           sign(t, jwt.SigningMethodES256, "other", stranger, i.claims(nil)),
		"other claims":             parts[0] + "." + base64.RawURLEncoding.EncodeToString(forged) + "." + parts[2],
		"public key as a secret":   sign(t, jwt.SigningMethodHS256, "rs", public, i.claims(nil)),
		"key of another algorithm": sign(t, jwt.SigningMethodRS256, "ec", i.rs, i.claims(nil)),
		"expired":                  ec(func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Minute).Unix() }),
		"without an end":           ec(func(c jwt.MapClaims) { delete(c, "exp") }),
		"not yet":                  ec(func(c jwt.MapClaims) { c["nbf"] = now.Add(time.Hour).Unix() }),
		"wrong audience":           ec(func(c jwt.MapClaims) { c["aud"] = "anon" }),
		"no audience":              ec(func(c jwt.MapClaims) { delete(c, "aud") }),
		"wrong issuer":             ec(func(c jwt.MapClaims) { c["iss"] = "https://other.supabase.co/auth/v1" }),
		"role of a server":         ec(func(c jwt.MapClaims) { c["role"] = "service_role" }),
		"role of the owner":        ec(func(c jwt.MapClaims) { c["role"] = "postgres" }),
		"role that is a list":      ec(func(c jwt.MapClaims) { c["role"] = []string{"authenticated"} }),
		"no role":                  ec(func(c jwt.MapClaims) { delete(c, "role") }),
		"no user":                  ec(func(c jwt.MapClaims) { delete(c, "sub") }),
		"user that is no UUID":     ec(func(c jwt.MapClaims) { c["sub"] = "x' OR true --" }),
		"garbage":                  "a.b.c",
	} {
		c, err := d.Caller(t.Context(), text)
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
		if err != nil && strings.Contains(err.Error(), parts[1][:20]) {
			t.Errorf("%s: the error repeats the token: %v", what, err)
		}
	}
}

// TestSharedSecret is the older way of Supabase's projects.
func TestSharedSecret(t *testing.T) {
	const secret = "a secret that is long enough for HS256"
	i := newIssuer(t)
	users, err := NewUsers(t.Context(), UsersOptions{Issuer: i.url, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := users.Caller(t.Context(), sign(t, jwt.SigningMethodHS256, "", []byte(secret), i.claims(nil)), now); err != nil || c.UserID != somebody {
		t.Errorf("%+v, %v", c, err)
	}
	for what, text := range map[string]string{
		"another secret": sign(t, jwt.SigningMethodHS256, "", []byte("another secret that is long enough too"), i.claims(nil)),
		"HS512":          sign(t, jwt.SigningMethodHS512, "", []byte(secret), i.claims(nil)),
		"ES256":          sign(t, jwt.SigningMethodES256, "ec", i.ec, i.claims(nil)),
		"alg none":       sign(t, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType, i.claims(nil)),
	} {
		if c, err := users.Caller(t.Context(), text, now); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
	if _, err := NewUsers(t.Context(), UsersOptions{Issuer: i.url, Secret: "short"}); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a short secret: %v", err)
	}
}
