package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/s3"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// modelsFlag is where models are kept, for the commands that carry or read them.
type modelsFlag struct {
	Models string `placeholder:"URL" help:"Store of models: a folder, or a bucket s3://BUCKET/PREFIX as docs/checkpoints.md has it. Default: GREENWAVE_MODELS, else none."`
}

// open opens the store; nil when none is configured.
func (f *modelsFlag) open(a *app) (artifact.Store, error) {
	s, err := a.openShelf(f.Models, "GREENWAVE_MODELS", "models", "docs/checkpoints.md")
	if s == nil || err != nil {
		return nil, err
	}
	return s, nil
}

// openShelf opens a store of files that a flag names, or else a variable of the
// environment; nil when neither does.
func (a *app) openShelf(where, variable, what, docs string) (artifact.Shelf, error) {
	if where == "" {
		where = a.getenv(variable)
	}
	switch {
	case where == "":
		return nil, nil
	case strings.HasPrefix(where, "s3://"):
		bucket, err := s3.Open(where, a.env)
		if err != nil {
			return nil, &usageError{err, "see " + docs}
		}
		return bucket, nil
	case strings.Contains(where, "://") && !strings.HasPrefix(where, "file://"):
		return nil, &usageError{fmt.Errorf("the store of %s must be a folder or s3://BUCKET/PREFIX", what), "see " + docs}
	}
	dir, err := filepath.Abs(strings.TrimPrefix(where, "file://"))
	if err != nil {
		return nil, err
	}
	return artifact.OpenFolder(dir)
}

// modelCarrier carries the models below a folder of runs to the store of models.
type modelCarrier struct {
	a      *app
	models artifact.Store
	ledger store.Modeler // nil when records go to a server, which keeps none
	ids    func(ctx context.Context, experiment string) (string, error)

	mu    sync.Mutex
	known map[string]map[string]bool // experiment id → hashes that the store is known to have
}

// carrier makes one; nil when no store of models is configured.
func (f *modelsFlag) carrier(a *app, dest any) (*modelCarrier, error) {
	models, err := f.open(a)
	if models == nil || err != nil {
		return nil, err
	}
	c := &modelCarrier{a: a, models: models, known: map[string]map[string]bool{}}
	if s, ok := dest.(store.Store); ok {
		c.ledger = s
		c.ids = func(ctx context.Context, name string) (string, error) {
			e, err := s.Experiment(ctx, name)
			return e.ID, err
		}
	}
	return c, nil
}

// once carries what is there now.
func (c *modelCarrier) once(ctx context.Context, u *artifact.Uploader, dir string) (res artifact.Result, err error) {
	infos, _ := journal.Find(dir) // what cannot be read is told by the sync
	for _, info := range infos {
		one, err := u.Run(ctx, info.Dir, info.Header.Experiment)
		res.Add(one)
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

func (c *modelCarrier) uploader(maxWait time.Duration) *artifact.Uploader {
	u := &artifact.Uploader{Store: c.models, Logger: c.a.logger(), MaxWait: maxWait}
	if c.ledger != nil {
		u.Known, u.Note = c.isKnown, c.note
	}
	return u
}

func (c *modelCarrier) isKnown(ctx context.Context, s artifact.Stored) (bool, error) {
	id, err := c.ids(ctx, s.Experiment)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[id] == nil {
		files, err := c.ledger.ModelFiles(ctx, id)
		if err != nil {
			return false, err
		}
		c.known[id] = map[string]bool{}
		for _, f := range files {
			if f.Location == c.models.Name() {
				c.known[id][f.Hash] = true
			}
		}
	}
	return c.known[id][s.Hash], nil
}

func (c *modelCarrier) note(ctx context.Context, s artifact.Stored) error {
	id, err := c.ids(ctx, s.Experiment)
	if err != nil {
		return err
	}
	return c.ledger.PutModelFile(ctx, store.ModelFile{ExperimentID: id, Hash: s.Hash, Location: s.Location, Size: s.Size, StoredAt: c.a.now()})
}

// follow carries models as they appear, until ctx ends.
func (c *modelCarrier) follow(ctx context.Context, dir string) {
	u := c.uploader(0)
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	told := map[string]bool{}
	for {
		res, err := c.once(ctx, u, dir)
		if ctx.Err() != nil {
			return
		}
		for _, e := range append(res.Failed, err) {
			if e != nil && !told[e.Error()] {
				told[e.Error()] = true
				c.a.warnf("%s", oneLine(describe(e)))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// finish carries what is left and says so.
func (c *modelCarrier) finish(ctx context.Context, dir string) error {
	res, err := c.once(ctx, c.uploader(2*time.Minute), dir)
	for _, e := range res.Failed {
		c.a.warnf("%s", oneLine(describe(e)))
	}
	if n := res.Uploaded + res.Known + len(res.Failed); n > 0 && !c.a.cli.JSON {
		c.a.printf("%s: %d sent to %s, %d there before, %d not readable\n", of(n, "model"), res.Uploaded, c.models.Name(), res.Known, len(res.Failed))
	}
	switch {
	case err != nil:
		return fmt.Errorf("models: %w", err)
	case len(res.Failed) > 0:
		return errRefused
	}
	return nil
}

// who says who runs this program, as user@host.
func who(a *app) string {
	user := a.getenv("USER")
	if user == "" {
		user = fmt.Sprint("uid ", os.Getuid())
	}
	host, err := os.Hostname()
	if err != nil {
		return user
	}
	return user + "@" + host
}
