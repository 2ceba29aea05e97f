package alert

import (
	"cmp"
	"slices"
	"time"
)

// State says whether an engine is at work, and whether its channels are.
type State struct {
	EvaluatedAt  *time.Time     `json:"evaluated_at"`    // when experiments were last judged by them; null: never
	EverySeconds float64        `json:"every_seconds"`   // how often they are, at least
	Error        string         `json:"error,omitempty"` // why they could not be since
	Channels     []ChannelState `json:"channels"`
}

// ChannelState says how a channel does, without its address.
type ChannelState struct {
	Name        string     `json:"name"`
	Service     string     `json:"service"` // such as slack, smtp or ntfy; empty: its address cannot be read
	Waiting     int        `json:"waiting"` // messages that it has not taken yet
	SentAt      *time.Time `json:"sent_at"` // when it last took one; null: not since the start
	Error       string     `json:"error,omitempty"`
	FailedSince *time.Time `json:"failed_since,omitempty"`
}

// State says how the engine does. It may be called at any time.
func (e *Engine) State() State {
	e.mu.Lock()
	s := State{EvaluatedAt: optional(e.lookedAt), EverySeconds: e.opt.Every.Seconds(), Error: e.failure, Channels: []ChannelState{}}
	e.mu.Unlock()
	for name := range e.rules.Channels {
		c := e.channels[name]
		if c == nil {
			s.Channels = append(s.Channels, ChannelState{Name: name, Error: "its address cannot be read, and it was left out"})
			continue
		}
		c.mu.Lock()
		s.Channels = append(s.Channels, ChannelState{
			Name: name, Service: c.sender.scheme, Waiting: len(c.queue) + c.sending, SentAt: optional(c.sentAt), Error: c.failure, FailedSince: optional(c.since),
		})
		c.mu.Unlock()
	}
	slices.SortFunc(s.Channels, func(a, b ChannelState) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
