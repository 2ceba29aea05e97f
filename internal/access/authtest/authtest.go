// Package authtest is a Supabase Auth for tests: it speaks the documented requests and
// answers of its login over HTTP, signs tokens with a key of its own (ES256) and
// publishes it (JWKS). Refresh tokens are good for one use, without grace.
package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Project is a Supabase project of which there is only the login.
type Project struct {
	URL string // SUPABASE_URL
	Key string // the publishable key
	// Now and Lasts say when tokens are made, and for how long they are good.
	Now   func() time.Time
	Lasts time.Duration

	key      *ecdsa.PrivateKey
	mu       sync.Mutex
	users    map[string]User
	sessions map[string]string // refresh token that is good → e-mail
	asked    map[string]int    // grant or path → how often
	away     bool
}

// User is somebody who can log in.
type User struct {
	ID, Email, Password string
	Unconfirmed         bool
}

// New starts a project with users.
func New(t testing.TB, users ...User) *Project {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Project{Key: "sb_publishable_test", Now: time.Now, Lasts: time.Hour, key: key, users: map[string]User{}, sessions: map[string]string{}, asked: map[string]int{}}
	for _, u := range users {
		p.users[strings.ToLower(u.Email)] = u
	}
	web := httptest.NewServer(p)
	t.Cleanup(web.Close)
	p.URL = web.URL
	return p
}

// Issuer is who the tokens say has issued them.
func (p *Project) Issuer() string { return p.URL + "/auth/v1" }

// Away makes every answer an error of the gateway, or not.
func (p *Project) Away(away bool) {
	p.mu.Lock()
	p.away = away
	p.mu.Unlock()
}

// Asked says how often there was a login ("password"), a renewal ("refresh_token") or a
// "logout".
func (p *Project) Asked(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[what]
}

// Token is an access token of a user.
func (p *Project) Token(u User) string {
	now := p.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": p.Issuer(), "aud": "authenticated", "sub": u.ID, "role": "authenticated", "email": u.Email,
		"iat": now.Unix(), "exp": now.Add(p.Lasts).Unix(), "session_id": rand.Text(), "aal": "aal1", "is_anonymous": false,
	})
	token.Header["kid"] = "test"
	text, err := token.SignedString(p.key)
	if err != nil {
		panic(err) // an ES256 key signs
	}
	return text
}

func (p *Project) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.away:
		http.Error(w, "upstream connect error", http.StatusBadGateway)
	case r.URL.Path == "/auth/v1/.well-known/jwks.json":
		p.keys(w)
	case r.Header.Get("apikey") != p.Key:
		answer(w, http.StatusUnauthorized, map[string]any{"message": "Invalid API key", "hint": "Double check your Supabase `anon` or `service_role` API key."})
	case r.URL.Path == "/auth/v1/logout" && r.Method == http.MethodPost:
		p.asked["logout"]++
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
			refuse(w, http.StatusUnauthorized, "no_authorization", "This endpoint requires a valid Bearer token")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/auth/v1/token" && r.Method == http.MethodPost:
		p.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Project) token(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Email        string `json:"email"`
		Password     string `json:"password"`
		RefreshToken string `json:"refresh_token"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		refuse(w, http.StatusBadRequest, "bad_json", "Could not parse request body as JSON")
		return
	}
	grant := r.URL.Query().Get("grant_type")
	p.asked[grant]++
	var u User
	switch grant {
	case "password":
		known, ok := p.users[strings.ToLower(in.Email)]
		if !ok || known.Password != in.Password {
			refuse(w, http.StatusBadRequest, "invalid_credentials", "Invalid login credentials")
			return
		}
		if known.Unconfirmed {
			refuse(w, http.StatusBadRequest, "email_not_confirmed", "Email not confirmed")
			return
		}
		u = known
	case "refresh_token":
		email, ok := p.sessions[in.RefreshToken]
		if !ok {
			refuse(w, http.StatusBadRequest, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
			return
		}
		delete(p.sessions, in.RefreshToken)
		u = p.users[email]
	default:
		refuse(w, http.StatusBadRequest, "validation_failed", "unsupported_grant_type")
		return
	}
	refresh := rand.Text()[:12]
	p.sessions[refresh] = strings.ToLower(u.Email)
	answer(w, http.StatusOK, map[string]any{
		"access_token": p.Token(u), "token_type": "bearer", "expires_in": int(p.Lasts.Seconds()), "expires_at": p.Now().Add(p.Lasts).Unix(), "refresh_token": refresh,
		"user": map[string]any{"id": u.ID, "aud": "authenticated", "role": "authenticated", "email": u.Email},
	})
}

func (p *Project) keys(w http.ResponseWriter) {
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		panic(err) // a point of P-256
	}
	b64 := base64.RawURLEncoding.EncodeToString
	answer(w, http.StatusOK, map[string]any{"keys": []map[string]any{
		{"kid": "test", "kty": "EC", "alg": "ES256", "use": "sig", "key_ops": []string{"verify"}, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"code": status, "error_code": code, "msg": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the test that asked sees it
}
