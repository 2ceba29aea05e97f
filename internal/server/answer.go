package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
)

// answer runs a handler, counts it and turns its error into an answer.
func (s *Server) answer(rt Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		watched := &watch{ResponseWriter: w}
		defer func() {
			s.meters.requests.WithLabelValues(rt.Method, rt.Path, fmt.Sprint(watched.status())).Inc()
			if !rt.Stream {
				s.meters.seconds.WithLabelValues(rt.Path).Observe(time.Since(began).Seconds())
			}
		}()
		if !rt.Stream {
			w.Header().Set("Cache-Control", "no-cache") // keep it, and ask whether it still holds
		}
		err := rt.allow(access.From(r.Context()))
		if err == nil {
			err = rt.check(r.URL.Query())
		}
		if err == nil {
			err = rt.handler(watched, r)
		}
		if err != nil && !watched.wrote() {
			s.fail(watched, r, err)
		}
	})
}

// watch remembers the status of an answer.
type watch struct {
	http.ResponseWriter
	code int
}

func (w *watch) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *watch) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watch) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watch) wrote() bool { return w.code != 0 }

func (w *watch) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

// json answers with a value.
func (s *Server) json(w http.ResponseWriter, r *http.Request, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return s.raw(w, r, b.Bytes())
}

// raw answers with a JSON text, or with 304 when the caller has it.
func (s *Server) raw(w http.ResponseWriter, r *http.Request, body []byte) error {
	sum := fnv.New128a()
	_, _ = sum.Write(body) // never fails
	tag := fmt.Sprintf(`"%x"`, sum.Sum(nil))
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("ETag", tag)
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		known = strings.TrimPrefix(strings.TrimSpace(known), "W/")
		if known == "*" || known == tag || strings.TrimSuffix(known, `-gzip"`)+`"` == tag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	_, _ = w.Write(body) // the caller may be gone
	return nil
}
