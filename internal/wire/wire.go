// Package wire is what travels between those who send records and a server: the lines
// of a body, the receipt, what is known of runs, and the codes of failures that a
// sender acts on. docs/api.md tells it to users.
package wire

import (
	"encoding/json"
	"time"
)

// Line is a line of a body with records: a line of a journal, whose checksum may be
// left out. The first may be the run's header (kind "header"); seals are passed over.
type Line struct {
	Seq  uint64          `json:"seq"`  // 1, 2, 3, … in the run; 0: not a record
	Time time.Time       `json:"time"` // when it was logged; later in each line
	Kind string          `json:"kind"` // episode, step, checkpoint, validation, baseline, experiment, heartbeat, resource, end; header; dead
	Data json.RawMessage `json:"data"` // the record
}

// Header is the data of a line of kind "header": the run.
type Header struct {
	RunID       string          `json:"run_id"`
	Experiment  string          `json:"experiment"`
	Source      string          `json:"source,omitempty"` // journal unless it says import
	Description string          `json:"description,omitempty"`
	Config      json.RawMessage `json:"config,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Host        string          `json:"host,omitempty"`
	PID         int             `json:"pid,omitempty"`
	StartedAt   time.Time       `json:"started_at,omitzero"`
	// Header is kept as the run's header; without it this whole object is.
	Header json.RawMessage `json:"header,omitempty"`
}

// Dead is the data of a line of kind "dead": a record that its sender cannot send,
// because it cannot be read or breaks a rule. The line's time is when that was found.
type Dead struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
	Where  string `json:"where"`
}

// State is what the server's database has confirmed of a run.
type State struct {
	RunID        string     `json:"run_id"`
	Experiment   string     `json:"experiment"`
	ExperimentID string     `json:"experiment_id"`  // empty when the experiment was deleted
	Status       string     `json:"status"`         // running, paused, completed, failed, interrupted
	Cursor       uint64     `json:"cursor"`         // every record up to this one is settled: send the next
	Dead         uint64     `json:"dead"`           // of these, in dead letters
	Superseded   uint64     `json:"superseded"`     // of these, lost to a record that was logged later
	Heartbeat    *time.Time `json:"last_heartbeat"` // last sign of life; null when none
	LastRecord   *time.Time `json:"last_record"`    // last record that shows progress; null when none
	UpdatedAt    *time.Time `json:"updated_at"`     // when the cursor was last moved
}

// States are the states of some runs; unknown ones are left out.
type States struct {
	Items []State `json:"items"`
}

// Receipt is the answer to records.
type Receipt struct {
	State
	Applied Counts `json:"applied"` // what became of the records of this body
	// Effect is what the database says that it did. Superseded counts rows that were
	// there before and lost, too.
	Effect Effect `json:"effect"`
	// Results are one for each record of the body, in its order; absent with brief.
	Results []Outcome `json:"results,omitempty"`
}

// Counts are what became of the records of a body.
type Counts struct {
	Stored     int `json:"stored"`
	Superseded int `json:"superseded"`
	Refused    int `json:"refused"`
	Repeated   int `json:"repeated"` // were settled before
}

// Effect is what the database did.
type Effect struct {
	Stored     int `json:"stored"`
	Superseded int `json:"superseded"`
	Repeated   int `json:"repeated"`
	Dead       int `json:"dead"`
}

// Outcome is what became of a record.
type Outcome struct {
	Seq      uint64 `json:"seq"`
	Outcome  string `json:"outcome"`            // stored, superseded or refused
	Reason   string `json:"reason,omitempty"`   // why it was refused
	Repeated bool   `json:"repeated,omitempty"` // it had been sent before
}

// Silence is when a run was last heard of.
type Silence struct {
	Since time.Time `json:"since"`
}

// DeadLetter is a record that the database does not hold.
type DeadLetter struct {
	RunID     string    `json:"run_id"`
	Seq       uint64    `json:"seq"`
	Kind      string    `json:"kind"`
	Reason    string    `json:"reason"`   // field, value and rule, or what the database said
	Where     string    `json:"location"` // file and line or offset: the record itself is there
	RefusedAt time.Time `json:"refused_at"`
}

// DeadLetters is a page of them.
type DeadLetters struct {
	Items []DeadLetter `json:"items"`
	Next  string       `json:"next,omitempty"` // cursor of the next page; absent on the last
	More  bool         `json:"more"`           // there is a next page
}

// Failure is the body of an answer that is not what was asked for.
type Failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// Codes of failures that a sender acts on.
const (
	CodeRefused           = "refused"            // a value that the database cannot hold
	CodeNoRun             = "no_run"             // it is not said which run it is
	CodeBadLine           = "bad_line"           // a line that cannot be read
	CodeRecordTooLarge    = "record_too_large"   //
	CodeBodyTooLarge      = "body_too_large"     //
	CodeCursorMoved       = "cursor_moved"       // others have sent records of this run: read the state again
	CodeGap               = "gap"                // records before these are missing
	CodeExperimentDeleted = "experiment_deleted" //
	CodeUnknownRun        = "unknown_run"        // send its header first
	CodeNotFound          = "not_found"          //
	CodeForbidden         = "forbidden"          // the caller's token, or the owner of the experiment, does not allow it
	CodeDatabaseAway      = "database_away"      // it may pass
	CodeDatabaseRefuses   = "database_refuses"   // the server's own access to its database
	CodeSchema            = "schema"             // the tables have another version
	CodeUnexpected        = "unexpected"         // an error that the server does not know
)
