// Package store is what a database must offer to keep Greenwave's records. The
// packages postgres and sqlite implement it; storetest is the suite that both pass.
//
// A destination takes the records of a run in batches. A batch, the statistics
// that follow from it and the run's new cursor are committed in one transaction,
// so a record is in the database once, whatever crashes, is repeated or is lost on
// the way.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// Run describes one process that wrote to an experiment, or one imported file.
type Run struct {
	ID         string          // UUID
	Experiment string          // name of the experiment
	Source     string          // "journal" or "import"
	Host       string          //
	PID        int             // 0 when unknown
	StartedAt  time.Time       //
	Header     json.RawMessage // the whole header: versions, commit, …
	Config     json.RawMessage // hyperparameters, an object; becomes the experiment's config
	// Description and Metadata (an object) become the experiment's when it is new.
	Description string
	Metadata    json.RawMessage
}

// State is what a database knows about a run.
type State struct {
	RunID         string
	Experiment    string    // name
	ExperimentID  string    // UUID; empty when the experiment was deleted
	Cursor        uint64    // every record up to this sequence number is settled
	Dead          uint64    // of these, in dead letters
	Superseded    uint64    // of these, lost to a record that was logged later
	Status        string    // running, completed, failed, interrupted, paused
	LastHeartbeat time.Time // last sign of life; zero when none
	LastRecord    time.Time // last record that shows progress: neither heartbeat nor resources
	UpdatedAt     time.Time // when the cursor was last moved
}

// Entry is a parsed record with its place in the run.
type Entry struct {
	Seq  uint64
	Time time.Time // when it was logged; strictly increasing within a run
	Row  record.Row
}

// DeadLetter is a record that the database does not hold, with the reason. The
// record itself stays in the journal, where Seq finds it.
type DeadLetter struct {
	RunID  string
	Seq    uint64
	Kind   record.Kind // "" when the line could not be read
	Reason string      // names field, value and rule, or what the database said
	Where  string      // file and line or offset
	Time   time.Time   // when it was refused
}

// Batch is a contiguous stretch of a run: the records with sequence numbers in
// (From, To], each either an entry or a dead letter.
type Batch struct {
	RunID        string
	ExperimentID string
	From, To     uint64
	Entries      []Entry // ascending by Seq
	Dead         []DeadLetter
}

// Result counts what a batch did.
type Result struct {
	Stored     int // entries that are in the database now
	Superseded int // rows and entries that lost to one that was logged later
	Repeated   int // entries that were there already
	Dead       int
}

// Add adds o to r.
func (r *Result) Add(o Result) {
	r.Stored += o.Stored
	r.Superseded += o.Superseded
	r.Repeated += o.Repeated
	r.Dead += o.Dead
}

// Errors that callers branch on. Every error of a destination wraps one of them
// or is unexpected, which is treated like ErrRefused for a batch of one entry and
// like ErrTemporary otherwise.
var (
	// ErrTemporary may pass by itself: connection, serialization, deadlock,
	// shutdown, a full disk or a read-only server, a lock, a time-out.
	ErrTemporary = errors.New("temporary failure")
	// ErrAuth is a wrong password, a missing right, an unknown database or host.
	// It is waited out, because keys are rotated and servers are set up late.
	ErrAuth = errors.New("access refused")
	// ErrRefused is about the data: a value that the database cannot hold.
	ErrRefused = errors.New("record refused")
	// ErrSchema is a database of another schema version: see Migrate.
	ErrSchema = errors.New("schema version")
	// ErrCursorMoved means that somebody else settled records of this run
	// meanwhile. Read the state again and go on from its cursor.
	ErrCursorMoved = errors.New("cursor moved")
	// ErrExperimentDeleted means that the run had been synced and its experiment
	// was deleted from the database since.
	ErrExperimentDeleted = errors.New("experiment was deleted from the database")
	// ErrNotFound is an experiment or run that the database does not know.
	ErrNotFound = errors.New("not found")
	// ErrConflict is a change that somebody else's came before. Read again.
	ErrConflict = errors.New("changed meanwhile")
)

// Destination is the writing side.
type Destination interface {
	// Register makes sure that the experiment and the run exist and returns the
	// run's state. An experiment that is new takes the run's description, config
	// and metadata. A run that starts sets the experiment to running, unless a
	// later run of it exists. With restore, an experiment that was deleted is
	// made again and the cursors of its runs start at 0; otherwise that is
	// ErrExperimentDeleted.
	Register(ctx context.Context, run Run, restore bool) (State, error)
	// Apply commits a batch: rows, statistics, dead letters and the cursor in
	// one transaction. It is ErrCursorMoved when the run's cursor is not b.From.
	// Nothing is committed when it fails.
	Apply(ctx context.Context, b Batch) (Result, error)
	// Replay commits entries that were dead letters: the rows are written and
	// the dead letters removed in one transaction. Those that are refused again
	// stay, with the new reason. The cursor does not move.
	Replay(ctx context.Context, b Batch) (Result, error)
	// MarkInterrupted says that the run has no process any more and did not end
	// in good order. It changes nothing when an end has been recorded or when
	// a heartbeat after the given time is known.
	MarkInterrupted(ctx context.Context, runID string, since time.Time) error
	// Close releases the connections.
	Close()
}

// Experiment is a row of experiments with what its runs say.
type Experiment struct {
	ID, Name, Description string
	Status                string // as stored; "running" without a sign of life for StaleAfter is shown as interrupted
	CreatedAt             time.Time
	CompletedAt           time.Time // zero when not
	ArchivedAt            time.Time // when its episodes and steps left for an archive; zero while they are here
	TotalEpisodes         int64
	BestReward            *float64
	LatestReward          *float64
	ConvergenceEpisode    *int64
	CreatedBy             string // UUID or empty
	Config, Metadata      json.RawMessage
	Steps                 int64 // -1 when it was not counted
	LastRecord            time.Time
	Runs                  []State // only from Experiment
}

// StaleAfter is how long a run may be silent before readers show it as
// interrupted. Runs write a heartbeat every 10 s.
const StaleAfter = 2 * time.Minute

// Stored is a row as the database holds it, with where it came from.
type Stored struct {
	ID    string // UUID of a row whose kind has no key of its own; only from Rows
	RunID string
	Seq   uint64
	Time  time.Time // when it was logged
	Row   record.Row
}

// Key identifies a row of an experiment: the record's own key, or run and
// sequence number for kinds without one.
type Key struct {
	Episode, Step int64
	RunID         string
	Seq           uint64
}

// Reader is the reading side.
type Reader interface {
	// Experiments lists all experiments, newest first.
	Experiments(ctx context.Context) ([]Experiment, error)
	// Experiment returns one by name, with its runs; ErrNotFound.
	Experiment(ctx context.Context, name string) (Experiment, error)
	// States returns what is known about the given runs; unknown ones are left out.
	States(ctx context.Context, runIDs []string) (map[string]State, error)
	// DeadLetters lists the dead letters of the given runs by run and sequence
	// number; of all runs when none are given.
	DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[DeadLetter, error]
	// Rows streams an experiment's rows of one kind by key (by time for kinds
	// without a key) with flat memory. The yielded row is valid until the next.
	Rows(ctx context.Context, experimentID string, kind record.Kind) iter.Seq2[*Stored, error]
	// Page streams a stretch of an experiment's rows of a kind that has a key (see
	// [Range]). The yielded row is valid until the next.
	Page(ctx context.Context, experimentID string, kind record.Kind, r Range) iter.Seq2[*Stored, error]
	// Lookup returns the rows with the given keys; missing ones are left out.
	Lookup(ctx context.Context, experimentID string, kind record.Kind, keys []Key) (map[Key]Stored, error)
	// CountRows counts an experiment's rows of one kind that come from a run.
	CountRows(ctx context.Context, experimentID, runID string, kind record.Kind) (int64, error)
	// Query runs one statement that reads, in a read-only transaction.
	Query(ctx context.Context, sql string) (*Table, error)
}

// Range is a stretch of the rows of an experiment in the order of their keys. The
// zero value is all of them.
type Range struct {
	After, Until *Key     // rows behind After, up to and with Until; nil: no bound
	Newest       bool     // from the last to the first
	Limit        int      // at most so many rows; 0: all
	Columns      []string // fields to read, the others are null; "extra" is one of them; nil: all
}

// Has reports whether a column is asked for.
func (r Range) Has(column string) bool {
	return r.Columns == nil || slices.Contains(r.Columns, column)
}

// Table is a query's answer, read row by row.
type Table struct {
	Columns []string
	// Rows yields the values of each row as Go values: nil, bool, int64, float64,
	// string, []byte, time.Time or json.RawMessage. The slice is reused.
	Rows iter.Seq2[[]any, error]
}

// Migrator lays out the tables.
type Migrator interface {
	// Migrate brings the schema to the version; -1 is the newest that this
	// program knows. Any number of processes may call it at once. It returns
	// the versions that it applied, in order.
	Migrate(ctx context.Context, version int64) ([]int64, error)
	// Down undoes the newest applied migration and returns its version, 0 when
	// there is none.
	Down(ctx context.Context) (int64, error)
	// Version returns the schema's version (0: none) and the newest known.
	Version(ctx context.Context) (current, newest int64, err error)
}

// Watcher tells readers that there is something new.
type Watcher interface {
	// Watch calls changed with the ids of experiments whose rows may have changed,
	// whoever wrote them, until ctx ends; with nil when it cannot say which. The
	// first call is such a one: from then on nothing is missed. So is the first
	// after it was cut off from the database. It returns when ctx ends, or with an error that will not pass.
	Watch(ctx context.Context, changed func(experimentIDs []string)) error
	// Size is how many bytes the database takes.
	Size(ctx context.Context) (int64, error)
}

// Store is a whole database.
type Store interface {
	Destination
	Reader
	Migrator
	Alerter
	Modeler
	Measurer
	Archiver
	Watcher
	Snapshotter
	// Name says which database it is, without secrets, for messages:
	// "postgres://host:5432/db" or "sqlite:path".
	Name() string
}
