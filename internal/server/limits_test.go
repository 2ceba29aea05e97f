package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

const (
	ana = "a0000000-0000-4000-8000-000000000001"
	ben = "b0000000-0000-4000-8000-000000000002"
)

// limited is a server that lets in tokens of its database.
type limited struct {
	*testing.T
	store  store.Store
	server *Server
	web    *httptest.Server
}

func newLimited(t *testing.T, kind string) *limited {
	t.Helper()
	var st store.Store
	var err error
	if kind == "postgres" {
		st, err = postgres.Open(t.Context(), pgtest.Database(t), postgres.Options{})
	} else {
		st, err = sqlite.Open(filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Store: st, Desk: &access.Desk{Keeper: st.(store.TokenKeeper), Now: time.Now}})
	l := &limited{T: t, store: st, server: s, web: httptest.NewServer(s)}
	t.Cleanup(l.web.Close)
	return l
}

func (l *limited) token(experiments, user string, scopes ...string) string {
	l.Helper()
	secret, t, err := access.New("test", scopes, experiments, user, time.Now(), time.Hour)
	if err != nil {
		l.Fatal(err)
	}
	if err := l.store.(store.TokenKeeper).AddToken(l.Context(), t); err != nil {
		l.Fatal(err)
	}
	return secret
}

func (l *limited) ask(method, path, token, body string) (int, string) {
	l.Helper()
	kind := "application/json"
	if strings.HasPrefix(path, "/api/v1/records") {
		kind = "application/x-ndjson"
	}
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, l.web.URL+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := l.web.Client().Do(r)
	if err != nil {
		l.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		l.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// record sends two episodes and a record that breaks a rule.
func (l *limited) record(token, experiment, run string) (int, string) {
	l.Helper()
	at := func(n int) string {
		return time.Now().Add(time.Duration(n) * time.Millisecond).UTC().Format(time.RFC3339Nano)
	}
	body := fmt.Sprintf(`{"seq":1,"time":%q,"kind":"episode","data":{"episode_number":1,"total_reward":1}}
{"seq":2,"time":%q,"kind":"episode","data":{"episode_number":2,"total_reward":2}}
{"seq":3,"time":%q,"kind":"episode","data":{"episode_number":"three"}}
`, at(1), at(2), at(3))
	return l.ask("POST", "/api/v1/records?run="+run+"&experiment="+experiment, token, body)
}

// TestAnotherTenant asks everything that there is to ask with the token of somebody else:
// nothing of an experiment that is not the caller's is told or changed. On PostgreSQL by
// the caller's user, on both by the pattern of the token.
func TestAnotherTenant(t *testing.T) {
	for _, test := range []struct{ name, kind, hers, her, his, him string }{
		{"users on PostgreSQL", "postgres", "*", ana, "*", ben},
		{"patterns on PostgreSQL", "postgres", "hers-*", "", "his-*", ""},
		{"patterns on SQLite", "sqlite", "hers-*", "", "his-*", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLimited(t, test.kind)
			hers, his := l.token(test.hers, test.her, access.Read, access.Record), l.token(test.his, test.him, access.Read, access.Record)
			run := uuid.NewString()
			if code, text := l.record(hers, "hers-secret", run); code != 200 {
				t.Fatalf("%d %s", code, text)
			}
			if code, text := l.record(his, "his-own", uuid.NewString()); code != 200 {
				t.Fatalf("%d %s", code, text)
			}
			e, err := l.store.Experiment(t.Context(), "hers-secret")
			if err != nil {
				t.Fatal(err)
			}
			alert := uuid.NewString()
			if err := l.store.PutAlert(t.Context(), store.Alert{ID: alert, Rule: "r", Severity: "info", ExperimentID: e.ID, RunID: run, State: store.Firing, OpenedAt: time.Now(), LastSeenAt: time.Now(), Message: "m", WhatToDo: "w"}); err != nil {
				t.Fatal(err)
			}
			asked := 0
			for _, rt := range l.server.routes() {
				if rt.Stream || strings.HasSuffix(rt.Path, "/openapi.json") || strings.HasSuffix(rt.Path, "/doctor") || rt.Path == "/metrics" {
					continue
				}
				for _, ref := range []string{"hers-secret", e.ID} {
					path := strings.NewReplacer("{experiment}", ref, "{episode}", "1", "{run}", run, "{alert}", alert).Replace(rt.Path)
					for _, query := range []string{"", "?experiment=" + ref, "?experiments=" + ref + ",his-own", "?runs=" + run, "?run=" + run + "&experiment=hers-secret", "?run=" + run + "&experiment_id=" + e.ID} {
						body := `{"hours": 1, "since": "2030-01-01T00:00:00Z"}`
						if strings.HasSuffix(rt.Path, "/records") {
							body = fmt.Sprintf(`{"seq":4,"time":%q,"kind":"episode","data":{"episode_number":9}}`, time.Now().UTC().Format(time.RFC3339Nano))
						}
						asked++
						code, text := l.ask(rt.Method, path+query, his, body)
						told := strings.NewReplacer(fmt.Sprintf("%q", ref), "", `\"hers-secret\"`, "", `\"`+e.ID+`\"`, "", "run "+run, "", "alert "+alert, "").Replace(text) // what he has said himself
						if strings.Contains(told, "hers-secret") || strings.Contains(told, e.ID) || code < 300 && strings.Contains(told, run) {
							t.Errorf("%s %s%s tells him: %d %s", rt.Method, path, query, code, text)
						}
						if code >= 500 {
							t.Errorf("%s %s%s: %d %s", rt.Method, path, query, code, text)
						}
					}
				}
			}
			if asked < 200 {
				t.Errorf("asked only %d times", asked)
			}
			// Her run under the name of his own experiment.
			if code, text := l.record(his, "his-own", run); code < 400 {
				t.Errorf("he records into her run: %d %s", code, text)
			}
			after, err := l.store.Experiment(t.Context(), "hers-secret")
			if err != nil || after.TotalEpisodes != 2 || after.Runs[0].Status != e.Runs[0].Status || after.Runs[0].Cursor != 3 {
				t.Errorf("her experiment is changed: %+v, %v", after, err)
			}
			alerts, err := l.store.Alerts(t.Context(), store.AlertFilter{})
			if err != nil || len(alerts) != 1 || !alerts[0].SilencedUntil.IsZero() {
				t.Errorf("her alert is changed: %+v, %v", alerts, err)
			}
			if code, text := l.ask("GET", "/api/v1/experiments", hers, ""); code != 200 || !strings.Contains(text, "hers-secret") || strings.Contains(text, "his-own") {
				t.Errorf("she sees %d %s", code, text)
			}
			if code, text := l.ask("GET", "/api/v1/dead-letters", hers, ""); code != 200 || strings.Count(text, `"seq"`) != 1 {
				t.Errorf("her dead letters: %d %s", code, text)
			}
			for _, path := range []string{"/metrics", "/api/v1/doctor"} {
				if code, _ := l.ask("GET", path, his, ""); code != 403 {
					t.Errorf("%s: %d", path, code)
				}
			}
			l.hearsNothing(his, e.ID)
		})
	}
}

// hearsNothing listens to events with a token while an experiment changes, until
// something comes that the listener may hear.
func (l *limited) hearsNothing(token, experimentID string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", l.web.URL+"/api/v1/events", nil)
	if err != nil {
		l.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := l.web.Client().Do(r)
	if err != nil {
		l.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		switch text := lines.Text(); {
		case strings.Contains(text, experimentID):
			l.Errorf("he hears %s", text)
			return
		case strings.Contains(text, `"all":true`):
			l.server.Changed([]string{experimentID})
			l.server.AlertsChanged()
		case strings.HasPrefix(text, "data:"):
			return
		}
	}
	l.Error("the stream ended: ", lines.Err())
}

// TestScopes: a token is good for what it was made for.
func TestScopes(t *testing.T) {
	l := newLimited(t, "sqlite")
	read, write := l.token("*", "", access.Read), l.token("*", "", access.Record)
	run := uuid.NewString()
	for _, test := range []struct {
		token, method, path string
		want                int
	}{
		{read, "GET", "/api/v1/experiments", 200}, {write, "GET", "/api/v1/experiments", 403},
		{write, "GET", "/api/v1/states?runs=" + run, 200}, {read, "GET", "/api/v1/states?runs=" + run, 200},
		{read, "POST", "/api/v1/runs/" + run + "/interrupted", 403}, {read, "POST", "/api/v1/alerts/" + run + "/silence", 403},
		{write, "GET", "/api/v1/events", 403}, {read, "GET", "/metrics", 200}, {write, "GET", "/metrics", 403},
		{"", "GET", "/api/v1/experiments", 401}, {"gwt_" + strings.Repeat("A", 43), "GET", "/api/v1/experiments", 401}, {"a.b.c", "GET", "/api/v1/experiments", 401},
		{"", "GET", "/api/v1/health", 200}, {"", "GET", "/", 200},
	} {
		if code, text := l.ask(test.method, test.path, test.token, `{"since": "2026-01-01T00:00:00Z", "hours": 1}`); code != test.want {
			t.Errorf("%s %s: %d, want %d: %s", test.method, test.path, code, test.want, text)
		}
	}
	if code, text := l.record(read, "x", run); code != 403 || !strings.Contains(text, "needs one for record") {
		t.Errorf("a token for reading records: %d %s", code, text)
	}
	if code, _ := l.record(write, "x", run); code != 200 {
		t.Errorf("a token for recording: %d", code)
	}
	if code, text := l.record(l.token("y*", "", access.Record), "x", uuid.NewString()); code != 403 || !strings.Contains(text, `\"y*\"`) {
		t.Errorf("another experiment: %d %s", code, text)
	}
	code, text := l.ask("POST", "/api/v1/login", "", `{"token": "`+read+`"}`)
	if code != 204 {
		t.Errorf("login: %d %s", code, text)
	}
	if code, _ := l.ask("POST", "/api/v1/login", "", `{"token": "gwt_`+strings.Repeat("A", 43)+`"}`); code != 401 {
		t.Errorf("login with an unknown token: %d", code)
	}
}
