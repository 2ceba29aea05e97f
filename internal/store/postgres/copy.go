package postgres

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
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

// copyReader writes rows in COPY's binary format as they are read, holding one row at a
// time.
//
// The driver reads in a goroutine of its own and, when the connection breaks, does
// not wait for it; stop does.
type copyReader struct {
	mu    sync.Mutex
	row   func(b []byte) (_ []byte, more bool, err error) // appends the next row; false behind the last
	end   func()                                          // lets go of the rows
	buf   []byte
	off   int
	ended bool
	err   error // why a row cannot be written
}

const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func newCopyReader(row func([]byte) ([]byte, bool, error), end func()) *copyReader {
	return &copyReader{row: row, end: end, buf: append(make([]byte, 0, 64<<10), copyHeader...)}
}

// Read fills p: a message of the protocol carries as many bytes as one call returns.
func (r *copyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	for len(r.buf)-r.off < len(p) && !r.ended {
		if r.off > 0 {
			r.buf, r.off = r.buf[:copy(r.buf, r.buf[r.off:])], 0
		}
		var more bool
		if r.buf, more, r.err = r.row(r.buf); r.err != nil {
			return 0, r.err
		}
		if !more {
			r.buf = binary.BigEndian.AppendUint16(r.buf, math.MaxUint16) // trailer: -1
			r.ended = true
		}
	}
	n := copy(p, r.buf[r.off:])
	r.off += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// stop ends the reading, so that the rows are the caller's again, and returns why a row
// could not be had or written.
func (r *copyReader) stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf, r.off, r.ended = nil, 0, true
	r.end()
	return r.err
}

// copyEntries reads the entries of one run, which are of one table.
func copyEntries(experimentID, owner, runID string, rows []*store.Entry) (*copyReader, error) {
	o, err := originOf(rows[0].Row.Schema, experimentID, owner)
	if err == nil {
		err = o.setRun(runID)
	}
	if err != nil {
		return nil, err
	}
	return newCopyReader(func(b []byte) ([]byte, bool, error) {
		if len(rows) == 0 {
			return b, false, nil
		}
		e, id := rows[0], ""
		rows = rows[1:]
		if o.schema.Key == 0 {
			id = store.RowID(runID, e.Seq)
		}
		b, err := appendRow(b, o, id, e.Seq, e.Time, &e.Row)
		return b, true, err
	}, func() { rows = nil }), nil
}

// copyStored reads stored rows of one table, each with its own run.
func copyStored(schema *record.Schema, experimentID, owner string, rows iter.Seq2[*store.Stored, error]) (*copyReader, error) {
	o, err := originOf(schema, experimentID, owner)
	if err != nil {
		return nil, err
	}
	next, end := iter.Pull2(rows)
	run := ""
	return newCopyReader(func(b []byte) ([]byte, bool, error) {
		row, err, more := next()
		if !more || err != nil {
			return b, more, err
		}
		if row.RunID != run {
			run = row.RunID
			if err := o.setRun(run); err != nil {
				return b, true, err
			}
		}
		b, err = appendRow(b, o, row.ID, row.Seq, row.Time, &row.Row)
		return b, true, err
	}, end), nil
}

// origin is what rows of one table, experiment and run have in common.
type origin struct {
	schema            *record.Schema
	experiment, owner [16]byte
	run               [16]byte
	byHand            bool // the row was inserted by hand and has no run
}

func originOf(schema *record.Schema, experimentID, owner string) (*origin, error) {
	experiment, err := uuid.Parse(experimentID)
	if err != nil {
		return nil, fmt.Errorf("%w: experiment id %q is not a UUID", store.ErrRefused, experimentID)
	}
	by, err := uuid.Parse(owner)
	if err != nil {
		return nil, fmt.Errorf("%w: owner %q of the experiment is not a UUID", store.ErrRefused, owner)
	}
	return &origin{schema: schema, experiment: experiment, owner: by, byHand: true}, nil
}

// setRun names the run of the rows that follow; "" is none.
func (o *origin) setRun(id string) error {
	if o.byHand = id == ""; o.byHand {
		return nil
	}
	run, err := uuid.Parse(id)
	if err != nil {
		return fmt.Errorf("%w: run id %q is not a UUID", store.ErrRefused, id)
	}
	o.run = run
	return nil
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
	if o.byHand {
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
