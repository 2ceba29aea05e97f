package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Alert is something that happened and what to do about it.
type Alert struct {
	ID            string     `json:"id"`
	Rule          string     `json:"rule"`
	Severity      string     `json:"severity"` // info, warning or critical
	ExperimentID  string     `json:"experiment_id,omitempty"`
	Experiment    string     `json:"experiment,omitempty"`
	RunID         string     `json:"run_id,omitempty"`
	State         string     `json:"state"` // firing or resolved
	OpenedAt      time.Time  `json:"opened_at"`
	LastSeenAt    time.Time  `json:"last_seen_at"` // when the rule was last found to be broken
	ResolvedAt    *time.Time `json:"resolved_at,omitempty"`
	SilencedUntil *time.Time `json:"silenced_until,omitempty"`
	Message       string     `json:"message"`
	WhatToDo      string     `json:"what_to_do,omitempty"`
	Value         *float64   `json:"value,omitempty"` // the number that broke the rule
	Episode       *int64     `json:"episode_number,omitempty"`
}

// Alerts are the latest alerts, newest first.
type Alerts struct {
	Items []Alert `json:"items"`
}

func (s *Server) listAlerts(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q, 100, 1000)
	if err != nil {
		return err
	}
	open, err := boolOf(q, "open")
	if err != nil {
		return err
	}
	f := store.AlertFilter{Limit: limit, OpenOnly: open}
	if ref := q.Get("experiment"); ref != "" {
		e, err := s.find(r.Context(), ref)
		if err != nil {
			return err
		}
		f.ExperimentID = e.ID
	}
	caller := access.From(r.Context())
	if !caller.ReachesAll() {
		f.Limit = 0 // of those that are left
	}
	list, err := s.opt.Store.Alerts(r.Context(), f)
	if err != nil {
		return err
	}
	if !caller.ReachesAll() {
		list = slices.DeleteFunc(list, func(a store.Alert) bool { return a.Experiment == "" || !caller.Reaches(a.Experiment) })
		list = list[:min(limit, len(list))]
	}
	out := Alerts{Items: []Alert{}}
	for _, a := range list {
		item := Alert{
			ID: a.ID, Rule: a.Rule, Severity: a.Severity, ExperimentID: strings.ToLower(a.ExperimentID), Experiment: a.Experiment, RunID: a.RunID, State: a.State,
			OpenedAt: a.OpenedAt, LastSeenAt: a.LastSeenAt, ResolvedAt: optionalTime(a.ResolvedAt), Message: a.Message, WhatToDo: a.WhatToDo, Value: a.Value, Episode: a.Episode,
		}
		if a.SilencedUntil.After(s.opt.Now()) {
			item.SilencedUntil = optionalTime(a.SilencedUntil)
		}
		out.Items = append(out.Items, item)
	}
	return s.json(w, r, out)
}

// Silencing is for how long an alert sends nothing.
type Silencing struct {
	Hours float64 `json:"hours"`
}

func (s *Server) silenceAlert(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(r.PathValue("alert"))
	if err != nil {
		return badRequest("bad_alert", fmt.Sprintf("alert %q is not a UUID", r.PathValue("alert")))
	}
	var in Silencing
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil || in.Hours < 0 || in.Hours > 24*365 {
		return badRequest("bad_silence", `the body must be {"hours": 2}: from 0 (speak again) to 8760`)
	}
	if caller := access.From(r.Context()); !caller.ReachesAll() {
		list, err := s.opt.Store.Alerts(r.Context(), store.AlertFilter{})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(a store.Alert) bool {
			return a.ID == id.String() && a.Experiment != "" && caller.Reaches(a.Experiment)
		}) {
			return fmt.Errorf("alert %s: %w", id, store.ErrNotFound)
		}
	}
	if err := s.opt.Store.SilenceAlert(r.Context(), id.String(), s.opt.Now().Add(time.Duration(in.Hours*float64(time.Hour)))); err != nil {
		return err
	}
	s.AlertsChanged()
	w.WriteHeader(http.StatusNoContent)
	return nil
}
