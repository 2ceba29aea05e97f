package artifact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// FolderName is the folder in a run's folder that holds the copies of its models.
const FolderName = "models"

// Stored says that a store has a model of an experiment.
type Stored struct {
	Experiment string // its name
	Object
	Location string // name of the store
}

// Uploader carries the models of runs to a store.
type Uploader struct {
	Store Store
	// Known reports whether it has been noted that the store has a model. It spares
	// asking the store. Nil: nothing is known.
	Known func(ctx context.Context, s Stored) (bool, error)
	// Note is called when the store has confirmed a model, the first time that this
	// uploader comes across it.
	Note func(ctx context.Context, s Stored) error
	// Logger gets what a person should know. Each reason is said once until it changes.
	Logger *slog.Logger
	// MaxWait is how long a failure that may pass is waited out; 0: for ever.
	MaxWait time.Duration

	done map[string]bool // experiment and hash
	told string
}

// Result counts what an uploader did.
type Result struct {
	Uploaded int   // models that were sent or found in the store
	Known    int   // of which that was known before
	Bytes    int64 // of the uploaded ones
	Failed   []error
}

// Add adds o to r.
func (r *Result) Add(o Result) {
	r.Uploaded += o.Uploaded
	r.Known += o.Known
	r.Bytes += o.Bytes
	r.Failed = append(r.Failed, o.Failed...)
}

// Run carries the models of one run. A model that cannot be read, or that is no longer
// what its name says, does not stop the others; it is in Failed.
func (u *Uploader) Run(ctx context.Context, runDir, experiment string) (res Result, err error) {
	dir := filepath.Join(runDir, FolderName)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return res, nil // no model was saved
	}
	from, err := OpenFolder(dir)
	if err != nil {
		return res, err
	}
	defer from.Close()
	for o, err := range from.All(ctx) {
		if err != nil {
			return res, err
		}
		key := experiment + "\x00" + o.Hash
		if u.done[key] {
			continue
		}
		s := Stored{Experiment: experiment, Object: o, Location: u.Store.Name()}
		known, err := u.persist(ctx, from, s)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return res, err
		case errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound):
			res.Failed = append(res.Failed, fmt.Errorf("%s: %w", from.Path(o.Hash), err))
			continue
		default:
			return res, err
		}
		if u.done == nil {
			u.done = map[string]bool{}
		}
		u.done[key] = true
		if known {
			res.Known++
		} else {
			res.Uploaded++
			res.Bytes += o.Size
		}
	}
	return res, nil
}

// persist sends a model until the store and the ledger have it.
func (u *Uploader) persist(ctx context.Context, from *Folder, s Stored) (known bool, err error) {
	err = Persist(ctx, u.MaxWait, func() (err error) {
		known, err = u.send(ctx, from, s)
		return err
	}, func(err error, wait time.Duration) {
		if text := err.Error(); text != u.told && u.Logger != nil {
			u.told = text
			u.Logger.Warn("a model waits for its store", "model", s.Hash, "size", s.Size, "error", text, "again_in", wait.Round(100*time.Millisecond))
		}
	})
	return known, err
}

// Persist does something with a store again until it succeeds, at longer and longer
// intervals, for at most maxWait (0: for ever). What would fail again, ErrChanged and
// ErrNotFound, it does not try again. tell is told of each failure.
func Persist(ctx context.Context, maxWait time.Duration, do func() error, tell func(err error, wait time.Duration)) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: 500 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 30 * time.Second}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do()
		if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(maxWait), backoff.WithNotify(func(err error, wait time.Duration) {
		if ctx.Err() == nil {
			tell(err, wait)
		}
	}))
	return err
}

func (u *Uploader) send(ctx context.Context, from *Folder, s Stored) (known bool, err error) {
	if u.Known != nil {
		if known, err = u.Known(ctx, s); known || err != nil {
			return known, err
		}
	}
	in, err := from.open(s.Hash)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if err := u.Store.Put(ctx, s.Object, in); err != nil {
		return false, err
	}
	if u.Note == nil {
		return false, nil
	}
	return false, u.Note(ctx, s)
}
