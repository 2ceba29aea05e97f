package store

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// Selection says which rows of an experiment are meant. The zero value is none.
type Selection struct {
	// Whole is the experiment with all its rows.
	Whole bool
	// StepsBefore is its steps that happened before that time.
	StepsBefore time.Time
	// KeepEvery leaves, of the steps before StepsBefore, each whose number is a multiple
	// of it. 0 and 1 leave none.
	KeepEvery int64
}

// Takes reports whether a row is selected.
func (s Selection) Takes(row *record.Row) bool {
	if s.Whole {
		return true
	}
	if row.Schema.Kind != record.KindStep || s.StepsBefore.IsZero() {
		return false
	}
	at := row.Get("real_timestamp")
	if at.IsNull() || !at.Time().Before(s.StepsBefore) {
		return false
	}
	return s.KeepEvery <= 1 || row.Get("step_number").Int()%s.KeepEvery != 0
}

// Usage says what takes the space of a database.
type Usage struct {
	Bytes       int64 // on the disk
	Free        int64 // of these, pages that wait to be used again, where the database says so
	Tables      []TableUsage
	Experiments []ExperimentUsage
}

// TableUsage is a table, or an experiment's part of it.
type TableUsage struct {
	Table string
	Rows  int64
	Bytes int64 // with indexes; an experiment's part is estimated
}

// ExperimentUsage is what an experiment takes.
type ExperimentUsage struct {
	Experiment string // name
	ID         string
	Tables     []TableUsage // those of records, in the order of [record.Tabled]
	Bytes      int64
}

// Of returns an experiment's part of a table.
func (u *ExperimentUsage) Of(table string) TableUsage {
	for _, t := range u.Tables {
		if t.Table == table {
			return t
		}
	}
	return TableUsage{Table: table}
}

// Measurer says what takes the space.
type Measurer interface {
	// Usage measures the tables, and counts the rows of every experiment. The bytes of
	// an experiment are its share of each table, by its rows and the mean size of
	// some of them.
	Usage(ctx context.Context) (Usage, error)
	// CountSelected counts selected rows of an experiment by kind.
	CountSelected(ctx context.Context, experimentID string, s Selection) (map[record.Kind]int64, error)
}

// Weight is what a database says of an experiment's rows in a table.
type Weight struct {
	Experiment, ID string
	Table          int // in the order of [record.Tabled]
	Rows           int64
	Width          float64 // mean size of a row
}

// Share gives each experiment its share of the tables, and sorts both by size.
func (u *Usage) Share(weights []Weight) {
	tables := record.Tabled()
	total := make([]float64, len(tables))
	for _, w := range weights {
		total[w.Table] += float64(w.Rows) * w.Width
	}
	bytes := make([]float64, len(tables))
	for i, s := range tables {
		for _, t := range u.Tables {
			if t.Table == s.Table {
				bytes[i] = float64(t.Bytes)
			}
		}
	}
	at := map[string]int{}
	for _, w := range weights {
		i, ok := at[w.ID]
		if !ok {
			i = len(u.Experiments)
			at[w.ID] = i
			e := ExperimentUsage{Experiment: w.Experiment, ID: w.ID, Tables: make([]TableUsage, len(tables))}
			for k, s := range tables {
				e.Tables[k].Table = s.Table
			}
			u.Experiments = append(u.Experiments, e)
		}
		part := &u.Experiments[i].Tables[w.Table]
		part.Rows = w.Rows
		if total[w.Table] > 0 {
			part.Bytes = int64(math.Round(bytes[w.Table] * float64(w.Rows) * w.Width / total[w.Table]))
		}
		u.Experiments[i].Bytes += part.Bytes
	}
	slices.SortStableFunc(u.Tables, func(a, b TableUsage) int { return cmp.Compare(b.Bytes, a.Bytes) })
	slices.SortStableFunc(u.Experiments, func(a, b ExperimentUsage) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Experiment, b.Experiment))
	})
}
