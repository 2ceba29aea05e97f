package store

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/record"
)

// RowID is the id of a row whose kind has no key of its own: the UUID version 5 of
// the sequence number in decimal, in the name space of the run. The same record has
// the same id in every database. It is empty when runID is not a UUID.
func RowID(runID string, seq uint64) string {
	run, err := uuid.Parse(runID)
	if err != nil {
		return ""
	}
	return uuid.NewSHA1(run, strconv.AppendUint(nil, seq, 10)).String()
}

// Later reports whether the record logged at a wins over the one logged at b: the
// larger time, in microseconds as databases keep it, then the larger run id, then
// the larger sequence number.
func Later(a time.Time, aRun string, aSeq uint64, b time.Time, bRun string, bSeq uint64) bool {
	return cmp.Or(cmp.Compare(a.UnixMicro(), b.UnixMicro()), strings.Compare(aRun, bRun), cmp.Compare(aSeq, bSeq)) > 0
}

// KeyOf is the key of an entry of a run: the record's own key where its kind has
// one, else run and sequence number.
func KeyOf(runID string, e *Entry) Key {
	switch e.Row.Schema.Key {
	case 1:
		return Key{Episode: e.Row.Values[0].Int()}
	case 2:
		return Key{Episode: e.Row.Values[0].Int(), Step: e.Row.Values[1].Int()}
	default:
		return Key{RunID: runID, Seq: e.Seq}
	}
}

// Settled is a batch with its own contests decided, ready to be written.
type Settled struct {
	// Rows holds, for each table in the order of [record.Tabled], the entries
	// that survive, ascending by key (by sequence number where there is none);
	// no two have the same key.
	Rows [][]*Entry
	// Superseded counts the entries that lost to a later one of the batch.
	Superseded int
	// Changes are the records of kind experiment, in the order of the batch.
	Changes []*Entry
	// Heartbeats are the records of kind heartbeat, in the order of the batch.
	Heartbeats []*Entry
	// End is the end of the run that was logged last; nil when there is none.
	End *Entry
	// Others counts the records without a table: changes, heartbeats and ends.
	Others int
	// LastSign is the latest time at which a record was logged; zero when the
	// batch has no entries.
	LastSign time.Time
	// LastRecord is the same of records that show progress: neither heartbeats nor
	// resources, which a run that hangs still sends.
	LastRecord time.Time
}

// Settle decides which entries of a batch are written: of those with one key, the
// one that was logged last. The entries of b are shared, not copied; a row that does
// not say its time gets the time of logging.
func Settle(b *Batch) Settled {
	tables := record.Tabled()
	s := Settled{Rows: make([][]*Entry, len(tables))}
	for i := range b.Entries {
		e := &b.Entries[i]
		e.Row.Default(e.Time)
		if e.Time.After(s.LastSign) {
			s.LastSign = e.Time
		}
		kind := e.Row.Schema.Kind
		if kind != record.KindHeartbeat && kind != record.KindResource && e.Time.After(s.LastRecord) {
			s.LastRecord = e.Time
		}
		switch kind {
		case record.KindExperiment:
			s.Changes = append(s.Changes, e)
		case record.KindHeartbeat:
			s.Heartbeats = append(s.Heartbeats, e)
		case record.KindEnd:
			if s.End == nil || Later(e.Time, "", e.Seq, s.End.Time, "", s.End.Seq) {
				s.End = e
			}
		default:
			t := slices.IndexFunc(tables, func(t *record.Schema) bool { return t == e.Row.Schema })
			if s.Rows[t] == nil {
				s.Rows[t] = make([]*Entry, 0, len(b.Entries)-i)
			}
			s.Rows[t] = append(s.Rows[t], e)
			continue
		}
		s.Others++
	}
	for t, rows := range s.Rows {
		if tables[t].Key == 0 {
			continue
		}
		kept := contest(rows)
		s.Superseded += len(rows) - len(kept)
		s.Rows[t] = kept
	}
	return s
}

// contest sorts rows by key, stable and only when they are not sorted, as those of
// a journal mostly are, and keeps the last logged of each key.
func contest(rows []*Entry) []*Entry {
	byKey := func(a, b *Entry) int {
		c := cmp.Compare(a.Row.Values[0].Int(), b.Row.Values[0].Int())
		if c == 0 && a.Row.Schema.Key == 2 {
			c = cmp.Compare(a.Row.Values[1].Int(), b.Row.Values[1].Int())
		}
		return c
	}
	if !slices.IsSortedFunc(rows, byKey) {
		slices.SortStableFunc(rows, byKey)
	}
	kept := rows[:0]
	for _, e := range rows {
		if n := len(kept); n > 0 && byKey(kept[n-1], e) == 0 {
			if Later(e.Time, "", e.Seq, kept[n-1].Time, "", kept[n-1].Seq) {
				kept[n-1] = e
			}
			continue
		}
		kept = append(kept, e)
	}
	return kept
}
