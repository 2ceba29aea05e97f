package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

func testAlerts(b *bench) {
	run, other := b.begin("alerted"), b.begin("other")
	list := func(f store.AlertFilter) []store.Alert {
		b.Helper()
		all, err := b.s.Alerts(b.ctx, f)
		if err != nil {
			b.Fatalf("Alerts(%+v): %v", f, err)
		}
		return all
	}
	put := func(a store.Alert) {
		b.Helper()
		if err := b.s.PutAlert(b.ctx, a); err != nil {
			b.Fatalf("PutAlert(%+v): %v", a, err)
		}
	}
	if got := list(store.AlertFilter{}); len(got) != 0 {
		b.Errorf("a new database has alerts: %+v", got)
	}

	whole := store.Alert{
		ID: uuid.NewString(), Rule: "bad_loss", Severity: "critical", ExperimentID: run.ExperimentID, Experiment: "alerted", RunID: run.RunID,
		State: store.Firing, OpenedAt: start, LastSeenAt: start.Add(time.Second), Message: "the loss is NaN: \"ü\"", WhatToDo: "stop it's run",
		Value: new(1.5), Episode: new(int64(7)), NotifiedAt: start.Add(2 * time.Second), NotifiedState: store.Firing,
	}
	bare := store.Alert{ID: uuid.NewString(), Rule: "low_disk", Severity: "info", State: store.Firing, OpenedAt: start.Add(time.Hour), LastSeenAt: start.Add(time.Hour)}
	third := bare
	third.ID, third.OpenedAt, third.ExperimentID, third.Experiment = uuid.NewString(), start.Add(-time.Hour), other.ExperimentID, "other"
	for _, a := range []store.Alert{whole, bare, third} {
		put(a)
	}
	if got, want := list(store.AlertFilter{}), []store.Alert{bare, whole, third}; !reflect.DeepEqual(got, want) {
		b.Errorf("alerts are\n%+v, want\n%+v", got, want)
	}
	if got := list(store.AlertFilter{ExperimentID: run.ExperimentID}); len(got) != 1 || got[0].ID != whole.ID {
		b.Errorf("alerts of one experiment: %+v", got)
	}
	if got := list(store.AlertFilter{Limit: 2}); len(got) != 2 || got[0].ID != bare.ID {
		b.Errorf("the two latest alerts: %+v", got)
	}

	// Silence stays what its own call has made it.
	until := start.Add(3 * time.Hour)
	if err := b.s.SilenceAlert(b.ctx, whole.ID, until); err != nil {
		b.Fatal(err)
	}
	whole.State, whole.ResolvedAt, whole.Message, whole.Value = store.Resolved, start.Add(time.Minute), "over", nil
	put(whole)
	whole.SilencedUntil = until
	if got := list(store.AlertFilter{ExperimentID: run.ExperimentID}); len(got) != 1 || !reflect.DeepEqual(got[0], whole) {
		b.Errorf("the alert is\n%+v, want\n%+v", got, whole)
	}
	if got := list(store.AlertFilter{OpenOnly: true}); len(got) != 2 || got[0].ID != bare.ID || got[1].ID != third.ID {
		b.Errorf("those that fire: %+v", got)
	}
	if err := b.s.SilenceAlert(b.ctx, whole.ID, time.Time{}); err != nil {
		b.Fatal(err)
	}
	if got := list(store.AlertFilter{ExperimentID: run.ExperimentID}); !got[0].SilencedUntil.IsZero() {
		b.Errorf("after the silence was ended: %v", got[0].SilencedUntil)
	}

	if err := b.s.SilenceAlert(b.ctx, uuid.NewString(), until); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("silencing an alert that is not there: %v", err)
	}
	lost := third
	lost.ID, lost.ExperimentID = uuid.NewString(), uuid.NewString()
	if err := b.s.PutAlert(b.ctx, lost); !errors.Is(err, store.ErrNotFound) {
		b.Errorf("an alert of no experiment: %v", err)
	}

	// They go with their experiment.
	b.exec(`DELETE FROM experiments WHERE experiment_name = 'alerted'`)
	equal(b, "alerts after the experiment was deleted", fmt.Sprint(len(list(store.AlertFilter{}))), "2")
}
