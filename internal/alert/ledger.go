package alert

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// entry is an alert with what is known about its messages.
type entry struct {
	store.Alert
	owed   bool // its firing has not been sent: it is silenced, or cools down
	queued bool // its firing was handed to the channels in this life of the engine
}

func (w *watched) open() bool {
	for _, a := range w.alerts {
		if a.State == store.Firing {
			return true
		}
	}
	return false
}

// load reads the latest alert of each rule of an experiment.
func (e *Engine) load(ctx context.Context, experimentID string, w *watched) error {
	all, err := e.st.Alerts(ctx, store.AlertFilter{ExperimentID: experimentID, Limit: 200})
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0; i-- { // the latest last
		a := all[i]
		if was := w.alerts[a.Rule]; was == nil || a.State == store.Firing || was.State != store.Firing {
			w.alerts[a.Rule] = &entry{Alert: a, owed: a.State == store.Firing && a.NotifiedState != store.Firing}
		}
	}
	w.loaded = true
	return nil
}

// refresh learns what other processes have silenced, sends what is no longer, and
// closes what nobody has looked at for long: its run has ended while no engine ran.
func (e *Engine) refresh(ctx context.Context, recent time.Time) error {
	open, err := e.st.Alerts(ctx, store.AlertFilter{OpenOnly: true})
	if err != nil {
		return err
	}
	now := e.opt.Now()
	for _, a := range open {
		w := e.watched[a.ExperimentID]
		if w == nil {
			if !lasting[a.Rule] && a.LastSeenAt.Before(recent) {
				a.State, a.ResolvedAt = store.Resolved, now
				if err := e.st.PutAlert(ctx, a); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			continue
		}
		if mine := w.alerts[a.Rule]; mine != nil && mine.ID == a.ID {
			mine.SilencedUntil = a.SilencedUntil
			e.tell(mine, now)
		}
	}
	return nil
}

// settle brings the alert of a rule in line with its verdict.
func (e *Engine) settle(ctx context.Context, w *watched, v *view, d verdict, moved bool) (changed bool, err error) {
	a := w.alerts[d.rule]
	firing := a != nil && a.State == store.Firing
	over := v.over() && !lasting[d.rule]
	switch {
	case d.what == happened:
		if a != nil && a.RunID == v.id {
			return false, nil // told already
		}
		return true, e.opens(ctx, w, v, d, true)
	case d.what == fires && !firing && (moved || !over):
		// Of a run that has ended just now, what its last records show is told, once.
		if over && (a != nil && a.RunID == v.id || v.now.Sub(v.ended) > finishedWithin) {
			return false, nil
		}
		return true, e.opens(ctx, w, v, d, over)
	case d.what == fires && firing && !over:
		if !moved && !lasting[d.rule] && d.rule != "no_record" || v.now.Sub(a.LastSeenAt) < seenEvery {
			return false, nil
		}
		fresh := a.Alert
		fresh.LastSeenAt, fresh.Message, fresh.Value, fresh.Episode = v.now, d.found, d.value, d.number
		return true, e.put(ctx, a, fresh)
	case firing && (d.what == fine || over):
		fresh := a.Alert
		fresh.State, fresh.ResolvedAt = store.Resolved, v.now
		if err := e.put(ctx, a, fresh); err != nil {
			return false, err
		}
		if !over && (a.queued || a.NotifiedState == store.Firing) && v.now.After(a.SilencedUntil) {
			e.send(a, store.Resolved)
		}
		a.owed, a.queued = false, false
		return true, nil
	}
	return false, nil
}

// seenEvery is how often an alert that goes on is written again.
const seenEvery = time.Minute

// opens makes an alert, or opens the last one again while it cools down or is silent.
func (e *Engine) opens(ctx context.Context, w *watched, v *view, d verdict, event bool) error {
	old := w.alerts[d.rule]
	fresh := store.Alert{ID: uuid.NewString(), Rule: d.rule, ExperimentID: v.experimentID, Experiment: v.experiment, OpenedAt: v.now}
	if old != nil && !event && old.RunID == v.id && (e.cools(old, v.now) || v.now.Before(old.SilencedUntil)) {
		fresh = old.Alert
		fresh.ResolvedAt = time.Time{}
	}
	fresh.Severity, fresh.RunID, fresh.State, fresh.LastSeenAt = e.rules.rule(d.rule).Severity, v.id, store.Firing, v.now
	if d.level != "" {
		fresh.Severity = d.level
	}
	fresh.Message, fresh.WhatToDo, fresh.Value, fresh.Episode = d.found, d.advice, d.value, d.number
	if event {
		fresh.State, fresh.ResolvedAt = store.Resolved, v.now
	}
	if err := e.st.PutAlert(ctx, fresh); err != nil {
		return err
	}
	a := &entry{Alert: fresh, owed: true}
	w.alerts[d.rule] = a
	e.tell(a, v.now)
	return nil
}

// cools reports whether the alert was opened, or told of, only lately.
func (e *Engine) cools(a *entry, now time.Time) bool {
	last := a.OpenedAt
	if a.NotifiedAt.After(last) {
		last = a.NotifiedAt
	}
	return now.Before(last.Add(minutes(e.rules.CoolDownMinutes)))
}

// put writes an alert and, when that worked, remembers it.
func (e *Engine) put(ctx context.Context, a *entry, fresh store.Alert) error {
	if err := e.st.PutAlert(ctx, fresh); err != nil {
		return err
	}
	a.Alert = fresh
	return nil
}

// tell hands the firing of an alert to the channels, unless it is silenced or cools
// down; then a later look does.
func (e *Engine) tell(a *entry, now time.Time) {
	if !a.owed || now.Before(a.SilencedUntil) || !a.NotifiedAt.IsZero() && e.cools(a, now) {
		return
	}
	a.owed, a.queued = false, true
	e.send(a, store.Firing)
}

// send hands a message to the channels of its rule.
func (e *Engine) send(a *entry, state string) {
	m := message{alert: a.Alert, state: state}
	names := e.rules.rule(a.Rule).Channels
	if len(names) == 0 {
		for _, c := range e.channels {
			c.add(m)
		}
		return
	}
	for _, name := range names {
		if c := e.channels[name]; c != nil {
			c.add(m)
		}
	}
}

// note writes down what a channel has taken.
func (e *Engine) note(ctx context.Context, taken []message) {
	now := e.opt.Now()
	for _, m := range taken {
		w := e.watched[m.alert.ExperimentID]
		fresh := m.alert
		var mine *entry
		if w != nil {
			if mine = w.alerts[m.alert.Rule]; mine != nil && mine.ID == m.alert.ID {
				fresh = mine.Alert
			} else {
				mine = nil
			}
		}
		fresh.NotifiedAt, fresh.NotifiedState = now, m.state
		if err := e.st.PutAlert(ctx, fresh); err != nil {
			if !errors.Is(err, store.ErrNotFound) {
				e.fail(ctx, err)
			}
			continue
		}
		if mine != nil {
			mine.Alert = fresh
		}
	}
	e.opt.Changed()
}
