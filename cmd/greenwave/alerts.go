package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type alertsCmd struct {
	List    alertsListCmd    `cmd:"" help:"List the alerts that fire, with what to do about them."`
	Silence alertsSilenceCmd `cmd:"" help:"Send nothing about an alert for a while."`
	Test    alertsTestCmd    `cmd:"" help:"Send a test message to a channel of the rules file now."`
}

type alertsListCmd struct {
	Experiment string `arg:"" optional:"" help:"Only this experiment."`
	All        bool   `help:"Also those that are over."`
	Limit      int    `default:"50" placeholder:"N" help:"At most so many, the latest. 0: all. Defaults to 50."`
}

type alertJSON struct {
	ID            string     `json:"id"`
	Rule          string     `json:"rule"`
	Severity      string     `json:"severity"`
	Experiment    string     `json:"experiment_name,omitempty"`
	ExperimentID  string     `json:"experiment_id,omitempty"`
	RunID         string     `json:"run_id,omitempty"`
	State         string     `json:"state"`
	OpenedAt      time.Time  `json:"opened_at"`
	LastSeenAt    time.Time  `json:"last_seen_at"`
	ResolvedAt    *time.Time `json:"resolved_at"`
	Message       string     `json:"message"`
	WhatToDo      string     `json:"what_to_do"`
	Value         *float64   `json:"value"`
	Episode       *int64     `json:"episode_number"`
	SilencedUntil *time.Time `json:"silenced_until"`
	NotifiedAt    *time.Time `json:"notified_at"`
}

// Run lists alerts, the latest first.
func (c *alertsListCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 0 {
		return &usageError{fmt.Errorf("--limit is %d", c.Limit), "give 1 or more, or 0 for all"}
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	filter := store.AlertFilter{OpenOnly: !c.All, Limit: c.Limit}
	if c.Experiment != "" {
		e, err := s.Experiment(ctx, c.Experiment)
		if err != nil {
			return notFound(ctx, s, c.Experiment, err)
		}
		filter.ExperimentID = e.ID
	}
	list, err := s.Alerts(ctx, filter)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		for _, x := range list {
			if err := a.json(alertJSON{x.ID, x.Rule, x.Severity, x.Experiment, x.ExperimentID, x.RunID, x.State, x.OpenedAt, x.LastSeenAt, instant(x.ResolvedAt),
				x.Message, x.WhatToDo, x.Value, x.Episode, instant(x.SilencedUntil), instant(x.NotifiedAt)}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, x := range list {
		state := "since " + a.ago(x.OpenedAt)
		switch {
		case x.State == store.Resolved && x.ResolvedAt.Equal(x.OpenedAt):
			state = a.ago(x.OpenedAt)
		case x.State == store.Resolved:
			state = "resolved " + a.ago(x.ResolvedAt)
		case x.SilencedUntil.After(a.now()):
			state += ", silenced until " + x.SilencedUntil.Local().Format("2006-01-02 15:04")
		}
		a.printf("%s  %s\n  %s\n", a.paint(strong, fmt.Sprintf("%s %s %s", x.ID[:min(8, len(x.ID))], x.Severity, x.Rule)),
			visible(x.Experiment)+"  "+a.paint(grey, state), wrap(visible(oneLine(x.Message)), a.width-2, "  "))
		if x.State == store.Firing && x.WhatToDo != "" {
			a.printf("  %s\n", wrap(visible(oneLine(x.WhatToDo)), a.width-2, "  "))
		}
	}
	what := "alert"
	if !c.All {
		what = "open alert"
	}
	a.printf("%s in %s\n", of(len(list), what), s.Name())
	return nil
}

type alertsSilenceCmd struct {
	ID  string        `arg:"" help:"The alert's id, or as much of its beginning as tells it from others."`
	For time.Duration `default:"2h" placeholder:"TIME" help:"How long, as 30m or 8h; 0 ends a silence. Defaults to 2h."`
}

// Run silences an alert.
func (c *alertsSilenceCmd) Run(ctx context.Context, a *app) error {
	if c.For < 0 {
		return &usageError{fmt.Errorf("--for is %v", c.For), "give a time such as 2h, or 0 to end a silence"}
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Alerts(ctx, store.AlertFilter{})
	if err != nil {
		return err
	}
	var found []store.Alert
	for _, x := range all {
		if c.ID != "" && strings.HasPrefix(x.ID, strings.ToLower(c.ID)) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return next(fmt.Errorf("there is no alert %s in %s", visible(c.ID), s.Name()), "greenwave alerts list --all shows their ids")
	case 1:
	default:
		return next(fmt.Errorf("%d alerts begin with %s", len(found), visible(c.ID)), "give more of the id; greenwave alerts list --json shows it whole")
	}
	var until time.Time
	if c.For > 0 {
		until = a.now().Add(c.For)
	}
	if err := s.SilenceAlert(ctx, found[0].ID, until); err != nil {
		return err
	}
	if until.IsZero() {
		a.printf("%s of %s is heard again\n", found[0].Rule, visible(found[0].Experiment))
	} else {
		a.printf("nothing is sent about %s of %s until %s\n", found[0].Rule, visible(found[0].Experiment), until.Local().Format("2006-01-02 15:04"))
	}
	return nil
}

type alertsTestCmd struct {
	Channel string `arg:"" help:"Name of the channel."`
	Rules   string `placeholder:"FILE" help:"Rules file. Default: alerts.json in the working folder."`
}

// Run sends a test message.
func (c *alertsTestCmd) Run(ctx context.Context, a *app) error {
	rules, err := alert.Load(c.Rules, a.env)
	if err != nil {
		return next(err, "docs/alerts.md has all names")
	}
	if err := alert.Test(ctx, rules, c.Channel); err != nil {
		if errors.Is(err, alert.ErrNoChannel) {
			return &usageError{err, "name it in the rules file, see docs/alerts.md"}
		}
		return next(fmt.Errorf("channel %s: %w", visible(c.Channel), err), "check its address; while a channel is down the server tries again by itself")
	}
	a.printf("the channel %s has taken the message\n", visible(c.Channel))
	return nil
}
