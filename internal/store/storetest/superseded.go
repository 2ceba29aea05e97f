package storetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

func testSuperseded(b *bench) {
	old, new := b.begin("re-run"), b.begin("re-run")
	apply := func(run store.State, at time.Duration, rows ...record.Row) store.Result {
		b.Helper()
		batch := b.batch(run, rows...)
		for i := range batch.Entries {
			batch.Entries[i].Time = start.Add(at + time.Duration(i)*time.Microsecond)
		}
		return b.apply(batch)
	}
	equal(b, "result of the later run", apply(new, time.Hour, step(0, 0), episode(0, 10)), store.Result{Stored: 2})
	equal(b, "result of the earlier run", apply(old, 0, step(0, 0), episode(0, 99), step(0, 1), episode(1, 5)), store.Result{Stored: 2, Superseded: 2})
	equal(b, "superseded of the earlier run", b.state(old.RunID).Superseded, 2)
	equal(b, "best reward", *b.experiment("re-run").BestReward, 10)
	equal(b, "result of the same episode once more", apply(new, 2*time.Hour, episode(1, 6), episode(0, 7), episode(0, 8)), store.Result{Stored: 2, Superseded: 3})
	equal(b, "superseded of the earlier run", b.state(old.RunID).Superseded, 3)
	equal(b, "superseded of the later run", b.state(new.RunID).Superseded, 2)
	e := b.experiment("re-run")
	equal(b, "episodes", e.TotalEpisodes, 2)
	equal(b, "best reward", *e.BestReward, 8)
	rows := b.rows(old.ExperimentID, record.KindEpisode)
	equal(b, "run that has episode 0", rows[0].RunID, new.RunID)
	equal(b, "reward of episode 0", rows[0].Row.Get("total_reward").Float(), 8)
	// Nothing of the loser is left in the winner's row.
	if seed := apply(old, 3*time.Hour, parse(record.KindEpisode, `{"episode_number":0,"total_reward":1,"seed":7}`)); seed.Stored != 1 {
		b.Errorf("result is %+v", seed)
	}
	rows = b.rows(old.ExperimentID, record.KindEpisode)
	if got := rows[0].Row; !got.Get("avg_waiting_time").IsNull() || !sameJSON(got.Extra, []byte(`{"seed":7}`)) {
		b.Errorf("the row is a mixture: %s, extra %s", show(got.Get("avg_waiting_time")), got.Extra)
	}
}

// logged is a record of a run in the property, with who wins its key.
type logged struct {
	run   int
	entry store.Entry
	dead  bool
}

// testSupersededInAnyOrder: whatever the order and the batches in which several runs
// are synced, the same rows are there in the end: those that were logged last. What
// is there, superseded, dead and without a row adds up to the cursor, at any time.
func testSupersededInAnyOrder(b *bench) {
	round := 0
	rapid.Check(b.T, func(t *rapid.T) {
		round++
		name := fmt.Sprintf("order %d", round)
		runs := make([]store.State, rapid.IntRange(1, 3).Draw(t, "runs"))
		logs := make([][]logged, len(runs))
		for r := range runs {
			runs[r] = b.begin(name)
			logs[r] = drawLog(t, r)
		}
		winners := map[string]logged{}
		for r, log := range logs {
			for _, l := range log {
				if l.dead || l.entry.Row.Schema.Table == "" {
					continue
				}
				key := fmt.Sprint(l.entry.Row.Schema.Kind, store.KeyOf(runs[r].RunID, &l.entry))
				if w, ok := winners[key]; !ok || store.Later(l.entry.Time, runs[r].RunID, l.entry.Seq, w.entry.Time, runs[w.run].RunID, w.entry.Seq) {
					winners[key] = l
				}
			}
		}
		done := make([]int, len(runs))
		var total store.Result
		for {
			left := slices.DeleteFunc([]int{0, 1, 2}, func(r int) bool { return r >= len(runs) || done[r] == len(logs[r]) })
			if len(left) == 0 {
				break
			}
			r := rapid.SampledFrom(left).Draw(t, "run")
			n := rapid.IntRange(1, len(logs[r])-done[r]).Draw(t, "batch")
			batch := store.Batch{RunID: runs[r].RunID, ExperimentID: runs[r].ExperimentID, From: uint64(done[r]), To: uint64(done[r] + n)}
			for _, l := range logs[r][done[r] : done[r]+n] {
				if l.dead {
					batch.Dead = append(batch.Dead, store.DeadLetter{RunID: runs[r].RunID, Seq: l.entry.Seq, Kind: "step", Reason: "odd", Where: "x", Time: start})
				} else {
					batch.Entries = append(batch.Entries, l.entry)
				}
			}
			done[r] += n
			total.Add(b.apply(batch))
			b.addsUp(runs, logs, done)
		}
		b.checkWinners(runs, winners)
		superseded := 0
		for _, run := range runs {
			superseded += int(b.state(run.RunID).Superseded)
		}
		equal(b, "sum of superseded", total.Superseded, superseded)
		equal(b, "repeated", total.Repeated, 0)
		b.recount(name)
		if b.Failed() {
			t.FailNow()
		}
	})
}

func drawLog(t *rapid.T, run int) []logged {
	log := make([]logged, rapid.IntRange(1, 8).Draw(t, "records"))
	at := start
	for i := range log {
		at = at.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "gap")) * time.Microsecond)
		l := &log[i]
		l.run = run
		l.entry = store.Entry{Seq: uint64(i + 1), Time: at}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			l.entry.Row = heartbeat()
		case 1:
			l.dead, l.entry.Row = true, step(0, 0)
		case 2:
			l.entry.Row = checkpoint()
		case 3, 4, 5:
			l.entry.Row = episode(rapid.IntRange(0, 2).Draw(t, "episode"), float64(rapid.IntRange(-3, 3).Draw(t, "reward")))
		default:
			l.entry.Row = step(rapid.IntRange(0, 1).Draw(t, "episode"), rapid.IntRange(0, 1).Draw(t, "step"))
			l.entry.Row.Values[record.Steps.Index("immediate_reward")] = record.FloatValue(float64(100*run + i))
		}
	}
	return log
}

// addsUp checks that every record up to the cursor of every run is accounted for.
func (b *bench) addsUp(runs []store.State, logs [][]logged, done []int) {
	b.Helper()
	for r, run := range runs {
		state := b.state(run.RunID)
		var stored int64
		for _, schema := range record.Tabled() {
			n, err := b.s.CountRows(b.ctx, run.ExperimentID, run.RunID, schema.Kind)
			if err != nil {
				b.Fatalf("CountRows: %v", err)
			}
			stored += n
		}
		rowless := 0
		for _, l := range logs[r][:done[r]] {
			if !l.dead && l.entry.Row.Schema.Table == "" {
				rowless++
			}
		}
		equal(b, "cursor", state.Cursor, uint64(done[r]))
		equal(b, fmt.Sprintf("run %d: stored %d + superseded %d + dead %d + without a row %d", r, stored, state.Superseded, state.Dead, rowless),
			uint64(stored)+state.Superseded+state.Dead+uint64(rowless), state.Cursor)
		equal(b, "dead letters", len(b.dead(run.RunID)), int(state.Dead))
	}
}

func (b *bench) checkWinners(runs []store.State, winners map[string]logged) {
	b.Helper()
	got := map[string]bool{}
	for _, schema := range record.Tabled() {
		for _, row := range b.rows(runs[0].ExperimentID, schema.Kind) {
			key := fmt.Sprint(schema.Kind, store.KeyOf(row.RunID, &store.Entry{Seq: row.Seq, Row: row.Row}))
			got[key] = true
			w, ok := winners[key]
			if !ok {
				b.Errorf("there is a row %s", key)
				continue
			}
			b.checkRow(key, runs[w.run], row, w.entry)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(winners)) {
		if !got[key] {
			b.Errorf("row %s is missing", key)
		}
	}
}

// testRowsByHand: a row that somebody inserted without a run gives way to a record
// that was logged later and stays before one that was logged earlier.
func testRowsByHand(b *bench) {
	run := b.begin("by hand")
	for n, at := range map[int]string{0: "2020-01-01T00:00:00.000000Z", 1: "2099-01-01T00:00:00.000000Z"} {
		b.exec(`INSERT INTO training_episodes (experiment_id, episode_number, total_reward, logged_at) VALUES ('%s', %d, -7, '%s')`, run.ExperimentID, n, at)
	}
	equal(b, "result", b.log(run, episode(0, 1), episode(1, 2)), store.Result{Stored: 1, Superseded: 2})
	rows := b.rows(run.ExperimentID, record.KindEpisode)
	equal(b, "reward of episode 0", rows[0].Row.Get("total_reward").Float(), 1)
	equal(b, "reward of episode 1", rows[1].Row.Get("total_reward").Float(), -7)
	equal(b, "run of the row by hand", rows[1].RunID, "")
	equal(b, "superseded", b.state(run.RunID).Superseded, 1)
}
