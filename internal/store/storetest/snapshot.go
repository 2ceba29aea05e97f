package storetest

import (
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// testSnapshot reads while others write: every answer of a snapshot is of the moment at
// which it was opened.
func testSnapshot(b *bench) {
	run := b.begin("moving")
	b.log(run, episode(1, 10), episode(2, 20), step(1, 1), step(1, 2))
	shot, err := b.s.Snapshot(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer shot.Close()
	b.log(run, episode(3, 30), step(1, 3), episode(2, 99))
	if _, err := b.db.SQL.ExecContext(b.ctx, `DELETE FROM training_steps WHERE step_number = 1`); err != nil {
		b.Fatal(err)
	}
	other := b.begin("later")

	look := func(r store.Reader, when string, episodes, steps, cursor int64, best float64, experiments int) {
		b.Helper()
		x, err := r.Experiment(b.ctx, "moving")
		if err != nil {
			b.Fatal(err)
		}
		if x.TotalEpisodes != episodes || *x.BestReward != best || int64(x.Runs[0].Cursor) != cursor || x.Steps != steps {
			b.Errorf("%s the experiment has %d episodes, best %v, %d steps, cursor %d", when, x.TotalEpisodes, *x.BestReward, x.Steps, x.Runs[0].Cursor)
		}
		n := int64(0)
		for _, err := range r.Rows(b.ctx, x.ID, record.KindEpisode) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != episodes {
			b.Errorf("%s there are %d rows of episodes, want %d", when, n, episodes)
		}
		for range r.Page(b.ctx, x.ID, record.KindEpisode, store.Range{}) {
			break // a reader that has enough does not end the snapshot
		}
		if n, err := r.CountRows(b.ctx, x.ID, run.RunID, record.KindStep); err != nil || n != steps {
			b.Errorf("%s there are %d steps, want %d: %v", when, n, steps, err)
		}
		found, err := r.Lookup(b.ctx, x.ID, record.KindEpisode, []store.Key{{Episode: 2}, {Episode: 3}})
		if err != nil || int64(len(found)) != episodes-1 {
			b.Errorf("%s Lookup found %d: %v", when, len(found), err)
		}
		states, err := r.States(b.ctx, []string{run.RunID, other.RunID})
		if err != nil || len(states) != experiments {
			b.Errorf("%s there are %d runs: %v", when, len(states), err)
		}
		table, err := r.Query(b.ctx, `SELECT count(*) FROM experiments`)
		if err != nil {
			b.Fatal(err)
		}
		for row, err := range table.Rows {
			if err != nil || row[0] != int64(experiments) {
				b.Errorf("%s a query counts %v experiments: %v", when, row, err)
			}
		}
		all, err := r.Experiments(b.ctx)
		if err != nil || len(all) != experiments {
			b.Errorf("%s there are %d experiments: %v", when, len(all), err)
		}
	}
	look(shot, "in the snapshot", 2, 2, 4, 20, 1)
	look(b.s, "outside of it", 3, 2, 7, 99, 2)
	look(shot, "again in the snapshot", 2, 2, 4, 20, 1)
	shot.Close()
	shot.Close()
	fresh, err := b.s.Snapshot(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer fresh.Close()
	look(fresh, "in a new snapshot", 3, 2, 7, 99, 2)
}
