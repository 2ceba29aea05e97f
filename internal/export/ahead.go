package export

import (
	"context"
	"iter"
	"sync"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Bounds of a batch of lines that are read ahead, and how many there are: they are all
// that is held, however long the table is.
const (
	aheadRows    = 512
	aheadBytes   = 1 << 20
	aheadBatches = 3
)

// lines are rows that have been read, with memory of their own.
type lines struct {
	values []record.Value // of all rows, one after the other
	bytes  []byte         // that the values point into
	rows   []record.Row   // empty for the table experiments
	err    error
}

// ahead is rows, read in a goroutine of its own while the rows before are written: reading
// a database and encoding take about as long as each other. The goroutine ends before the
// iteration does.
func (t table) ahead(ctx context.Context, reader store.Reader, x *store.Experiment) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		full, free := make(chan *lines, aheadBatches), make(chan *lines, aheadBatches)
		for range aheadBatches {
			free <- new(lines)
		}
		ctx, stop := context.WithCancel(ctx)
		var reading sync.WaitGroup
		reading.Go(func() {
			defer close(full)
			t.read(ctx, t.rows(ctx, reader, x), full, free)
		})
		defer reading.Wait()
		defer stop()
		width := len(t.columns)
		for b := range full {
			for i := 0; i*width < len(b.values); i++ {
				l := line{columns: b.values[i*width : (i+1)*width]}
				if len(b.rows) > 0 {
					l.row = &b.rows[i]
				}
				if !yield(l, nil) {
					return
				}
			}
			if b.err != nil {
				yield(line{}, b.err)
				return
			}
			free <- b
		}
	}
}

// read fills batches until the rows end or nobody wants them any more.
func (t table) read(ctx context.Context, rows iter.Seq2[line, error], full, free chan *lines) {
	b, ok := next(ctx, free)
	if !ok {
		return
	}
	for l, err := range rows {
		if err != nil {
			b.err = err
			break
		}
		b.add(t, l)
		if len(b.values) < aheadRows*len(t.columns) && len(b.bytes) < aheadBytes {
			continue
		}
		full <- b // there are no more batches than it has room for
		if b, ok = next(ctx, free); !ok {
			return
		}
	}
	full <- b
}

// next is an empty batch; false when the iteration has ended.
func next(ctx context.Context, free chan *lines) (*lines, bool) {
	select {
	case b := <-free:
		*b = lines{values: b.values[:0], bytes: b.bytes[:0], rows: b.rows[:0]}
		return b, true
	case <-ctx.Done():
		return nil, false
	}
}

// add copies a row, whose memory is used again.
func (b *lines) add(t table, l line) {
	first := len(b.values)
	for _, v := range l.columns {
		b.values = append(b.values, b.keep(v))
	}
	if l.row == nil {
		return
	}
	at := first + t.firstField()
	r := record.Row{Schema: l.row.Schema, Values: b.values[at : at+len(l.row.Values) : at+len(l.row.Values)]}
	// extra, run_id, seq and logged_at come last.
	if extra := b.values[len(b.values)-4]; !extra.IsNull() {
		r.Extra = extra.Bytes()
	}
	b.rows = append(b.rows, r)
}

func (b *lines) keep(v record.Value) record.Value {
	raw := v.Bytes()
	if raw == nil {
		return v
	}
	start := len(b.bytes)
	b.bytes = append(b.bytes, raw...)
	raw = b.bytes[start:len(b.bytes):len(b.bytes)]
	switch v.Type {
	case record.Text:
		return record.TextValue(raw)
	case record.JSON:
		return record.JSONValue(raw)
	case record.UUID:
		return record.UUIDValue(raw)
	case record.Vector:
		return record.VectorValue(raw)
	}
	return v
}
