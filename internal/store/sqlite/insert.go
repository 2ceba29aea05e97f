package sqlite

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"unsafe"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// tableSQL holds the statements of a table. In all of them a row's values stand in
// one order: experiment_id, the fields, extra, run_id, seq, logged_at, and id where
// the table has one.
type tableSQL struct {
	insert string // does nothing when the key is taken
	holder string // who holds the key: run_id, seq, logged_at
	update string // the values, then the key again
}

var statements = func() map[record.Kind]tableSQL {
	all := map[record.Kind]tableSQL{}
	for _, schema := range record.Tabled() {
		columns := append(append([]string{"experiment_id"}, fieldNames(schema)...), "extra", "run_id", "seq", "logged_at")
		key := []string{"id"}
		if schema.Key == 0 {
			columns = append(columns, "id")
		} else {
			key = append([]string{"experiment_id"}, fieldNames(schema)[:schema.Key]...)
		}
		where := strings.Join(key, " = ? AND ") + " = ?"
		all[schema.Kind] = tableSQL{
			insert: fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (%s) DO NOTHING",
				schema.Table, strings.Join(columns, ", "), strings.Repeat(", ?", len(columns)-1), strings.Join(key, ", ")),
			holder: fmt.Sprintf("SELECT run_id, seq, logged_at FROM %s WHERE %s", schema.Table, where),
			update: fmt.Sprintf("UPDATE %s SET %s = ? WHERE %s", schema.Table, strings.Join(columns, " = ?, "), where),
		}
	}
	return all
}()

func fieldNames(schema *record.Schema) []string {
	names := make([]string, len(schema.Fields))
	for i, f := range schema.Fields {
		names[i] = f.Name
	}
	return names
}

// inserter writes the rows of one table for one run.
type inserter struct {
	t      *tx
	schema *record.Schema
	sql    tableSQL
	run    *runRow
	stmt   driver.Stmt
	values []driver.Value
	vector []byte // the stored form of the row's state
}

func (t *tx) inserter(schema *record.Schema, run *runRow) (*inserter, error) {
	sql := statements[schema.Kind]
	stmt, err := t.prepare(sql.insert)
	if err != nil {
		return nil, err
	}
	return &inserter{t: t, schema: schema, sql: sql, run: run, stmt: stmt}, nil
}

// insert writes one entry, or decides who keeps the key when it is taken.
func (in *inserter) insert(e *store.Entry, out *outcome) error {
	if err := in.bind(e); err != nil {
		return err
	}
	n, err := in.t.execStmt(in.stmt, in.values)
	if err != nil {
		return fmt.Errorf("%s %d: %w", in.schema.Kind, e.Seq, err)
	}
	if n > 0 {
		out.result.Stored++
		return nil
	}
	return in.contest(e, out)
}

// contest lets the row that was logged last have the key. The run that lost counts
// it.
func (in *inserter) contest(e *store.Entry, out *outcome) error {
	key := in.key()
	holder, err := in.t.row(in.sql.holder, key...)
	if err != nil {
		return err
	}
	if holder == nil {
		return fmt.Errorf("%s %d: its key is neither free nor taken", in.schema.Kind, e.Seq)
	}
	run, seq := asText(holder[0]), uint64(asInt(holder[1]))
	logged, err := asTime(holder[2])
	if err != nil {
		return fmt.Errorf("%s.logged_at: %w", in.schema.Table, err)
	}
	switch {
	case run == in.run.id && seq == e.Seq:
		out.result.Repeated++
		return nil
	case !store.Later(e.Time, in.run.id, e.Seq, logged, run, seq):
		out.result.Superseded++
		out.lost++
		return nil
	}
	if _, err := in.t.exec(in.sql.update, append(in.values[:len(in.values):len(in.values)], key...)...); err != nil {
		return fmt.Errorf("%s %d: %w", in.schema.Kind, e.Seq, err)
	}
	out.result.Stored++
	out.result.Superseded++
	switch run {
	case in.run.id:
		out.lost++
	case "":
		// A row that was written by hand: no run to charge.
	default:
		_, err = in.t.exec(`UPDATE training_runs SET superseded = superseded + 1 WHERE id = ?`, run)
	}
	return err
}

func (in *inserter) key() []driver.Value {
	if in.schema.Key == 0 {
		return in.values[len(in.values)-1:]
	}
	return in.values[:1+in.schema.Key]
}

// bind fills values from the entry. Texts and blobs are shared with it; the driver
// copies them when it binds them.
func (in *inserter) bind(e *store.Entry) error {
	v := append(in.values[:0], in.run.experimentID)
	for i := range e.Row.Values {
		switch x := &e.Row.Values[i]; x.Type {
		case record.Null:
			v = append(v, nil)
		case record.Int:
			v = append(v, x.Int())
		case record.Float:
			v = append(v, x.Float())
		case record.Text, record.JSON, record.UUID:
			v = append(v, shared(x.Bytes()))
		case record.Vector:
			in.vector = appendVector(in.vector[:0], x.Bytes())
			v = append(v, in.vector)
		case record.Time:
			v = append(v, timeText(x.Time()))
		default:
			return fmt.Errorf("%w: %s: a value of type %d", store.ErrRefused, in.schema.Fields[i].Name, x.Type)
		}
	}
	var extra driver.Value
	if len(e.Row.Extra) > 0 {
		extra = shared(e.Row.Extra)
	}
	v = append(v, extra, in.run.id, int64(e.Seq), timeText(loggedAt(e)))
	if in.schema.Key == 0 {
		v = append(v, store.RowID(in.run.id, e.Seq))
	}
	in.values = v
	return nil
}

// shared returns b as text without copying it.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
