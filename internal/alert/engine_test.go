package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/servetest"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

// world is a real database with a clock that the test moves.
type world struct {
	*testing.T
	st  store.Store
	e   *Engine
	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, rules Rules) *world {
	t.Helper()
	w := &world{T: t, now: clock}
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "alerts.db"), sqlite.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	w.st = st
	w.restart(rules)
	return w
}

func (w *world) restart(rules Rules) {
	w.e = New(w.st, rules, Options{Logger: slog.New(slog.DiscardHandler), Now: w.clock, Every: 20 * time.Millisecond})
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
}

func (w *world) begin(name, source string) store.State {
	w.Helper()
	s, err := w.st.Register(w.Context(), store.Run{ID: uuid.NewString(), Experiment: name, Source: source, StartedAt: w.clock()}, false)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// log applies a record that is logged now, or at another time.
func (w *world) log(run store.State, kind record.Kind, format string, args ...any) {
	w.Helper()
	w.logAt(w.clock(), run, kind, format, args...)
}

func (w *world) logAt(at time.Time, run store.State, kind record.Kind, format string, args ...any) {
	w.Helper()
	row, err := record.Parse(kind, fmt.Appendf(nil, format, args...), nil)
	if err != nil {
		w.Fatal(err)
	}
	states, err := w.st.States(w.Context(), []string{run.RunID})
	if err != nil {
		w.Fatal(err)
	}
	from := states[run.RunID].Cursor
	if _, err := w.st.Apply(w.Context(), store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: from, To: from + 1,
		Entries: []store.Entry{{Seq: from + 1, Time: at, Row: row}}}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) look() { w.e.look(w.Context(), nil) }

// alerts returns "rule state" of the alerts, in the order in which they were opened.
func (w *world) alerts() string {
	w.Helper()
	all, err := w.st.Alerts(w.Context(), store.AlertFilter{})
	if err != nil {
		w.Fatal(err)
	}
	var list []string
	for _, a := range all {
		list = append([]string{a.Rule + " " + a.State}, list...)
	}
	return strings.Join(list, ", ")
}

func (w *world) want(what, alerts string) {
	w.Helper()
	if got := w.alerts(); got != alerts {
		w.Errorf("%s: alerts are %q, want %q", what, got, alerts)
	}
}

// A run that lives, hangs, goes on, dies, is resumed and ends.
func TestLifeOfARun(t *testing.T) {
	w := newWorld(t, Defaults())
	run := w.begin("corridor", "journal")
	w.log(run, record.KindEpisode, `{"episode_number":1,"total_reward":-5}`)
	w.look()
	w.want("a run that lives", "")

	for range 70 { // heartbeats alone, for 11 minutes and 40 seconds
		w.pass(10 * time.Second)
		w.log(run, record.KindHeartbeat, `{}`)
		w.log(run, record.KindResource, `{"disk_free_mb":50000}`)
	}
	w.look()
	w.want("a run that hangs", "no_record firing")
	w.pass(time.Second)
	w.log(run, record.KindStep, `{"episode_number":2,"step_number":1}`)
	w.look()
	w.want("it goes on", "no_record resolved")

	w.pass(3 * time.Minute)
	w.look()
	w.want("it is silent", "no_record resolved, process_gone firing")
	if err := w.st.MarkInterrupted(t.Context(), run.RunID, w.clock()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.want("it is marked", "no_record resolved, process_gone firing")

	w.pass(time.Minute)
	resumed := w.begin("corridor", "journal")
	w.log(resumed, record.KindHeartbeat, `{}`)
	w.look()
	w.want("it is resumed", "no_record resolved, process_gone resolved")

	w.log(resumed, record.KindEnd, `{"status":"completed"}`)
	w.look()
	w.look()
	w.want("it ends", "no_record resolved, process_gone resolved, finished resolved")
	w.pass(12 * time.Hour)
	w.restart(Defaults())
	w.look()
	w.want("the server is started again", "no_record resolved, process_gone resolved, finished resolved")
}

// A run that is marked as interrupted before it was silent for long.
func TestMarkedAtOnce(t *testing.T) {
	w := newWorld(t, Defaults())
	run := w.begin("corridor", "journal")
	w.log(run, record.KindStep, `{"episode_number":2,"step_number":1}`)
	w.look()
	w.pass(20 * time.Second)
	w.log(w.begin("another", "journal"), record.KindHeartbeat, `{}`) // so that the first is far behind
	w.look()
	w.pass(20 * time.Second)
	if err := w.st.MarkInterrupted(t.Context(), run.RunID, w.clock()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.want("it was killed", "process_gone firing")
}

func TestTrainingGoesWrong(t *testing.T) {
	w := newWorld(t, Defaults())
	run := w.begin("corridor", "journal")
	w.look()
	for i := range 3 {
		w.pass(time.Second)
		w.log(run, record.KindEpisode, `{"episode_number":%d,"total_reward":1,"avg_loss":0.5}`, i)
	}
	w.look()
	w.want("all is well", "")
	w.log(run, record.KindEpisode, `{"episode_number":3,"total_reward":1,"avg_loss":"NaN"}`)
	w.look()
	w.want("the loss is NaN", "bad_loss firing")
	all, err := w.st.Alerts(t.Context(), store.AlertFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if a := all[0]; a.Experiment != "corridor" || a.RunID != run.RunID || a.Severity != "critical" || *a.Episode != 3 || a.WhatToDo == "" {
		t.Errorf("the alert is %+v", a)
	}
	w.pass(time.Second)
	w.log(run, record.KindEpisode, `{"episode_number":4,"total_reward":1,"avg_loss":0.5}`)
	w.look()
	w.want("it was one episode", "bad_loss resolved")

	w.log(run, record.KindResource, `{"disk_free_mb":500}`)
	w.look()
	w.want("the disk is nearly full", "bad_loss resolved, low_disk firing")

	for i := range 90 { // 450 simulated seconds of one phase, the other signal changes
		w.pass(time.Second)
		w.log(run, record.KindStep, `{"episode_number":5,"step_number":%d,"simulation_time":%d,"queue_lengths":{"A":{"n":3},"B":{"n":3}},
			"intersection_metrics":{"A":{"phase":2,"action":2},"B":{"phase":%d}}}`, i, 5*i, i/5)
		if i%20 == 0 {
			w.look()
		}
	}
	w.look()
	w.want("a phase for too long", "bad_loss resolved, low_disk firing, phase_stuck firing")
	w.pass(time.Second)
	w.log(run, record.KindStep, `{"episode_number":6,"step_number":0,"simulation_time":0,"intersection_metrics":{"A":{"phase":2},"B":{"phase":0}}}`)
	w.look()
	w.want("the next episode", "bad_loss resolved, low_disk firing, phase_stuck resolved")

	w.log(run, record.KindEnd, `{"status":"failed","reason":"out of memory"}`)
	w.look()
	w.want("the end", "bad_loss resolved, low_disk resolved, phase_stuck resolved, finished resolved")
}

// Old data, whatever is in it and whatever it ends in, raises nothing.
func TestOldDataIsQuiet(t *testing.T) {
	w := newWorld(t, Defaults())
	w.look()
	for i, source := range []string{"import", "journal"} {
		for _, end := range []string{"", "completed", "failed"} {
			w.now = clock.Add(-30 * 24 * time.Hour)
			run := w.begin(fmt.Sprintf("old %d %s", i, end), source)
			then := w.now
			w.now = clock
			for n := range 5 {
				w.logAt(then.Add(time.Duration(n)*time.Minute), run, record.KindEpisode, `{"episode_number":%d,"total_reward":1,"avg_loss":"NaN","timestamp":%q}`, n, then.Format(time.RFC3339))
				w.look()
			}
			if end != "" {
				w.logAt(then.Add(time.Hour), run, record.KindEnd, `{"status":%q}`, end)
			}
			w.look()
		}
	}
	// A log of an hour ago that has no end: nobody can say that it should grow.
	recent := w.begin("recent", "import")
	w.logAt(clock.Add(-time.Hour), recent, record.KindEpisode, `{"episode_number":1,"total_reward":1,"avg_loss":"NaN"}`)
	w.look()
	w.logAt(clock.Add(-50*time.Minute), recent, record.KindEpisode, `{"episode_number":2,"total_reward":1,"avg_loss":"NaN"}`)
	w.look()
	w.pass(20 * time.Minute)
	w.look()
	w.want("old data", "")
}

// A look costs as much as there is running, not as there is.
func TestLookIsCheap(t *testing.T) {
	w := newWorld(t, Defaults())
	db, err := sql.Open("sqlite", strings.TrimPrefix(w.st.Name(), "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := w.begin("running", "journal")
	w.log(run, record.KindEpisode, `{"episode_number":1,"total_reward":1}`)
	// The quickest of many: what else the machine does slows some of them, not all.
	look := func() time.Duration {
		w.look()
		quickest := time.Hour
		for range 20 {
			begun := time.Now()
			w.look()
			quickest = min(quickest, time.Since(begun))
		}
		return quickest
	}
	alone := look()
	for _, statement := range []string{
		`INSERT INTO experiments (id, experiment_name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
			SELECT printf('00000000-0000-4000-8000-%012d', i), 'old ' || i FROM n`,
		`INSERT INTO training_runs (id, experiment_id, experiment_name, source, started_at, last_heartbeat, status, updated_at)
			SELECT replace(id, '-4000-', '-4001-'), id, experiment_name, 'journal', '2026-02-01T00:00:00.000000Z', '2026-02-01T01:00:00.000000Z',
			CASE WHEN rowid % 2 THEN 'running' ELSE 'completed' END, '2026-02-01T01:00:00.000000Z' FROM experiments WHERE experiment_name LIKE 'old %'`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	among := look()
	begun := time.Now()
	if _, err := w.st.Experiments(t.Context()); err != nil {
		t.Fatal(err)
	}
	scan := time.Since(begun)
	t.Logf("a look at one that runs: %v; among 10,000 silent experiments: %v; reading them all: %v", alone, among, scan)
	if 3*among > scan {
		t.Errorf("a look takes %v among 10,000 silent experiments, and reading them all %v", among, scan)
	}
	if n := len(w.e.watched); n != 1 {
		t.Errorf("%d experiments are watched", n)
	}
}

// hook is a webhook on a port of this machine.
type hook struct {
	mu   sync.Mutex
	got  []string
	down bool
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	var m struct{ Message string }
	_ = json.Unmarshal(body, &m)
	h.got = append(h.got, m.Message)
}

func (h *hook) texts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

func serveHook(t *testing.T, h http.Handler) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return l.Addr().String()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("30 s passed without: %s", what)
		}
	}
}

// A channel that is down at first gets what happened meanwhile, in one message; the
// engine goes on in the meantime, and no log shows the key in the address.
func TestChannelDownAtFirst(t *testing.T) {
	h := &hook{down: true}
	address := serveHook(t, h)

	var log servetest.Output
	rules := Defaults()
	rules.GroupSeconds = 0.05
	rules.Channels = map[string]Channel{"team": {URL: "generic+http://" + address + "/hooks/s3cr3tk3y?template=json"}}
	w := newWorld(t, rules)
	w.e = New(w.st, rules, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: w.clock, Every: 20 * time.Millisecond})
	run := w.begin("corridor", "journal")
	w.log(run, record.KindEpisode, `{"episode_number":1,"total_reward":1,"avg_loss":"NaN"}`)
	stopped := start(t, w.e)
	defer stopped()
	eventually(t, "a failed attempt", func() bool { return strings.Contains(log.String(), "does not take messages") })
	w.pass(time.Second) // alerts are listed by the time at which they were opened
	w.log(run, record.KindResource, `{"disk_free_mb":500}`)
	w.e.Changed(run.ExperimentID)
	eventually(t, "a second alert while the channel is down", func() bool { return w.alerts() == "bad_loss firing, low_disk firing" })
	if strings.Contains(log.String(), "s3cr3tk3y") {
		t.Errorf("the log shows the key: %s", log.String())
	}
	h.mu.Lock()
	h.down = false
	h.mu.Unlock()
	eventually(t, "the message", func() bool { return len(h.texts()) == 1 })
	text := h.texts()[0]
	for _, part := range []string{"[critical] corridor: the loss of episode 1 is not a number", "[critical] corridor: the disk of the journal has 500 MB left", "greenwave alerts silence "} {
		if !strings.Contains(text, part) {
			t.Errorf("the message lacks %q:\n%s", part, text)
		}
	}
	eventually(t, "a note of the delivery", func() bool {
		all, err := w.st.Alerts(t.Context(), store.AlertFilter{})
		return err == nil && len(all) == 2 && all[0].NotifiedState == store.Firing && all[1].NotifiedState == store.Firing
	})

	w.log(run, record.KindResource, `{"disk_free_mb":50000}`)
	eventually(t, "word that it is over", func() bool { return len(h.texts()) == 2 })
	if text := h.texts()[1]; !strings.HasPrefix(text, "[resolved] corridor: the disk") {
		t.Errorf("the second message is %q", text)
	}
	// It comes back within the cool-down: the alert opens again, and nobody is told.
	w.log(run, record.KindResource, `{"disk_free_mb":400}`)
	eventually(t, "the alert to open again", func() bool { return w.alerts() == "bad_loss firing, low_disk firing" })
	if n := len(h.texts()); n != 2 {
		t.Errorf("%d messages within the cool-down: %q", n, h.texts())
	}
}

// What is silenced is not sent; when the silence is over it is.
func TestSilence(t *testing.T) {
	h := &hook{}
	address := serveHook(t, h)
	rules := Defaults()
	rules.GroupSeconds, rules.CoolDownMinutes = 0, 0
	rules.Channels = map[string]Channel{"team": {URL: "generic+http://" + address + "/?template=json"}}
	w := newWorld(t, rules)
	run := w.begin("corridor", "journal")
	w.log(run, record.KindResource, `{"disk_free_mb":500}`)
	defer start(t, w.e)()
	eventually(t, "the first message", func() bool { return len(h.texts()) == 1 })
	all, err := w.st.Alerts(t.Context(), store.AlertFilter{})
	if err != nil || len(all) != 1 {
		t.Fatalf("alerts %+v, %v", all, err)
	}
	if err := w.st.SilenceAlert(t.Context(), all[0].ID, w.clock().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.pass(20 * time.Second)
	w.log(run, record.KindResource, `{"disk_free_mb":50000}`)
	eventually(t, "it to be over", func() bool { return w.alerts() == "low_disk resolved" })
	w.log(run, record.KindResource, `{"disk_free_mb":500}`)
	eventually(t, "it to come back", func() bool { return w.alerts() == "low_disk firing" })
	if n := len(h.texts()); n != 1 {
		t.Errorf("%d messages in silence: %q", n, h.texts())
	}
	w.pass(time.Minute)
	w.log(run, record.KindHeartbeat, `{}`)
	eventually(t, "the message after the silence", func() bool { return len(h.texts()) == 2 })
}

// start runs an engine and returns what stops it and waits.
func start(t *testing.T, e *Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	return func() { cancel(); <-done }
}

// Each of the other rules, on records in a database: it fires, and is over when what it
// found is over.
func TestRulesFireAndResolve(t *testing.T) {
	behind := map[string]Behind{}
	for _, c := range []struct {
		rule         string
		wrong, right func(w *world, run store.State, n *int)
	}{
		{"reward_fell",
			func(w *world, run store.State, n *int) {
				w.train(run, n, 40, `"total_reward":%d`, func(i int) []any { return []any{100 + i%3} })
				w.train(run, n, 10, `"total_reward":%d`, func(i int) []any { return []any{50 + i%3} })
			},
			func(w *world, run store.State, n *int) {
				w.train(run, n, 10, `"total_reward":%d`, func(i int) []any { return []any{120 + i%3} })
			}},
		{"reward_and_waiting_up",
			func(w *world, run store.State, n *int) {
				w.train(run, n, 20, `"total_reward":%d,"avg_waiting_time":%d`, func(i int) []any { return []any{100 + i%3, 20 + i%2} })
				w.train(run, n, 20, `"total_reward":%d,"avg_waiting_time":%d`, func(i int) []any { return []any{150 + i%3, 40 + i%2} })
			},
			func(w *world, run store.State, n *int) {
				w.train(run, n, 20, `"total_reward":%d,"avg_waiting_time":%d`, func(i int) []any { return []any{170 + i%3, 15 + i%2} })
			}},
		{"epsilon_stuck",
			func(w *world, run store.State, n *int) {
				w.train(run, n, 50, `"total_reward":1,"epsilon_value":%v`, func(int) []any { return []any{0.9} })
			},
			func(w *world, run store.State, n *int) {
				w.train(run, n, 1, `"total_reward":1,"epsilon_value":%v`, func(int) []any { return []any{0.89} })
			}},
		{"bad_loss",
			func(w *world, run store.State, n *int) {
				w.train(run, n, 20, `"total_reward":1,"avg_loss":%v`, func(i int) []any { return []any{0.5 + float64(i%3)/10} })
				w.train(run, n, 3, `"total_reward":1,"avg_loss":%v`, func(int) []any { return []any{900.0} })
			},
			func(w *world, run store.State, n *int) {
				w.train(run, n, 1, `"total_reward":1,"avg_loss":%v`, func(int) []any { return []any{0.5} })
			}},
		{"sync_lag",
			func(w *world, run store.State, n *int) {
				w.log(run, record.KindStep, `{"episode_number":1,"step_number":1}`)
				behind[run.RunID] = Behind{RunID: run.RunID, Records: 12, Since: w.clock().Add(-6 * time.Minute)}
			},
			func(_ *world, run store.State, _ *int) { delete(behind, run.RunID) }},
		{"dead_letters",
			func(w *world, run store.State, _ *int) {
				w.log(run, record.KindStep, `{"episode_number":1,"step_number":1}`)
				w.bury(run)
			},
			func(w *world, run store.State, _ *int) { w.dig(run) }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, Defaults())
			w.e = New(w.st, Defaults(), Options{Logger: slog.New(slog.DiscardHandler), Now: w.clock, Behind: func() []Behind {
				var all []Behind
				for _, b := range behind {
					all = append(all, b)
				}
				return all
			}})
			run, n := w.begin("corridor", "journal"), 0
			w.look()
			c.wrong(w, run, &n)
			w.look()
			w.want("it goes wrong", c.rule+" firing")
			w.pass(time.Second)
			c.right(w, run, &n)
			w.look()
			w.want("it is right again", c.rule+" resolved")
		})
	}
}

// train logs episodes after those that are there.
func (w *world) train(run store.State, next *int, episodes int, fields string, values func(i int) []any) {
	w.Helper()
	for i := range episodes {
		w.pass(time.Second)
		w.log(run, record.KindEpisode, `{"episode_number":%d,`+fields+`}`, append([]any{*next}, values(i)...)...)
		*next++
	}
}

// bury makes a dead letter of the run's next record; dig stores that record after all.
func (w *world) bury(run store.State) {
	w.Helper()
	if _, err := w.st.Apply(w.Context(), store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: 1, To: 2,
		Dead: []store.DeadLetter{{RunID: run.RunID, Seq: 2, Kind: record.KindStep, Reason: "no", Where: "x", Time: w.clock()}}}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) dig(run store.State) {
	w.Helper()
	row, err := record.Parse(record.KindStep, []byte(`{"episode_number":1,"step_number":2}`), nil)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.st.Replay(w.Context(), store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID,
		Entries: []store.Entry{{Seq: 2, Time: w.clock(), Row: row}}}); err != nil {
		w.Fatal(err)
	}
	w.log(run, record.KindHeartbeat, `{}`)
}
