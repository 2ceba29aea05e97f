package provenance_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/provenance"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

const run = "018f3c5e-0000-7000-8000-000000000001"

var at = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// journal is a source of n episodes whose reward is ten times their number.
type journal struct {
	syncer.Source
	n, seq uint64
	seeks  int
}

func (j *journal) Run() store.Run          { return store.Run{ID: run} }
func (j *journal) Logged() (uint64, error) { return j.n, nil }
func (j *journal) Seek(seq uint64) error   { j.seq = seq; j.seeks++; return nil }
func (j *journal) Next() (syncer.Item, error) {
	if j.seq >= j.n {
		return syncer.Item{}, io.EOF
	}
	j.seq++
	return syncer.Item{Seq: j.seq, Time: at.Add(time.Duration(j.seq) * time.Second), Kind: record.KindEpisode, Data: episode(j.seq, 10*j.seq), Where: "seg:1"}, nil
}

func episode(n, reward uint64) []byte {
	data, err := (&record.Episode{EpisodeNumber: int(n), TotalReward: float64(reward)}).AppendJSON(nil)
	if err != nil {
		panic(err)
	}
	return data
}

// rows is a database of episodes.
type rows struct {
	store.Reader
	list []store.Stored
}

func (r rows) Rows(context.Context, string, record.Kind) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		for i := range r.list {
			if !yield(&r.list[i], nil) {
				return
			}
		}
	}
}

func stored(t *testing.T, runID string, seq, n, reward uint64) store.Stored {
	t.Helper()
	row, err := record.Parse(record.KindEpisode, episode(n, reward), nil)
	if err != nil {
		t.Fatal(err)
	}
	when := at.Add(time.Duration(seq) * time.Second)
	row.Default(when)
	return store.Stored{RunID: runID, Seq: seq, Time: when, Row: row}
}

func TestStates(t *testing.T) {
	db := rows{list: []store.Stored{
		stored(t, run, 1, 1, 10),
		stored(t, run, 2, 2, 99),        // was changed
		stored(t, run, 9000, 9000, 1),   // the journal has no such record
		stored(t, "other", 1, 4, 40),    // its journal is not here
		stored(t, "", 0, 5, 50),         // nobody logged it
		stored(t, run, 8000, 8000, 8e4), // far away
		stored(t, run, 8001, 8001, 80010),
	}}
	j := &journal{n: 8500}
	x := &store.Experiment{Name: "corridor", ID: "x"}
	st, err := provenance.Check(t.Context(), db, []syncer.Source{j}, x, record.KindEpisode)
	if err != nil {
		t.Fatal(err)
	}
	if st.Rows != 7 || st.AsLogged != 3 || st.Changed != 2 || st.Unchecked != 2 || !st.Marked() {
		t.Errorf("%+v", st)
	}
	want := "CHANGED SINCE SYNC: 2 of 7 rows of corridor do not say what was logged; the first is episode 2: total_reward is 99, logged as 20 (seg:1, record 2)"
	if st.String() != want {
		t.Errorf("%s\nwant %s", st, want)
	}
	if j.seeks != 2 {
		t.Errorf("the journal was searched %d times", j.seeks)
	}
	list, err := provenance.Trace(t.Context(), db, []syncer.Source{j}, x, record.KindEpisode, "total_reward")
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, r := range list {
		states = append(states, r.State)
	}
	if got := strings.Join(states, ", "); got != "as logged, changed since sync, not in the journal, no journal, by hand, as logged, as logged" {
		t.Error(got)
	}
	if *list[1].Value != 99 || list[1].Column != "total_reward" || list[1].Logged != "20" {
		t.Errorf("%+v", list[1])
	}
	if none, err := provenance.Check(t.Context(), db, nil, x, record.KindEpisode); err != nil || none.String() != "corridor: not checked against a journal: none of its 7 rows has one here" {
		t.Errorf("%s, %v", none, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := provenance.Check(ctx, db, []syncer.Source{j}, x, record.KindEpisode); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
