package storetest

import (
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// batchAt is batch without a look at the database.
func (b *bench) batchAt(run store.State, from uint64, records ...record.Row) store.Batch {
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: from, To: from}
	for _, row := range records {
		batch.To++
		batch.Entries = append(batch.Entries, store.Entry{Seq: batch.To, Time: start.Add(time.Duration(batch.To) * time.Second), Row: row})
	}
	return batch
}

func letter(run store.State, seq uint64) store.DeadLetter {
	return store.DeadLetter{
		RunID: run.RunID, Seq: seq, Kind: record.KindStep, Time: start.Add(time.Hour),
		Reason: fmt.Sprintf(`step: active_vehicles is "%d": must be an integer — 路`, seq), Where: "00001.jsonl:117",
	}
}

func testDeadLetters(b *bench) {
	run, other := b.begin("dead"), b.begin("dead")
	batch := b.batch(run, step(0, 0), step(0, 1), step(0, 2), step(0, 3))
	batch.Entries = append(batch.Entries[:1], batch.Entries[3])
	unread := letter(run, 3)
	unread.Kind, unread.Where = "", ""
	batch.Dead = []store.DeadLetter{letter(run, 2), unread}
	equal(b, "result", b.apply(batch), store.Result{Stored: 2, Dead: 2})
	only := store.Batch{RunID: other.RunID, ExperimentID: other.ExperimentID, To: 1, Dead: []store.DeadLetter{letter(other, 1)}}
	equal(b, "result of nothing but a dead letter", b.apply(only), store.Result{Dead: 1})

	state := b.state(run.RunID)
	equal(b, "cursor", state.Cursor, 4)
	equal(b, "dead", state.Dead, 2)
	equal(b, "dead of the other run", b.state(other.RunID).Dead, 1)
	got := b.dead(run.RunID)
	equal(b, "dead letters", len(got), 2)
	for i, want := range batch.Dead {
		if !got[i].Time.Equal(want.Time) {
			b.Errorf("refused at %v, want %v", got[i].Time, want.Time)
		}
		got[i].Time, want.Time = time.Time{}, time.Time{}
		equal(b, "dead letter", got[i], want)
	}
	equal(b, "all dead letters", len(b.dead()), 3)
	equal(b, "dead letters of both", len(b.dead(run.RunID, other.RunID)), 3)
}

func testReplay(b *bench) {
	run, later := b.begin("replay"), b.begin("replay")
	batch := b.batch(run, step(0, 0), step(0, 1), step(0, 2), episode(0, 5), heartbeat())
	all := batch.Entries
	batch.Entries = all[:1]
	for seq := uint64(2); seq <= 5; seq++ {
		batch.Dead = append(batch.Dead, letter(run, seq))
	}
	b.apply(batch)
	newer := b.batch(later, step(0, 2))
	newer.Entries[0].Time = start.Add(time.Hour)
	b.apply(newer)

	replay := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, Entries: all[:4], Dead: []store.DeadLetter{letter(run, 5)}}
	replay.Dead[0].Reason = "another reason"
	// 1 was never dead, 2 and 4 are written, 3 lost meanwhile, 5 stays.
	equal(b, "result", must(b, func() (store.Result, error) { return b.s.Replay(b.ctx, replay) }), store.Result{Stored: 2, Superseded: 1, Repeated: 1, Dead: 1})
	state := b.state(run.RunID)
	equal(b, "cursor", state.Cursor, 5)
	equal(b, "dead", state.Dead, 1)
	equal(b, "superseded", state.Superseded, 1)
	left := b.dead(run.RunID)
	if len(left) != 1 || left[0].Seq != 5 || left[0].Reason != "another reason" {
		b.Errorf("dead letters are %+v", left)
	}
	equal(b, "steps", len(b.rows(run.ExperimentID, record.KindStep)), 3)
	b.recount("replay")
	equal(b, "episodes", b.experiment("replay").TotalEpisodes, 1)

	// Once more, nothing is dead but the last, and nobody can add letters this way.
	replay.Entries, replay.Dead = all[:4], []store.DeadLetter{letter(run, 1)}
	equal(b, "result of the same again", must(b, func() (store.Result, error) { return b.s.Replay(b.ctx, replay) }), store.Result{Repeated: 4})
	equal(b, "dead letters", len(b.dead(run.RunID)), 1)
	replay.Entries, replay.Dead = all[4:], nil
	equal(b, "result of the last", must(b, func() (store.Result, error) { return b.s.Replay(b.ctx, replay) }), store.Result{Stored: 1})
	equal(b, "dead", b.state(run.RunID).Dead, 0)
	equal(b, "dead letters", len(b.dead(run.RunID)), 0)
}

func must[V any](b *bench, f func() (V, error)) V {
	b.Helper()
	v, err := f()
	if err != nil {
		b.Fatal(err)
	}
	return v
}
