package greenwave

import "time"

// Report says where a run stands. Records are counted with the run's own lines
// (heartbeats, the end), as "greenwave status" counts them. When the disk failed on
// the way, the counts are over all folders of the run.
type Report struct {
	Experiment string
	RunID      string // of the folder that is being written
	Dir        string // the folder that is being written
	Status     string // running, completed, failed, interrupted or paused

	Logged      uint64 // written to the journal: survives kill -9 of the process
	Durable     uint64 // of these, on the disk: survives a power cut
	Synced      uint64 // of these, confirmed by the destination (stored, superseded or refused)
	Dead        uint64 // of the synced, refused by the destination, with a reason among its dead letters
	Pending     uint64 // Logged less Synced, when there is a destination; 0 without one
	Skipped     uint64 // steps left out by LogInterval
	NotRecorded uint64 // calls that returned ErrNotRecorded

	Destination string // its name without secrets; empty when there is none
	Sync        Sync   // who sends the records
	// LastError says what is wrong now with the disk or the destination, and what
	// to do; empty when nothing is.
	LastError string
	At        time.Time // when the report was made
}

// Sync says who sends records to the destination.
type Sync string

// The ways of syncing.
const (
	SyncNone      Sync = "none"       // nobody: the run is recorded offline
	SyncInProcess Sync = "in process" // this process
	SyncProgram   Sync = "program"    // the greenwave program beside it
)
