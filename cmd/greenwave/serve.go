package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/importer"
	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

type serveCmd struct {
	Listen     string   `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to listen on. Anything but a loopback address needs --token-file or GREENWAVE_TOKEN."`
	Watch      []string `placeholder:"DIR" sep:"none" help:"Sync this folder while it grows: journals of runs, and logs such as production_logs. May be repeated."`
	TokenFile  string   `placeholder:"FILE" help:"File with the tokens that callers must show, one a line. Without it: GREENWAVE_TOKEN."`
	Auth       bool     `help:"Let in the database's own tokens (greenwave token create) and, with SUPABASE_URL, the users of that Supabase project, each to what it may see. Users need PostgreSQL."`
	Host       []string `placeholder:"NAME" help:"Name by which the server is called, beside localhost; * for any. With tokens: any, unless this is given."`
	Net        string   `placeholder:"FILE" help:"SUMO network (.net.xml) to draw for experiments whose own is not on this machine."`
	Rules      string   `placeholder:"FILE" help:"Rules and channels of alerts, as docs/alerts.md has it. Default: alerts.json where it is there, else all rules without a channel."`
	Listeners  int      `placeholder:"N" help:"Streams of live events that may be open at a time. Default: 10,000, or what the limit of open files allows."`
	Timezone   string   `placeholder:"ZONE" default:"UTC" help:"Zone of times in watched logs that are written without one, as Asia/Manila."`
	LogFormat  string   `enum:"text,json" default:"text" placeholder:"FORMAT" help:"How the server's log is written to the error output: text for people, or json, an object a line."`
	modelsFlag `embed:""`
}

// Run serves until a signal.
func (c *serveCmd) Run(ctx context.Context, a *app) error {
	if c.LogFormat == "json" {
		a.logJSON()
	}
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return &usageError{fmt.Errorf("--timezone %q is not a time zone", c.Timezone), "use a name such as Asia/Manila or UTC"}
	}
	tokens, err := c.tokens(a)
	if err != nil {
		return err
	}
	hosts := c.Host
	if len(tokens) == 0 && !c.Auth && !loopback(c.Listen) {
		return &usageError{fmt.Errorf("--listen %s can be reached from other machines, and no token is set", c.Listen), "give --auth and make tokens with greenwave token create, or set GREENWAVE_TOKEN or give --token-file, or listen on 127.0.0.1"}
	}
	if (len(tokens) > 0 || c.Auth) && len(hosts) == 0 {
		hosts = []string{"*"} // a page of another site does not have the token
	}
	if c.Net != "" {
		if _, err := os.Stat(c.Net); err != nil {
			return &usageError{fmt.Errorf("--net: %w", err), "give a SUMO network (.net.xml)"}
		}
	}
	for _, dir := range c.Watch {
		if _, err := os.Stat(dir); err != nil {
			return next(fmt.Errorf("--watch: %w", err), "give the folder of your runs, or production_logs; make it first when the trainer will")
		}
	}
	rules, err := alert.Load(c.Rules, a.env)
	if err != nil {
		return &usageError{err, "see docs/alerts.md"}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return next(fmt.Errorf("--listen: %w", err), "another server may be there: give another port, as --listen 127.0.0.1:8081")
	}
	st, err := a.openWriterWaiting(ctx, true)
	if err != nil {
		_ = l.Close()
		return err
	}
	defer st.Close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var desk *access.Desk
	if c.Auth {
		if desk, err = a.desk(ctx, st); err != nil {
			_ = l.Close()
			return err
		}
	}

	carrier, err := c.carrier(a, st)
	if err != nil {
		_ = l.Close()
		return err
	}
	w := &watching{a: a, store: st, zone: zone}
	var engine *alert.Engine
	s := server.New(server.Options{
		Changed: func(ids []string) {
			for _, id := range ids {
				engine.Changed(id)
			}
		},
		Store: st, Tokens: tokens, Desk: desk, Sessions: a.sessions(desk), Hosts: hosts, Syncs: w.reports, Networks: &server.Networks{File: c.Net},
		Alerting:  func() alert.State { return engine.State() },
		Doctor:    func(ctx context.Context) (doctor.Examination, error) { return c.doctor(ctx, a, st, engine) },
		Listeners: c.Listeners, Version: programVersion(), Logger: a.logger(), Now: a.now,
	})
	w.changed = s.Changed
	engine = alert.New(st, rules, alert.Options{Logger: a.logger(), Now: a.now, Behind: w.behind, Changed: s.AlertsChanged})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			a.warnf("live events from other processes stopped: %s", oneLine(describe(err)))
		}
	})
	wg.Go(func() { engine.Run(ctx) })
	for _, dir := range c.Watch {
		wg.Go(func() { w.folder(ctx, dir) })
		if carrier != nil {
			wg.Go(func() { carrier.follow(ctx, dir) })
		}
	}
	a.printf("http://%s  database %s%s\n", shown(l.Addr()), st.Name(), watchedText(c.Watch))
	err = s.Serve(ctx, l, 5*time.Second)
	cancel()
	wg.Wait()
	if err == nil {
		a.printf("stopped: %s\n", w.summary())
	}
	return err
}

func watchedText(dirs []string) string {
	if len(dirs) == 0 {
		return ""
	}
	return "  watching " + visible(strings.Join(dirs, ", "))
}

func (c *serveCmd) tokens(a *app) ([]string, error) {
	text := a.getenv("GREENWAVE_TOKEN")
	if c.TokenFile != "" {
		raw, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, &usageError{fmt.Errorf("--token-file: %w", err), "give a file with one token a line"}
		}
		text = string(raw)
	}
	var tokens []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) < 16 {
			return nil, &usageError{errors.New("a token has fewer than 16 characters"), "make one with: openssl rand -hex 24"}
		}
		tokens = append(tokens, line)
	}
	if c.TokenFile != "" && len(tokens) == 0 {
		return nil, &usageError{fmt.Errorf("--token-file: %s holds no token", visible(c.TokenFile)), "write one a line"}
	}
	return tokens, nil
}

// loopback reports whether an address is reached from this machine only.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func shown(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// watching syncs folders while they grow.
type watching struct {
	a       *app
	store   store.Store
	zone    *time.Location
	changed func([]string)

	mu     sync.Mutex
	syncs  []*syncer.Syncer     // that may have something to do
	ended  total                // of those that have not
	waited map[string]time.Time // run → since when something of it waits
}

// total adds up runs that are over and sent.
type total struct {
	runs                   int
	settled, pending, dead uint64
}

func (t *total) add(r syncer.Report) {
	t.runs++
	t.settled += r.New
	t.pending += r.Pending
	t.dead += r.Dead
}

// telling is a database that says which experiments a batch has changed, before
// anybody else could notice.
type telling struct {
	store.Store
	changed func([]string)
}

func (t telling) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	res, err := t.Store.Apply(ctx, b)
	if err == nil {
		t.changed([]string{strings.ToLower(b.ExperimentID)})
	}
	return res, err
}

func (w *watching) syncer() (*syncer.Syncer, error) {
	cfg := syncer.Config{Follow: true, Logger: w.a.logger(), Now: w.a.now, MaxDelay: 100 * time.Millisecond, Rescan: lookEvery, Poll: 25 * time.Millisecond}
	s, err := syncer.New(telling{w.store, w.changed}, cfg)
	if err == nil {
		w.mu.Lock()
		w.syncs = append(w.syncs, s)
		w.mu.Unlock()
	}
	return s, err
}

// drop forgets a syncer whose sources are all over and sent: a summary that is written
// again at every episode is a new source each time.
func (w *watching) drop(s *syncer.Syncer) {
	reports := s.Reports()
	if slices.ContainsFunc(reports, func(r syncer.Report) bool { return r.Pending > 0 || r.LastError != "" }) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.syncs = slices.DeleteFunc(w.syncs, func(other *syncer.Syncer) bool { return other == s })
	for _, r := range reports {
		w.ended.add(r)
	}
}

// lookEvery is how often a folder is searched for new runs and files, if that does not
// take long.
const lookEvery = 500 * time.Millisecond

// folder follows the journals of a folder and the logs of other loggers in it. What
// goes wrong with one is said, and does not stop the others.
func (w *watching) folder(ctx context.Context, dir string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	s, err := w.syncer()
	if err != nil {
		w.a.warnf("--watch %s: %s", visible(dir), oneLine(err.Error()))
		return
	}
	wg.Go(func() {
		if _, err := s.Folder(ctx, dir); err != nil && ctx.Err() == nil {
			w.a.warnf("--watch %s: %s", visible(dir), oneLine(describe(err)))
		}
	})
	files := importer.NewWatcher([]string{dir}, importer.Options{Location: w.zone, Follow: true})
	for {
		began := time.Now()
		sources, faults := files.Scan()
		pause := max(lookEvery, 10*time.Since(began))
		for _, f := range faults {
			w.a.warnf("--watch %s: %s", visible(dir), oneLine(describe(f)))
		}
		if len(sources) > 0 {
			if s, err := w.syncer(); err == nil {
				wg.Go(func() {
					defer func() {
						for _, src := range sources {
							_ = src.Close() // they were only read
						}
					}()
					if _, err := s.Sources(ctx, plainSources(sources)); err != nil && ctx.Err() == nil {
						w.a.warnf("--watch %s: %s", visible(dir), oneLine(describe(err)))
					}
					w.drop(s)
				})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// reports returns where every run stands that is or was followed.
func (w *watching) reports() []syncer.Report {
	w.mu.Lock()
	syncs := slices.Clone(w.syncs)
	w.mu.Unlock()
	var all []syncer.Report
	for _, s := range syncs {
		all = append(all, s.Reports()...)
	}
	return all
}

// behind lists the runs of which something waits for the database.
func (w *watching) behind() []alert.Behind {
	reports := w.reports()
	w.mu.Lock()
	defer w.mu.Unlock()
	waited := map[string]time.Time{}
	var list []alert.Behind
	for _, r := range reports {
		if r.Pending == 0 {
			continue
		}
		since, known := w.waited[r.RunID]
		if !known || r.ConfirmedAt.After(since) {
			since = w.a.now()
			if known {
				since = r.ConfirmedAt
			}
		}
		waited[r.RunID] = since
		list = append(list, alert.Behind{RunID: r.RunID, Records: r.Pending, Since: since})
	}
	w.waited = waited
	return list
}

// summary says what the syncs did.
func (w *watching) summary() string {
	w.mu.Lock()
	sum := w.ended
	w.mu.Unlock()
	for _, r := range w.reports() {
		sum.add(r)
	}
	if sum.runs == 0 {
		return "nothing was watched"
	}
	return fmt.Sprintf("%s watched, %s synced, %s waiting, %s dead", of(sum.runs, "run"), of(sum.settled, "record"), count(sum.pending), count(sum.dead))
}
