package syncer

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Journal opens the journal of a run as a source. It writes nothing but, as far as
// the folder permits, what was last confirmed: see LastConfirmed.
func Journal(runDir string) (Source, error) { return JournalWatched(runDir, nil) }

// JournalWatched is Journal for a writer in the same process: changed is its
// Appended channel, so that the journal need not be polled.
func JournalWatched(runDir string, changed <-chan struct{}) (Source, error) {
	r, err := journal.Open(runDir)
	if err != nil {
		return nil, err
	}
	header := r.Header()
	whole, err := json.Marshal(header)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: header: %w", runDir, err)
	}
	return &journalSource{dir: runDir, r: r, changed: changed, run: store.Run{
		ID:          strings.ToLower(header.RunID), // as databases write it
		Experiment:  header.Experiment,
		Source:      sourceJournal,
		Host:        header.Host,
		PID:         header.PID,
		StartedAt:   header.StartedAt,
		Header:      whole,
		Config:      header.Config,
		Description: header.Description,
		Metadata:    header.Metadata,
	}}, nil
}

const sourceJournal = "journal"

type journalSource struct {
	dir     string
	r       *journal.Reader
	run     store.Run
	changed <-chan struct{}
	strays  []error // places that are damaged without affecting a record
}

// maxStrays bounds the strays that are kept.
const maxStrays = 100

func (j *journalSource) Run() store.Run           { return j.run }
func (j *journalSource) Dir() string              { return j.dir }
func (j *journalSource) Seek(seq uint64) error    { return j.r.Seek(seq) }
func (j *journalSource) Changed() <-chan struct{} { return j.changed }
func (j *journalSource) Close() error             { return j.r.Close() }

func (j *journalSource) Next() (Item, error) {
	line, err := j.r.Next()
	for err == nil && line.Damage != nil && line.Lost == 0 {
		// Bytes between the records: nothing is missing for the database.
		if len(j.strays) < maxStrays {
			j.strays = append(j.strays, fmt.Errorf("%s: %w", line.Where, line.Damage))
		}
		line, err = j.r.Next()
	}
	if err != nil {
		return Item{}, err
	}
	return Item{
		Seq: line.Seq, Time: line.Time, Kind: record.Kind(line.Kind), Data: line.Data,
		Where: line.Where, Line: line.Number, Err: line.Damage, Lost: line.Lost,
	}, nil
}

// takeStrays returns the damage that was met since the last call and affects no
// record.
func (j *journalSource) takeStrays() []error {
	strays := j.strays
	j.strays = nil
	return strays
}

func (j *journalSource) Logged() (uint64, error) {
	info, err := journal.Stat(j.dir)
	return info.Logged, err
}

// Live is true when it cannot be known: then the source is looked at again.
func (j *journalSource) Live() bool {
	info, err := journal.Stat(j.dir)
	return err != nil || info.Live
}

// verifyChain checks the journal's own checksums and chain.
func (j *journalSource) verifyChain() ([]error, error) { return journal.Verify(j.dir) }

// dirOf is the folder of a source that has one.
func dirOf(src Source) string {
	if placed, ok := src.(interface{ Dir() string }); ok {
		return placed.Dir()
	}
	return ""
}

// deadWriter reports whether the writer of a journal is known to be gone without
// an end: nobody holds the lock on the machine that it ran on, or it has been
// silent for long.
func deadWriter(run store.Run, host string, lastSign, now time.Time) bool {
	return run.Host == host || now.Sub(lastSign) > store.StaleAfter
}
