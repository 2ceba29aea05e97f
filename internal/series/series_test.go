package series_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/series"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

// filled is a database with one experiment: its episodes are the given JSON texts.
func filled(t testing.TB, episodes func(yield func(string) bool)) (store.Store, string) {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "a.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	state, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "e", Source: "journal", StartedAt: time.Now()}, false)
	if err != nil {
		t.Fatal(err)
	}
	b := store.Batch{RunID: state.RunID, ExperimentID: state.ExperimentID}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for text := range episodes {
		row, err := record.Parse(record.KindEpisode, []byte(text), new(record.Row))
		if err != nil {
			t.Fatal(err)
		}
		b.To++
		at = at.Add(time.Second)
		row.Default(at)
		b.Entries = append(b.Entries, store.Entry{Seq: b.To, Time: at, Row: row})
	}
	if _, err := s.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return s, state.ExperimentID
}

func TestGapsAndMembers(t *testing.T) {
	s, id := filled(t, func(yield func(string) bool) {
		for _, e := range []int{0, 1, 5} {
			yield(fmt.Sprintf(`{"episode_number":%d,"total_reward":%d,"steps_completed":10,"reward_components":{"delay":%d},"full_delay":%d}`, e, -e, e+100, e+200))
		}
	})
	got, err := series.Episodes(t.Context(), s, id, series.Query{Columns: []string{"total_reward", "reward_components.delay", "extra.full_delay", "avg_loss"}})
	if err != nil {
		t.Fatal(err)
	}
	if text, want := fmt.Sprint(got.X, got.Columns), "[0 1 2 5] [[0 -1 NaN -5] [100 101 NaN 105] [200 201 NaN 205] [NaN NaN NaN NaN]]"; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	got, err = series.Episodes(t.Context(), s, id, series.Query{Columns: []string{"total_reward"}, Axis: series.ByStep})
	if err != nil || fmt.Sprint(got.X) != "[10 20 25 30]" {
		t.Errorf("by step: %v, %v", got, err)
	}
	got, err = series.Episodes(t.Context(), s, id, series.Query{Columns: []string{"total_reward"}, Smooth: 2})
	if text, want := fmt.Sprint(got.Names, got.Columns[1], err), "[total_reward total_reward~mean] [0 -0.5 NaN -3] <nil>"; text != want {
		t.Errorf("smoothed: %s, want %s", text, want)
	}
	got, err = series.Episodes(t.Context(), s, id, series.Query{Columns: []string{"total_reward"}, Smooth: 2, After: &store.Key{Episode: 1}})
	if text, want := fmt.Sprint(got.X, got.Columns[1], got.Rows, err), "[2 5] [NaN -3] 1 <nil>"; text != want {
		t.Errorf("smoothed behind 1: %s, want %s", text, want)
	}
	for _, bad := range []string{"total_rewards", "scenario_info", "total_reward.x"} {
		if _, err := series.Episodes(t.Context(), s, id, series.Query{Columns: []string{bad}}); err == nil || !strings.Contains(err.Error(), "total_reward") {
			t.Errorf("column %q: %v", bad, err)
		}
	}
}

// TestSpikesStay: of 10,000 episodes every extreme of every stretch stays, and a gap.
func TestSpikesStay(t *testing.T) {
	s, id := filled(t, func(yield func(string) bool) {
		for e := range 10_000 {
			if e == 7_000 {
				continue
			}
			reward := math.Sin(float64(e) / 500)
			switch e {
			case 1234:
				reward = 99
			case 4321:
				reward = -99
			}
			yield(fmt.Sprintf(`{"episode_number":%d,"total_reward":%g,"avg_speed":%d}`, e, reward, e%97))
		}
	})
	began := time.Now()
	got, err := series.Episodes(t.Context(), s, id, series.Query{Columns: []string{"total_reward", "avg_speed"}, Points: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("10,000 episodes in %v", time.Since(began))
	if got.Rows != 9999 || !got.Thinned || len(got.X) > 2000 {
		t.Errorf("%d rows became %d points", got.Rows, len(got.X))
	}
	seen := map[float64]bool{}
	gap := false
	for i, v := range got.Columns[0] {
		seen[v] = true
		gap = gap || math.IsNaN(v) && got.X[i] == 7000
	}
	if !seen[99] || !seen[-99] || !gap {
		t.Errorf("spike up %v, spike down %v, gap %v: all must stay", seen[99], seen[-99], gap)
	}
	if got.X[0] != 0 || got.X[len(got.X)-1] != 9999 {
		t.Errorf("the ends are %v and %v", got.X[0], got.X[len(got.X)-1])
	}
}
