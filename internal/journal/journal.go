// Package journal keeps the records of a run in append-only files: one folder per
// run, numbered segments of JSON lines, each line with a sequence number and a
// checksum, sealed segments compressed and chained. docs/journal-format.md is the
// specification.
//
// The package knows nothing of what the records mean.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Format is the version of the journal format that this package writes and the
// newest that it reads.
const Format = 1

// Header describes the run. It is the data of the first line of each segment,
// which adds the segment's number, first sequence number and chain.
type Header struct {
	Format      int               `json:"format"` // 1; Create sets it
	RunID       string            `json:"run_id"` // UUID in lower case
	Experiment  string            `json:"experiment"`
	Description string            `json:"description,omitempty"`
	Config      json.RawMessage   `json:"config,omitempty"`   // object
	Metadata    json.RawMessage   `json:"metadata,omitempty"` // object
	Host        string            `json:"host,omitempty"`
	OS          string            `json:"os,omitempty"`
	PID         int               `json:"pid,omitempty"`
	Program     string            `json:"program,omitempty"`  // name of the executable, no arguments
	Versions    map[string]string `json:"versions,omitempty"` // greenwave, go, …
	GitCommit   string            `json:"git_commit,omitempty"`
	GitDirty    bool              `json:"git_dirty,omitempty"`
	StartedAt   time.Time         `json:"started_at"`          // zero: Create takes the clock
	Continues   string            `json:"continues,omitempty"` // run id of the run that this one resumes
	LogInterval int               `json:"log_interval,omitempty"`
}

// Line is one record of a journal.
type Line struct {
	Seq  uint64 // 1, 2, … without gaps in an undamaged journal
	Time time.Time
	Kind string
	Data []byte // one JSON object; valid until the next call of Next

	// Damage is set for a place where the journal could not be read, a *Fault:
	// Data is nil, Seq is the first sequence number that is affected, Lost how
	// many are. Lost is 0 where the unreadable bytes held no record, such as the
	// first or last line of a segment: nothing is missing, but the place is told.
	Damage error
	Lost   uint64
	Where  string // file:offset, the offset in uncompressed bytes
	Number int    // line of its uncompressed segment, from 1; 0 with a damage. Behind a jump over unread frames it is right as long as no line is missing in them
}

// Fault is a place in a journal that is not as it was written.
type Fault struct {
	File    string // path of the segment, or of the run's folder
	Segment int    // number of the segment; 0 when the fault is in none
	Offset  int64  // where in the segment, in uncompressed bytes
	Length  int64  // how many bytes are affected; 0 when that is not known
	Err     error  // what is wrong
}

// Error names the file, the offset and the reason.
func (f *Fault) Error() string { return fmt.Sprintf("%s: %v", f.where(), f.Err) }

// Unwrap returns the reason.
func (f *Fault) Unwrap() error { return f.Err }

func (f *Fault) where() string { return fmt.Sprintf("%s:%d", f.File, f.Offset) }

// MaxLine is the largest line in bytes, with its envelope and line break.
const MaxLine = 16 << 20

// Errors that callers branch on.
var (
	ErrLocked   = errors.New("another process writes to this journal")
	ErrClosed   = errors.New("journal is closed")
	ErrFailed   = errors.New("journal has failed")      // sticky: nothing more is acknowledged
	ErrTooLarge = errors.New("record is too large")     // the journal is unharmed
	ErrInvalid  = errors.New("record is not valid")     // not one JSON object on one line, or a wrong kind; the journal is unharmed
	ErrFormat   = errors.New("journal format is newer") // written by a newer program
	ErrEmpty    = errors.New("journal has no segment")  // the run's folder holds no journal: nothing was acknowledged
)

// Options of a writer. The zero value is right for production.
type Options struct {
	FS          FS               // nil: the operating system
	Now         func() time.Time // nil: time.Now
	NotBefore   time.Time        // every line's time is after this one: the last time of the run that is resumed
	SegmentSize int64            // seal a segment at this size in bytes; 0: 64 MiB
	SyncEvery   time.Duration    // longest time that a step stays without fdatasync; 0: 50 ms

	// OnError is called once, when the journal fails in the background. It must
	// return soon and must not call Close.
	OnError func(error)
}

const (
	defaultSegmentSize = 64 << 20
	defaultSyncEvery   = 50 * time.Millisecond
)
