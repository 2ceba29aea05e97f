package greenwave

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/destination"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// inProcess sends with a database that is linked in.
type inProcess struct {
	ctx    context.Context
	db     settings.Database
	open   destination.Opener
	log    *slog.Logger
	notice func()

	mu       sync.Mutex
	store    store.Destination // opened by the first that needs it
	prepared bool              // it has its tables
	users    int               // the last one closes it
}

func newInProcess(ctx context.Context, db settings.Database, open destination.Opener, log *slog.Logger, notice func()) *inProcess {
	return &inProcess{ctx: ctx, db: db, open: open, log: log, notice: notice}
}

// inProcessSender sends one part.
type inProcessSender struct {
	*inProcess
	runDir string
	ended  chan struct{}

	mu   sync.Mutex
	last sent
}

func (p *inProcess) start(runDir string) sender {
	s := &inProcessSender{inProcess: p, runDir: runDir, ended: make(chan struct{})}
	p.mu.Lock()
	p.users++
	p.mu.Unlock()
	go s.run()
	return s
}

func (s *inProcessSender) done() <-chan struct{} { return s.ended }

func (s *inProcessSender) sent() sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *inProcessSender) note(change func(*sent)) {
	s.mu.Lock()
	before := s.last.err
	change(&s.last)
	turned := (before == nil) != (s.last.err == nil)
	s.mu.Unlock()
	if turned {
		s.notice()
	}
}

// run sends the part until it is over and settled or the context ends.
func (s *inProcessSender) run() {
	defer close(s.ended)
	defer s.release()
	st, err := s.prepare(s.ctx, func(err error) { s.note(func(l *sent) { l.err = err }) })
	if err == nil {
		s.note(func(l *sent) { l.err = nil })
		err = s.send(st)
	}
	if err != nil && s.ctx.Err() == nil {
		s.note(func(l *sent) { l.err = err })
	}
}

func (s *inProcessSender) send(st store.Destination) error {
	src, err := syncer.Journal(s.runDir)
	if err != nil {
		return fmt.Errorf("read the journal to send it: %w", err)
	}
	carrier, err := syncer.New(st, syncer.Config{
		Follow: true,
		Drain:  -1, // Finish has waited already
		Name:   s.db.Name,
		Logger: s.log,
		OnReport: func(r syncer.Report) {
			s.note(func(l *sent) { l.synced, l.dead, l.err = r.Synced, r.Dead, reported(r) })
		},
	})
	if err == nil {
		_, err = carrier.Run(s.ctx, src)
	}
	return errors.Join(err, src.Close())
}

// reported is the error of a report.
func reported(r syncer.Report) error {
	if r.LastError == "" {
		return nil
	}
	return errors.New(r.LastError)
}

// prepare opens the database and lays out its tables where they are missing or
// older. It tries until the context ends: databases are set up late, too.
func (p *inProcess) prepare(ctx context.Context, failed func(error)) (store.Destination, error) {
	const first, longest = 200 * time.Millisecond, 30 * time.Second
	said := ""
	for pause := first; ; pause = min(2*pause, longest) {
		st, err := p.tryPrepare(ctx)
		if err == nil {
			return st, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err = fmt.Errorf("%w; recording goes on, and it is tried again", err)
		failed(err)
		if err.Error() != said {
			said = err.Error()
			p.log.Warn("the destination cannot be used now", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func (p *inProcess) tryPrepare(ctx context.Context) (store.Destination, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store == nil {
		st, err := p.open(ctx, p.db.URL)
		if err != nil {
			return nil, err
		}
		p.store = st
	}
	if p.prepared {
		return p.store, nil
	}
	if tables, ok := p.store.(store.Migrator); ok {
		if err := p.layOut(ctx, tables); err != nil {
			return nil, err
		}
	}
	p.prepared = true
	return p.store, nil
}

// layOut brings the tables up to date. It asks first: who may write rows may not always
// make tables.
func (p *inProcess) layOut(ctx context.Context, tables store.Migrator) error {
	current, newest, err := tables.Version(ctx)
	switch {
	case err != nil:
		return err
	case current > newest:
		return fmt.Errorf("the tables of %s have version %d, this program knows only %d: build the trainer with a newer greenwave", p.db.Name, current, newest)
	case current < newest:
		_, err = tables.Migrate(ctx, -1)
	}
	return err
}

// release closes the database when nobody uses it any more.
func (p *inProcess) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	if p.users == 0 && p.store != nil {
		p.store.Close()
		p.store, p.prepared = nil, false
	}
}
