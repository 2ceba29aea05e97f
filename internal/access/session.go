package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The answers of Supabase Auth that callers tell apart.
var (
	// ErrCredentials says that nobody is let in by this e-mail and password, and not
	// which of the two is wrong.
	ErrCredentials = errors.New("e-mail or password is wrong")
	// ErrUnconfirmed is told only to somebody who has shown the right password.
	ErrUnconfirmed = errors.New("this e-mail is not confirmed yet: follow the link in the message that Supabase has sent to it")
	// ErrSessionEnded is a session that cannot be renewed.
	ErrSessionEnded = errors.New("the session has ended: log in again")
	// ErrAuthAway is no answer, or one that says nothing about the user.
	ErrAuthAway = errors.New("the project's login (Supabase Auth) does not answer")
)

// BusyError says that too many have tried to log in.
type BusyError struct{ Retry time.Duration }

// Error says when to try again.
func (e *BusyError) Error() string {
	return fmt.Sprintf("too many logins: try again in %v", e.Retry.Round(time.Second))
}

// Session is what a user who has logged in holds.
type Session struct {
	Access  string // JWT
	Refresh string // good for one new session
}

// Sessions logs users of a Supabase project in, and renews their sessions. It speaks to
// Supabase Auth: https://supabase.com/docs/reference/self-hosting-auth
type Sessions struct {
	Issuer string // "https://PROJECT.supabase.co/auth/v1"
	Key    string // the project's publishable (anon) key
	Now    func() time.Time

	once    sync.Once
	client  *http.Client
	mu      sync.Mutex
	renewed map[string]*renewal // by hash of the refresh token
}

// renewal is one use of a refresh token. Requests that a page sends at the same time all
// show the same token, which is good for one use; they share its answer for a while.
type renewal struct {
	done    chan struct{}
	at      time.Time
	session Session
	err     error
}

// sharing is for how long the answer to a refresh token is kept.
const sharing = time.Minute

// LogIn starts a session.
func (s *Sessions) LogIn(ctx context.Context, email, password string) (Session, error) {
	return s.token(ctx, "password", map[string]string{"email": email, "password": password})
}

// Renew gives a new session for a refresh token.
func (s *Sessions) Renew(ctx context.Context, refresh string) (Session, error) {
	key, now := hash(refresh), s.Now()
	s.mu.Lock()
	for k, r := range s.renewed {
		if now.Sub(r.at) > sharing || now.Before(r.at) {
			delete(s.renewed, k)
		}
	}
	r, known := s.renewed[key]
	if !known {
		r = &renewal{done: make(chan struct{}), at: now}
		if s.renewed == nil {
			s.renewed = map[string]*renewal{}
		}
		s.renewed[key] = r
	}
	s.mu.Unlock()
	if !known {
		// Not the caller's context: others wait for the same answer, and a token that was
		// used is gone.
		r.session, r.err = s.token(context.WithoutCancel(ctx), "refresh_token", map[string]string{"refresh_token": refresh})
		if errors.Is(r.err, ErrCredentials) {
			r.err = ErrSessionEnded
		}
		if r.err != nil && !errors.Is(r.err, ErrSessionEnded) {
			s.mu.Lock()
			delete(s.renewed, key) // it may still be good
			s.mu.Unlock()
		}
		close(r.done)
	}
	select {
	case <-r.done:
		return r.session, r.err
	case <-ctx.Done():
		return Session{}, ctx.Err()
	}
}

// LogOut ends the session that an access token belongs to.
func (s *Sessions) LogOut(ctx context.Context, accessToken string) error {
	resp, err := s.post(ctx, "/logout?scope=local", accessToken, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("%w: status %d", ErrAuthAway, resp.StatusCode)
	}
	return nil // 401 and 404: there was none
}

func (s *Sessions) post(ctx context.Context, path, bearer string, body any) (*http.Response, error) {
	s.once.Do(func() {
		s.client = &http.Client{
			Timeout: 10 * time.Second,
			// Passwords go to the project and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	})
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Issuer+path, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthAway, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("apikey", s.Key)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if f, ok := errors.AsType[*url.Error](err); ok {
			err = f.Err // without the address
		}
		return nil, fmt.Errorf("%w: %w", ErrAuthAway, err)
	}
	return resp, nil
}

// token asks for a session.
func (s *Sessions) token(ctx context.Context, grant string, body map[string]string) (Session, error) {
	resp, err := s.post(ctx, "/token?grant_type="+grant, "", body)
	if err != nil {
		return Session{}, err
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		TokenType    string `json:"token_type"`
		Code         string `json:"error_code"`
		Error        string `json:"error"` // of older versions
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Session{}, fmt.Errorf("%w: its answer stops half way", ErrAuthAway)
	}
	bad := json.Unmarshal(text, &answer)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return Session{}, &BusyError{time.Duration(max(seconds, 30)) * time.Second}
	case resp.StatusCode == http.StatusBadRequest && answer.Code == "email_not_confirmed":
		return Session{}, ErrUnconfirmed
	case resp.StatusCode == http.StatusUnauthorized && answer.Code == "" && answer.Error == "":
		// The gateway before Auth, about the key.
		return Session{}, fmt.Errorf("%w: it refuses this server's key: set SUPABASE_ANON_KEY to the project's publishable or anon key", ErrAuthAway)
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && bad == nil:
		return Session{}, ErrCredentials // unknown, wrong, banned: nobody is told which
	case resp.StatusCode != http.StatusOK:
		return Session{}, fmt.Errorf("%w: status %d", ErrAuthAway, resp.StatusCode)
	case bad != nil || answer.AccessToken == "" || answer.RefreshToken == "" || !strings.EqualFold(answer.TokenType, "bearer"):
		return Session{}, fmt.Errorf("%w: its answer holds no session", ErrAuthAway)
	}
	return Session{answer.AccessToken, answer.RefreshToken}, nil
}

// Ends reads when a token says that it ends, without believing anything of it; zero when
// it does not say.
func Ends(token string) time.Time {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}
	}
	return claims.ExpiresAt.Time
}
