package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// Log is where Lines writes.
type Log struct {
	Out    io.Writer
	JSON   bool
	Colour bool
	Once   bool // only how things are now
	Now    func() time.Time
}

// line is one event.
type line struct {
	At         time.Time   `json:"at"`
	Event      string      `json:"event"` // state, episode, alert, alert_over, away, back
	Experiment string      `json:"experiment,omitempty"`
	State      *Experiment `json:"state,omitempty"`
	Episode    *Episode    `json:"episode,omitempty"`
	Alert      *Alert      `json:"alert,omitempty"`
	Reason     string      `json:"reason,omitempty"`
}

// told is what was written of an experiment.
type told struct {
	status string
	dead   uint64
	last   int64 // episode
	alerts map[string]Alert
}

// Lines writes one line for each event until ctx ends, or until the experiment that is
// named has ended: how each stands at the beginning, episodes, states, alerts, a source
// that goes away and comes back. It is for logs and pipes, where nobody can press a key.
func Lines(ctx context.Context, src Source, experiment string, log Log) error {
	if log.Now == nil {
		log.Now = time.Now
	}
	w := &writer{Log: log, src: src, only: experiment, told: map[string]*told{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := NewFollower(src, log.Now)
	f.Choose(experiment)
	var failed error
	f.Run(ctx, func(n News) {
		done, err := w.news(ctx, &n)
		if err != nil || done {
			failed = err
			cancel()
		}
	})
	return failed
}

type writer struct {
	Log
	src  Source
	only string
	told map[string]*told
	away bool
}

// news writes what is new; done: there will be nothing more.
func (w *writer) news(ctx context.Context, n *News) (done bool, err error) {
	if n.Err != nil {
		if w.Once {
			return true, n.Err
		}
		if !w.away {
			w.away = true
			err = w.write(line{At: n.At, Event: "away", Reason: oneLine(n.Err.Error())})
		}
		return false, err
	}
	if w.away {
		w.away = false
		if err := w.write(line{At: n.At, Event: "back"}); err != nil {
			return false, err
		}
	}
	if n.Gone {
		return true, fmt.Errorf("%w: %q in %s", ErrUnknown, w.only, w.src.Name())
	}
	list := slices.Clone(n.List)
	slices.Reverse(list) // the newest is read last
	over := false
	for i := range list {
		e := &list[i]
		if w.only != "" && e.Name != w.only {
			continue
		}
		if err := w.experiment(ctx, n, e); err != nil {
			return false, err
		}
		over = e.Status != "running"
	}
	if w.Once && len(list) == 0 && !w.JSON {
		_, err = fmt.Fprintf(w.Out, "no experiments in %s\n", words.Visible(w.src.Name()))
	}
	return w.Once || w.only != "" && over, err
}

func (w *writer) experiment(ctx context.Context, n *News, e *Experiment) error {
	t := w.told[e.Name]
	if t == nil {
		t = &told{last: -1, alerts: map[string]Alert{}}
		w.told[e.Name] = t
		recent, err := w.src.Episodes(ctx, e.Name, -1, 1)
		if err != nil {
			return nil // the next round says why
		}
		if len(recent) > 0 {
			t.last = recent[0].Number
		}
		t.status, t.dead = e.Status, e.Data.Dead
		if err := w.write(line{At: n.At, Event: "state", Experiment: e.Name, State: e}); err != nil {
			return err
		}
	} else if e.Status == "running" || e.Status != t.status {
		episodes, err := w.src.Episodes(ctx, e.Name, t.last, 1000)
		if err != nil {
			return nil
		}
		for i := range episodes {
			t.last = episodes[i].Number
			if err := w.write(line{At: episodes[i].At, Event: "episode", Experiment: e.Name, Episode: &episodes[i]}); err != nil {
				return err
			}
		}
	}
	if e.Status != t.status || e.Data.Dead != t.dead {
		t.status, t.dead = e.Status, e.Data.Dead
		if err := w.write(line{At: n.At, Event: "state", Experiment: e.Name, State: e}); err != nil {
			return err
		}
	}
	if n.Detail == nil || n.Detail.Name != e.Name {
		return nil
	}
	open := map[string]Alert{}
	for _, a := range n.Detail.Alerts {
		if a.Open {
			open[a.ID] = a
			if _, known := t.alerts[a.ID]; !known {
				if err := w.write(line{At: n.At, Event: "alert", Experiment: e.Name, Alert: &a}); err != nil {
					return err
				}
			}
		}
	}
	for id, a := range t.alerts {
		if _, still := open[id]; !still {
			if err := w.write(line{At: n.At, Event: "alert_over", Experiment: e.Name, Alert: &a}); err != nil {
				return err
			}
		}
	}
	t.alerts = open
	return nil
}

func (w *writer) write(l line) error {
	l.At = l.At.UTC().Truncate(time.Millisecond)
	if w.JSON {
		enc := json.NewEncoder(w.Out)
		enc.SetEscapeHTML(false)
		return enc.Encode(l)
	}
	st := style{w.Colour}
	parts := []string{st.paint(grey, l.At.Format("15:04:05Z"))}
	if l.Experiment != "" {
		parts = append(parts, words.Visible(l.Experiment))
	}
	switch l.Event {
	case "state":
		symbol, colour := mark(l.State.Status)
		text := st.paint(colour, symbol+" "+l.State.Status) + ", " + words.Of(l.State.Episodes, "episode")
		if l.State.Planned > 0 {
			text = st.paint(colour, symbol+" "+l.State.Status) + fmt.Sprintf(", %s of %s", words.Count(l.State.Episodes), words.Of(l.State.Planned, "episode"))
		}
		data, dataColour := safety(&l.State.Data)
		parts = append(parts, text+", reward "+words.Optional(l.State.Latest)+" (best "+words.Optional(l.State.Best)+"), "+st.paint(dataColour, data))
	case "episode":
		text := "episode " + words.Count(l.Episode.Number) + "  reward " + words.Optional(l.Episode.Reward)
		for _, f := range []struct {
			name string
			v    *float64
		}{{"waiting", l.Episode.Waiting}, {"loss", l.Episode.Loss}, {"epsilon", l.Episode.Epsilon}} {
			if f.v != nil {
				text += "  " + f.name + " " + words.Number(*f.v)
			}
		}
		parts = append(parts, text)
	case "alert":
		parts = append(parts, st.paint(severity(l.Alert), "! "+l.Alert.Severity)+": "+words.Visible(oneLine(l.Alert.Message)))
	case "alert_over":
		parts = append(parts, "over: "+words.Visible(oneLine(l.Alert.Message)))
	case "away":
		parts = append(parts, st.paint(amber, "no answer, trying again")+": "+words.Visible(l.Reason))
	case "back":
		parts = append(parts, words.Visible(w.src.Name())+" answers again")
	}
	_, err := fmt.Fprintln(w.Out, strings.Join(parts, "  "))
	return err
}
