package grafana_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/record"
)

const quoted = "o'brien's corridor"

// recorded is a database with an experiment that has something for every panel.
func recorded(t *testing.T) (st *postgres.Store, url string) {
	t.Helper()
	url = pgtest.Database(t)
	st, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	run := store.Run{ID: uuid.NewString(), Experiment: quoted, Source: "journal", StartedAt: time.Now()}
	state, err := st.Register(t.Context(), run, false)
	if err != nil {
		t.Fatal(err)
	}
	batch := store.Batch{RunID: run.ID, ExperimentID: state.ExperimentID}
	for _, r := range []struct {
		kind record.Kind
		text string
	}{
		{record.KindEpisode, `{"episode_number":1,"total_reward":-31.5,"avg_loss":0.5,"epsilon_value":0.9,"avg_waiting_time":12,"passenger_throughput":900,
			"pt_passenger_throughput":300,"avg_queue_length":3,"max_queue_length":9,"reward_components":{"waiting":-30,"switch":-1.5}}`},
		{record.KindEpisode, `{"episode_number":2,"total_reward":-20,"avg_loss":"NaN"}`},
		{record.KindStep, `{"episode_number":2,"step_number":1,"active_vehicles":5,"simulation_time":10}`},
		{record.KindResource, `{"process_cpu_percent":80,"process_memory_mb":500,"host_cpu_percent":20,"host_memory_used_mb":4000}`},
	} {
		row, err := record.Parse(r.kind, []byte(r.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		batch.To++
		batch.Entries = append(batch.Entries, store.Entry{Seq: batch.To, Time: time.Now(), Row: row})
	}
	if _, err := st.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	err = st.PutAlert(t.Context(), store.Alert{ID: uuid.NewString(), Rule: "loss", Severity: "critical", ExperimentID: state.ExperimentID, RunID: run.ID,
		State: store.Firing, OpenedAt: time.Now(), LastSeenAt: time.Now(), Message: "the loss is NaN", WhatToDo: "stop"})
	if err != nil {
		t.Fatal(err)
	}
	return st, url
}

// macros are Grafana's for PostgreSQL, as the plugin writes them out.
var macros = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`\$__interval\b`), `1m`},
	{regexp.MustCompile(`\$__timeFilter\(([^)]+)\)`), `$1 BETWEEN now() - interval '1 hour' AND now() + interval '1 hour'`},
	{regexp.MustCompile(`\$__timeFrom\(\)`), `(now() - interval '1 hour')`},
	{regexp.MustCompile(`\$__timeTo\(\)`), `(now() + interval '1 hour')`},
	{regexp.MustCompile(`\$__timeGroupAlias\(([^,]+), 1m\)`), `floor(extract(epoch from $1)/60)*60 AS "time"`},
}

// TestQueries runs the SQL of each panel, annotation and variable as the role of
// role.sql, which must not be able to write.
func TestQueries(t *testing.T) {
	_, url := recorded(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	role, err := os.ReadFile("role.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), string(role)); err != nil {
		t.Fatalf("role.sql: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "SET ROLE greenwave_grafana"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"experiments", "training_episodes", "alerts"} {
		if _, err := conn.Exec(t.Context(), "DELETE FROM "+table); err == nil {
			t.Errorf("Grafana's role may delete from %s", table)
		}
	}
	ran := 0
	ask := func(where, text, format string) {
		ran++
		for _, m := range macros {
			text = m.from.ReplaceAllString(text, m.to)
		}
		text = strings.ReplaceAll(text, "${experiment:sqlstring}", "'"+strings.ReplaceAll(quoted, "'", "''")+"','another'")
		if strings.Contains(text, "$") {
			t.Errorf("%s: something is left to Grafana that this test does not know: %s", where, text)
			return
		}
		rows, err := conn.Query(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			t.Errorf("%s: %v\n%s", where, err, text)
			return
		}
		if n == 0 {
			t.Errorf("%s: no rows, though the database has something for it", where)
		}
		if format == "time_series" && rows.FieldDescriptions()[0].Name != "time" {
			t.Errorf("%s: the first column of a time series must be time", where)
		}
	}
	for _, b := range boards(t) {
		for where, q := range b.queries() {
			if q.Datasource.UID == "greenwave-postgres" {
				ask(where, q.RawSQL, q.Format)
			}
		}
		for _, v := range b.Templating.List {
			if v.Datasource.UID == "greenwave-postgres" {
				ask(b.file+": variable "+v.Name, v.Definition, "")
			}
		}
	}
	if ran < 15 {
		t.Errorf("%d queries ran", ran)
	}
}

var (
	sample   = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`)
	label    = regexp.MustCompile(`(\w+)="`)
	selector = regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	grouping = regexp.MustCompile(`by \(([^)]*)\) \((?:rate\()?(\w+)\{`)
	matcher  = regexp.MustCompile(`(\w+)\s*[!=]~?"`)
	bare     = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\{[^}]*\}|by \([^)]*\)`)
	word     = regexp.MustCompile(`[a-z_]\w*`)
)

// functions are what of PromQL the dashboards use; every other word is a metric.
var functions = []string{"min", "max", "sum", "rate", "increase", "time", "histogram_quantile"}

// TestMetrics holds each metric and label in the dashboards to what a server shows.
func TestMetrics(t *testing.T) {
	st, _ := recorded(t)
	s := server.New(server.Options{Store: st, Version: "v1.2.3"})
	ask := func(path string) string {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s answers %d: %s", path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	ask("/api/v1/experiments") // so that requests are counted
	labels := map[string][]string{}
	for _, m := range sample.FindAllStringSubmatch(ask("/metrics"), -1) {
		labels[m[1]] = append(labels[m[1]], "instance", "job") // Prometheus adds these
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			labels[m[1]] = append(labels[m[1]], l[1])
		}
	}
	seen := map[string]bool{}
	metric := func(where, name string) {
		seen[name] = true
		if labels[name] == nil {
			t.Errorf("%s: the server shows no metric %s", where, name)
		}
	}
	for _, b := range boards(t) {
		for where, q := range b.queries() {
			for _, w := range word.FindAllString(bare.ReplaceAllString(q.Expr, ""), -1) {
				if !slices.Contains(functions, w) {
					metric(where, w)
				}
			}
			hasLabel := func(name, l string) {
				if !slices.Contains(labels[name], l) {
					t.Errorf("%s: the metric %s has no label %s", where, name, l)
				}
			}
			for _, m := range selector.FindAllStringSubmatch(q.Expr, -1) {
				for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
					hasLabel(m[1], l[1])
				}
			}
			for _, m := range grouping.FindAllStringSubmatch(q.Expr, -1) {
				for l := range strings.SplitSeq(m[1], ",") {
					hasLabel(m[2], strings.TrimSpace(l))
				}
			}
		}
		for _, v := range b.Templating.List {
			if inner, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
				name, _, _ := strings.Cut(inner, ",")
				metric(b.file+": variable "+v.Name, name)
			}
		}
	}
	page, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range labels {
		name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "greenwave_") && !strings.Contains(string(page), "`"+name) {
			t.Errorf("docs/monitoring.md does not list %s", name)
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d metrics were checked", len(seen))
	}
}
