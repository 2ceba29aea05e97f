package syncer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Report is where a run stands. Records are counted by sequence number, so the
// counts add up: Synced = Stored + Superseded + Dead, and Logged = Synced + Pending.
type Report struct {
	RunID      string `json:"run_id"`
	Experiment string `json:"experiment"`
	Dir        string `json:"dir,omitempty"` // of a journal
	Source     string `json:"source"`        // journal or import

	Logged     uint64 `json:"logged"`     // last sequence number of the source
	Synced     uint64 `json:"synced"`     // of these, settled: what the database has confirmed
	Stored     uint64 `json:"stored"`     // of the settled, in the database
	Superseded uint64 `json:"superseded"` // of the settled, lost to one that was logged later
	Dead       uint64 `json:"dead"`       // of the settled, refused or unreadable, among the dead letters
	Pending    uint64 `json:"pending"`    // not settled yet

	New         uint64 `json:"new"`         // settled since this syncer began
	Repeated    uint64 `json:"repeated"`    // of the new, in the database already
	Quarantined uint64 `json:"quarantined"` // of the new, could not be read

	Rate  float64 `json:"rate"`  // records per second, lately
	Live  bool    `json:"live"`  // somebody still writes to the source
	Ended bool    `json:"ended"` // nothing more will be sent

	LastError   string    `json:"last_error,omitempty"`  // why it waits or has stopped, and what to do
	NextTry     time.Time `json:"next_try,omitzero"`     // when it will be tried again
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"` // when the database last confirmed something

	Err error `json:"-"` // what LastError says, for errors.Is
}

// Failed reports whether the run has stopped with an error of its own, not because
// the sync was asked to stop.
func (r Report) Failed() bool { return r.Ended && r.Err != nil && !errors.Is(r.Err, errStopped) }

// String says it in one line, as in
// "corridor/0198…: 1,204 records: 1,190 stored, 12 superseded, 2 refused".
func (r Report) String() string {
	var s Summary
	s.add(r)
	return r.Experiment + "/" + r.RunID + ": " + s.counts("")
}

// Summary adds up the reports of several runs.
type Summary struct {
	Runs       int    `json:"runs"`
	Logged     uint64 `json:"logged"`
	Synced     uint64 `json:"synced"`
	Stored     uint64 `json:"stored"`
	Superseded uint64 `json:"superseded"`
	Dead       uint64 `json:"dead"`
	Pending    uint64 `json:"pending"`

	New         uint64 `json:"new"`
	Repeated    uint64 `json:"repeated"`
	Quarantined uint64 `json:"quarantined"`

	// Failed are the runs that stopped with an error.
	Failed []Report `json:"failed,omitempty"`
	// Unreadable are folders and files that could not be opened as a source.
	Unreadable []error `json:"-"`
	// Dir is the folder that was synced, for hints; empty when it was not one.
	Dir string `json:"dir,omitempty"`
}

func (s *Summary) add(r Report) {
	s.Runs++
	s.Logged += r.Logged
	s.Synced += r.Synced
	s.Stored += r.Stored
	s.Superseded += r.Superseded
	s.Dead += r.Dead
	s.Pending += r.Pending
	s.New += r.New
	s.Repeated += r.Repeated
	s.Quarantined += r.Quarantined
	if r.Failed() {
		s.Failed = append(s.Failed, r)
	}
}

// Complete reports whether every record that was found is settled and every
// source could be read.
func (s Summary) Complete() bool {
	return s.Pending == 0 && len(s.Failed) == 0 && len(s.Unreadable) == 0
}

// String is the last line of a command, as in
//
//	1,204 records: 1,190 stored, 12 superseded, 2 refused (see greenwave deadletter list runs); 300 new
func (s Summary) String() string {
	var b strings.Builder
	hint := ""
	if s.Dir != "" {
		hint = " (see greenwave deadletter list " + s.Dir + ")"
	}
	b.WriteString(s.counts(hint))
	if s.Synced > 0 {
		if s.New == 0 {
			b.WriteString("; nothing new")
		} else if s.New < s.Synced {
			fmt.Fprintf(&b, "; %s new", Count(s.New))
		}
	}
	if n := len(s.Failed); n > 0 {
		fmt.Fprintf(&b, "; %s stopped", plural(uint64(n), "run"))
	}
	if n := len(s.Unreadable); n > 0 {
		fmt.Fprintf(&b, "; %s could not be read", plural(uint64(n), "folder"))
	}
	return b.String()
}

func (s Summary) counts(hint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s stored", plural(s.Logged, "record"), Count(s.Stored))
	if s.Superseded > 0 {
		fmt.Fprintf(&b, ", %s superseded", Count(s.Superseded))
	}
	if s.Dead > 0 {
		fmt.Fprintf(&b, ", %s refused%s", Count(s.Dead), hint)
	}
	if s.Pending > 0 {
		fmt.Fprintf(&b, ", %s not synced", Count(s.Pending))
	}
	return b.String()
}

// Count writes a number with thousands separators, as in "1,204".
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}
