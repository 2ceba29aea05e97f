package server

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
)

const (
	// cookie holds the token of somebody who logged in with a browser, renewing what a
	// user's session is renewed with. Scripts cannot read them, and no page of another
	// site makes a browser send them.
	cookie   = "greenwave_token"
	renewing = "greenwave_refresh"

	// early is how long before its end a session is renewed.
	early = time.Minute
	// remembered is how long a browser keeps a login.
	remembered = 30 * 24 * time.Hour
)

// Login is what the dashboard sends: a token, or e-mail and password of a user of the
// Supabase project.
type Login struct {
	Token    string `json:"token,omitempty"`
	Email    string `json:"email,omitempty"`
	Password string `json:"password,omitempty"`
}

// Ways says how one may come in, and as whom one is in.
type Ways struct {
	Needed   bool   `json:"needed"`   // somebody who is not logged in sees nothing
	Password bool   `json:"password"` // e-mail and password are taken
	Name     string `json:"name"`     // who is logged in with this browser; empty: nobody
}

// ways answers what the login page offers.
func (s *Server) ways(w http.ResponseWriter, r *http.Request) error {
	out := Ways{Needed: len(s.opt.Tokens) > 0 || s.opt.Desk != nil, Password: s.opt.Sessions != nil}
	if out.Needed {
		s.renew(w, r)
		if caller, err := s.caller(r); err == nil {
			out.Name = "token"
			if caller != nil {
				out.Name = caller.Name
			}
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.json(w, r, out)
}

// login gives a browser the cookies of a token or of a user's session.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	var in Login
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil {
		return badRequest("not_json", `the body must be {"token": "…"} or {"email": "…", "password": "…"}`)
	}
	if in.Email != "" || in.Password != "" {
		return s.logInUser(w, r, in)
	}
	lasts := remembered
	token := strings.TrimSpace(in.Token)
	if len(s.opt.Tokens) > 0 || s.opt.Desk != nil {
		caller, err := s.holder(r.Context(), token)
		if err != nil {
			return err
		}
		if caller != nil {
			lasts = min(lasts, caller.Expires.Sub(s.opt.Now()))
		}
	}
	s.keep(w, r, cookie, "/", token, lasts)
	s.keep(w, r, renewing, "/api/", "", -1)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// logInUser starts a session of a user of the Supabase project. Tries are counted by
// address and by e-mail; one that succeeds does not count.
func (s *Server) logInUser(w http.ResponseWriter, r *http.Request, in Login) error {
	if s.opt.Sessions == nil {
		return badRequest("no_passwords", "this server takes no passwords: log in with a token, or start it with --auth, SUPABASE_URL and SUPABASE_ANON_KEY")
	}
	email := strings.TrimSpace(in.Email)
	if email == "" || in.Password == "" {
		return badRequest("incomplete", "e-mail and password are both needed")
	}
	keys := []string{"from " + address(r), "for " + strings.ToLower(email)}
	for _, key := range keys {
		if wait := s.tries.wait(key, s.opt.Now()); wait > 0 {
			return &Failure{Status: http.StatusTooManyRequests, Code: "too_many_logins", Retry: wait, Message: (&access.BusyError{Retry: wait}).Error()}
		}
	}
	session, err := s.opt.Sessions.LogIn(r.Context(), email, in.Password)
	if err != nil {
		return loginFailure(err)
	}
	caller, err := s.holder(r.Context(), session.Access)
	if err != nil {
		return err
	}
	for _, key := range keys {
		s.tries.give(key)
	}
	s.keepSession(w, r, session, caller.Expires)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func loginFailure(err error) error {
	busy, tooMany := errors.AsType[*access.BusyError](err)
	switch {
	case tooMany:
		return &Failure{Status: http.StatusTooManyRequests, Code: "too_many_logins", Retry: busy.Retry, Message: busy.Error()}
	case errors.Is(err, access.ErrCredentials), errors.Is(err, access.ErrUnconfirmed), errors.Is(err, access.ErrSessionEnded):
		return &Failure{Status: http.StatusUnauthorized, Code: "login_refused", Message: err.Error()}
	case errors.Is(err, access.ErrAuthAway):
		return &Failure{Status: http.StatusBadGateway, Code: "login_away", Retry: 5 * time.Second, Message: err.Error()}
	}
	return err
}

// renew gives a request of a browser whose session ends a new one, and the browser its
// cookies. Where that fails the request goes on with what it has.
func (s *Server) renew(w http.ResponseWriter, r *http.Request) {
	refresh, err := r.Cookie(renewing)
	if err != nil || s.opt.Sessions == nil || r.Header.Get("Authorization") != "" {
		return
	}
	if c, err := r.Cookie(cookie); err == nil && access.Ends(c.Value).Sub(s.opt.Now()) > early {
		return
	}
	if s.renewals.wait(address(r), s.opt.Now()) > 0 {
		return
	}
	session, err := s.opt.Sessions.Renew(r.Context(), refresh.Value)
	if errors.Is(err, access.ErrSessionEnded) {
		s.keep(w, r, renewing, "/api/", "", -1)
		return
	}
	if err != nil {
		s.opt.Logger.Warn("a session was not renewed", "reason", err)
		return
	}
	caller, err := s.holder(r.Context(), session.Access)
	if err != nil {
		s.opt.Logger.Warn("a renewed session lets nobody in", "reason", err)
		return
	}
	s.keepSession(w, r, session, caller.Expires)
	r.Header.Set("Authorization", "Bearer "+session.Access) // what follows looks there first
}

// keepSession gives a browser the cookies of a session.
func (s *Server) keepSession(w http.ResponseWriter, r *http.Request, session access.Session, ends time.Time) {
	s.keep(w, r, cookie, "/", session.Access, max(ends.Sub(s.opt.Now()), time.Second))
	s.keep(w, r, renewing, "/api/", session.Refresh, remembered)
}

// keep sets a cookie; lasts below 0 takes it away.
func (s *Server) keep(w http.ResponseWriter, r *http.Request, name, path, value string, lasts time.Duration) {
	age := int(lasts.Seconds())
	if lasts < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: path, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https", MaxAge: age,
	})
}

// logout takes the cookies away and ends the session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if _, err := r.Cookie(renewing); err == nil && s.opt.Sessions != nil {
		if c, err := r.Cookie(cookie); err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
			defer cancel()
			if err := s.opt.Sessions.LogOut(ctx, c.Value); err != nil {
				s.opt.Logger.Warn("a session was not ended at Supabase; its cookies are gone", "reason", err)
			}
		}
	}
	s.keep(w, r, cookie, "/", "", -1)
	s.keep(w, r, renewing, "/api/", "", -1)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// address is where a request comes from, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
