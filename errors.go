package greenwave

import (
	"errors"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

// Errors that a trainer may want to tell apart with errors.Is. A record that breaks
// a rule is a *[FieldError]: nothing was written, and later records are not affected.
var (
	// ErrFinished is returned by a Log call after the run has ended.
	ErrFinished = errors.New("greenwave: the run has ended")
	// ErrNotRecorded is returned by a call whose record is not in the journal,
	// because the disk refused it: full, broken, or gone. The training can go
	// on. Recording resumes by itself, in a new run folder, when the disk takes
	// writes again; until then calls return this error, and Report.NotRecorded
	// counts them.
	ErrNotRecorded = errors.New("greenwave: not recorded")
	// ErrTooLarge is returned for a record of more than 16 MiB. It was not
	// recorded; later records are not affected.
	ErrTooLarge = journal.ErrTooLarge
	// ErrRunning is returned by Resume while another process still records the
	// experiment in the same folder.
	ErrRunning = errors.New("greenwave: the experiment is being recorded by another process")
)
