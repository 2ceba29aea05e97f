// Package importer reads the logs that people already have: folders of JSON lines
// that an older logger or a script with the guide's field names wrote, its summary
// files, and results files. Each file is a [syncer.Source] of its own, so importing
// is syncing from another source: with cursor, dead letters, status and verify.
//
// What a file says is translated into the contract's names on the way, line by
// line; the rules are in docs/import.md. No value is dropped: what has no column
// stays in the row's extra, what was converted stays there as it was written.
//
// Files of other projects (sumo-rl, RESCO, LibSignal, TensorBoard) are known by their
// content and read whole.
//
// Otherwise memory does not grow with the file, but for 16 bytes and a number per episode
// where steps name their episode by an id.
package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// MaxRecord is the largest line, or entry of a results file, in bytes. A larger one
// is reported with its size; reading goes on behind it.
const MaxRecord = 16 << 20

// ErrNothingYet is a file in which there is no whole record yet: it is empty, or
// its first line is still being written. A follower tries again later.
var ErrNothingYet = errors.New("holds no whole record yet")

// Options of an import. The zero value is right for finished logs of one experiment
// or several.
type Options struct {
	// Experiment replaces the experiment's name that the files give. It is an
	// error when they hold more than one experiment.
	Experiment string
	// Location is the zone of times that are written without one. Defaults to UTC.
	Location *time.Location
	// Follow says that a trainer may still be writing: sources are live, and a
	// step whose episode has not ended yet is waited for instead of refused.
	Follow bool
}

func (o Options) location() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

// Role says what a file holds.
type Role string

// The roles of files.
const (
	Episodes Role = "episodes" // <experiment>_episodes.jsonl
	Steps    Role = "steps"    // <experiment>_steps.jsonl
	Summary  Role = "summary"  // <experiment>_summary.json
	Results  Role = "results"  // a JSON object with training_results or validation_results
)

// Found is a file that can be imported.
type Found struct {
	Path       string
	Experiment string
	Role       Role
	Size       int64 // bytes
}

// Source is a file as a source of records.
type Source interface {
	syncer.Source
	// Found returns the file that the source reads.
	Found() Found
	// Unfinished reports what is in the file but not settled, because it is not
	// whole or still waits for something: an unfinished last line, steps of an
	// episode that has not ended. It speaks of what Next has reached.
	Unfinished() []error
}

// Open opens a file as a source. The error is ErrNothingYet when there is no whole
// record in it.
func Open(f Found, opt Options) (Source, error) {
	if f.Experiment == "" {
		return nil, fmt.Errorf("%s: no experiment name: rename it to <experiment>_%s.jsonl or give --experiment", f.Path, f.Role)
	}
	switch f.Role {
	case Episodes, Steps:
		return openLines(f, opt)
	case Summary, Results:
		return openDocument(f, opt)
	case SumoRL, RESCO, Trips, LibSignal, TensorBoard:
		return openForeign(f, opt)
	}
	return nil, fmt.Errorf("%s: unknown role %q", f.Path, f.Role)
}

// namespace is the name space of the run ids of imported files.
var namespace = uuid.MustParse("5a0c2a7e-6f0b-5c39-9d0e-0d6a3e6f1b52")

// runID derives a run's id from what a file is and how its content begins, so that
// a copied, moved or grown file is the same run.
func runID(f Found, content []byte) string {
	name := string(f.Role) + "\x00" + f.Experiment + "\x00"
	return uuid.NewSHA1(namespace, append([]byte(name), content...)).String()
}

// header is what the run says about its file. It holds no folder names: a copy
// elsewhere is the same run.
func header(f Found, name string) json.RawMessage {
	h, _ := json.Marshal(map[string]string{"file": name, "role": string(f.Role)}) // a map of strings cannot fail
	return h
}
