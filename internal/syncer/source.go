// Package syncer carries records from journals and imported files to a database:
// read, batch, commit with the cursor, report. It also answers what is there and
// what is missing (status, verify) and tries dead letters again.
package syncer

import (
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Source is an ordered log of records that can be read from a position: the
// journal of a run, or a file of an older logger.
type Source interface {
	// Run describes where the records come from.
	Run() store.Run
	// Seek makes the next item the one after seq.
	Seek(seq uint64) error
	// Next returns the next item; io.EOF when there is nothing more for now.
	// Calling it again later continues. The item is valid until the next call.
	Next() (Item, error)
	// Logged returns the last sequence number that is there now.
	Logged() (uint64, error)
	// Live reports whether somebody still writes to it.
	Live() bool
	// Changed is signalled when there is something new, where the source can
	// tell; nil means that the reader has to poll.
	Changed() <-chan struct{}
	Close() error
}

// Item is one record of a source.
type Item struct {
	Seq  uint64
	Time time.Time // when it was logged
	// Guessed says that Time is not the record's own but from when its file was
	// last written: it may be another when the record is read again, so verify
	// does not compare what was filled in from it.
	Guessed bool
	Kind    record.Kind //
	Data    []byte      // JSON object for record.Parse; nil when Err is set
	Where   string      // file and line or offset, for reports
	Line    int         // line of the journal's segment; 0 where Where has a line itself
	// Err is why the record cannot be read. Lost is how many sequence numbers,
	// from Seq on, it affects (at least 1). It goes to dead letters.
	Err  error
	Lost uint64
}
