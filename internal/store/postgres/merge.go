package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// counts of a batch.
type counts struct {
	stored, repeated int
	lost             int            // entries of the batch that lost
	displacedOf      map[string]int // rows that were there and lost, by their run
}

func (c *counts) displaced() int {
	n := 0
	for _, m := range c.displacedOf {
		n += m
	}
	return n
}

// credit queues the counts of superseded records, each to the run that it belongs to.
func (c *counts) credit(b *pgx.Batch, runID string) {
	by := map[string]int{}
	if c.lost > 0 {
		by[runID] += c.lost
	}
	for run, n := range c.displacedOf {
		if run != "" { // "": inserted by hand
			by[run] += n
		}
	}
	for run, n := range by {
		b.Queue(`UPDATE training_runs SET superseded = superseded + $2 WHERE id = $1`, run, n)
	}
}

// mergeSQL are the statements that merge a stage into its table.
type mergeSQL struct{ stage, create, contest, upsert, drop string }

var merging = func() (m [nTables]mergeSQL) {
	for i, s := range tables {
		m[i] = mergeStatements(s)
	}
	return m
}()

const noRun = "'00000000-0000-0000-0000-000000000000'::uuid"

func mergeStatements(s *record.Schema) mergeSQL {
	stage := "gw_" + s.Table
	all := columns(s)
	key := []string{"experiment_id"}
	if s.Key == 0 {
		key = append(key, "id")
	}
	for _, f := range s.Fields[:s.Key] {
		key = append(key, f.Name)
	}
	var same, set []string
	for _, k := range key {
		same = append(same, "x."+k+" = n."+k)
	}
	for _, c := range all[len(key):] {
		set = append(set, c+" = excluded."+c)
	}
	later := func(a, b string) string {
		return fmt.Sprintf("(%[1]s.logged_at, %[1]s.run_id, %[1]s.seq) > (%[2]s.logged_at, coalesce(%[2]s.run_id, %[3]s), coalesce(%[2]s.seq, 0))", a, b, noRun)
	}
	return mergeSQL{
		stage:  stage,
		create: fmt.Sprintf("CREATE TEMPORARY TABLE %s (LIKE %s) ON COMMIT DROP", stage, s.Table),
		// OFFSET 0 keeps the planner, which knows nothing of the stage, from reading
		// the whole table instead of looking up each key.
		contest: fmt.Sprintf(`SELECT coalesce(t.run_id::text, ''),
			CASE WHEN t.run_id = n.run_id AND t.seq = n.seq THEN 0 WHEN %s THEN 1 ELSE -1 END, count(*)
			FROM %s n CROSS JOIN LATERAL (SELECT x.run_id, x.seq, x.logged_at FROM %s x WHERE %s OFFSET 0) t GROUP BY 1, 2`,
			later("n", "t"), stage, s.Table, strings.Join(same, " AND ")),
		upsert: fmt.Sprintf(`INSERT INTO %[1]s AS t (%[2]s) SELECT %[2]s FROM %[3]s ON CONFLICT (%[4]s) DO UPDATE SET %[5]s WHERE %[6]s`,
			s.Table, strings.Join(all, ", "), stage, strings.Join(key, ", "), strings.Join(set, ", "), later("excluded", "t")),
		drop: "DROP TABLE " + stage,
	}
}

// merge writes rows of which some may be there: they are copied to a temporary table
// and from there inserted, or put in the place of rows that were logged earlier. The
// caller holds the experiment FOR UPDATE, so nothing changes between counting and
// writing.
func (t *txn) merge(ctx context.Context, table int, experimentID, owner, runID string, rows []*store.Entry, c *counts) error {
	m := &merging[table]
	create := t.batch(ctx)
	create.Queue(m.create)
	if err := t.send(ctx, create); err != nil {
		return err
	}
	if err := t.copyRows(ctx, m.stage, experimentID, owner, runID, rows); err != nil {
		return err
	}
	var repeated, lost, displaced int
	b := t.batch(ctx)
	b.Queue(m.contest).Query(func(found pgx.Rows) error {
		for found.Next() {
			var (
				run     string
				outcome int
				n       int
			)
			if err := found.Scan(&run, &outcome, &n); err != nil {
				return err
			}
			switch outcome {
			case 0:
				repeated += n
			case 1:
				displaced += n
				if c.displacedOf == nil {
					c.displacedOf = map[string]int{}
				}
				c.displacedOf[run] += n
			default:
				lost += n
			}
		}
		return found.Err()
	})
	written := 0
	b.Queue(m.upsert).Exec(func(tag pgconn.CommandTag) error { written = int(tag.RowsAffected()); return nil })
	b.Queue(m.drop)
	if err := t.send(ctx, b); err != nil {
		return err
	}
	if written != len(rows)-repeated-lost {
		return fmt.Errorf("%w: %s: wrote %d rows where %d of %d were to be written", store.ErrTemporary,
			tables[table].Table, written, len(rows)-repeated-lost, len(rows))
	}
	c.stored += written
	c.repeated += repeated
	c.lost += lost
	return nil
}
