package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// copied are the tables that belong to an experiment, in the order in which they depend
// on each other, and which of their rows do; %s is the experiment's id. Keys of others
// (api_tokens, experiment_members) are not part of an experiment.
var copied = []struct{ table, where string }{
	{"experiments", "id = '%s'"},
	{"training_runs", "experiment_id = '%s'"},
	{"dead_letters", "run_id IN (SELECT id FROM training_runs WHERE experiment_id = '%s')"},
	{"training_episodes", ""}, // these are read as records: a query has no states, and some may be archived
	{"training_steps", ""},
	{"model_checkpoints", "experiment_id = '%s'"},
	{"validation_results", "experiment_id = '%s'"},
	{"baseline_comparisons", "experiment_id = '%s'"},
	{"run_resources", ""},
	{"alerts", "experiment_id = '%s'"},
	{"model_files", "experiment_id = '%s'"},
	{"model_promotions", "experiment_id = '%s'"},
}

// Copy makes a database at path, where no file may be, that holds one experiment as
// another database has it: its rows, its runs with their cursors, its dead letters. So
// it verifies against the same journals. It returns the number of rows by table. The
// file is one, without a write-ahead log beside it, and on disk. Rows are streamed.
func Copy(ctx context.Context, path string, from store.Reader, experimentID string, progress func(table string, rows int64)) (map[string]int64, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("sqlite:%s: there is a file already", path)
	}
	s, err := Open(path, Options{})
	if err != nil {
		return nil, err
	}
	rows, err := s.copyFrom(ctx, from, experimentID, progress)
	s.Close() // the last one who closes the file brings the write-ahead log into it
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return nil, fmt.Errorf("%s: another program has the file open: its last rows are in %s-wal", s.name, path)
	}
	return rows, nil
}

func (s *Store) copyFrom(ctx context.Context, from store.Reader, experimentID string, progress func(string, int64)) (map[string]int64, error) {
	if _, err := s.Migrate(ctx, -1); err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	return rows, s.update(ctx, func(t *tx) error {
		for _, c := range copied {
			count := func() {
				if rows[c.table]++; progress != nil && rows[c.table]%10_000 == 0 {
					progress(c.table, rows[c.table])
				}
			}
			var err error
			if c.where == "" {
				err = t.copyRecords(ctx, from, experimentID, schemaOfTable(c.table), count)
			} else {
				err = t.copyTable(ctx, from, c.table, fmt.Sprintf(c.where, canonical(experimentID)), count)
			}
			if err != nil {
				return fmt.Errorf("copying %s: %w", c.table, err)
			}
		}
		return t.copyStatistics(ctx, from, canonical(experimentID))
	})
}

func schemaOfTable(table string) *record.Schema {
	list := record.Tabled()
	return list[slices.IndexFunc(list, func(s *record.Schema) bool { return s.Table == table })]
}

// columns lists the columns of a table that can be written.
func (t *tx) columns(table string) ([]string, error) {
	stmt, err := t.prepare("SELECT name FROM pragma_table_xinfo('" + table + "') WHERE hidden = 0")
	if err != nil {
		return nil, err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	values := make([]driver.Value, 1)
	for {
		if err := rows.Next(values); err != nil {
			if err == errNoRow { //nolint:errorlint // the driver returns it as it is
				return names, nil
			}
			return nil, err
		}
		names = append(names, asText(values[0]))
	}
}

// copyTable copies rows as a query shows them. Both databases have the same columns.
func (t *tx) copyTable(ctx context.Context, from store.Reader, table, where string, count func()) error {
	names, err := t.columns(table)
	if err != nil {
		return err
	}
	list := strings.Join(names, ", ")
	rows, err := from.Query(ctx, "SELECT "+list+" FROM "+table+" WHERE "+where)
	if err != nil {
		return err
	}
	insert := fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", table, list, strings.Repeat(", ?", len(names)-1))
	bound := make([]driver.Value, len(names))
	for values, err := range rows.Rows {
		if err != nil {
			return err
		}
		for i, v := range values {
			switch x := v.(type) {
			case time.Time:
				bound[i] = timeText(x)
			case json.RawMessage:
				bound[i] = string(x)
			case bool:
				bound[i] = int64(0)
				if x {
					bound[i] = int64(1)
				}
			default:
				bound[i] = v
			}
			// Triggers count; the source's own figures come at the end.
			if table == "experiments" && names[i] == "total_episodes" {
				bound[i] = int64(0)
			}
		}
		if _, err := t.exec(insert, bound...); err != nil {
			return err
		}
		count()
	}
	return nil
}

// copyStatistics gives the experiment the figures that its source has for it.
func (t *tx) copyStatistics(ctx context.Context, from store.Reader, id string) error {
	rows, err := from.Query(ctx, "SELECT total_episodes, best_reward FROM experiments WHERE id = '"+id+"'")
	if err != nil {
		return err
	}
	for values, err := range rows.Rows {
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE experiments SET total_episodes = ?, best_reward = ? WHERE id = ?", values[0], values[1], id); err != nil {
			return err
		}
	}
	return nil
}

// copyRecords copies the rows of a kind.
func (t *tx) copyRecords(ctx context.Context, from store.Reader, experimentID string, schema *record.Schema, count func()) error {
	run := &runRow{experimentID: canonical(experimentID)}
	in, err := t.inserter(schema, run)
	if err != nil {
		return err
	}
	for stored, err := range from.Rows(ctx, experimentID, schema.Kind) {
		if err != nil {
			return err
		}
		run.id = stored.RunID
		if err := in.bind(&store.Entry{Seq: stored.Seq, Time: stored.Time, Row: stored.Row}); err != nil {
			return err
		}
		in.own(stored)
		if _, err := t.execStmt(in.stmt, in.values); err != nil {
			return err
		}
		count()
	}
	return nil
}
