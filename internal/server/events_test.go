package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// event is one of a stream.
type event struct {
	id string
	server.Event
}

// stream is a listener.
type stream struct {
	events chan event
	status int
	body   string
	cancel context.CancelFunc
}

// listen opens a stream of events; query begins with "?" or is empty, lastID may be
// empty. It ends with the test.
func listen(t testing.TB, w *world, query, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", w.web.URL+"/api/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) //nolint:bodyclose // whoever reads it closes it
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{events: make(chan event, 1000), status: res.StatusCode, cancel: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.events)
		defer res.Body.Close()
		e := event{}
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "data":
				if json.Unmarshal([]byte(value), &e.Event) != nil {
					return
				}
			case "":
				if e.id != "" {
					s.events <- e
				}
				e = event{}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

const patience = 30 * time.Second

// want waits for an event.
func (s *stream) want(t testing.TB, what string, is func(event) bool) event {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				t.Fatalf("the stream ended before %s", what)
			}
			if is(e) {
				return e
			}
		case <-late:
			t.Fatalf("it never came: %s", what)
		}
	}
}

// TestEvents: who listens is told what changes, and who comes back is told what it has
// missed, no more and no less.
func TestEvents(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		corridor, other := w.sender("corridor"), w.sender("other")
		id := corridor.log("episode", `{"episode_number":1,"total_reward":2}`).send().ExperimentID
		otherID := other.log("episode", `{"episode_number":1,"total_reward":2}`).send().ExperimentID

		all, one := listen(t, w, "", ""), listen(t, w, "?experiment=corridor", "")
		first := all.want(t, "the first event", func(event) bool { return true })
		if !first.All || first.id == "" {
			t.Errorf("the first event is %+v", first)
		}
		one.want(t, "the first event", func(e event) bool { return e.All })

		corridor.log("episode", `{"episode_number":2,"total_reward":2}`).send()
		about := func(id string) func(event) bool {
			return func(e event) bool { return len(e.Experiments) == 1 && e.Experiments[0] == id && !e.All }
		}
		seen := all.want(t, "the change of corridor", about(id))
		one.want(t, "the change of corridor", about(id))

		other.log("episode", `{"episode_number":2,"total_reward":2}`).send()
		all.want(t, "the change of other", about(otherID))
		w.s.AlertsChanged()
		if e := one.want(t, "the alert", func(event) bool { return true }); !e.Alerts || len(e.Experiments) > 0 {
			t.Errorf("who listens to corridor is told %+v", e)
		}

		// An hour asleep: the stream goes on behind what was seen.
		back := listen(t, w, "", seen.id)
		if e := back.want(t, "what was missed", func(event) bool { return true }); e.All || !about(otherID)(event{Event: server.Event{Experiments: e.Experiments}}) {
			t.Errorf("who comes back is told %+v", e)
		}
		// Of another life of the server, or nonsense: everything may have changed.
		for _, last := range []string{"x.1", "nonsense", seen.id + "0000", first.id[:strings.Index(first.id, ".")] + ".-1"} {
			back := listen(t, w, "", last)
			if e := back.want(t, "the first event", func(event) bool { return true }); !e.All {
				t.Errorf("after %q: %+v", last, e)
			}
		}
	})
}
