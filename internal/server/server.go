package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/dashboard"
	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// Options say what a server serves.
type Options struct {
	Store store.Store
	// Tokens are the secrets that callers show; with none everybody who reaches the
	// server may use it, which is right on a loopback address only.
	Tokens []string
	// Desk knows further tokens, whose callers may have limits; nil: there are none.
	Desk *access.Desk
	// Sessions logs users of the Supabase project in by e-mail and password; nil: nobody.
	// It needs a Desk that knows them.
	Sessions *access.Sessions
	// Hosts are the names by which the server may be called beside localhost; "*" is
	// any. A request for another host is refused: it comes from a page that had its
	// own name point here.
	Hosts []string
	// Syncs reports where the syncs of this process stand; nil when it has none.
	Syncs func() []syncer.Report
	// Changed is called with the experiments that have changed, nil for any; it must
	// return at once.
	Changed func(experimentIDs []string)
	// Alerting says how the rules of this process do; nil when it evaluates none.
	Alerting func() alert.State
	// Doctor makes the checks of the deployment checklist that a server can make; nil:
	// those of the database alone. It is called once a minute at most.
	Doctor func(context.Context) (doctor.Examination, error)
	// Networks are drawings of road networks by SHA-256 of their file.
	Networks *Networks
	Version  string
	Logger   *slog.Logger
	Now      func() time.Time

	// MaxBody and MaxRecord bound what is taken at a time, in bytes. They default to
	// 32 MiB, of the decompressed body, and 16 MiB.
	MaxBody, MaxRecord int64
	// Ingests is how many bodies with records are taken at the same time, Rate how many
	// one address may send a second. They default to 16 and 200.
	Ingests int
	Rate    float64
	// Listeners is how many streams of events are open at a time. It defaults to
	// 10,000, or to what the limit of open files leaves room for.
	Listeners int
}

// Server answers requests. Run must run beside it.
type Server struct {
	opt     Options
	hub     *hub
	handler http.Handler
	began   time.Time
	indexes indexes
	sparks  sync.Map // sparkKey → []float64
	ingests chan struct{}
	// comparisons are the places of those that are computed.
	comparisons chan struct{}
	rates       rates
	// tries are logins by password, renewals those of sessions.
	tries, renewals rates
	meters          *meters
	conns           connections
	examined        examinations
	// writeTime is how long a listener that takes nothing is borne. Its browser
	// comes back by itself with the number of the last event that it got.
	writeTime time.Duration

	mu        sync.Mutex
	awaySince time.Time // when the database last stopped answering; zero when it answers
	awayWhy   string
}

// New prepares a server.
func New(opt Options) *Server {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Syncs == nil {
		opt.Syncs = func() []syncer.Report { return nil }
	}
	if opt.Changed == nil {
		opt.Changed = func([]string) {}
	}
	if opt.Networks == nil {
		opt.Networks = &Networks{}
	}
	if opt.Doctor == nil {
		opt.Doctor = func(ctx context.Context) (doctor.Examination, error) {
			about := settings.Database{URL: opt.Store.Name(), Name: opt.Store.Name()}
			return doctor.Examine(ctx, &doctor.Subject{Store: opt.Store, Database: about, OnServer: true, Version: opt.Version, Now: opt.Now}, doctor.Selection{})
		}
	}
	if opt.MaxBody == 0 {
		opt.MaxBody = 32 << 20
	}
	if opt.MaxRecord == 0 {
		opt.MaxRecord = 16 << 20
	}
	if opt.Ingests == 0 {
		opt.Ingests = 16
	}
	if opt.Rate == 0 {
		opt.Rate = 200
	}
	most := opt.bound()
	s := &Server{opt: opt, writeTime: writeTime, hub: newHub(), began: opt.Now(), ingests: make(chan struct{}, opt.Ingests), comparisons: make(chan struct{}, comparing)}
	s.examined.turn = make(chan struct{}, 1)
	s.rates.perSecond, s.conns.most = opt.Rate, most
	s.tries.perSecond, s.tries.most = 1.0/12, 10
	s.renewals.perSecond, s.renewals.most = 2, 60
	s.meters = newMeters(s)
	s.handler = s.build()
	return s
}

// build puts the handlers together.
func (s *Server) build() http.Handler {
	mux := http.NewServeMux()
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.SuffixETag("-gzip"))
	if err != nil {
		panic(err) // the options above are constants
	}
	for _, r := range s.routes() {
		h := http.Handler(s.answer(r))
		if !r.Stream {
			h = compress(h)
		}
		mux.Handle(r.Method+" "+r.Path, h)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/api/" {
				w.Header().Set("Allow", method)
				s.fail(w, r, &Failure{Status: http.StatusMethodNotAllowed, Code: "wrong_method", Message: fmt.Sprintf("%s is asked for with %s", r.URL.Path, method)})
				return
			}
		}
		s.fail(w, r, &Failure{Status: http.StatusNotFound, Code: "no_such_path",
			Message: fmt.Sprintf("there is no %s %s: see /api/v1/openapi.json", r.Method, r.URL.Path)})
	})
	mux.Handle("/", compress(dashboard.Handler()))
	return s.guard(mux)
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.refuses(w, r) {
		s.handler.ServeHTTP(w, r)
	}
}

// Run follows the database until ctx ends and tells listeners what changes.
func (s *Server) Run(ctx context.Context) error {
	return s.opt.Store.Watch(ctx, s.Changed)
}

// Changed tells listeners that experiments have changed; nil: any may have.
func (s *Server) Changed(experimentIDs []string) {
	s.hub.changed(experimentIDs)
	s.opt.Changed(experimentIDs)
}

// AlertsChanged tells listeners that an alert came, went or was silenced.
func (s *Server) AlertsChanged() { s.hub.changed([]string{alertsTopic}) }

// Serve answers on a listener until ctx ends, and then lets requests that are under
// way end within the grace time.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	hs := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // listeners for events leave when it ends
		ErrorLog:          slog.NewLogLogger(s.opt.Logger.Handler(), slog.LevelDebug),
	}
	s.conns.track(hs)
	done := make(chan error, 1)
	go func() { done <- hs.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := hs.Shutdown(end)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("requests were still under way after %v and were cut off", grace), hs.Close())
	}
	<-done
	return err
}
