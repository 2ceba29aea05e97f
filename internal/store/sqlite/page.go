package sqlite

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Page streams a stretch of an experiment's rows by key; see [store.Reader].
func (s *Store) Page(ctx context.Context, experimentID string, kind record.Kind, r store.Range) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		schema, err := tableOf(kind)
		if err == nil && schema.Key == 0 {
			err = fmt.Errorf("rows of %s have no key to read them by: read them all", schema.Table)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		db, err := s.reader(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		query, args := pageSQL(schema, experimentID, r)
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			yield(nil, s.wrap(err))
			return
		}
		defer rows.Close()
		values, into := scanTargets(len(schema.Fields) + 4)
		stored := &store.Stored{Row: record.Row{Schema: schema, Values: make([]record.Value, len(schema.Fields))}}
		for rows.Next() {
			err := rows.Scan(into...)
			if err == nil {
				err = scanStored(stored, values)
			}
			if err != nil {
				yield(nil, s.wrap(err))
				return
			}
			if !yield(stored, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, s.wrap(err))
		}
	}
}

func pageSQL(schema *record.Schema, experimentID string, r store.Range) (query string, args []any) {
	columns := []string{"t.run_id", "t.seq", "t.logged_at"}
	for i, name := range append(fieldNames(schema), "extra") {
		if i < schema.Key || r.Has(name) {
			columns = append(columns, "t."+name)
		} else {
			columns = append(columns, "NULL")
		}
	}
	names := fieldNames(schema)[:schema.Key]
	where, args := "t.experiment_id = ?", []any{canonical(experimentID)}
	bound := func(op string, k *store.Key) {
		if k == nil {
			return
		}
		where += fmt.Sprintf(" AND (t.%s) %s (?%s)", strings.Join(names, ", t."), op, strings.Repeat(", ?", len(names)-1))
		args = append(args, []any{k.Episode, k.Step}[:len(names)]...)
	}
	bound(">", r.After)
	bound("<=", r.Until)
	order := ""
	if r.Newest {
		order = " DESC"
	}
	query = fmt.Sprintf("SELECT %s FROM %s t WHERE %s ORDER BY t.%s%s", strings.Join(columns, ", "), schema.Table, where, strings.Join(names, order+", t."), order)
	if r.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", r.Limit)
	}
	return query, args
}
