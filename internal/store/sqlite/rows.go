package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strings"
	"unsafe"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// rowColumns are the columns of a stored row: where it came from, then the fields,
// then extra.
func rowColumns(schema *record.Schema) string {
	return "t.run_id, t.seq, t.logged_at, t." + strings.Join(fieldNames(schema), ", t.") + ", t.extra"
}

func tableOf(kind record.Kind) (*record.Schema, error) {
	schema := record.SchemaOf(kind)
	if schema == nil || schema.Table == "" {
		return nil, fmt.Errorf("records of kind %q have no table", kind)
	}
	return schema, nil
}

// Rows streams an experiment's rows of one kind; see [store.Reader].
func (s *Store) Rows(ctx context.Context, experimentID string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		schema, err := tableOf(kind)
		if err != nil {
			yield(nil, err)
			return
		}
		db, err := s.reader(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		order, id := "t.logged_at, t.run_id, t.seq, t.id", ", t.id"
		if schema.Key > 0 {
			id = ""
			order = "t." + strings.Join(fieldNames(schema)[:schema.Key], ", t.")
		}
		rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT %s%s FROM %s t WHERE t.experiment_id = ? ORDER BY %s",
			rowColumns(schema), id, schema.Table, order), canonical(experimentID))
		if err != nil {
			yield(nil, s.wrap(err))
			return
		}
		defer rows.Close()
		n := len(schema.Fields) + 4
		if schema.Key == 0 {
			n++
		}
		values, into := scanTargets(n)
		stored := &store.Stored{Row: record.Row{Schema: schema, Values: make([]record.Value, len(schema.Fields))}}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				yield(nil, s.wrap(err))
				return
			}
			if err := scanStored(stored, values); err != nil {
				yield(nil, s.wrap(err))
				return
			}
			if schema.Key == 0 {
				stored.ID = asText(values[n-1])
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

// Lookup returns the rows with the given keys; see [store.Reader].
func (s *Store) Lookup(ctx context.Context, experimentID string, kind record.Kind, keys []store.Key) (map[store.Key]store.Stored, error) {
	found := make(map[store.Key]store.Stored, len(keys))
	schema, err := tableOf(kind)
	if err != nil || len(keys) == 0 {
		return found, err
	}
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	// All keys travel as one JSON parameter; SQLite looks each of them up in the
	// index of the table.
	list := make([]any, len(keys))
	for i, k := range keys {
		switch schema.Key {
		case 0:
			list[i] = store.RowID(k.RunID, k.Seq)
		default:
			list[i] = []int64{k.Episode, k.Step}[:schema.Key]
		}
	}
	param, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	match := "t.id = k.value AND t.experiment_id = ?2"
	if schema.Key > 0 {
		match = "t.experiment_id = ?2"
		for i, name := range fieldNames(schema)[:schema.Key] {
			match += fmt.Sprintf(" AND t.%s = json_extract(k.value, '$[%d]')", name, i)
		}
	}
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT k.key, %s FROM json_each(?1) k CROSS JOIN %s t ON %s",
		rowColumns(schema), schema.Table, match), string(param), canonical(experimentID))
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	values, into := scanTargets(len(schema.Fields) + 5)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, s.wrap(err)
		}
		stored := store.Stored{Row: record.Row{Schema: schema, Values: make([]record.Value, len(schema.Fields))}}
		if err := scanStored(&stored, values[1:]); err != nil {
			return nil, s.wrap(err)
		}
		found[keys[asInt(values[0])]] = stored
	}
	return found, s.wrap(rows.Err())
}

// CountRows counts an experiment's rows of one kind that come from a run; see
// [store.Reader].
func (s *Store) CountRows(ctx context.Context, experimentID, runID string, kind record.Kind) (int64, error) {
	schema, err := tableOf(kind)
	if err != nil {
		return 0, err
	}
	db, err := s.reader(ctx)
	if err != nil {
		return 0, err
	}
	var n int64
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM `+schema.Table+` WHERE experiment_id = ? AND run_id = ?`,
		canonical(experimentID), canonical(runID)).Scan(&n)
	return n, s.wrap(err)
}

// scanStored fills a row from the values of rowColumns.
func scanStored(into *store.Stored, values []driver.Value) error {
	into.RunID, into.Seq = asText(values[0]), uint64(asInt(values[1]))
	var err error
	if into.Time, err = asTime(values[2]); err != nil {
		return fmt.Errorf("%s.logged_at: %w", into.Row.Schema.Table, err)
	}
	fields := into.Row.Schema.Fields
	for i, f := range fields {
		if into.Row.Values[i], err = scanValue(f.Type, values[3+i]); err != nil {
			return fmt.Errorf("%s.%s: %w", into.Row.Schema.Table, f.Name, err)
		}
	}
	into.Row.Extra = nil
	if extra := values[3+len(fields)]; extra != nil {
		into.Row.Extra = bytesOf(asText(extra))
	}
	return nil
}

// bytesOf are the bytes of a text that the driver made for this row alone. They are read
// and never written.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// scanValue turns what SQLite holds into a value of the type. SQLite keeps what it
// is given, so a row that was written by hand can hold something else.
func scanValue(t record.Type, v driver.Value) (record.Value, error) {
	if v == nil {
		return record.Value{}, nil
	}
	switch t {
	case record.Int:
		if n, ok := v.(int64); ok {
			return record.IntValue(n), nil
		}
	case record.Float:
		switch x := v.(type) {
		case float64:
			if math.IsInf(x, 0) {
				return record.Value{}, nil
			}
			return record.FloatValue(x), nil
		case int64:
			return record.FloatValue(float64(x)), nil
		}
	case record.Text:
		if text, ok := v.(string); ok {
			return record.TextValue(bytesOf(text)), nil
		}
	case record.JSON:
		if text, ok := v.(string); ok {
			return record.JSONValue(bytesOf(text)), nil
		}
	case record.Vector:
		if b, ok := v.([]byte); ok {
			values, err := parseVector(b)
			return record.VectorValue(values), err
		}
	case record.Time:
		at, err := asTime(v)
		return record.TimeValue(at), err
	case record.UUID:
		id, err := uuid.Parse(asText(v))
		return record.UUIDValue([]byte(id.String())), err
	}
	return record.Value{}, fmt.Errorf("is %v (%T), must be %s", v, v, t)
}
