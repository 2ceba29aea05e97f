package archive

import (
	"context"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Item is what of an experiment a rule takes.
type Item struct {
	Rule       Rule
	Experiment store.Experiment
	Selection  store.Selection
	Rows       map[record.Kind]int64
	Bytes      int64 // that they take in the database, estimated; 0 when it was not measured
}

// Total is the number of rows.
func (i Item) Total() int64 {
	n := int64(0)
	for _, rows := range i.Rows {
		n += rows
	}
	return n
}

// Database is what planning asks.
type Database interface {
	store.Reader
	store.Measurer
}

// Plan says what the rules take now: nothing is changed. Experiments that run or pause
// are left alone. An experiment that goes whole is taken by the first rule that says so,
// and by no rule for steps. With usage, the bytes are estimated.
func Plan(ctx context.Context, db Database, rules Rules, now time.Time, usage *store.Usage) ([]Item, error) {
	all, err := db.Experiments(ctx)
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, e := range all {
		whole := false
		for _, what := range []string{"experiments", "steps"} {
			for _, rule := range rules.Rules {
				if whole || rule.What != what || !over(e) {
					continue
				}
				sel, ok := selection(e, rule, now)
				if !ok {
					continue
				}
				item := Item{Rule: rule, Experiment: e, Selection: sel}
				if item.Rows, err = db.CountSelected(ctx, e.ID, sel); err != nil {
					return nil, err
				}
				if item.Total() == 0 {
					continue
				}
				whole = sel.Whole
				item.Bytes = estimate(item, usage)
				items = append(items, item)
			}
		}
	}
	return items, nil
}

// over reports whether nothing is recorded under an experiment any more.
func over(e store.Experiment) bool { return e.Status != "running" && e.Status != "paused" }

func selection(e store.Experiment, rule Rule, now time.Time) (store.Selection, bool) {
	before := now.Add(-rule.Age()).UTC().Truncate(time.Microsecond)
	if rule.What == "steps" {
		return store.Selection{StepsBefore: before, KeepEvery: rule.KeepEvery}, true
	}
	return store.Selection{Whole: true}, Ended(e).Before(before)
}

// Ended is the last that is known of an experiment.
func Ended(e store.Experiment) time.Time {
	last := e.CreatedAt
	for _, t := range []time.Time{e.CompletedAt, e.LastRecord} {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// estimate is the space of the item's rows by the mean size of the experiment's rows.
func estimate(item Item, usage *store.Usage) int64 {
	if usage == nil {
		return 0
	}
	for i := range usage.Experiments {
		u := &usage.Experiments[i]
		if u.ID != item.Experiment.ID {
			continue
		}
		bytes := 0.0
		for kind, rows := range item.Rows {
			if t := u.Of(record.SchemaOf(kind).Table); t.Rows > 0 {
				bytes += float64(t.Bytes) * min(1, float64(rows)/float64(t.Rows))
			}
		}
		return int64(bytes)
	}
	return 0
}
