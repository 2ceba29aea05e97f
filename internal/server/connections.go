package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// connections counts those that are open. One that is too many is answered, with 503,
// and closed: it must not wait in a queue that nobody sees, nor take the last file
// descriptor from the database.
type connections struct {
	open atomic.Int64
	most int64
}

const (
	mostListeners = 10_000
	// forRequests are connections beside those of listeners, so that a server that is
	// full of these still answers.
	forRequests = 2_000
	// forOurselves are file descriptors for the database, journals and logs.
	forOurselves = 256
)

// bound sets what is open at most, within what the operating system grants.
func (opt *Options) bound() (most int64) {
	if opt.Listeners == 0 {
		opt.Listeners = mostListeners
	}
	most = int64(opt.Listeners) + forRequests
	if files := openFiles(); files > 0 && most > files-forOurselves {
		most = max(files-forOurselves, 16)
		opt.Listeners = min(opt.Listeners, int(most-most/4))
	}
	return most
}

type tooMany struct{}

// track lets the connections of a server be counted.
func (c *connections) track(hs *http.Server) {
	hs.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		if c.open.Add(1) > c.most {
			return context.WithValue(ctx, tooMany{}, true)
		}
		return ctx
	}
	hs.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			c.open.Add(-1)
		}
	}
}

// refuses answers a request on a connection that is too many.
func (s *Server) refuses(w http.ResponseWriter, r *http.Request) bool {
	if r.Context().Value(tooMany{}) == nil {
		return false
	}
	w.Header().Set("Connection", "close")
	s.fail(w, r, &Failure{Status: http.StatusServiceUnavailable, Code: "too_many_connections", Retry: 10 * time.Second,
		Message: fmt.Sprintf("%d connections are open, the most that this server takes: close some, or try again later", s.conns.most)})
	return true
}

// tooManyListeners is the answer to a stream that is one too many.
func (s *Server) tooManyListeners() *Failure {
	return &Failure{Status: http.StatusServiceUnavailable, Code: "too_many_listeners", Retry: 30 * time.Second,
		Message: fmt.Sprintf("%d streams of events are open, the most that this server takes: close some, or ask for what you need instead of listening", s.opt.Listeners)}
}
