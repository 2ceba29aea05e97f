package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// meters are what /metrics shows. Names follow https://prometheus.io/docs/practices/naming/
type meters struct {
	registry         *prometheus.Registry
	handler          http.Handler
	requests         *prometheus.CounterVec
	seconds          *prometheus.HistogramVec
	records, refused prometheus.Counter
	refusals         prometheus.Counter
}

func newMeters(s *Server) *meters {
	m := &meters{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "greenwave_http_requests_total", Help: "Requests by method, path and status."}, []string{"method", "path", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "greenwave_http_request_seconds", Help: "Time that requests took, streams of events aside.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"path"}),
		records:  prometheus.NewCounter(prometheus.CounterOpts{Name: "greenwave_http_records_total", Help: "Records that came over HTTP and were stored or superseded."}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "greenwave_http_records_refused_total", Help: "Records that came over HTTP and are among the dead letters."}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{Name: "greenwave_http_bodies_refused_total", Help: "Bodies that were answered with 429: too many at a time."}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	sum := func(add func(*Experiment) float64) func() float64 {
		return func() float64 {
			s.index.mu.Lock()
			defer s.index.mu.Unlock()
			total := 0.0
			for i := range s.index.list {
				total += add(&s.index.list[i])
			}
			return total
		}
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.seconds, m.records, m.refused, m.refusals,
		gauge("greenwave_event_listeners", "Streams of events that are open.", func() float64 { return float64(s.hub.listeners()) }),
		gauge("greenwave_experiments", "Experiments in the database, when it was last asked.", sum(func(*Experiment) float64 { return 1 })),
		gauge("greenwave_experiments_running", "Of these, running.", sum(func(e *Experiment) float64 {
			if e.Status == "running" {
				return 1
			}
			return 0
		})),
		gauge("greenwave_dead_letters", "Records that the database does not hold.", sum(func(e *Experiment) float64 { return float64(e.Data.Dead) })),
		gauge("greenwave_sync_waiting_records", "Records in watched journals that are not in the database yet.", func() float64 {
			n := 0.0
			for _, r := range s.opt.Syncs() {
				n += float64(r.Pending)
			}
			return n
		}),
		gauge("greenwave_sync_records_per_second", "Records that the syncs settle, lately.", func() float64 {
			n := 0.0
			for _, r := range s.opt.Syncs() {
				n += r.Rate
			}
			return n
		}),
		gauge("greenwave_up_seconds", "Since the server started.", func() float64 { return time.Since(s.began).Seconds() }),
	)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.experiments(r.Context()); err != nil {
		s.opt.Logger.Warn("metrics are older than they should be", "reason", err)
	}
	s.meters.handler.ServeHTTP(w, r)
	return nil
}
