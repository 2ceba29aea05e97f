package greenwave

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/settings"
)

// link is the way from the run's journal to its destination. There is one sender
// for each part of the run. Nothing of it is ever waited for, except by close.
type link struct {
	sync Sync
	name string // of the destination, without secrets
	log  *slog.Logger

	cancel context.CancelFunc         // ends what the senders do in this process
	start  func(runDir string) sender // nil when there is nobody to send

	mu      sync.Mutex
	err     error // why nobody sends
	senders []sender
}

// sender carries one part of a run to the destination. It ends by itself when the
// part is over and settled, or when the link's context ends.
type sender interface {
	sent() sent            // what the destination has confirmed so far
	done() <-chan struct{} // closed when it has ended
}

// sent is what a destination has confirmed, and what is wrong with it.
type sent struct {
	synced, dead uint64
	err          error
}

// newLink decides who sends. It contacts nobody. What is wrong with the destination
// is reported, not returned: recording does not depend on it.
func newLink(ctx context.Context, cfg settled, log *slog.Logger, notice func()) *link {
	ctx, cancel := context.WithCancel(ctx)
	l := &link{sync: SyncNone, log: log, cancel: cancel}
	if cfg.Destination == "" && !cfg.DestinationFromEnv {
		return l
	}
	db, err := resolve(cfg)
	switch {
	case err != nil:
		l.fail(fmt.Errorf("the destination cannot be used: %w; the run is recorded offline", err), cfg)
		return l
	case db.URL == "":
		return l
	}
	l.name = db.Name
	if cfg.Mode != RealTime {
		return l
	}
	if open, ok := destination.Find(db.URL); ok {
		l.sync = SyncInProcess
		l.start = newInProcess(ctx, db, open, log, notice).start
		return l
	}
	path, err := findProgram(cfg.Program)
	if err != nil {
		l.fail(fmt.Errorf("nobody sends to %s: %s, and %w; the run is recorded offline", db.Name, destination.Missing(db.URL), err), cfg)
		return l
	}
	l.sync = SyncProgram
	l.start = program{path: path, url: db.URL, name: db.Name, ctx: ctx, log: log, notice: notice}.start
	return l
}

// resolve reads the destination from the configuration or, when it says so, from the
// environment. The URL is empty when neither names one.
func resolve(cfg settled) (settings.Database, error) {
	in := settings.Input{DB: cfg.Destination, Lookup: os.LookupEnv}
	db, err := settings.Load(in)
	if err != nil {
		// The user of a library has no flag to mend.
		if msg, ok := strings.CutPrefix(err.Error(), "--db: "); ok {
			err = errors.New("Config.Destination: " + msg)
		}
		return db, err
	}
	for _, p := range db.Parts {
		if p.Name == "database" && p.Origin == "default" && db.URL == settings.DefaultURL {
			return settings.Database{}, nil // nobody has named one
		}
	}
	return db, nil
}

// fail notes why nobody sends.
func (l *link) fail(err error, cfg settled) {
	l.err = fmt.Errorf("%w; run greenwave sync %s --db URL later", err, cfg.Dir)
	l.log.Warn("the run is recorded offline", "error", l.err)
}

// add sends a part of the run from now on.
func (l *link) add(runDir string) {
	if l.start == nil {
		return
	}
	s := l.start(runDir)
	l.mu.Lock()
	l.senders = append(l.senders, s)
	l.mu.Unlock()
}

// report adds up the senders. The error is that of the latest that has one.
func (l *link) report() sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := sent{err: l.err}
	for _, s := range l.senders {
		one := s.sent()
		sum.synced += one.synced
		sum.dead += one.dead
		if one.err != nil {
			sum.err = one.err
		}
	}
	return sum
}

// close waits until everything is confirmed, for at most the timeout, and ends what
// runs in this process.
func (l *link) close(timeout time.Duration) {
	l.mu.Lock()
	senders := l.senders
	l.mu.Unlock()
	if timeout > 0 {
		expired := time.NewTimer(timeout)
		defer expired.Stop()
	wait:
		for _, s := range senders {
			select {
			case <-s.done():
			case <-expired.C:
				break wait
			}
		}
	}
	l.cancel()
	for _, s := range senders {
		<-s.done()
	}
}
