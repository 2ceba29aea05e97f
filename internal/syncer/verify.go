package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// VerifyReport is the result of comparing a source with a database, row by row.
// Records = Equal + Superseded + Dead + NoRow + Archived + Different + Missing + Unsynced.
type VerifyReport struct {
	RunID      string `json:"run_id"`
	Experiment string `json:"experiment"`
	Records    uint64 `json:"records"`      // in the source
	Equal      uint64 `json:"equal"`        // in the database with the same values
	Superseded uint64 `json:"superseded"`   // a record that was logged later is in its place
	Dead       uint64 `json:"dead"`         // among the dead letters, with a reason
	NoRow      uint64 `json:"no_row"`       // heartbeats and other records without a row of their own, settled
	Archived   uint64 `json:"archived"`     // settled, and the rows of their kind are in an archive instead of the database
	Different  uint64 `json:"different"`    // in the database with other values
	Missing    uint64 `json:"missing"`      // settled, but not in the database
	Unsynced   uint64 `json:"unsynced"`     // not synced yet
	Foreign    uint64 `json:"foreign"`      // rows that claim this run but are not in the source
	Ahead      uint64 `json:"ahead"`        // records that the database has settled and the source does not have
	Chain      uint64 `json:"chain_faults"` // faults in the journal's own chain and checksums

	// Faults describes the first MaxFaults faults; the counts above are whole.
	Faults []Fault `json:"faults,omitempty"`
}

// MaxFaults is how many faults a VerifyReport describes.
const MaxFaults = 100

// Fault is one thing that verify found to be wrong.
type Fault struct {
	Seq    uint64      `json:"seq,omitempty"`
	Kind   record.Kind `json:"kind,omitempty"`
	Key    string      `json:"key,omitempty"` // "episode 3, step 60"
	Where  string      `json:"where,omitempty"`
	Column string      `json:"column,omitempty"` // the first column that differs
	Logged string      `json:"logged,omitempty"` // its value in the source
	Stored string      `json:"stored,omitempty"` // its value in the database
	What   string      `json:"what"`             // the fault in words
}

// String says it in one line.
func (f Fault) String() string {
	var b strings.Builder
	if f.Seq > 0 {
		fmt.Fprintf(&b, "record %d", f.Seq)
		if f.Kind != "" {
			fmt.Fprintf(&b, " (%s)", strings.TrimSpace(string(f.Kind)+" "+f.Key))
		}
		b.WriteString(": ")
	}
	b.WriteString(f.What)
	if f.Column != "" {
		fmt.Fprintf(&b, ": %s is %s, logged as %s", f.Column, f.Stored, f.Logged)
	}
	if f.Where != "" {
		fmt.Fprintf(&b, " (%s)", f.Where)
	}
	return b.String()
}

// Verified reports whether the database holds exactly what the source says, and
// the source is whole.
func (r VerifyReport) Verified() bool {
	return r.Different+r.Missing+r.Unsynced+r.Foreign+r.Ahead+r.Chain == 0
}

// String says the result in one sentence with the counts.
func (r VerifyReport) String() string {
	var b strings.Builder
	if r.Verified() {
		b.WriteString("verified: ")
	} else {
		b.WriteString("not verified: ")
	}
	fmt.Fprintf(&b, "%s: %s equal", plural(r.Records, "record"), Count(r.Equal))
	for _, part := range []struct {
		n    uint64
		text string
	}{
		{r.NoRow, "without a row of their own"},
		{r.Superseded, "superseded"},
		{r.Dead, "among the dead letters"},
		{r.Archived, "archived"},
		{r.Different, "different in the database"},
		{r.Missing, "missing from the database"},
		{r.Unsynced, "not synced yet"},
	} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %s %s", Count(part.n), part.text)
		}
	}
	if r.Foreign > 0 {
		fmt.Fprintf(&b, "; the database holds %s of this run that its source does not have", plural(r.Foreign, "row"))
	}
	if r.Ahead > 0 {
		fmt.Fprintf(&b, "; the database has settled %s that this journal does not have", plural(r.Ahead, "record"))
	}
	if r.Chain > 0 {
		fmt.Fprintf(&b, "; %s in the journal's chain", plural(r.Chain, "fault"))
	}
	return b.String()
}

// Add adds the counts of o to those of r. Faults stay with their run.
func (r *VerifyReport) Add(o VerifyReport) {
	r.Records += o.Records
	r.Equal += o.Equal
	r.Superseded += o.Superseded
	r.Dead += o.Dead
	r.NoRow += o.NoRow
	r.Archived += o.Archived
	r.Different += o.Different
	r.Missing += o.Missing
	r.Unsynced += o.Unsynced
	r.Foreign += o.Foreign
	r.Ahead += o.Ahead
	r.Chain += o.Chain
}

func (r *VerifyReport) fault(f Fault) {
	if len(r.Faults) < MaxFaults {
		r.Faults = append(r.Faults, f)
	}
}

// VerifyConfig says how to verify.
type VerifyConfig struct {
	// Batch is how many rows are looked up at a time. Defaults to 1,000.
	Batch int
	// Archived reports whether rows of a kind left the database for an archive; nil:
	// none did.
	Archived func(ctx context.Context, experimentID string, kind record.Kind) (bool, error)
	// OnProgress is called after each batch with how many records were compared.
	OnProgress func(done, total uint64)
}

// Verify reads the whole source and compares each record with the database. Memory
// is flat. The error says why it could not be done; what is wrong is in the report.
func Verify(ctx context.Context, src Source, reader store.Reader, cfg VerifyConfig) (VerifyReport, error) {
	orDefault(&cfg.Batch, 1000)
	run := src.Run()
	run.ID = strings.ToLower(run.ID)
	v := &verifier{src: src, reader: reader, cfg: cfg, own: map[record.Kind]uint64{}}
	v.r.RunID, v.r.Experiment = run.ID, run.Experiment
	if err := v.verify(ctx, run); err != nil {
		return v.r, fmt.Errorf("verify run %s of experiment %q: %w", run.ID, run.Experiment, err)
	}
	return v.r, nil
}

// verifier is the state of one call of Verify.
type verifier struct {
	src    Source
	reader store.Reader
	cfg    VerifyConfig
	state  store.State
	dead   spans
	own    map[record.Kind]uint64 // rows of this run that were found, by kind
	b      batch
	chunk  []expected
	total  uint64
	r      VerifyReport
}

// expected is what the database must have of a record.
type expected struct {
	key      store.Key
	where    string
	guessed  bool // its time is not its own
	assigned int  // column that Default filled in; -1: none
}

func (v *verifier) verify(ctx context.Context, run store.Run) error {
	var err error
	if v.total, err = v.src.Logged(); err != nil {
		return err
	}
	states, err := v.reader.States(ctx, []string{run.ID})
	if err != nil {
		return err
	}
	state, known := states[run.ID]
	if known && state.ExperimentID == "" {
		return fmt.Errorf("%w: to make it again, sync with --restore", store.ErrExperimentDeleted)
	}
	v.state = state
	if known {
		if v.dead, err = deadSpans(ctx, v.reader, run.ID); err != nil {
			return err
		}
	}
	if err := v.read(ctx, run.ID); err != nil {
		return err
	}
	if state.Cursor > v.r.Records {
		v.r.Ahead = state.Cursor - v.r.Records
		v.r.fault(Fault{What: fmt.Sprintf("the journal ends at record %d, the database has settled up to %d: this copy is older, or its end was lost", v.r.Records, state.Cursor)})
	}
	if known {
		if err := v.foreign(ctx, run.ID); err != nil {
			return err
		}
	}
	if j, ok := v.src.(interface{ verifyChain() ([]error, error) }); ok {
		faults, err := j.verifyChain()
		if err != nil {
			return err
		}
		v.r.Chain = uint64(len(faults))
		for _, fault := range faults {
			v.r.fault(Fault{What: fault.Error()})
		}
	}
	return nil
}

// read compares the whole source.
func (v *verifier) read(ctx context.Context, runID string) error {
	if err := v.src.Seek(0); err != nil {
		return err
	}
	v.b.reset(0)
	for {
		item, err := v.src.Next()
		if errors.Is(err, io.EOF) || err == nil && item.Seq > v.total {
			return v.compare(ctx, runID)
		}
		if err != nil {
			return err
		}
		if item.Seq <= v.r.Records {
			return fmt.Errorf("%s: record %d came after record %d", item.Where, item.Seq, v.r.Records)
		}
		if gap := item.Seq - 1 - v.r.Records; gap > 0 {
			v.unreadable(Item{Seq: v.r.Records + 1, Lost: gap, Where: item.Where, Err: errors.New("it is not in the source")})
		}
		if item.Err != nil {
			v.unreadable(item)
		} else {
			v.expect(item, runID)
		}
		if len(v.chunk) >= v.cfg.Batch || v.b.size >= 4<<20 {
			if err := v.compare(ctx, runID); err != nil {
				return err
			}
		}
	}
}

// unreadable takes in records that cannot be read: they must be dead letters.
func (v *verifier) unreadable(item Item) {
	for n := max(item.Lost, 1); n > 0; n-- {
		v.r.Records++
		switch {
		case item.Seq > v.state.Cursor:
			v.r.Unsynced++
		case v.dead.contain(item.Seq):
			v.r.Dead++
		default:
			v.r.Missing++
			v.r.fault(Fault{Seq: item.Seq, Kind: item.Kind, Where: item.Where,
				What: fmt.Sprintf("cannot be read and is not among the dead letters: %v", item.Err)})
		}
		item.Seq++
	}
}

// expect takes in a record that can be read.
func (v *verifier) expect(item Item, runID string) {
	if item.Seq > v.state.Cursor {
		v.r.Records++
		v.r.Unsynced++
		return
	}
	if v.dead.contain(item.Seq) {
		v.r.Records++
		v.r.Dead++
		return
	}
	row, err := record.Parse(item.Kind, v.b.keep(item.Data), nil)
	if err != nil {
		item.Err, item.Lost = err, 1
		v.unreadable(item)
		return
	}
	v.r.Records++
	if row.Schema.Table == "" {
		v.r.NoRow++
		return
	}
	want := expected{where: item.Where, guessed: item.Guessed, assigned: assignedTime(item, &row)}
	row.Default(item.Time)
	e := store.Entry{Seq: item.Seq, Time: item.Time, Row: row}
	want.key = store.KeyOf(runID, &e)
	v.b.Entries = append(v.b.Entries, e)
	v.b.size += len(item.Data) + rowCost
	v.chunk = append(v.chunk, want)
}

// compare looks up the rows of a chunk and compares them.
func (v *verifier) compare(ctx context.Context, runID string) error {
	for _, schema := range record.Tabled() {
		var keys []store.Key
		for i := range v.chunk {
			if v.b.Entries[i].Row.Schema == schema {
				keys = append(keys, v.chunk[i].key)
			}
		}
		if len(keys) == 0 {
			continue
		}
		rows, err := v.reader.Lookup(ctx, v.state.ExperimentID, schema.Kind, keys)
		if err != nil {
			return err
		}
		archived := false
		if v.cfg.Archived != nil && len(rows) < len(keys) {
			if archived, err = v.cfg.Archived(ctx, v.state.ExperimentID, schema.Kind); err != nil {
				return err
			}
		}
		for i := range v.chunk {
			if e := &v.b.Entries[i]; e.Row.Schema == schema {
				stored, found := rows[v.chunk[i].key]
				if !found && archived {
					v.r.Archived++
					continue
				}
				v.one(runID, e, &v.chunk[i], &stored, found)
			}
		}
	}
	clear(v.b.Entries)
	v.b.reset(0)
	v.chunk = v.chunk[:0]
	if v.cfg.OnProgress != nil {
		v.cfg.OnProgress(v.r.Records, max(v.total, v.r.Records))
	}
	return nil
}

// one compares a record with the row that has its key.
func (v *verifier) one(runID string, e *store.Entry, want *expected, stored *store.Stored, found bool) {
	fault := Fault{Seq: e.Seq, Kind: e.Row.Schema.Kind, Key: keyText(want.key, e.Row.Schema), Where: want.where}
	if !found {
		v.r.Missing++
		fault.What = "is settled, but the database has no row for it"
		v.r.fault(fault)
		return
	}
	if stored.Seq != e.Seq || !strings.EqualFold(stored.RunID, runID) {
		if !want.guessed && !store.Later(stored.Time, stored.RunID, stored.Seq, e.Time, runID, e.Seq) {
			v.r.Missing++
			fault.What = fmt.Sprintf("is settled, but in its place is record %d of run %s, which was logged before it, at %s",
				stored.Seq, stored.RunID, stored.Time.Format(time.RFC3339Nano))
			v.r.fault(fault)
			return
		}
		v.r.Superseded++
		return
	}
	v.own[e.Row.Schema.Kind]++
	fault.Column, fault.Logged, fault.Stored = difference(e, stored, want)
	if fault.Column == "" {
		v.r.Equal++
		return
	}
	v.r.Different++
	fault.What = "was changed in the database after it was synced"
	v.r.fault(fault)
}

// foreign looks for rows that claim the run and are not in the source. Rows that
// were synced meanwhile are not meant.
func (v *verifier) foreign(ctx context.Context, runID string) error {
	for _, schema := range record.Tabled() {
		n, err := v.reader.CountRows(ctx, v.state.ExperimentID, runID, schema.Kind)
		if err != nil {
			return err
		}
		states, err := v.reader.States(ctx, []string{runID})
		if err != nil {
			return err
		}
		meanwhile := states[runID].Cursor - min(states[runID].Cursor, v.state.Cursor)
		if extra := uint64(n) - min(uint64(n), v.own[schema.Kind]+meanwhile); extra > 0 {
			v.r.Foreign += extra
			v.r.fault(Fault{What: fmt.Sprintf("%s holds %s of this run that its source does not have", schema.Table, plural(extra, "row"))})
		}
	}
	return nil
}

func keyText(k store.Key, schema *record.Schema) string {
	switch schema.Key {
	case 1:
		return fmt.Sprintf("%d", k.Episode)
	case 2:
		return fmt.Sprintf("%d of episode %d", k.Step, k.Episode)
	}
	return store.RowID(k.RunID, k.Seq)
}
