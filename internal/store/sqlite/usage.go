package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// sampled is how many rows of an experiment say how large its rows are.
const sampled = 500

// weighSQL counts the rows of every experiment in a table and weighs some of them.
func weighSQL(schema *record.Schema) string {
	width := "64" // ids, numbers, times
	for _, name := range append(fieldNames(schema), "extra") {
		width += fmt.Sprintf(" + coalesce(octet_length(x.%s), 0)", name)
	}
	return fmt.Sprintf(`SELECT e.id, e.experiment_name, (SELECT count(*) FROM %[1]s x WHERE x.experiment_id = e.id),
		coalesce((SELECT avg(%[2]s) FROM (SELECT * FROM %[1]s y WHERE y.experiment_id = e.id LIMIT %[3]d) x), 0)
		FROM experiments e`, schema.Table, width, sampled)
}

// Usage says what takes the space; see [store.Measurer].
func (s *Store) Usage(ctx context.Context) (u store.Usage, err error) {
	db, err := s.readers(ctx)
	if err != nil {
		return u, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return u, s.wrap(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.QueryRowContext(ctx, `SELECT page_count * page_size, freelist_count * page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`).Scan(&u.Bytes, &u.Free); err != nil {
		return u, s.wrap(err)
	}
	// A table with its indexes; dbstat looks at every page of the file.
	rows, err := tx.QueryContext(ctx, `SELECT m.tbl_name, sum(d.size) FROM (SELECT name, pgsize AS size FROM dbstat WHERE aggregate = 1) d
		JOIN sqlite_schema m ON m.name = d.name GROUP BY 1 ORDER BY 1`)
	if err != nil {
		return u, s.wrap(err)
	}
	if err := each(rows, func() error {
		var t store.TableUsage
		err := rows.Scan(&t.Table, &t.Bytes)
		u.Tables = append(u.Tables, t)
		return err
	}); err != nil {
		return u, s.wrap(err)
	}
	for i := range u.Tables {
		quoted := `"` + strings.ReplaceAll(u.Tables[i].Table, `"`, `""`) + `"`
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+quoted).Scan(&u.Tables[i].Rows); err != nil {
			return u, s.wrap(err)
		}
	}
	var weights []store.Weight
	for i, schema := range record.Tabled() {
		rows, err := tx.QueryContext(ctx, weighSQL(schema))
		if err != nil {
			return u, s.wrap(err)
		}
		if err := each(rows, func() error {
			w := store.Weight{Table: i}
			err := rows.Scan(&w.ID, &w.Experiment, &w.Rows, &w.Width)
			if w.Rows > 0 {
				weights = append(weights, w)
			}
			return err
		}); err != nil {
			return u, s.wrap(err)
		}
	}
	u.Share(weights)
	return u, nil
}

// each calls fn for every row and closes the rows.
func each(rows *sql.Rows, fn func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// CountSelected counts selected rows; see [store.Measurer].
func (s *Store) CountSelected(ctx context.Context, experimentID string, sel store.Selection) (map[record.Kind]int64, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	found := map[record.Kind]int64{}
	for _, schema := range record.Tabled() {
		where, args := selected(schema, experimentID, sel)
		if where == "" {
			continue
		}
		values := make([]any, len(args))
		for i, v := range args {
			values[i] = v
		}
		var n int64
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+schema.Table+" AS t"+where, values...).Scan(&n); err != nil {
			return nil, s.wrap(err)
		}
		found[schema.Kind] = n
	}
	return found, nil
}

// selected is the condition for the selected rows of a table t: what Selection.Takes
// says in Go. It is empty when the selection has none of them.
func selected(schema *record.Schema, experimentID string, sel store.Selection) (where string, args []driver.Value) {
	where, args = " WHERE t.experiment_id = ?", []driver.Value{canonical(experimentID)}
	switch {
	case sel.Whole:
		return where, args
	case schema.Kind != record.KindStep || sel.StepsBefore.IsZero():
		return "", nil
	}
	where, args = where+" AND t.real_timestamp < ?", append(args, timeText(sel.StepsBefore))
	if sel.KeepEvery > 1 {
		where, args = where+" AND t.step_number % ? <> 0", append(args, sel.KeepEvery)
	}
	return where, args
}
