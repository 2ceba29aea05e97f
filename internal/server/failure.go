package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

// Failure is an answer that is not what was asked for.
type Failure struct {
	Status  int           `json:"-"`
	Code    string        `json:"code"`              // stable, for programs
	Message string        `json:"message"`           // what, where and what to do next
	Retry   time.Duration `json:"-"`                 // when to try again; 0: not
	Details any           `json:"details,omitempty"` //
}

func (f *Failure) Error() string { return f.Message }

func badRequest(code, message string) *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: code, Message: message}
}

// failureOf turns any error into an answer. What the database says may name a host,
// never a secret: stores take care of that.
func (s *Server) failureOf(err error) *Failure {
	var f *Failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &tooLarge):
		return &Failure{Status: http.StatusRequestEntityTooLarge, Code: wire.CodeBodyTooLarge,
			Message: "the body is larger than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes: send fewer records at a time"}
	case errors.Is(err, store.ErrForbidden):
		return &Failure{Status: http.StatusForbidden, Code: wire.CodeForbidden, Message: err.Error()}
	case errors.Is(err, store.ErrNotFound):
		return &Failure{Status: http.StatusNotFound, Code: wire.CodeNotFound, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &Failure{Status: 499, Code: "cancelled", Message: "the caller went away"}
	case errors.Is(err, store.ErrRefused):
		return &Failure{Status: http.StatusUnprocessableEntity, Code: wire.CodeRefused, Message: err.Error()}
	case errors.Is(err, store.ErrExperimentDeleted):
		return &Failure{Status: http.StatusGone, Code: wire.CodeExperimentDeleted, Message: err.Error()}
	case errors.Is(err, store.ErrCursorMoved):
		return &Failure{Status: http.StatusConflict, Code: wire.CodeCursorMoved, Message: err.Error()}
	case errors.Is(err, store.ErrSchema):
		return &Failure{Status: http.StatusServiceUnavailable, Code: wire.CodeSchema, Retry: 10 * time.Second, Message: err.Error() + ": run greenwave migrate up with the newest greenwave, and start the server again"}
	case errors.Is(err, store.ErrTemporary), errors.Is(err, store.ErrAuth), errors.Is(err, context.DeadlineExceeded):
		code := wire.CodeDatabaseAway
		if errors.Is(err, store.ErrAuth) {
			code = wire.CodeDatabaseRefuses
		}
		return &Failure{Status: http.StatusServiceUnavailable, Code: code, Retry: 2 * time.Second,
			Message: "the database does not answer: " + err.Error() + ": recording goes on in the journals; this is tried again by itself"}
	default:
		return &Failure{Status: http.StatusInternalServerError, Code: wire.CodeUnexpected, Message: err.Error()}
	}
}

// fail writes a failure.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := s.failureOf(err)
	if f.Status >= 500 {
		s.away(f)
		s.opt.Logger.Warn("request failed", "method", r.Method, "path", r.URL.Path, "status", f.Status, "reason", f.Message)
	}
	h := w.Header()
	for _, name := range []string{"ETag", "Cache-Control", "Content-Encoding"} {
		h.Del(name)
	}
	if f.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(1, f.Retry.Seconds()))))
	}
	if strings.HasPrefix(r.URL.Path, "/api/") || f.Status != http.StatusNotFound {
		h.Set("Content-Type", "application/json")
	}
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": f}) // nobody to tell
}

// away remembers that the database does not answer; here forgets it.
func (s *Server) away(f *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaySince.IsZero() {
		s.awaySince = s.opt.Now()
	}
	s.awayWhy = f.Message
}

func (s *Server) here() {
	s.mu.Lock()
	s.awaySince, s.awayWhy = time.Time{}, ""
	s.mu.Unlock()
}
