// Package provenance follows a row of the database back to the record that a trainer
// logged: the run, the journal's file and place, the sequence number, and whether the row
// still says what was logged.
package provenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// The states of a row.
const (
	AsLogged  = "as logged"
	Changed   = "changed since sync" // its journal says something else
	NoJournal = "no journal"         // of its run in the folders that were given
	ByHand    = "by hand"            // no run wrote it
	NotInside = "not in the journal" // the journal of its run has no such record
)

// Row is a row with where it comes from.
type Row struct {
	Kind     record.Kind `json:"kind"`
	Key      string      `json:"key"` // "episode 3", or the row's id
	RunID    string      `json:"run_id,omitempty"`
	Seq      uint64      `json:"seq,omitempty"` // the record's number in the run's journal
	LoggedAt time.Time   `json:"logged_at"`
	Where    string      `json:"where,omitempty"` // file and byte in the journal, or file and line
	Line     int         `json:"line,omitempty"`  // line of the journal's file, uncompressed
	State    string      `json:"state"`
	Column   string      `json:"column,omitempty"` // the first column that differs
	Logged   string      `json:"logged,omitempty"` // its value in the journal
	Stored   string      `json:"stored,omitempty"` // its value in the database
	Value    *float64    `json:"value,omitempty"`  // of the metric that was asked for
	Of       string      `json:"of,omitempty"`     // whose value it is, where a row has several
}

// Place is where the record stands, in words: the journal's file with byte and line, or
// an imported file with its line.
func (r Row) Place() string {
	if r.Line == 0 {
		return r.Where
	}
	return fmt.Sprintf("%s, line %d", r.Where, r.Line)
}

// String says it in one line.
func (r Row) String() string {
	s := fmt.Sprintf("%s %s", r.Kind, r.Key)
	switch r.State {
	case Changed:
		s += fmt.Sprintf(": %s is %s, logged as %s", r.Column, r.Stored, r.Logged)
	default:
		s += ": " + r.State
	}
	if place := r.Place(); place != "" {
		s += " (" + place + ", record " + fmt.Sprint(r.Seq) + ")"
	} else if r.RunID != "" {
		s += fmt.Sprintf(" (run %s, record %d)", r.RunID, r.Seq)
	}
	return s
}

// State sums up whether an experiment's rows say what was logged.
type State struct {
	Experiment string `json:"experiment"`
	Rows       int    `json:"rows"`
	AsLogged   int    `json:"as_logged"`
	Changed    int    `json:"changed"`   // and rows whose journal has no such record
	Unchecked  int    `json:"unchecked"` // whose journal is not here, or which no run wrote
	Faults     []Row  `json:"faults,omitempty"`
}

// maxFaults is how many a State describes.
const maxFaults = 20

// Marked reports whether results of the experiment must be marked.
func (s State) Marked() bool { return s.Changed > 0 }

// String is the sentence for a report.
func (s State) String() string {
	switch {
	case s.Changed > 0:
		text := fmt.Sprintf("CHANGED SINCE SYNC: %d of %d rows of %s do not say what was logged", s.Changed, s.Rows, s.Experiment)
		if len(s.Faults) > 0 {
			text += "; the first is " + s.Faults[0].String()
		}
		return text
	case s.Rows == 0:
		return s.Experiment + ": no rows"
	case s.Unchecked == s.Rows:
		return fmt.Sprintf("%s: not checked against a journal: none of its %d rows has one here", s.Experiment, s.Rows)
	case s.Unchecked > 0:
		return fmt.Sprintf("%s: %d rows are as logged; %d have no journal here", s.Experiment, s.AsLogged, s.Unchecked)
	}
	return fmt.Sprintf("%s: all %d rows are as logged", s.Experiment, s.Rows)
}

func (s *State) add(r Row) {
	s.Rows++
	switch r.State {
	case AsLogged:
		s.AsLogged++
	case NoJournal, ByHand:
		s.Unchecked++
	default:
		s.Changed++
		if len(s.Faults) < maxFaults {
			s.Faults = append(s.Faults, r)
		}
	}
}

// Check holds all rows of the kinds against the sources, which are the journals that are
// here.
func Check(ctx context.Context, reader store.Reader, sources []syncer.Source, x *store.Experiment, kinds ...record.Kind) (State, error) {
	s := State{Experiment: x.Name}
	for _, kind := range kinds {
		rows, err := Trace(ctx, reader, sources, x, kind, "")
		if err != nil {
			return s, err
		}
		for _, r := range rows {
			s.add(r)
		}
	}
	return s, nil
}

// Trace follows the rows of one kind back; of those that have the metric, when one is
// named. The rows are held in memory, so it is for kinds with few of them: not for steps.
func Trace(ctx context.Context, reader store.Reader, sources []syncer.Source, x *store.Experiment, kind record.Kind, metric string) ([]Row, error) {
	byRun := map[string]syncer.Source{}
	for _, src := range sources {
		byRun[strings.ToLower(src.Run().ID)] = src
	}
	var rows []Row
	type job struct {
		row    int
		stored store.Stored
	}
	jobs := map[string][]job{}
	for s, err := range reader.Rows(ctx, x.ID, kind) {
		if err != nil {
			return nil, err
		}
		found := values(s, metric)
		if metric != "" && len(found) == 0 {
			continue
		}
		r := Row{Kind: kind, Key: keyOf(s), RunID: s.RunID, Seq: s.Seq, LoggedAt: s.Time, State: NoJournal}
		if s.RunID == "" {
			r.State = ByHand
		}
		first := len(rows)
		if metric == "" {
			rows = append(rows, r)
		}
		for _, v := range found {
			one := r
			one.Value, one.Of = &v.value, v.of
			rows = append(rows, one)
		}
		if byRun[s.RunID] != nil {
			stored := clone(s)
			for i := first; i < len(rows); i++ {
				jobs[s.RunID] = append(jobs[s.RunID], job{i, stored})
			}
		}
	}
	for runID, list := range jobs {
		slices.SortStableFunc(list, func(a, b job) int { return int(int64(a.stored.Seq) - int64(b.stored.Seq)) })
		at := uint64(0) // the last record that was read
		var item syncer.Item
		for _, j := range list {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var err error
			if item, at, err = step(byRun[runID], item, at, j.stored.Seq); err != nil {
				return nil, err
			}
			r := &rows[j.row]
			if item.Seq != r.Seq {
				r.State = NotInside
				continue
			}
			r.Where, r.Line = item.Where, item.Line
			column, logged, stored, err := syncer.Differs(item, &j.stored)
			switch {
			case err != nil:
				r.State, r.Column, r.Logged, r.Stored = Changed, "the record", err.Error(), "a row"
			case column != "":
				r.State, r.Column, r.Logged, r.Stored = Changed, column, logged, stored
			default:
				r.State = AsLogged
			}
		}
	}
	return rows, nil
}

// near is how many records are read over rather than searched anew.
const near = 5000

// step reads on to a record. The item that comes back has another number when the source
// has no such record.
func step(src syncer.Source, item syncer.Item, at, seq uint64) (syncer.Item, uint64, error) {
	if item.Seq == seq && at == seq {
		return item, at, nil
	}
	if at == 0 || seq-at > near {
		if n, err := src.Logged(); err != nil || seq > n {
			return syncer.Item{}, at, err
		}
		if err := src.Seek(seq - 1); err != nil {
			return item, at, err
		}
	}
	for {
		next, err := src.Next()
		if errors.Is(err, io.EOF) {
			return syncer.Item{}, at, nil
		}
		if err != nil {
			return item, at, err
		}
		if next.Seq >= seq {
			next.Data = bytes.Clone(next.Data)
			return next, next.Seq, nil
		}
	}
}

func keyOf(s *store.Stored) string {
	schema := s.Row.Schema
	switch schema.Key {
	case 1:
		return fmt.Sprintf("%d", s.Row.Values[0].Int())
	case 2:
		return fmt.Sprintf("%d of episode %d", s.Row.Values[1].Int(), s.Row.Values[0].Int())
	}
	return store.RowID(s.RunID, s.Seq)
}

// clone copies a row whose memory is used again.
func clone(s *store.Stored) store.Stored {
	c := *s
	c.Row.Values = slices.Clone(s.Row.Values)
	c.Row.Extra = bytes.Clone(s.Row.Extra)
	for i, v := range c.Row.Values {
		switch v.Type {
		case record.Text:
			c.Row.Values[i] = record.TextValue(bytes.Clone(v.Bytes()))
		case record.JSON:
			c.Row.Values[i] = record.JSONValue(bytes.Clone(v.Bytes()))
		case record.UUID:
			c.Row.Values[i] = record.UUIDValue(bytes.Clone(v.Bytes()))
		case record.Vector:
			c.Row.Values[i] = record.VectorValue(bytes.Clone(v.Bytes()))
		}
	}
	return c
}
