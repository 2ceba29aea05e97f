package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// pageSize is how many rows one statement reads. Rows stream within a page, so it
// bounds how long a statement lasts, not memory.
const pageSize = 5000

// binaryFormat asks for all columns in binary.
var binaryFormat = pgx.QueryResultFormats{1}

// selectRows names the columns in the order that decodeRow expects.
func selectRows(s *record.Schema) string {
	var b strings.Builder
	b.WriteString("SELECT t.run_id, t.seq, t.logged_at, t.extra")
	for _, f := range s.Fields {
		b.WriteString(", t." + f.Name)
	}
	if s.Key == 0 {
		b.WriteString(", t.id")
	}
	b.WriteString(" FROM " + s.Table + " t")
	return b.String()
}

// Rows streams an experiment's rows: see store.Reader. It reads page after page, each
// from where the last one ended, so that neither a transaction nor a connection is
// held for longer than a page.
func (s *Store) Rows(ctx context.Context, experimentID string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		schema := record.SchemaOf(kind)
		if schema == nil || schema.Table == "" {
			yield(nil, fmt.Errorf("%w: there is no table of kind %q", store.ErrNotFound, kind))
			return
		}
		d := newDecoder(schema)
		position := firstPosition(schema)
		for {
			n, goOn, err := s.page(ctx, d, experimentID, &position, yield)
			if err != nil {
				yield(nil, s.wrap("read "+schema.Table, err))
				return
			}
			if !goOn || n < pageSize {
				return
			}
		}
	}
}

// position is the key of the last row that was read.
type position struct {
	episode, step int64
	logged        time.Time
	run           string
	seq           int64
	id            string
}

func firstPosition(*record.Schema) position {
	const none = "00000000-0000-0000-0000-000000000000"
	return position{episode: -1 << 31, step: -1 << 31, logged: time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC), run: none, seq: math.MinInt64, id: none}
}

func pageSQL(s *record.Schema) string {
	switch s.Key {
	case 1:
		return " WHERE t.experiment_id = $1 AND t.episode_number > $2 ORDER BY t.episode_number LIMIT $3"
	case 2:
		return " WHERE t.experiment_id = $1 AND (t.episode_number, t.step_number) > ($2, $3) ORDER BY t.episode_number, t.step_number LIMIT $4"
	default:
		const key = "t.logged_at, coalesce(t.run_id, " + noRun + "), coalesce(t.seq, 0), t.id"
		return " WHERE t.experiment_id = $1 AND t.logged_at >= $2 AND (" + key + ") > ($2, $3, $4, $5) ORDER BY " + key + " LIMIT $6"
	}
}

func (p *position) args(s *record.Schema, experimentID string) []any {
	switch s.Key {
	case 1:
		return []any{binaryFormat, uuidArg(experimentID), p.episode, pageSize}
	case 2:
		return []any{binaryFormat, uuidArg(experimentID), p.episode, p.step, pageSize}
	default:
		return []any{binaryFormat, uuidArg(experimentID), p.logged, p.run, p.seq, p.id, pageSize}
	}
}

// page yields the rows of one page. The time-out of a command ends with its first
// row: how long the reader takes for the others is its own affair.
func (s *Store) page(ctx context.Context, d *decoder, experimentID string, p *position, yield func(*store.Stored, error) bool) (n int, goOn bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(s.timeout, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	conn, end, err := s.reading(ctx)
	if err != nil {
		return 0, false, noAnswer(ctx, err)
	}
	defer end()
	if err := s.checkVersion(ctx, conn); err != nil {
		return 0, false, noAnswer(ctx, err)
	}
	rows, err := conn.Query(ctx, d.sql+pageSQL(d.schema), p.args(d.schema, experimentID)...)
	if err != nil {
		return 0, false, noAnswer(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		timer.Stop()
		n++
		row, err := d.decode(rows.RawValues())
		if err != nil {
			return n, false, err
		}
		d.remember(p, row)
		if !yield(row, nil) {
			s.unwanted(cancel) // the rest of the page
			return n, false, nil
		}
	}
	return n, true, noAnswer(ctx, rows.Err())
}

// decoder turns raw columns into rows, reusing its memory.
type decoder struct {
	schema *record.Schema
	sql    string
	row    store.Stored
	run    []byte
	runID  string // run as text
	id     string
	buf    []byte
}

func newDecoder(s *record.Schema) *decoder {
	return &decoder{schema: s, sql: selectRows(s), row: store.Stored{Row: record.Row{Schema: s, Values: make([]record.Value, len(s.Fields))}}}
}

// decode reads one row. The row shares the decoder's memory until the next call.
func (d *decoder) decode(raw [][]byte) (*store.Stored, error) {
	d.buf = d.buf[:0]
	need := 0
	for _, v := range raw {
		need += len(v) + 36
	}
	if cap(d.buf) < need {
		d.buf = make([]byte, 0, need) // values point into it, so it must not move
	}
	r := &d.row
	r.RunID, r.Seq = "", 0
	if raw[0] != nil {
		if string(raw[0]) != string(d.run) {
			d.run = append(d.run[:0], raw[0]...)
			d.runID = uuid.UUID(d.run).String()
		}
		r.RunID = d.runID
	}
	if raw[1] != nil {
		r.Seq = binary.BigEndian.Uint64(raw[1])
	}
	r.Time = decodeTime(raw[2])
	r.Row.Extra = nil
	if raw[3] != nil {
		r.Row.Extra = d.keep(raw[3][1:])
	}
	for i := range d.schema.Fields {
		v, err := d.value(&d.schema.Fields[i], raw[4+i])
		if err != nil {
			return nil, err
		}
		r.Row.Values[i] = v
	}
	d.id = ""
	if d.schema.Key == 0 {
		d.id = uuid.UUID(raw[4+len(d.schema.Fields)]).String()
	}
	r.ID = d.id
	return r, nil
}

func (d *decoder) keep(b []byte) []byte {
	start := len(d.buf)
	d.buf = append(d.buf, b...)
	return d.buf[start:len(d.buf):len(d.buf)]
}

func (d *decoder) value(f *record.Field, raw []byte) (record.Value, error) {
	if raw == nil {
		return record.Value{}, nil
	}
	switch f.Type {
	case record.Int:
		if len(raw) == 4 {
			return record.IntValue(int64(int32(binary.BigEndian.Uint32(raw)))), nil
		}
		return record.IntValue(int64(binary.BigEndian.Uint64(raw))), nil
	case record.Float:
		return record.FloatValue(math.Float64frombits(binary.BigEndian.Uint64(raw))), nil
	case record.Text:
		return record.TextValue(d.keep(raw)), nil
	case record.JSON:
		return record.JSONValue(d.keep(raw[1:])), nil
	case record.Time:
		return record.TimeValue(decodeTime(raw)), nil
	case record.UUID:
		text := uuid.UUID(raw).String()
		return record.UUIDValue(d.keep([]byte(text))), nil
	case record.Vector:
		return d.vector(f, raw)
	default:
		return record.Value{}, fmt.Errorf("%s.%s has a type that cannot be read", d.schema.Table, f.Name)
	}
}

func (d *decoder) vector(f *record.Field, raw []byte) (record.Value, error) {
	start := len(d.buf)
	switch dims := binary.BigEndian.Uint32(raw); dims {
	case 0:
	case 1:
		n := int(binary.BigEndian.Uint32(raw[12:]))
		raw = raw[20:]
		for range n {
			bits := math.Float32bits(float32(math.NaN()))
			size := int32(binary.BigEndian.Uint32(raw))
			raw = raw[4:]
			if size == 4 {
				bits = binary.BigEndian.Uint32(raw)
				raw = raw[4:]
			}
			d.buf = binary.LittleEndian.AppendUint32(d.buf, bits)
		}
	default:
		return record.Value{}, fmt.Errorf("%s.%s has %d dimensions", d.schema.Table, f.Name, dims)
	}
	return record.VectorValue(d.buf[start:len(d.buf):len(d.buf)]), nil
}

func decodeTime(raw []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(raw)) + epoch).UTC()
}

// remember notes where the reading stands.
func (d *decoder) remember(p *position, r *store.Stored) {
	switch d.schema.Key {
	case 2:
		p.step = r.Row.Values[1].Int()
		fallthrough
	case 1:
		p.episode = r.Row.Values[0].Int()
	default:
		p.logged, p.seq, p.id = r.Time, int64(r.Seq), d.id
		p.run = r.RunID
		if p.run == "" {
			p.run = uuid.Nil.String()
		}
	}
}

// Lookup returns the rows with the given keys: see store.Reader.
func (s *Store) Lookup(ctx context.Context, experimentID string, kind record.Kind, keys []store.Key) (map[store.Key]store.Stored, error) {
	found := make(map[store.Key]store.Stored, len(keys))
	schema := record.SchemaOf(kind)
	if schema == nil || schema.Table == "" || len(keys) == 0 {
		return found, nil
	}
	join, args, key := lookup(schema, keys)
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectRows(schema)+join, append([]any{binaryFormat, uuidArg(experimentID)}, args...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			d := newDecoder(schema) // of its own: the row stays
			row, err := d.decode(rows.RawValues())
			if err != nil {
				return err
			}
			found[key(d)] = *row
		}
		return rows.Err()
	})
	return found, s.wrap("look up rows of "+schema.Table, err)
}

// lookup returns the rest of the statement, its arguments, and how to tell the key of
// a decoded row.
func lookup(schema *record.Schema, keys []store.Key) (join string, args []any, key func(*decoder) store.Key) {
	if schema.Key == 0 {
		ids := make([]string, 0, len(keys))
		byID := make(map[string]store.Key, len(keys))
		for _, k := range keys {
			if id := store.RowID(k.RunID, k.Seq); id != "" {
				ids = append(ids, id)
				byID[id] = k
			}
		}
		return " WHERE t.experiment_id = $1 AND t.id = ANY ($2::uuid[])", []any{ids}, func(d *decoder) store.Key { return byID[d.id] }
	}
	episodes, steps := make([]int64, len(keys)), make([]int64, len(keys))
	for i, k := range keys {
		episodes[i], steps[i] = k.Episode, k.Step
	}
	if schema.Key == 1 {
		return " JOIN unnest($2::bigint[]) AS k (episode) ON t.episode_number = k.episode::integer WHERE t.experiment_id = $1", []any{episodes},
			func(d *decoder) store.Key { return store.Key{Episode: d.row.Row.Values[0].Int()} }
	}
	return " JOIN unnest($2::bigint[], $3::bigint[]) AS k (episode, step) ON t.episode_number = k.episode::integer AND t.step_number = k.step::integer WHERE t.experiment_id = $1",
		[]any{episodes, steps}, func(d *decoder) store.Key {
			return store.Key{Episode: d.row.Row.Values[0].Int(), Step: d.row.Row.Values[1].Int()}
		}
}
