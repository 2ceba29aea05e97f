package storetest

import (
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// testUsage: what takes the space, and what a selection takes of it.
func testUsage(b *bench) {
	small, large := b.begin("small"), b.begin("large")
	at := func(step int) string { return start.Add(time.Duration(step) * time.Hour).Format(time.RFC3339) }
	for run, n := range map[*store.State]int{&small: 10, &large: 400} {
		var rows []record.Row
		for i := range n {
			rows = append(rows, parse(record.KindStep, `{"episode_number":1,"step_number":%d,"real_timestamp":%q,"state_vector":[1,2,3,4]}`, i, at(i)))
		}
		b.log(*run, append(rows, parse(record.KindEpisode, `{"episode_number":1,"total_reward":1}`))...)
	}
	u, err := b.s.Usage(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	if len(u.Experiments) != 2 || u.Experiments[0].Experiment != "large" {
		b.Fatalf("experiments are %+v, want the large one first", u.Experiments)
	}
	sum, tables := int64(0), int64(0)
	for i := range u.Experiments {
		e := &u.Experiments[i]
		equal(b, "episodes of "+e.Experiment, e.Of("training_episodes").Rows, 1)
		sum += e.Of("training_steps").Bytes
	}
	equal(b, "steps of large", u.Experiments[0].Of("training_steps").Rows, 400)
	equal(b, "steps of small", u.Experiments[1].Of("training_steps").Rows, 10)
	for _, t := range u.Tables {
		tables += t.Bytes
		if t.Table == "training_steps" {
			equal(b, "rows of training_steps", t.Rows, 410)
			if t.Bytes <= 0 || sum < t.Bytes-2 || sum > t.Bytes+2 {
				b.Errorf("the experiments have %d bytes of the %d of training_steps", sum, t.Bytes)
			}
		}
	}
	if tables <= 0 || tables > u.Bytes {
		b.Errorf("the tables take %d bytes of %d", tables, u.Bytes)
	}

	for _, c := range []struct {
		what string
		sel  store.Selection
	}{
		{"nothing", store.Selection{}},
		{"all", store.Selection{Whole: true}},
		{"old steps", store.Selection{StepsBefore: start.Add(100 * time.Hour)}},
		{"old steps but each 7th", store.Selection{StepsBefore: start.Add(100 * time.Hour), KeepEvery: 7}},
	} {
		got, err := b.s.CountSelected(b.ctx, large.ExperimentID, c.sel)
		if err != nil {
			b.Fatal(err)
		}
		for _, schema := range record.Tabled() {
			want := int64(0)
			for _, row := range b.rows(large.ExperimentID, schema.Kind) {
				if c.sel.Takes(&row.Row) {
					want++
				}
			}
			equal(b, c.what+": rows of "+schema.Table, got[schema.Kind], want)
		}
	}
	if got, _ := b.s.CountSelected(b.ctx, large.ExperimentID, store.Selection{StepsBefore: start.Add(100 * time.Hour), KeepEvery: 7}); got[record.KindStep] != 86 {
		b.Errorf("of steps 0 to 100 all but each 7th are %d, want 86", got[record.KindStep])
	}
}
