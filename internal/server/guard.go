package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/access"
)

// policy is what pages of the dashboard may do: nothing leaves the machine.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// guard lets in who may come in: the right host, no foreign page, a known token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !s.hostKnown(r.Host) {
			s.fail(w, r, &Failure{Status: http.StatusMisdirectedRequest, Code: "foreign_host",
				Message: fmt.Sprintf("this server does not answer for the host %q: call it by localhost, or start it with --host", r.Host)})
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && !sameHost(origin, r.Host) || r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Method != http.MethodGet {
			s.fail(w, r, &Failure{Status: http.StatusForbidden, Code: "foreign_origin",
				Message: "the request comes from a page of another site: pages of this server only may call it"})
			return
		}
		if s.open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		s.renew(w, r)
		caller, err := s.caller(r)
		if err != nil {
			h.Set("WWW-Authenticate", `Bearer realm="greenwave"`)
			s.fail(w, r, err)
			return
		}
		if caller != nil {
			r = r.WithContext(caller.With(r.Context()))
		}
		next.ServeHTTP(w, r)
	})
}

// open are the paths that need no token: the dashboard's own files, which hold no
// data, the way in, and what a load balancer asks.
func (s *Server) open(path string) bool {
	if len(s.opt.Tokens) == 0 && s.opt.Desk == nil {
		return true
	}
	switch path {
	case "/api/v1/login", "/api/v1/session", "/api/v1/logout", "/api/v1/health", "/api/v1/ready", "/api/v1/openapi.json":
		return true
	}
	return !strings.HasPrefix(path, "/api/") && path != "/metrics"
}

// caller says who sends a request; nil is one without limits.
func (s *Server) caller(r *http.Request) (*access.Caller, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		c, err := r.Cookie(cookie)
		if err != nil {
			return nil, &Failure{Status: http.StatusUnauthorized, Code: "token_missing",
				Message: "a token is needed: send Authorization: Bearer TOKEN, or log in on the dashboard"}
		}
		token = c.Value
	}
	c, err := s.holder(r.Context(), strings.TrimSpace(token))
	if f, ok := errors.AsType[*Failure](err); ok {
		f.Code = "token_missing" // of a request; token_wrong is what a login is told
	}
	return c, err
}

// holder says whose a token is.
func (s *Server) holder(ctx context.Context, token string) (*access.Caller, error) {
	if s.valid(token) {
		return nil, nil //nolint:nilnil // without limits
	}
	err := fmt.Errorf("%w: it is not known here: ask who runs the server for one", access.ErrUnknown)
	if s.opt.Desk != nil {
		var caller *access.Caller
		if caller, err = s.opt.Desk.Caller(ctx, token); err == nil {
			return caller, nil
		}
	}
	if errors.Is(err, access.ErrUnknown) {
		return nil, &Failure{Status: http.StatusUnauthorized, Code: "token_wrong", Message: err.Error()}
	}
	return nil, err
}

// valid compares in a time that does not depend on how much is right.
func (s *Server) valid(token string) bool {
	given := sha256.Sum256([]byte(token))
	ok := 0
	for _, t := range s.opt.Tokens {
		want := sha256.Sum256([]byte(t))
		ok |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return ok == 1
}

func (s *Server) hostKnown(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "localhost" || slices.Contains(s.opt.Hosts, "*") || slices.Contains(s.opt.Hosts, name) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}
