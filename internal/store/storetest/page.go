package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

func testPage(b *bench) {
	run := b.begin("page")
	for episode := range 3 {
		for step := range 4 {
			b.log(run, parse(record.KindStep, `{"episode_number":%d,"step_number":%d,"immediate_reward":%d,"active_vehicles":7,"note":"kept"}`, episode, step, 10*episode+step))
		}
	}
	type key = store.Key
	for _, c := range []struct {
		name string
		r    store.Range
		want []key
	}{
		{"one episode", store.Range{After: &key{Episode: 1, Step: -1}, Until: &key{Episode: 1, Step: 1 << 30}}, []key{{Episode: 1}, {Episode: 1, Step: 1}, {Episode: 1, Step: 2}, {Episode: 1, Step: 3}}},
		{"behind a key", store.Range{After: &key{Episode: 0, Step: 2}, Limit: 2}, []key{{Step: 3}, {Episode: 1}}},
		{"newest", store.Range{Newest: true, Limit: 2}, []key{{Episode: 2, Step: 3}, {Episode: 2, Step: 2}}},
		{"newest up to", store.Range{Newest: true, Until: &key{Episode: 1, Step: 0}, Limit: 2}, []key{{Episode: 1}, {Step: 3}}},
		{"nothing", store.Range{After: &key{Episode: 2, Step: 3}}, nil},
	} {
		var got []key
		for row, err := range b.s.Page(b.ctx, run.ExperimentID, record.KindStep, c.r) {
			if err != nil {
				b.Fatalf("%s: %v", c.name, err)
			}
			got = append(got, key{Episode: row.Row.Values[0].Int(), Step: row.Row.Values[1].Int()})
		}
		if !slices.Equal(got, c.want) {
			b.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	n := 0
	for row, err := range b.s.Page(b.ctx, run.ExperimentID, record.KindStep, store.Range{Columns: []string{"immediate_reward"}}) {
		if err != nil {
			b.Fatal(err)
		}
		n++
		if v := row.Row.Get("immediate_reward"); v.IsNull() {
			b.Error("a column that was asked for is null")
		}
		if v := row.Row.Get("active_vehicles"); !v.IsNull() || row.Row.Extra != nil {
			b.Error("a column that was not asked for is read")
		}
		if row.Row.Get("episode_number").IsNull() {
			b.Error("the key is null")
		}
	}
	equal(b.T, "rows", n, 12)
	for _, err := range b.s.Page(b.ctx, run.ExperimentID, record.KindCheckpoint, store.Range{}) {
		if err == nil {
			b.Error("checkpoints have no key, but were paged")
		}
	}
}

// testWatch: changes are told by whichever handle they are made.
func testWatch(b *bench) {
	run, other := b.begin("watched"), b.begin("other")
	watcher := open(b.T, b.db)
	ctx, cancel := context.WithCancel(b.ctx)
	told := make(chan []string, 100)
	ended := make(chan error, 1)
	go func() { ended <- watcher.Watch(ctx, func(ids []string) { told <- ids }) }()
	wait := func(id string) {
		b.Helper()
		limit := time.After(20 * time.Second)
		for {
			select {
			case ids := <-told:
				if slices.Contains(ids, id) {
					return
				}
			case <-limit:
				b.Fatal("a change was not told")
			}
		}
	}
	if ids := <-told; ids != nil {
		b.Errorf("the first call names %v, want none", ids)
	}
	for n := range 3 {
		b.log(run, episode(n, 1))
		wait(run.ExperimentID)
	}
	b.log(other, heartbeat())
	wait(other.ExperimentID)
	if size, err := b.s.Size(b.ctx); err != nil || size <= 0 {
		b.Errorf("Size: %d, %v", size, err)
	}
	cancel()
	if err := <-ended; err != nil {
		b.Errorf("Watch ended with %v", err)
	}
}
