package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// Health says whether the server and its database answer.
type Health struct {
	Status   string     `json:"status"` // ok, or away when the database does not answer
	Version  string     `json:"version"`
	Database string     `json:"database"` // its address without secrets
	Since    *time.Time `json:"since,omitempty"`
	Reason   string     `json:"reason,omitempty"`
}

func (s *Server) healthNow(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h := Health{Status: "ok", Version: s.opt.Version, Database: s.opt.Store.Name()}
	current, known, err := s.opt.Store.Version(ctx)
	if err == nil && current != known {
		// A file that was taken away has no tables, too.
		err = fmt.Errorf("%w: its tables have version %d and this program needs %d", store.ErrTemporary, current, known)
	}
	if err != nil {
		s.away(s.failureOf(err))
		s.mu.Lock()
		since := s.awaySince
		h.Status, h.Since, h.Reason = "away", &since, s.awayWhy
		s.mu.Unlock()
		return h
	}
	s.here()
	return h
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	return s.json(w, r, s.healthNow(r.Context()))
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	h := s.healthNow(r.Context())
	if h.Status != "ok" {
		return &Failure{Status: http.StatusServiceUnavailable, Code: "database_away", Message: h.Reason, Retry: 2 * time.Second}
	}
	return s.json(w, r, h)
}

// System is the pipeline from journals to readers.
type System struct {
	Now           time.Time       `json:"now"`
	Version       string          `json:"version"`
	Go            string          `json:"go"`
	Began         time.Time       `json:"began"` // when the server started
	Database      string          `json:"database"`
	DatabaseBytes int64           `json:"database_bytes"`
	Listeners     int             `json:"listeners"`    // streams of events
	MemoryBytes   uint64          `json:"memory_bytes"` // of the server's heap
	Goroutines    int             `json:"goroutines"`
	Experiments   int             `json:"experiments"`
	Running       int             `json:"running"`
	Dead          uint64          `json:"dead"` // dead letters
	Syncs         []syncer.Report `json:"syncs"`
	Waiting       uint64          `json:"waiting"`            // records that the syncs have not sent yet
	Rate          float64         `json:"rate"`               // records a second through the syncs
	Alerting      *alert.State    `json:"alerting,omitempty"` // of this process; absent when it evaluates no rules
}

func (s *Server) system(w http.ResponseWriter, r *http.Request) error {
	list, err := s.experiments(r.Context())
	if err != nil {
		return err
	}
	out := System{
		Now: s.opt.Now().UTC(), Version: s.opt.Version, Go: runtime.Version(), Began: s.began.UTC(), Database: s.opt.Store.Name(),
		Listeners: s.hub.listeners(), Goroutines: runtime.NumGoroutine(), Experiments: len(list), Syncs: []syncer.Report{},
	}
	if info, ok := debug.ReadBuildInfo(); ok && out.Go == "" {
		out.Go = info.GoVersion
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	out.MemoryBytes = memory.HeapAlloc
	for i := range list {
		if list[i].Status == "running" {
			out.Running++
		}
		out.Dead += list[i].Data.Dead
	}
	if out.DatabaseBytes, err = s.opt.Store.Size(r.Context()); err != nil {
		return err
	}
	if s.opt.Alerting != nil {
		out.Alerting = new(s.opt.Alerting())
	}
	for _, report := range s.opt.Syncs() {
		if !s.seesName(r.Context(), report.Experiment) {
			continue
		}
		out.Waiting += report.Pending
		out.Rate += report.Rate
		if report.Live || report.Pending > 0 || report.LastError != "" {
			out.Syncs = append(out.Syncs, report)
		}
	}
	return s.json(w, r, out)
}
