package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// meters are what /metrics shows. Names follow https://prometheus.io/docs/practices/naming/
// and a test holds them to it; docs/monitoring.md lists them.
type meters struct {
	registry         *prometheus.Registry
	handler          http.Handler
	requests         *prometheus.CounterVec
	seconds          *prometheus.HistogramVec
	records, refused prometheus.Counter
	refusals         prometheus.Counter

	mu      sync.Mutex
	waiting map[string]time.Time // run → since when something of it waits, as far as scrapes saw
}

func newMeters(s *Server) *meters {
	m := &meters{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "greenwave_http_requests_total", Help: "Requests by method, path and status."}, []string{"method", "path", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "greenwave_http_request_duration_seconds", Help: "Time that requests took, streams of events aside.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"path"}),
		records:  prometheus.NewCounter(prometheus.CounterOpts{Name: "greenwave_http_records_total", Help: "Records that came over HTTP and were stored or superseded."}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "greenwave_http_records_refused_total", Help: "Records that came over HTTP and are among the dead letters."}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{Name: "greenwave_http_bodies_refused_total", Help: "Bodies that were answered with 429: too many at a time."}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.seconds, m.records, m.refused, m.refusals, &scrape{s: s, m: m},
	)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// scrapeTime is how long a scrape waits for the database, whose numbers are left out
// then; Prometheus itself waits 10 s.
const scrapeTime = 3 * time.Second

// mostExperiments bounds how many experiments have numbers of their own.
const mostExperiments = 200

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("greenwave_"+name, help, labels, nil)
}

var (
	buildInfo   = desc("build_info", "1, with the version of the server.", "version")
	databaseUp  = desc("database_up", "1 when the database answers, 0 when it does not.")
	listeners   = desc("event_listeners", "Streams of events that are open.")
	experiments = desc("experiments", "Experiments in the database by state.", "status")
	deadLetters = desc("dead_letters", "Records that the database does not hold, with the reason.")
	firing      = desc("alerts_firing", "Alerts that fire, by severity.", "severity")
	syncSettled = desc("sync_records_total", "Records of watched folders that were settled since the server started.")
	syncDead    = desc("sync_dead_letters", "Records of watched folders that are among the dead letters.")
	syncWaiting = desc("sync_waiting_records", "Records in watched folders that are not in the database yet.")
	syncLag     = desc("sync_lag_seconds", "For how long something has waited without a confirmation by the database, of the run that has waited longest. Seen by scrapes.")
	syncLive    = desc("sync_live_runs", "Watched runs that are being written.")
	episodes    = desc("experiment_episodes", "Episodes of an experiment that is running.", "experiment")
	latest      = desc("experiment_latest_reward", "Reward of the latest episode of an experiment that is running.", "experiment")
	best        = desc("experiment_best_reward", "Best reward of an experiment that is running.", "experiment")
	lastRecord  = desc("experiment_last_record_timestamp_seconds", "When an experiment that is running last gave a sign of life.", "experiment")
)

// scrape reads at each scrape what is known elsewhere.
type scrape struct {
	s *Server
	m *meters
}

// Describe sends what Collect may send.
func (c *scrape) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, databaseUp, listeners, experiments, deadLetters, firing,
		syncSettled, syncDead, syncWaiting, syncLag, syncLive, episodes, latest, best, lastRecord} {
		out <- d
	}
}

// Collect sends the numbers of now. Without an answer of the database those from it are
// left out: old numbers would look like new ones.
func (c *scrape) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		for i := range labels {
			labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
		}
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, c.s.opt.Version)
	gauge(listeners, float64(c.s.hub.listeners()))
	c.syncs(out, gauge)

	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	list, err := c.s.experiments(ctx)
	var open []store.Alert
	if err == nil {
		open, err = c.s.opt.Store.Alerts(ctx, store.AlertFilter{OpenOnly: true})
	}
	if err != nil {
		c.s.opt.Logger.Warn("metrics without those from the database", "reason", err)
		gauge(databaseUp, 0)
		return
	}
	gauge(databaseUp, 1)
	byStatus := map[string]float64{"running": 0, "paused": 0, "completed": 0, "failed": 0, "interrupted": 0}
	dead, shown := uint64(0), 0
	for i := range list {
		e := &list[i]
		byStatus[e.Status]++
		dead += e.Data.Dead
		if e.Status != "running" || shown == mostExperiments {
			continue
		}
		shown++
		gauge(episodes, float64(e.Episodes), e.Name)
		if e.LatestReward != nil {
			gauge(latest, *e.LatestReward, e.Name)
		}
		if e.BestReward != nil {
			gauge(best, *e.BestReward, e.Name)
		}
		if e.LastRecord != nil {
			gauge(lastRecord, float64(e.LastRecord.UnixMilli())/1e3, e.Name)
		}
	}
	for status, n := range byStatus {
		gauge(experiments, n, status)
	}
	gauge(deadLetters, float64(dead))
	bySeverity := map[string]float64{"info": 0, "warning": 0, "critical": 0}
	for _, a := range open {
		bySeverity[a.Severity]++
	}
	for severity, n := range bySeverity {
		gauge(firing, n, severity)
	}
}

// syncs sends the numbers of this process's own syncs.
func (c *scrape) syncs(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	now := c.s.opt.Now()
	settled, dead, waiting, live, lag := 0.0, 0.0, 0.0, 0.0, time.Duration(0)
	since := map[string]time.Time{}
	c.m.mu.Lock()
	for _, r := range c.s.opt.Syncs() {
		settled += float64(r.New)
		dead += float64(r.Dead)
		waiting += float64(r.Pending)
		if r.Live {
			live++
		}
		if r.Pending == 0 {
			continue
		}
		begun, known := c.m.waiting[r.RunID]
		if !known {
			begun = now
		}
		if known && r.ConfirmedAt.After(begun) {
			begun = r.ConfirmedAt
		}
		since[r.RunID] = begun
		lag = max(lag, now.Sub(begun))
	}
	c.m.waiting = since
	c.m.mu.Unlock()
	out <- prometheus.MustNewConstMetric(syncSettled, prometheus.CounterValue, settled)
	gauge(syncDead, dead)
	gauge(syncWaiting, waiting)
	gauge(syncLive, live)
	gauge(syncLag, lag.Seconds())
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	s.meters.handler.ServeHTTP(w, r)
	return nil
}
