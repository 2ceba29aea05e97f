package syncer

import (
	"context"
	"errors"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Syncer carries records to one destination. Its methods may be called
// concurrently; two that carry the same run do not harm each other, in one process
// or in several.
type Syncer struct {
	dest store.Destination
	cfg  Config
}

// New prepares a syncer. It does not touch the database.
func New(dest store.Destination, cfg Config) (*Syncer, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if named, ok := dest.(interface{ Name() string }); ok && cfg.Name == "" {
		cfg.Name = named.Name()
	}
	return &Syncer{dest: dest, cfg: cfg.withDefaults()}, nil
}

// Run syncs one source: to its end, or with Follow until it is over (nobody writes
// to it any more and everything is settled) or ctx ends and what was there is
// drained. The source stays open.
//
// The report is valid with an error too; Pending says what is left. The error is
// nil when everything that was in the source when it ended is settled.
func (s *Syncer) Run(ctx context.Context, src Source) (Report, error) {
	return Report{}, errors.New("being written")
}

// Sources syncs several sources, some at the same time. A source that fails does
// not stop the others: it is listed in the summary's Failed. The error is what
// stopped the sync as a whole.
func (s *Syncer) Sources(ctx context.Context, sources []Source) (Summary, error) {
	return Summary{}, errors.New("being written")
}

// Folder syncs the journals of all runs at or below dir. With Follow it picks up
// new runs and goes on until ctx ends. A run that fails does not stop the others.
func (s *Syncer) Folder(ctx context.Context, dir string) (Summary, error) {
	return Summary{}, errors.New("being written")
}

// Reports returns where each run stands that this syncer has seen, by start time.
func (s *Syncer) Reports() []Report { return nil }
