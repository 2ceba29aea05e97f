package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
)

const (
	keepAlive  = 15 * time.Second // a sign of life on a quiet stream
	eventEvery = 40 * time.Millisecond
	writeTime  = 20 * time.Second // see Server

	// eachListener is what a change costs for a listener, with some room: with so many
	// that this adds up, changes are told less often.
	eachListener = 50 * time.Microsecond
)

// Event is what a listener is told: which experiments have changed since the event
// before. It says that they changed, not how: read what is shown anew.
type Event struct {
	// Experiments are ids. With All any experiment may have changed: it is the
	// first event of a stream that does not continue another of this server.
	Experiments []string `json:"experiments"`
	All         bool     `json:"all"`
	Alerts      bool     `json:"alerts"` // an alert has changed
}

// events is a stream of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	only := r.URL.Query().Get("experiment")
	if only != "" {
		e, err := s.find(r.Context(), only)
		if err != nil {
			return err
		}
		only = e.ID
	}
	control := http.NewResponseController(w)
	send := func(format string, args ...any) error {
		_ = control.SetWriteDeadline(time.Now().Add(s.writeTime))
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return control.Flush()
	}
	since, resumed := s.hub.parse(r.Header.Get("Last-Event-ID"))
	defer s.hub.leave()
	if !s.hub.join(s.opt.Listeners) {
		return s.tooManyListeners()
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if send("retry: 1000\n\n") != nil {
		return nil
	}
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		topics, all, now, more := s.hub.since(since)
		event := Event{All: all || !resumed}
		for _, topic := range topics {
			switch {
			case topic == alertsTopic:
				event.Alerts = true
			case (only == "" || topic == only) && s.sees(r.Context(), topic):
				event.Experiments = append(event.Experiments, topic)
			}
		}
		if event.All {
			event = Event{All: true, Alerts: true}
		}
		since, resumed = now, true
		if event.All || event.Alerts || len(event.Experiments) > 0 {
			slices.Sort(event.Experiments)
			data, err := json.Marshal(event)
			if err != nil {
				return err
			}
			if send("id: %s\nevent: change\ndata: %s\n\n", s.hub.id(now), data) != nil {
				return nil // the listener is gone
			}
			// What follows at once comes in one event.
			pause := time.NewTimer(max(eventEvery, time.Duration(s.hub.listeners())*eachListener))
			select {
			case <-pause.C:
			case <-r.Context().Done():
				pause.Stop()
				return nil
			}
		}
		select {
		case <-more:
		case <-quiet.C:
			if access.From(r.Context()) != nil {
				if _, err := s.caller(r); err != nil {
					return nil // the token has ended meanwhile
				}
			}
			// An event, not a comment, so that a page can tell that the connection lives.
			if send("event: alive\ndata: {\"experiments\":[],\"all\":false,\"alerts\":false}\n\n") != nil {
				return nil
			}
		case <-r.Context().Done():
			return nil
		}
	}
}
