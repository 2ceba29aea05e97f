package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// measured is a server over a database with one running experiment. away takes the
// database away.
func measured(t *testing.T, opt Options) (s *Server, away func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "greenwave.db")
	st, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	run := store.Run{ID: "0198aaaa-0000-7000-8000-000000000001", Experiment: "corridor \"a\"", Source: "journal", StartedAt: time.Now()}
	state, err := st.Register(t.Context(), run, false)
	if err != nil {
		t.Fatal(err)
	}
	row, err := record.Parse(record.KindEpisode, []byte(`{"episode_number":7,"total_reward":-31.5}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.Apply(t.Context(), store.Batch{
		RunID: run.ID, ExperimentID: state.ExperimentID, To: 2,
		Entries: []store.Entry{{Seq: 1, Time: time.Now(), Row: row}},
		Dead:    []store.DeadLetter{{RunID: run.ID, Seq: 2, Kind: record.KindEpisode, Reason: "no", Where: "x:1", Time: time.Now()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	opt.Store, opt.Version = st, "v1.2.3"
	return New(opt), func() {
		st.Close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, s *Server, path string, head ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestMetricsFollowPrometheusNaming(t *testing.T) {
	s, _ := measured(t, Options{})
	get(t, s, "/api/v1/experiments") // so that every vector has a child
	problems, err := testutil.GatherAndLint(s.meters.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := s.meters.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(families))
	for _, f := range families {
		names = append(names, f.GetName())
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
	}
	for _, want := range []string{"greenwave_http_requests_total", "greenwave_http_request_duration_seconds", "greenwave_sync_records_total", "greenwave_sync_lag_seconds", "greenwave_dead_letters", "greenwave_event_listeners"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not there", want)
		}
	}
}

func TestMetricsCount(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	reports := []syncer.Report{
		{RunID: "a", New: 40, Dead: 1, Pending: 3, Live: true, ConfirmedAt: now.Add(-time.Hour)},
		{RunID: "b", New: 2},
	}
	s, _ := measured(t, Options{Syncs: func() []syncer.Report { return reports }, Now: func() time.Time { return now }})
	get(t, s, "/api/v1/health")
	check := func(want ...string) {
		t.Helper()
		code, body := get(t, s, "/metrics")
		if code != http.StatusOK {
			t.Fatalf("/metrics answers %d: %s", code, body)
		}
		for _, line := range want {
			if !strings.Contains(body, line+"\n") {
				t.Errorf("no line %q in\n%s", line, body)
			}
		}
	}
	check(`greenwave_build_info{version="v1.2.3"} 1`,
		`greenwave_database_up 1`,
		`greenwave_http_requests_total{method="GET",path="/api/v1/health",status="200"} 1`,
		`greenwave_experiments{status="running"} 1`,
		`greenwave_experiments{status="failed"} 0`,
		`greenwave_experiment_episodes{experiment="corridor \"a\""} 1`,
		`greenwave_experiment_latest_reward{experiment="corridor \"a\""} -31.5`,
		`greenwave_dead_letters 1`,
		`greenwave_alerts_firing{severity="critical"} 0`,
		`greenwave_sync_records_total 42`,
		`greenwave_sync_waiting_records 3`,
		`greenwave_sync_live_runs 1`,
		`greenwave_event_listeners 0`,
		`greenwave_sync_lag_seconds 0`) // it was idle for an hour: that is no lag
	now = now.Add(15 * time.Second)
	check(`greenwave_sync_lag_seconds 15`)
	reports[0].ConfirmedAt = now.Add(-4 * time.Second)
	check(`greenwave_sync_lag_seconds 4`)
	reports[0].Pending = 0
	check(`greenwave_sync_lag_seconds 0`)
}

func TestHealthWithoutDatabase(t *testing.T) {
	s, away := measured(t, Options{Tokens: []string{"0123456789abcdef"}, Hosts: []string{"*"}})
	for _, path := range []string{"/health", "/ready", "/api/v1/health", "/api/v1/ready"} {
		code, body := get(t, s, path)
		var h Health
		if err := json.Unmarshal([]byte(body), &h); code != http.StatusOK || err != nil || h.Status != "ok" {
			t.Errorf("%s answers %d: %s", path, code, body)
		}
	}
	away()
	for path, want := range map[string]int{"/health": http.StatusOK, "/ready": http.StatusServiceUnavailable} {
		code, body := get(t, s, path)
		if code != want {
			t.Errorf("%s answers %d without a database, %d is right: %s", path, code, want, body)
		}
		if strings.Contains(body, `"ok"`) {
			t.Errorf("%s says ok without a database: %s", path, body)
		}
	}
	if code, _ := get(t, s, "/metrics"); code != http.StatusUnauthorized {
		t.Errorf("/metrics without a token answers %d", code)
	}
	code, body := get(t, s, "/metrics", "Authorization", "Bearer 0123456789abcdef")
	if code != http.StatusOK || !strings.Contains(body, "greenwave_database_up 0\n") {
		t.Errorf("/metrics without a database answers %d: %s", code, body)
	}
	if strings.Contains(body, "greenwave_dead_letters") {
		t.Error("/metrics tells numbers of a database that does not answer")
	}
}

func TestMetricsListeners(t *testing.T) {
	s, _ := measured(t, Options{})
	server := httptest.NewServer(s)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil { // it has been let in
		t.Fatal(err)
	}
	if _, body := get(t, s, "/metrics"); !strings.Contains(body, "greenwave_event_listeners 1\n") {
		t.Error("a stream of events that is open is not counted")
	}
}
