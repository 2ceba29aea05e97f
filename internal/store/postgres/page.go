package postgres

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Page streams a stretch of an experiment's rows by key: see store.Reader.
func (s *Store) Page(ctx context.Context, experimentID string, kind record.Kind, r store.Range) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		schema := record.SchemaOf(kind)
		if schema == nil || schema.Key == 0 {
			yield(nil, fmt.Errorf("rows of kind %q have no key to read them by: read them all", kind))
			return
		}
		left := r.Limit
		for {
			size := pageSize
			if left > 0 {
				size = min(size, left)
			}
			n, last, goOn, err := s.stretch(ctx, schema, experimentID, r, size, yield)
			if err != nil {
				yield(nil, s.wrap("read "+schema.Table, err))
				return
			}
			if left > 0 {
				if left -= n; left == 0 {
					return
				}
			}
			if !goOn || n < size {
				return
			}
			if r.Newest {
				// One less than the last: keys are whole numbers.
				r.Until = &store.Key{Episode: last.Episode, Step: last.Step - 1}
				if schema.Key == 1 {
					r.Until = &store.Key{Episode: last.Episode - 1}
				}
			} else {
				r.After = &last
			}
		}
	}
}

// stretch yields at most size rows.
func (s *Store) stretch(ctx context.Context, schema *record.Schema, experimentID string, r store.Range, size int, yield func(*store.Stored, error) bool) (n int, last store.Key, goOn bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(s.timeout, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	conn, end, err := s.reading(ctx)
	if err != nil {
		return 0, last, false, noAnswer(ctx, err)
	}
	defer end()
	if err := s.checkVersion(ctx, conn); err != nil {
		return 0, last, false, noAnswer(ctx, err)
	}
	query, args := rangeSQL(schema, experimentID, r, size)
	rows, err := conn.Query(ctx, query, append([]any{binaryFormat}, args...)...)
	if err != nil {
		return 0, last, false, noAnswer(ctx, err)
	}
	defer rows.Close()
	d := newDecoder(schema)
	for rows.Next() {
		timer.Stop()
		n++
		row, err := d.decode(rows.RawValues())
		if err != nil {
			return n, last, false, err
		}
		last = store.Key{Episode: row.Row.Values[0].Int()}
		if schema.Key == 2 {
			last.Step = row.Row.Values[1].Int()
		}
		if !yield(row, nil) {
			s.unwanted(cancel) // the rest
			return n, last, false, nil
		}
	}
	return n, last, true, noAnswer(ctx, rows.Err())
}

func rangeSQL(schema *record.Schema, experimentID string, r store.Range, size int) (query string, args []any) {
	column := func(name string) string {
		if r.Has(name) {
			return ", t." + name
		}
		return ", NULL"
	}
	var b strings.Builder
	b.WriteString("SELECT t.run_id, t.seq, t.logged_at" + column("extra"))
	key := make([]string, schema.Key)
	for i, f := range schema.Fields {
		if i < schema.Key {
			key[i] = "t." + f.Name
			b.WriteString(", t." + f.Name) // the key is always read: it says where to go on
			continue
		}
		b.WriteString(column(f.Name))
	}
	b.WriteString(" FROM " + schema.Table + " t WHERE t.experiment_id = $1")
	args = []any{uuidArg(experimentID)}
	bound := func(op string, k *store.Key) {
		if k == nil {
			return
		}
		var marks []string
		for _, v := range []int64{k.Episode, k.Step}[:schema.Key] {
			args = append(args, v)
			marks = append(marks, fmt.Sprintf("$%d::bigint", len(args)))
		}
		fmt.Fprintf(&b, " AND (%s) %s (%s)", strings.Join(key, ", "), op, strings.Join(marks, ", "))
	}
	bound(">", r.After)
	bound("<=", r.Until)
	order := ""
	if r.Newest {
		order = " DESC"
	}
	fmt.Fprintf(&b, " ORDER BY %s%s LIMIT %d", strings.Join(key, order+", "), order, size)
	return b.String(), args
}
