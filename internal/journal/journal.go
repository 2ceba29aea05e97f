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
	"io/fs"
	"time"
)

// Header describes the run. It is the data of the first line of each segment.
type Header struct {
	Format      int               `json:"format"` // 1
	RunID       string            `json:"run_id"` // UUID
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
	StartedAt   time.Time         `json:"started_at"`
	Continues   string            `json:"continues,omitempty"` // run id of the run that this one resumes
	LogInterval int               `json:"log_interval,omitempty"`
}

// Line is one record of a journal.
type Line struct {
	Seq  uint64 // 1, 2, … without gaps in an undamaged journal
	Time time.Time
	Kind string
	Data []byte // one JSON object; valid until the next call of Next

	// Damage is set for a place where the journal could not be read: Data is nil,
	// Seq is the first sequence number that is affected, Lost how many are.
	Damage error
	Lost   uint64
	Where  string // file:offset
}

// MaxLine is the largest line in bytes, with its envelope and line break.
const MaxLine = 16 << 20

// Errors that callers branch on.
var (
	ErrLocked   = errors.New("another process writes to this journal")
	ErrClosed   = errors.New("journal is closed")
	ErrFailed   = errors.New("journal has failed")      // sticky: nothing more is acknowledged
	ErrTooLarge = errors.New("record is too large")     // the journal is unharmed
	ErrFormat   = errors.New("journal format is newer") // written by a newer program
)

// Options of a writer. The zero value is right for production.
type Options struct {
	FS          FS               // nil: the operating system
	Now         func() time.Time // nil: time.Now
	SegmentSize int64            // seal a segment at this size; 0: 64 MiB
	SyncEvery   time.Duration    // longest time that a step stays without fdatasync; 0: 50 ms
	OnError     func(error)      // called once, when the journal fails in the background
}

// FS is the seam to the file system, for fault injection.
type FS interface {
	fs.StatFS
}

// Writer appends to a run's journal. Its methods may be called concurrently.
type Writer struct{}

// Create makes <dir>/<experiment folder>/<run id>/, locks it and writes the header.
// FolderName says what the experiment's folder is called.
func Create(dir string, h Header, opt Options) (*Writer, error) { return nil, errors.New("being written") }

// FolderName turns an experiment's name into a folder name that every file system
// takes: one to one, readable, reversible, at most 200 bytes.
func FolderName(experiment string) string { return experiment }

// Append writes one record with one write. data is one JSON object without line
// breaks. With durable it returns after fdatasync; otherwise the fdatasync follows
// within SyncEvery. When it returns nil the record survives kill -9. After an error
// other than ErrTooLarge every further call returns ErrFailed wrapping the first one.
func (w *Writer) Append(kind string, data []byte, durable bool) (seq uint64, err error) {
	return 0, errors.New("being written")
}

// Flush makes everything appended so far durable.
func (w *Writer) Flush() error { return nil }

// Close makes everything durable, seals the last segment and unlocks. Calling it
// twice is safe.
func (w *Writer) Close() error { return nil }

// Logged and Durable return the last sequence number written and the last one that
// fdatasync has confirmed.
func (w *Writer) Logged() uint64  { return 0 }
func (w *Writer) Durable() uint64 { return 0 }

// Dir is the run's folder.
func (w *Writer) Dir() string { return "" }

// Appended is signalled (never blocking the writer) after appends, so that a reader
// in the same process need not poll.
func (w *Writer) Appended() <-chan struct{} { return nil }

// Reader reads a run's journal from a position, also while it is written. It never
// writes to the folder and needs no lock.
type Reader struct{}

// Open opens a run's folder for reading.
func Open(runDir string) (*Reader, error) { return nil, errors.New("being written") }

// Header returns the run's header.
func (r *Reader) Header() Header { return Header{} }

// Seek makes the next line the one after seq. It opens the right segment without
// reading those before it.
func (r *Reader) Seek(seq uint64) error { return nil }

// Next returns the next line, damage included. It is io.EOF at the end of what is
// written whole; calling it again later continues from there. An unfinished last
// line is not returned until it is whole.
func (r *Reader) Next() (Line, error) { return Line{}, errors.New("being written") }

// Close closes the files.
func (r *Reader) Close() error { return nil }

// Info is what is known of a run without reading its records.
type Info struct {
	Dir      string
	Header   Header
	Logged   uint64 // last sequence number
	Live     bool   // a process holds the lock
	Sealed   bool   // closed in good order
	Segments int
	Bytes    int64 // on disk
	Torn     int64 // bytes of an unfinished last line
	LastTime time.Time
}

// Stat looks at one run's folder; it reads no more than the last segment's end.
func Stat(runDir string) (Info, error) { return Info{}, errors.New("being written") }

// Find lists the run folders at or below dir, sorted by start time. Folders that
// cannot be read come as errors beside the rest.
func Find(dir string) ([]Info, []error) { return nil, nil }

// Recover repairs a run that no process holds: it trims an unfinished last line,
// moves damaged lines to quarantine, seals what a crash left unsealed, and reports
// each thing that it did. Create on a new run never needs it; readers work without.
func Recover(runDir string) (Report, error) { return Report{}, errors.New("being written") }

// Report says what Recover did.
type Report struct {
	Trimmed     int64 // bytes of an unfinished last line
	Quarantined []Line
	Sealed      []string
}

// Verify checks the chain of segments and every checksum and returns each fault.
func Verify(runDir string) ([]error, error) { return nil, errors.New("being written") }
