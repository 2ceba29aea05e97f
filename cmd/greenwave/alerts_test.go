package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/servetest"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

// Alerts as a person reads and silences them.
func TestAlerts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	state, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "corridor", Source: "journal", StartedAt: time.Now()}, false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, a := range []store.Alert{
		{ID: "11111111-aaaa-4000-8000-000000000000", Rule: "bad_loss", Severity: "critical", State: store.Firing, Message: "the loss is not a number", WhatToDo: "go back"},
		{ID: "11111111-bbbb-4000-8000-000000000000", Rule: "low_disk", Severity: "critical", State: store.Resolved, Message: "500 MB left", ResolvedAt: now},
	} {
		a.ExperimentID, a.OpenedAt, a.LastSeenAt = state.ExperimentID, now.Add(-time.Duration(i+1)*time.Hour), now
		if err := s.PutAlert(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	command := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		a := newApp(&out, &out, func(string) (string, bool) { return "", false })
		if code := run(t.Context(), append([]string{"--db", "sqlite:" + path}, args...), a); code != want {
			t.Fatalf("%v ends with %d: %s", args, code, out.String())
		}
		return out.String()
	}
	contains := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("lacks %q:\n%s", part, text)
			}
		}
	}
	text := command(exitDone, "alerts", "list")
	contains(text, "11111111 critical bad_loss  corridor", "the loss is not a number", "go back", "1 open alert in ")
	if strings.Contains(text, "low_disk") {
		t.Errorf("shows what is over:\n%s", text)
	}
	contains(command(exitDone, "alerts", "list", "--all"), "low_disk  corridor  resolved ", "2 alerts in ")
	contains(command(exitDone, "alerts", "list", "--all", "--json", "corridor"), `"rule":"bad_loss"`, `"experiment_name":"corridor"`, `"resolved_at":null`)

	contains(command(exitFailed, "alerts", "silence", "1111"), "2 alerts begin with 1111")
	contains(command(exitDone, "alerts", "silence", "11111111-A", "--for", "30m"), "nothing is sent about bad_loss of corridor until ")
	all, err := s.Alerts(t.Context(), store.AlertFilter{OpenOnly: true})
	if err != nil || len(all) != 1 || all[0].SilencedUntil.Sub(now).Round(time.Minute) != 30*time.Minute {
		t.Errorf("alerts are %+v, %v", all, err)
	}
	contains(command(exitDone, "alerts", "list"), "silenced until ")
	contains(command(exitDone, "alerts", "silence", "11111111-a", "--for", "0"), "is heard again")
}

// A channel is tried: what it gets, and what is said when it takes nothing.
func TestAlertsTest(t *testing.T) {
	var got []string
	taken := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got = append(got, string(text))
		w.WriteHeader(taken)
	}))
	defer hook.Close()
	rules := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(rules, []byte(`{"channels": {"team": {"url_env": "TEAM_HOOK"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"TEAM_HOOK": "generic+" + hook.URL + "/s3cr3tk3y?template=json"}
	var out servetest.Output
	if code := runOnce(t.Context(), []string{"alerts", "test", "team", "--rules", rules}, &out, env); code != exitDone || len(got) != 1 || !strings.Contains(got[0], "a test of this channel") {
		t.Errorf("it ends with %d and says %s; the channel got %q", code, out.String(), got)
	}
	taken = http.StatusForbidden
	if code := runOnce(t.Context(), []string{"alerts", "test", "team", "--rules", rules}, &out, env); code != exitFailed || !strings.Contains(out.String(), "403") {
		t.Errorf("of one that refuses it ends with %d and says %s", code, out.String())
	}
	if strings.Contains(out.String(), "s3cr3tk3y") {
		t.Errorf("it shows the key: %s", out.String())
	}
}
