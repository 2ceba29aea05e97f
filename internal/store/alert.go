package store

import (
	"context"
	"time"
)

// Alert is something that went wrong, or is worth knowing, as a rule found it. Of a
// rule and an experiment at most one fires at a time.
type Alert struct {
	ID           string // UUID
	Rule         string
	Severity     string // info, warning or critical
	ExperimentID string // UUID; empty when it is about none
	Experiment   string // its name; only read
	RunID        string // UUID; may be empty
	State        string // Firing or Resolved
	OpenedAt     time.Time
	LastSeenAt   time.Time // when the rule was last found to be broken
	ResolvedAt   time.Time // zero while it fires
	Message      string    // what was found, in a sentence
	WhatToDo     string
	Value        *float64 // the number that broke the rule
	Episode      *int64   // at which it was found

	SilencedUntil time.Time // until then nothing is sent; only SilenceAlert writes it
	NotifiedAt    time.Time // when its channels last took a message; zero when none was sent
	NotifiedState string    // the state that this message told
}

// The states of an alert.
const (
	Firing   = "firing"
	Resolved = "resolved"
)

// AlertFilter chooses alerts. The zero value is all of them.
type AlertFilter struct {
	ExperimentID string
	OpenOnly     bool // those that fire
	Limit        int  // at most so many, the latest; 0: all
}

// Alerter keeps alerts.
type Alerter interface {
	// Alerts lists alerts, those that were opened last first.
	Alerts(ctx context.Context, f AlertFilter) ([]Alert, error)
	// PutAlert adds an alert, or replaces the one with its id, except for
	// SilencedUntil. It is ErrNotFound when the experiment is not there.
	PutAlert(ctx context.Context, a Alert) error
	// SilenceAlert sets SilencedUntil; the zero time ends a silence. It is
	// ErrNotFound when there is no such alert.
	SilenceAlert(ctx context.Context, id string, until time.Time) error
}
