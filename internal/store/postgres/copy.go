package postgres

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// The columns of a table as COPY carries them: experiment_id, the fields of the
// schema, extra, run_id, seq, logged_at, created_by; an id comes first where rows have one.
func columns(s *record.Schema) []string {
	var c []string
	if s.Key == 0 {
		c = append(c, "id")
	}
	c = append(c, "experiment_id")
	for _, f := range s.Fields {
		c = append(c, f.Name)
	}
	return append(c, "extra", "run_id", "seq", "logged_at", "created_by")
}

func copySQL(table string, s *record.Schema) string {
	return "COPY " + table + " (" + strings.Join(columns(s), ", ") + ") FROM STDIN (FORMAT binary)"
}

// copyReader writes entries in COPY's binary format as they are read, holding one
// row at a time.
//
// The driver reads in a goroutine of its own and, when the connection breaks, does
// not wait for it; stop does.
type copyReader struct {
	mu                     sync.Mutex
	experiment, run, owner [16]byte
	runID                  string
	rows                   []*store.Entry
	buf                    []byte
	off                    int
	ended                  bool
	err                    error // why a row cannot be written
}

func newCopyReader(experimentID, owner, runID string, rows []*store.Entry) (*copyReader, error) {
	experiment, err := uuid.Parse(experimentID)
	if err != nil {
		return nil, fmt.Errorf("%w: experiment id %q is not a UUID", store.ErrRefused, experimentID)
	}
	run, err := uuid.Parse(runID)
	if err != nil {
		return nil, fmt.Errorf("%w: run id %q is not a UUID", store.ErrRefused, runID)
	}
	by, err := uuid.Parse(owner)
	if err != nil {
		return nil, fmt.Errorf("%w: owner %q of the experiment is not a UUID", store.ErrRefused, owner)
	}
	r := &copyReader{experiment: experiment, run: run, owner: by, runID: runID, rows: rows, buf: make([]byte, 0, 64<<10)}
	r.buf = append(r.buf, copyHeader...)
	return r, nil
}

// Read fills p: a message of the protocol carries as many bytes as one call returns.
func (r *copyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.buf)-r.off < len(p) && !r.ended {
		if r.off > 0 {
			r.buf = r.buf[:copy(r.buf, r.buf[r.off:])]
			r.off = 0
		}
		if len(r.rows) == 0 {
			r.buf = binary.BigEndian.AppendUint16(r.buf, math.MaxUint16) // trailer: -1
			r.ended = true
			break
		}
		if r.err = r.appendRow(r.rows[0]); r.err != nil {
			return 0, r.err
		}
		r.rows = r.rows[1:]
	}
	n := copy(p, r.buf[r.off:])
	r.off += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// stop ends the reading, so that the entries are the caller's again, and returns why
// a row could not be written.
func (r *copyReader) stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows, r.buf, r.off, r.ended = nil, nil, 0, true
	return r.err
}

func (r *copyReader) appendRow(e *store.Entry) (err error) {
	id := ""
	if e.Row.Schema.Key == 0 {
		id = store.RowID(r.runID, e.Seq)
	}
	r.buf, err = appendRow(r.buf, &origin{e.Row.Schema, &r.experiment, &r.owner, &r.run}, id, e.Seq, e.Time, &e.Row)
	return err
}

// origin is what rows of one table, experiment and run have in common. A row that was
// inserted by hand has no run.
type origin struct {
	schema                 *record.Schema
	experiment, owner, run *[16]byte
}

func appendRow(b []byte, o *origin, id string, seq uint64, logged time.Time, row *record.Row) ([]byte, error) {
	s := o.schema
	n := len(s.Fields) + 6
	if s.Key == 0 {
		n++
	}
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	if s.Key == 0 {
		id, err := uuid.Parse(id)
		if err != nil {
			return b, err
		}
		b = appendBytes(b, id[:])
	}
	b = appendBytes(b, o.experiment[:])
	for i := range s.Fields {
		var err error
		if b, err = appendValue(b, &s.Fields[i], row.Values[i], logged); err != nil {
			return b, fmt.Errorf("%w: %s %d: %w", store.ErrRefused, s.Kind, seq, err)
		}
	}
	if len(row.Extra) == 0 {
		b = appendNull(b)
	} else {
		b = appendJSON(b, row.Extra)
	}
	if o.run == nil {
		b = appendNull(appendNull(b))
	} else {
		b = appendInt8(appendBytes(b, o.run[:]), int64(seq))
	}
	b = appendTime(b, logged)
	return appendBytes(b, o.owner[:]), nil
}

func appendValue(b []byte, f *record.Field, v record.Value, logged time.Time) ([]byte, error) {
	if v.IsNull() {
		if f.Type == record.Time {
			return appendTime(b, logged), nil
		}
		return appendNull(b), nil
	}
	switch v.Type {
	case record.Int:
		switch {
		case f.Type == record.Float:
			return appendFloat(b, float64(v.Int())), nil
		case !isInt4(f):
			return appendInt8(b, v.Int()), nil
		case v.Int() > math.MaxInt32 || v.Int() < math.MinInt32:
			return b, fmt.Errorf("%s is %d: must be at most %d", f.Name, v.Int(), math.MaxInt32)
		}
		b = binary.BigEndian.AppendUint32(b, 4)
		return binary.BigEndian.AppendUint32(b, uint32(v.Int())), nil
	case record.Float:
		return appendFloat(b, v.Float()), nil
	case record.Text:
		return appendBytes(b, v.Bytes()), nil
	case record.JSON:
		return appendJSON(b, v.Bytes()), nil
	case record.Vector:
		return appendVector(b, v), nil
	case record.Time:
		return appendTime(b, v.Time()), nil
	case record.UUID:
		id, err := uuid.ParseBytes(v.Bytes())
		if err != nil {
			return b, fmt.Errorf("%s is %q: must be a UUID", f.Name, v.Bytes())
		}
		return appendBytes(b, id[:]), nil
	default:
		return b, fmt.Errorf("%s has a value of type %d", f.Name, v.Type)
	}
}

// isInt4 reports whether the field's column is an integer, not a bigint.
func isInt4(f *record.Field) bool { return f.Type == record.Int && f.Max == math.MaxInt32 }

func appendNull(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

func appendBytes(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendInt8(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
}

func appendFloat(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return appendNull(b)
	}
	return appendInt8(b, int64(math.Float64bits(v)))
}

// appendTime writes microseconds since 2000, the server's epoch.
func appendTime(b []byte, t time.Time) []byte { return appendInt8(b, t.UnixMicro()-epoch) }

const epoch = 946_684_800_000_000

func appendJSON(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)+1))
	return append(append(b, 1), v...) // 1: version of jsonb's binary format
}

// appendVector writes a real[] of one dimension; NaN stands for null.
func appendVector(b []byte, v record.Value) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0) // length, below
	n := v.Len()
	if n == 0 {
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0xbc)
	} else {
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x02, 0xbc) // dimensions, nulls, type 700
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		b = append(b, 0, 0, 0, 1) // lower bound
		raw := v.Bytes()
		for i := 0; i+4 <= len(raw); i += 4 {
			bits := binary.LittleEndian.Uint32(raw[i:])
			if bits&0x7f800000 == 0x7f800000 { // NaN or infinite
				b[start+11] = 1
				b = appendNull(b)
				continue
			}
			b = append(b, 0, 0, 0, 4, byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits))
		}
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}
