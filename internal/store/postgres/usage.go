package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// selectTables measures the tables of the schema, each with its partitions, indexes and
// what is stored beside it, and counts none of the rows: the planner's guess will do.
const selectTables = `SELECT c.relname, coalesce(sum(p.reltuples) FILTER (WHERE p.reltuples > 0), 0)::bigint, sum(pg_total_relation_size(p.oid))::bigint
	FROM pg_class c CROSS JOIN LATERAL (
		SELECT c.oid, c.reltuples WHERE c.relkind = 'r'
		UNION ALL SELECT x.oid, x.reltuples FROM pg_partition_tree(c.oid) t JOIN pg_class x ON x.oid = t.relid WHERE c.relkind = 'p' AND t.isleaf) p
	WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	GROUP BY c.relname ORDER BY c.relname`

// sampled is how many rows of an experiment say how large its rows are.
const sampled = 500

// weighSQL counts the rows of every experiment in a table and weighs some of them as
// they are stored, compressed or not.
func weighSQL(s *record.Schema) string {
	var width strings.Builder
	width.WriteString("24")
	for _, c := range columns(s) {
		fmt.Fprintf(&width, " + coalesce(pg_column_size(x.%s), 0)", c)
	}
	return fmt.Sprintf(`SELECT e.id::text, e.experiment_name, n.rows, w.width::float8 FROM experiments e
		CROSS JOIN LATERAL (SELECT count(*) AS rows FROM %[1]s x WHERE x.experiment_id = e.id) n
		CROSS JOIN LATERAL (SELECT avg(%[2]s) AS width FROM (SELECT * FROM %[1]s y WHERE y.experiment_id = e.id LIMIT %[3]d) x) w
		WHERE n.rows > 0`, s.Table, width.String(), sampled)
}

// Usage says what takes the space: see store.Measurer.
func (s *Store) Usage(ctx context.Context) (store.Usage, error) {
	var u store.Usage
	err := s.patiently(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&u.Bytes); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectTables)
		if err != nil {
			return err
		}
		if u.Tables, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t store.TableUsage, err error) {
			return t, row.Scan(&t.Table, &t.Rows, &t.Bytes)
		}); err != nil {
			return err
		}
		var weights []store.Weight
		for i, schema := range tables {
			rows, err := tx.Query(ctx, weighSQL(schema))
			if err != nil {
				return err
			}
			found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Weight, error) {
				w := store.Weight{Table: i}
				return w, row.Scan(&w.ID, &w.Experiment, &w.Rows, &w.Width)
			})
			if err != nil {
				return err
			}
			exact := int64(0)
			for _, w := range found {
				exact += w.Rows
			}
			for k := range u.Tables {
				if u.Tables[k].Table == schema.Table {
					u.Tables[k].Rows = exact
				}
			}
			weights = append(weights, found...)
		}
		u.Share(weights)
		return nil
	})
	return u, s.wrap("measure the database", err)
}

// CountSelected counts selected rows: see store.Measurer.
func (s *Store) CountSelected(ctx context.Context, experimentID string, sel store.Selection) (map[record.Kind]int64, error) {
	found := map[record.Kind]int64{}
	err := s.patiently(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, schema := range tables {
			where, args := selected(schema, experimentID, sel)
			if where == "" {
				continue
			}
			var n int64
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+schema.Table+" t"+where, args...).Scan(&n); err != nil {
				return err
			}
			found[schema.Kind] = n
		}
		return nil
	})
	return found, s.wrap("count what is selected", err)
}

// selected is the condition for the selected rows of a table t: what Selection.Takes
// says in Go. It is empty when the selection has none of them.
func selected(schema *record.Schema, experimentID string, sel store.Selection) (where string, args []any) {
	where, args = " WHERE t.experiment_id = $1", []any{uuidArg(experimentID)}
	switch {
	case sel.Whole:
		return where, args
	case schema.Kind != record.KindStep || sel.StepsBefore.IsZero():
		return "", nil
	}
	where, args = where+" AND t.real_timestamp < $2", append(args, sel.StepsBefore)
	if sel.KeepEvery > 1 {
		where, args = where+" AND t.step_number % $3::bigint <> 0", append(args, sel.KeepEvery)
	}
	return where, args
}

// patiently runs fn in a transaction whose statements may take as long as the tables
// are large. The caller's context ends it.
func (s *Store) patiently(ctx context.Context, opt pgx.TxOptions, fn func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, opt, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue("SET LOCAL statement_timeout = 0")
		queueAssume(ctx, b)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if err := s.checkVersion(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	})
}
