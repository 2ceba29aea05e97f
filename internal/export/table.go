package export

import (
	"context"
	"iter"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// table is one table of an export.
type table struct {
	name    string
	schema  *record.Schema // nil for experiments
	columns []Column
}

// line is a row of a table, valid until the next.
type line struct {
	columns []record.Value
	row     *record.Row // nil for experiments
}

// tables lists what an export consists of, in the order of the manifest.
func tables() []table {
	list := []table{{name: "experiments", columns: experimentColumns}}
	for _, s := range record.Tabled() {
		list = append(list, table{name: s.Table, schema: s, columns: columnsOf(s)})
	}
	return list
}

// firstField is the column of a record's first field.
func (t table) firstField() int {
	if t.schema != nil && t.schema.Key == 0 {
		return 2 // behind experiment_id and id
	}
	return 1
}

var experimentColumns = []Column{
	column("id", record.UUID, "", "The experiment."),
	column("experiment_name", record.Text, "", "Its name, unique in the database."),
	column("description", record.Text, "", "What it is about."),
	column("status", record.Text, "", "running, paused, completed, failed or interrupted."),
	column("created_at", record.Time, "", "When it was first recorded."),
	column("completed_at", record.Time, "", "When it ended; null while it has not."),
	column("total_episodes", record.Int, "episodes", "Episodes in the database."),
	column("best_reward", record.Float, "", "Largest total_reward of an episode."),
	column("convergence_episode", record.Int, "", "Episode at which the reward converged; null when it did not."),
	column("created_by", record.UUID, "", "The owner."),
	column("config", record.JSON, "", "All hyperparameters."),
	column("metadata", record.JSON, "", "Tags, group and other facts."),
}

// columnsOf lists the columns of a table of records: the experiment, the row's id
// where its kind has no key of its own, the fields, and where the row comes from.
func columnsOf(s *record.Schema) []Column {
	columns := []Column{column("experiment_id", record.UUID, "", "The experiment.")}
	columns[0].required = true
	if s.Key == 0 {
		columns = append(columns, column("id", record.UUID, "", "The row; it derives from run_id and seq where it has them."))
	}
	for i, f := range s.Fields {
		c := column(f.Name, f.Type, f.Unit, f.Doc)
		c.required = i < s.Key
		columns = append(columns, c)
	}
	return append(columns,
		column("extra", record.JSON, "", "Fields that have no column, and non_finite: the paths of numbers that were NaN or infinite."),
		column("run_id", record.UUID, "", "The run that logged the row."),
		column("seq", record.Int, "", "The record's number in the run's journal."),
		column("logged_at", record.Time, "", "When it was logged."),
	)
}

func column(name string, t record.Type, unit, doc string) Column {
	return Column{Name: name, Type: typeNames[t], Unit: unit, Description: doc, typ: t}
}

var typeNames = map[record.Type]string{
	record.Int: "int64", record.Float: "double", record.Text: "text", record.JSON: "json",
	record.Vector: "list of float", record.Time: "timestamp", record.UUID: "uuid",
}

// rows streams the table.
func (t table) rows(ctx context.Context, reader store.Reader, x *store.Experiment) iter.Seq2[line, error] {
	if t.schema == nil {
		return func(yield func(line, error) bool) {
			yield(line{columns: experimentValues(x)}, nil)
		}
	}
	return func(yield func(line, error) bool) {
		values := make([]record.Value, 0, len(t.columns))
		id := []byte(x.ID)
		var rowID, runID []byte
		for s, err := range reader.Rows(ctx, x.ID, t.schema.Kind) {
			if err != nil {
				yield(line{}, err)
				return
			}
			values = append(values[:0], record.UUIDValue(id))
			if t.schema.Key == 0 {
				rowID = append(rowID[:0], s.ID...)
				values = append(values, present(record.UUIDValue(rowID)))
			}
			values = append(values, s.Row.Values...)
			runID = append(runID[:0], s.RunID...)
			seq := record.Value{}
			if s.RunID != "" {
				seq = record.IntValue(int64(s.Seq))
			}
			values = append(values, present(record.JSONValue(s.Row.Extra)), present(record.UUIDValue(runID)), seq, instant(s.Time))
			if !yield(line{values, &s.Row}, nil) {
				return
			}
		}
	}
}

// present is null for a value without bytes.
func present(v record.Value) record.Value {
	if len(v.Bytes()) == 0 {
		return record.Value{}
	}
	return v
}

// instant is null for the zero time.
func instant(t time.Time) record.Value {
	if t.IsZero() {
		return record.Value{}
	}
	return record.TimeValue(t)
}

func experimentValues(x *store.Experiment) []record.Value {
	best, convergence := record.Value{}, record.Value{}
	if x.BestReward != nil {
		best = record.FloatValue(*x.BestReward)
	}
	if x.ConvergenceEpisode != nil {
		convergence = record.IntValue(*x.ConvergenceEpisode)
	}
	return []record.Value{
		record.UUIDValue([]byte(x.ID)),
		record.TextValue([]byte(x.Name)),
		present(record.TextValue([]byte(x.Description))),
		record.TextValue([]byte(x.Status)),
		instant(x.CreatedAt),
		instant(x.CompletedAt),
		record.IntValue(x.TotalEpisodes),
		best,
		convergence,
		present(record.UUIDValue([]byte(x.CreatedBy))),
		present(record.JSONValue(x.Config)),
		present(record.JSONValue(x.Metadata)),
	}
}
