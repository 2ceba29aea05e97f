package syncer

import (
	"errors"
	"log/slog"
	"time"
)

// Config says how to sync. The zero value is right for a command that drains a
// folder once.
type Config struct {
	// Follow keeps going until the context ends: new records and new runs are
	// sent as they appear. Without it a source is read to its end once.
	Follow bool
	// Restore makes experiments again that were deleted from the database after
	// they had been synced. Without it such a run ends with
	// store.ErrExperimentDeleted.
	Restore bool

	// MaxRows is the largest batch in records. Defaults to 10,000.
	MaxRows int
	// MaxBytes is the largest batch in bytes of memory: the journal's bytes and
	// about half a kilobyte per record. Runs that are synced at the same time
	// share twice this amount. Defaults to 16 MiB. One record may be larger.
	MaxBytes int
	// MaxDelay is the longest time that a record waits for others before its
	// batch is sent, with Follow. Defaults to 100 ms. Episodes, checkpoints,
	// validations, baselines and the end of a run do not wait.
	MaxDelay time.Duration
	// Poll is how often a source that cannot tell is looked at, with Follow.
	// Defaults to 50 ms.
	Poll time.Duration
	// Rescan is how often a folder is searched for new runs, with Follow; less
	// often when a search takes long. Defaults to 2 s.
	Rescan time.Duration
	// Parallel is how many runs with a backlog are synced at the same time.
	// Runs that are being written are followed in addition. Defaults to 4.
	Parallel int

	// MinBackoff and MaxBackoff bound the pause after a failure that may pass.
	// It doubles from one to the other, give or take a half. Default to 200 ms
	// and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxWait is how long a failure that may pass is waited out without Follow,
	// from the last time that the database took something. Defaults to 2
	// minutes; negative: not at all. With Follow there is no limit.
	MaxWait time.Duration
	// Drain is how long, after the context has ended, what is already in the
	// journal is still sent (with Follow) or the batch in flight is waited for
	// (without). Defaults to 10 s; negative: not at all.
	Drain time.Duration
	// MaxRefused is how many records of one kind in a row the database may
	// refuse before the run is held instead of filling the dead letters: a
	// broken trigger refuses everything, and that is not the records' fault.
	// Defaults to 100; negative: no limit.
	MaxRefused int

	// Name says in messages which database it is, without secrets. Defaults to
	// the destination's own Name, where it has one.
	Name string
	// Logger gets what a person should know: outages, refused records, stopped
	// runs. Each reason is said once until it changes. Defaults to none.
	Logger *slog.Logger
	// OnReport is called with a run's counts when they change, at most every
	// ReportEvery per run, and always when a run has ended or an error comes or
	// goes. Calls do not overlap. It must return quickly.
	OnReport func(Report)
	// ReportEvery defaults to 500 ms.
	ReportEvery time.Duration
	// Now is the clock for what is written down; pauses use package time.
	// Defaults to time.Now.
	Now func() time.Time
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	orDefault(&c.MaxRows, 10_000)
	orDefault(&c.MaxBytes, 16<<20)
	orDefault(&c.MaxDelay, 100*time.Millisecond)
	orDefault(&c.Poll, 50*time.Millisecond)
	orDefault(&c.Rescan, 2*time.Second)
	orDefault(&c.Parallel, 4)
	orDefault(&c.MinBackoff, 200*time.Millisecond)
	orDefault(&c.MaxBackoff, 30*time.Second)
	orDefault(&c.MaxWait, 2*time.Minute)
	orDefault(&c.Drain, 10*time.Second)
	orDefault(&c.MaxRefused, 100)
	orDefault(&c.ReportEvery, 500*time.Millisecond)
	if c.Name == "" {
		c.Name = "the database"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// validate refuses what cannot work.
func (c Config) validate() error {
	switch {
	case c.MaxRows < 0:
		return errors.New("syncer: MaxRows must not be negative")
	case c.MaxBytes < 0:
		return errors.New("syncer: MaxBytes must not be negative")
	case c.Parallel < 0:
		return errors.New("syncer: Parallel must not be negative")
	case c.MaxDelay < 0 || c.Poll < 0 || c.Rescan < 0 || c.ReportEvery < 0:
		return errors.New("syncer: MaxDelay, Poll, Rescan and ReportEvery must not be negative")
	case c.MinBackoff < 0 || c.MaxBackoff < c.MinBackoff && c.MaxBackoff != 0:
		return errors.New("syncer: MaxBackoff must not be less than MinBackoff")
	}
	return nil
}
