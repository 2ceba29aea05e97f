package storetest

import (
	"fmt"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"github.com/greenwave-traffic/greenwave/record"
)

// testStatistics: total_episodes and best_reward are what a count of the table says,
// whatever is done to the table by hand.
func testStatistics(b *bench) {
	round := 0
	rapid.Check(b.T, func(t *rapid.T) {
		round++
		names := []string{fmt.Sprintf("one %d", round), fmt.Sprintf("two %d", round)}
		ids := []string{b.begin(names[0]).ExperimentID, b.begin(names[1]).ExperimentID}
		number := rapid.IntRange(0, 5)
		moved := 0
		reward := rapid.SampledFrom([]string{"-2.5", "-1", "0", "1", "1", "7.25", "NULL"})
		for range rapid.IntRange(1, 12).Draw(t, "statements") {
			id := rapid.SampledFrom(ids).Draw(t, "experiment")
			switch rapid.IntRange(0, 5).Draw(t, "statement") {
			case 0, 1, 2:
				var values []string
				for n := range rapid.IntRange(1, 3).Draw(t, "rows") {
					values = append(values, fmt.Sprintf("('%s', %d, %s)", id, number.Draw(t, "episode")+6*n, reward.Draw(t, "reward")))
				}
				b.exec(`INSERT INTO training_episodes (experiment_id, episode_number, total_reward) VALUES %s ON CONFLICT (experiment_id, episode_number) DO UPDATE SET total_reward = excluded.total_reward`, strings.Join(values, ", "))
			case 3:
				b.exec(`UPDATE training_episodes SET total_reward = %s WHERE experiment_id = '%s' AND episode_number <= %d`, reward.Draw(t, "reward"), id, number.Draw(t, "episode"))
			case 4:
				b.exec(`DELETE FROM training_episodes WHERE experiment_id = '%s' AND episode_number >= %d`, id, number.Draw(t, "episode"))
			case 5:
				moved++
				b.exec(`UPDATE training_episodes SET experiment_id = '%s', episode_number = episode_number + %d WHERE experiment_id = '%s' AND episode_number = %d`,
					ids[1], 1000*moved, ids[0], number.Draw(t, "episode"))
			}
			b.recount(names...)
		}
		if b.Failed() {
			t.FailNow()
		}
	})
	b.exec(`DELETE FROM training_episodes`)
	equal(b, "experiments with episodes", b.one(`SELECT count(*) FROM experiments WHERE total_episodes <> 0 OR best_reward IS NOT NULL`), any(int64(0)))
}

// recount compares the statistics of experiments with a count of their episodes.
func (b *bench) recount(names ...string) {
	b.Helper()
	for i, name := range names {
		names[i] = text(name)
	}
	_, rows := b.query(`SELECT experiment_name, total_episodes, best_reward,
		(SELECT count(*) FROM training_episodes t WHERE t.experiment_id = e.id),
		(SELECT max(total_reward) FROM training_episodes t WHERE t.experiment_id = e.id)
		FROM experiments e WHERE experiment_name IN (%s)`, strings.Join(names, ", "))
	for i := range names {
		names[i] = strings.Trim(names[i], "'")
	}
	equal(b, "experiments", len(rows), len(names))
	for _, row := range rows {
		equal(b, fmt.Sprintf("total_episodes of %v", row[0]), fmt.Sprint(row[1]), fmt.Sprint(row[3]))
		equal(b, fmt.Sprintf("best_reward of %v", row[0]), row[2], row[4])
	}
}

// testStatisticsConcurrently: several runs of one experiment are synced at once.
func testStatisticsConcurrently(b *bench) {
	const writers, batches = 4, 8
	other := open(b.T, b.db)
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		run := b.begin("shared")
		s := b.s
		if w%2 == 1 {
			s = other
		}
		wg.Go(func() {
			for i := range batches {
				n := w*batches + i
				batch := b.batchAt(run, uint64(3*i), episode(n, float64(n%17)), step(n, 0), episode(n+1000, -1))
				if _, err := s.Apply(b.ctx, batch); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			b.Fatalf("Apply: %v", err)
		}
	}
	b.recount("shared")
	equal(b, "episodes", b.experiment("shared").TotalEpisodes, 2*writers*batches)
	equal(b, "best reward", *b.experiment("shared").BestReward, 16)
	b.exec(`DELETE FROM training_episodes WHERE total_reward = 16`)
	b.recount("shared")
	equal(b, "best reward", *b.experiment("shared").BestReward, 15)
	n, err := b.s.CountRows(b.ctx, b.experiment("shared").ID, b.experiment("shared").Runs[0].RunID, record.KindStep)
	if err != nil || n != batches {
		b.Errorf("CountRows is %d, %v", n, err)
	}
}
