package syncer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// RunStatus is where the records of a run are. Logged = Synced + Dead + Missing,
// unless the database is Ahead of this copy of the journal.
type RunStatus struct {
	RunID      string    `json:"run_id"`
	Experiment string    `json:"experiment"`
	Dir        string    `json:"dir"`
	StartedAt  time.Time `json:"started_at"`
	LastRecord time.Time `json:"last_record,omitzero"`

	Logged     uint64 `json:"logged"`     // records in the journal
	Durable    uint64 `json:"durable"`    // of these, on disk for certain (by the writer's promise when it is live)
	Synced     uint64 `json:"synced"`     // of these, confirmed by the database (superseded ones included)
	Superseded uint64 `json:"superseded"` // of the synced, lost to one that was logged later
	Dead       uint64 `json:"dead"`       // refused or unreadable, with a reason
	Missing    uint64 `json:"missing"`    // not in the database yet
	Ahead      uint64 `json:"ahead"`      // confirmed by the database, but no longer in this copy of the journal

	Live   bool   `json:"live"`   // a process writes to it
	Sealed bool   `json:"sealed"` // the journal was closed in good order
	Status string `json:"status"` // running, completed, failed, interrupted, paused, deleted, not synced; empty when only the database knows

	// Asked is true when the counts are the database's answer. Otherwise they
	// are what it had confirmed at ConfirmedAt (zero: never, as far as this
	// folder knows).
	Asked       bool      `json:"asked"`
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	Destination string    `json:"destination,omitempty"` // without secrets
	LastError   string    `json:"last_error,omitempty"`  // of the last sync, when it failed
}

// Complete reports whether nothing is missing.
func (r RunStatus) Complete() bool { return r.Missing == 0 && r.Status != StatusDeleted }

// What RunStatus.Status says beside the states of an experiment.
const (
	StatusDeleted   = "deleted"    // the experiment was deleted from the database
	StatusNotSynced = "not synced" // the database does not know the run
)

// durableAfter is how long after it was logged a step is on disk at the latest.
const durableAfter = 100 * time.Millisecond

// Status says for every run at or below dir what is logged, durable, synced, dead
// and missing. It reads no records. reader may be nil: then it answers from what
// was last confirmed to this folder. When the database does not answer it does the
// same and returns that error beside the list. Folders that could not be read come
// joined in the error too.
func Status(ctx context.Context, dir string, reader Asked) ([]RunStatus, error) {
	infos, _, errs := find(dir)
	looked := time.Now()
	var states map[string]store.State
	var name string
	if reader != nil {
		if named, ok := reader.(interface{ Name() string }); ok {
			name = named.Name()
		}
		ids := make([]string, len(infos))
		for i, info := range infos {
			ids[i] = strings.ToLower(info.Header.RunID)
		}
		var err error
		if states, err = statesOf(ctx, reader, ids); err != nil {
			errs = append(errs, fmt.Errorf("the counts are those that were last confirmed: %w", err))
			states = nil
		} else if states == nil {
			states = map[string]store.State{}
		}
	}

	list := make([]RunStatus, len(infos))
	for i, info := range infos {
		r := RunStatus{
			RunID: strings.ToLower(info.Header.RunID), Experiment: info.Header.Experiment, Dir: info.Dir,
			StartedAt: info.Header.StartedAt, LastRecord: info.LastTime,
			Logged: info.Logged, Durable: info.Logged, Live: info.Live, Sealed: info.Sealed,
			Destination: name,
		}
		if info.Live {
			r.lookAgain(ctx, looked)
		}
		if states != nil {
			r.answer(states)
		} else {
			r.remember(name)
		}
		list[i] = r
	}
	return list, errors.Join(errs...)
}

// lookAgain counts a live journal once more, when what it held at the first look
// is durable by the writer's promise.
func (r *RunStatus) lookAgain(ctx context.Context, looked time.Time) {
	rest := time.NewTimer(durableAfter - time.Since(looked))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
		r.Durable = 0
		return
	}
	if now, err := journal.Stat(r.Dir); err == nil {
		r.Logged, r.LastRecord, r.Live = now.Logged, now.LastTime, now.Live
		if !now.Live {
			r.Durable = now.Logged
		}
	}
}

// answer takes over what the database says.
func (r *RunStatus) answer(states map[string]store.State) {
	r.Asked = true
	state, ok := states[r.RunID]
	switch {
	case !ok:
		r.Status = StatusNotSynced
		r.Missing = r.Logged
		return
	case state.ExperimentID == "":
		r.Status = StatusDeleted
		r.Missing = r.Logged
		return
	}
	r.Status, r.ConfirmedAt = state.Status, state.UpdatedAt
	r.count(state.Cursor, state.Dead, state.Superseded)
	for _, c := range LastConfirmed(r.Dir) {
		if c.Destination == r.Destination {
			r.LastError = c.LastError
		}
	}
}

// remember takes over what the destination was last known to have: the named one,
// or the one that confirmed something last.
func (r *RunStatus) remember(name string) {
	r.Status, r.Missing = StatusNotSynced, r.Logged
	for _, c := range LastConfirmed(r.Dir) {
		if name != "" && c.Destination != name || c.RunID != r.RunID {
			continue
		}
		r.Destination, r.ConfirmedAt, r.LastError = c.Destination, c.At, c.LastError
		if !c.At.IsZero() {
			r.Status = ""
		}
		r.count(c.Synced, c.Dead, c.Superseded)
		return
	}
}

func (r *RunStatus) count(cursor, dead, superseded uint64) {
	r.Dead, r.Superseded = dead, superseded
	r.Synced = cursor - min(cursor, dead)
	r.Missing = r.Logged - min(r.Logged, cursor)
	r.Ahead = cursor - min(cursor, r.Logged)
}
