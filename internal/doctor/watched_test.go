package doctor_test

import (
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/server"
)

// watched starts a real server on the database of a patient.
func (p *patient) watched(opt server.Options) {
	p.Helper()
	opt.Store, opt.Version = p.Store, "v1"
	web := httptest.NewServer(server.New(opt))
	p.Cleanup(web.Close)
	p.Server = &doctor.Client{URL: web.URL}
}

func TestDashboard(t *testing.T) {
	p := onSQLite(t)
	p.is(p.check("dashboard"), doctor.NotChecked, "--server")
	p.watched(server.Options{Tokens: []string{"a-long-token-of-ours"}})
	p.is(p.check("dashboard"), doctor.OK, "it answers in", "version v1")
	mine := p.Store
	p.Store = onSQLite(t).Store
	p.is(p.check("dashboard"), doctor.Warning, "shows "+mine.Name())
	p.Store = mine
	path, _ := p.Database.SQLite()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	p.is(p.check("dashboard"), doctor.Failed, "its database does not answer")
	p.Server.URL = "http://127.0.0.1:1"
	p.is(p.check("dashboard"), doctor.Failed, "connection refused")
}

func TestAlerting(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) *time.Time { return new(now.Add(-d)) }
	p := onSQLite(t)
	p.is(p.check("alerting"), doctor.NotChecked, "--server")
	p.Now = func() time.Time { return now }
	team := alert.ChannelState{Name: "team", Service: "slack", SentAt: ago(time.Hour)}
	for _, c := range []struct {
		name  string
		state alert.State
		want  doctor.Status
		says  string
	}{
		{"at work", alert.State{EvaluatedAt: ago(3 * time.Second), EverySeconds: 5, Channels: []alert.ChannelState{team}}, doctor.OK, "1 channel with no fault"},
		{"nobody is told", alert.State{EvaluatedAt: ago(3 * time.Second), EverySeconds: 5}, doctor.Warning, "nobody is told"},
		{"never", alert.State{EverySeconds: 5, Error: "connection refused"}, doctor.Failed, "never been evaluated: connection refused"},
		{"stuck", alert.State{EvaluatedAt: ago(10 * time.Minute), EverySeconds: 5, Channels: []alert.ChannelState{team}}, doctor.Failed, "last evaluated 10 min 0 s ago"},
		{"failing", alert.State{EvaluatedAt: ago(time.Second), EverySeconds: 5, Error: "no database"}, doctor.Failed, "no database"},
		{"a channel is down", alert.State{EvaluatedAt: ago(time.Second), EverySeconds: 5, Channels: []alert.ChannelState{team,
			{Name: "mail", Service: "smtp", Waiting: 4, Error: "smtp: 535", FailedSince: ago(time.Hour)}}}, doctor.Failed, "channel mail (smtp): takes no messages: smtp: 535, for 1 h 0 min (4 waiting)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &patient{T: t, Subject: p.Subject}
			p.Alerting = func() alert.State { return c.state }
			p.is(p.check("alerting"), c.want, c.says) // as the server sees itself
			p.watched(server.Options{Alerting: p.Alerting})
			p.Alerting = nil
			p.is(p.check("alerting"), c.want, c.says) // and over HTTP
		})
	}
	p.watched(server.Options{Tokens: []string{"a-long-token-of-ours"}})
	p.is(p.check("alerting"), doctor.NotChecked, "GREENWAVE_TOKEN")
	p.Server.Token = "a-long-token-of-ours"
	p.is(p.check("alerting"), doctor.Failed, "evaluates no rules")
	p.Server.URL = "http://127.0.0.1:1"
	p.is(p.check("alerting"), doctor.Failed, "connection refused")
}
