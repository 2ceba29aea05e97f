package server_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// A server examines itself, once a minute however many ask.
func TestDoctor(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		var made atomic.Int32
		w := serve(t, st, server.Options{Doctor: func(ctx context.Context) (doctor.Examination, error) {
			made.Add(1)
			return doctor.Examine(ctx, &doctor.Subject{
				Store: st, Database: settings.Database{Name: st.Name(), URL: st.Name()}, OnServer: true,
				Alerting: func() alert.State { return alert.State{EvaluatedAt: new(time.Now()), EverySeconds: 5} },
			}, doctor.Selection{})
		}})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { w.get("/api/v1/doctor", new(doctor.Examination)) })
		}
		all.Wait()
		var e doctor.Examination
		w.get("/api/v1/doctor", &e)
		if n := made.Load(); n != 1 {
			t.Errorf("%d examinations for 9 requests", n)
		}
		status := map[string]doctor.Status{}
		for _, f := range e.Checks {
			status[f.Check] = f.Status
			if f.Status != doctor.OK && f.Found == "" || f.Why == "" || f.LookedAt == "" {
				t.Errorf("%+v", f)
			}
		}
		if status["schema"] != doctor.OK || status["dashboard"] != doctor.OK || status["alerting"] != doctor.Warning || status["journal"] != doctor.NotChecked {
			t.Errorf("%v", status)
		}
		if _, there := status["simulator"]; there {
			t.Error("a server says something about the trainer's machine")
		}
		if len(e.Checks) != e.OK+e.Warnings+e.Failed+e.NotChecked {
			t.Errorf("%d checks, counted %+v", len(e.Checks), e)
		}
		w.get("/api/v1/doctor?phase=after", &e)
		for _, f := range e.Checks {
			if f.Phase != doctor.After || f.Check == "schema" {
				t.Errorf("after: %+v", f)
			}
		}
		if a := w.ask("GET", "/api/v1/doctor?phase=never", nil); a.status != 400 {
			t.Errorf("a phase that is none: %d %s", a.status, a.body)
		}
	})
}

func TestDoctorThatFails(t *testing.T) {
	st := newSQLite(t)
	w := serve(t, st, server.Options{Doctor: func(context.Context) (doctor.Examination, error) { return doctor.Examination{}, errors.New("no") }})
	if a := w.ask("GET", "/api/v1/doctor", nil); a.status < 500 {
		t.Errorf("an examination that fails: %d %s", a.status, a.body)
	}
}
