package store

import "context"

// Snapshotter gives readers all of whose answers are of one moment, whatever is written
// meanwhile.
type Snapshotter interface {
	// Snapshot returns such a reader. It reads on one connection, so one answer is read
	// to its end before the next is asked for. While it is open the database keeps what
	// was deleted or replaced meanwhile: close it soon.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Snapshot is a database as it was at one moment.
type Snapshot interface {
	Reader
	// Close ends it. Calling it twice is safe.
	Close()
}
