package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// Archived is what left the database for a store of files.
type Archived struct {
	ID           string // SHA-256 of its manifest in hexadecimal
	ExperimentID string // UUID
	Experiment   string // its name then
	What         string // "experiment" or "steps"
	Location     string // which store, without secrets
	Rows, Bytes  int64  // in its files
	ArchivedAt   time.Time
	RestoredAt   time.Time // zero while the rows are not in the database
}

// Leaves reports whether the rows of a kind leave the database with their experiment.
// The others are few, and what pages, comparisons and promotions refer to: they are in
// the files too, and stay.
func Leaves(kind record.Kind) bool {
	return kind == record.KindEpisode || kind == record.KindStep || kind == record.KindResource
}

// Description is an experiment and its runs, without their records: objects by column.
type Description struct {
	Experiment map[string]json.RawMessage   `json:"experiment"`
	Runs       []map[string]json.RawMessage `json:"runs"`
}

// The columns of a Description.
var (
	DescribedExperiment = described("id u", "experiment_name s", "description s", "config j", "status s", "created_at t", "completed_at t",
		"total_episodes i", "best_reward f", "convergence_episode i", "created_by u", "metadata j", "extra j", "changes j")
	DescribedRun = described("id u", "experiment_id u", "experiment_name s", "source s", "host s", "pid i", "started_at t", "ended_at t", "status s",
		"reason s", "last_heartbeat t", "last_record t", "header j", "cursor i", "dead i", "superseded i", "updated_at t", "extra j")
)

func described(columns ...string) []record.Field {
	types := map[byte]record.Type{'u': record.UUID, 's': record.Text, 'j': record.JSON, 't': record.Time, 'i': record.Int, 'f': record.Float}
	fields := make([]record.Field, len(columns))
	for i, c := range columns {
		fields[i] = record.Field{Name: c[:len(c)-2], Type: types[c[len(c)-1]]}
	}
	return fields
}

// Restoration is what is brought back into a database.
type Restoration struct {
	Archived    Archived
	Description Description // makes the experiment and its runs where they are not there
	Kinds       []record.Kind
	// Rows yields the rows of a kind. A row is valid until the next.
	Rows func(kind record.Kind) iter.Seq2[*Stored, error]
	// Held is called with every row that the database holds now under the key of a row
	// that was brought; newer says that it was logged later and has won.
	Held func(kind record.Kind, row *Stored, newer bool)
	// Check is called when all is in place: an error undoes all of it.
	Check func() error
}

// Restored counts what a restoration did.
type Restored struct {
	Stored int64 // rows that came back
	There  int64 // that were there already
	Newer  int64 // that lost to a row that was logged later
}

// Archiver lets rows leave the database, and come back.
type Archiver interface {
	// Archives lists what left, of one experiment or, with "", of all, the latest first.
	Archives(ctx context.Context, experimentID string) ([]Archived, error)
	// Describe returns an experiment's row and those of its runs; ErrNotFound.
	Describe(ctx context.Context, experimentID string) (Description, error)
	// Remove deletes the selected rows of an experiment and notes where they are, in one
	// transaction in which nobody else writes to the experiment, and returns how many.
	// The rows that it finds must be those of the digests; otherwise it is ErrConflict and
	// nothing is deleted. It is ErrConflict too while the experiment runs. Without digests
	// the rows are deleted for good and nothing is noted.
	Remove(ctx context.Context, a Archived, sel Selection, digests map[record.Kind]Digest) (int64, error)
	// BringBack brings rows back, all or none. A row that is there already stays when it
	// was logged later.
	BringBack(ctx context.Context, r Restoration) (Restored, error)
}

// Hasher makes the SHA-256 of rows. Two databases that hold the same values have the same
// hashes, whatever their order; JSON counts as it is written, unless the hasher is loose.
type Hasher struct {
	Loose bool // JSON counts by what it says
	buf   []byte
}

// Sum is the hash of a row.
func (h *Hasher) Sum(row *Stored) (sum [32]byte, err error) {
	b := h.buf[:0]
	b = appendText(b, row.RunID)
	b = binary.LittleEndian.AppendUint64(b, row.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(row.Time.UnixMicro()))
	if row.Row.Schema.Key == 0 {
		b = appendText(b, row.ID)
	}
	for i := range row.Row.Values {
		v := &row.Row.Values[i]
		b = append(b, byte(v.Type))
		switch v.Type {
		case record.Null:
		case record.Int:
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Int()))
		case record.Float:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float()))
		case record.Time:
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Time().UnixMicro()))
		case record.Vector:
			b = appendVector(b, v)
		case record.JSON:
			if b, err = h.appendJSON(b, v.Bytes()); err != nil {
				return sum, fmt.Errorf("%s: %w", row.Row.Schema.Fields[i].Name, err)
			}
		default:
			b = appendText(b, string(v.Bytes()))
		}
	}
	if b, err = h.appendJSON(b, row.Row.Extra); err != nil {
		return sum, fmt.Errorf("extra: %w", err)
	}
	h.buf = b
	return sha256.Sum256(b), nil
}

// AddTo adds a row to a digest.
func (h *Hasher) AddTo(d *Digest, row *Stored) error {
	sum, err := h.Sum(row)
	if err == nil {
		d.Add(sum)
	}
	return err
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

// appendVector writes every element that is no number, null in a database, in one way.
func appendVector(b []byte, v *record.Value) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(v.Len()))
	raw := v.Bytes()
	for i := 0; i+4 <= len(raw); i += 4 {
		bits := binary.LittleEndian.Uint32(raw[i:])
		if bits&0x7f800000 == 0x7f800000 {
			bits = 0x7fc00000
		}
		b = binary.LittleEndian.AppendUint32(b, bits)
	}
	return b
}

func (h *Hasher) appendJSON(b, text []byte) ([]byte, error) {
	if h.Loose && len(text) > 0 {
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			return b, err
		}
		var err error
		if text, err = json.Marshal(v); err != nil {
			return b, err
		}
	}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...), nil
}
