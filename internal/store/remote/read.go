package remote

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
	"github.com/greenwave-traffic/greenwave/record"
)

// runsOfAQuestion keeps addresses below what proxies take.
const runsOfAQuestion = 100

// States asks what is known about runs; see [store.Reader].
func (s *Store) States(ctx context.Context, runIDs []string) (map[string]store.State, error) {
	all := make(map[string]store.State, len(runIDs))
	for chunk := range slices.Chunk(runIDs, runsOfAQuestion) {
		var states wire.States
		q := url.Values{"runs": {strings.Join(chunk, ",")}}
		if err := s.do(ctx, "ask about runs", http.MethodGet, "/states?"+q.Encode(), nil, nil, &states); err != nil {
			return nil, err
		}
		for i := range states.Items {
			state := stateOf(&states.Items[i])
			all[state.RunID] = state
		}
	}
	return all, nil
}

// DeadLetters lists dead letters; see [store.Reader].
func (s *Store) DeadLetters(ctx context.Context, runIDs []string) iter.Seq2[store.DeadLetter, error] {
	return func(yield func(store.DeadLetter, error) bool) {
		chunks := slices.Collect(slices.Chunk(slices.Sorted(slices.Values(runIDs)), runsOfAQuestion))
		if len(runIDs) == 0 {
			chunks = [][]string{nil}
		}
		for _, chunk := range chunks {
			if !s.letters(ctx, chunk, yield) {
				return
			}
		}
	}
}

// letters goes through the pages of the dead letters of some runs.
func (s *Store) letters(ctx context.Context, runIDs []string, yield func(store.DeadLetter, error) bool) bool {
	q := url.Values{"limit": {"1000"}}
	if len(runIDs) > 0 {
		q.Set("runs", strings.Join(runIDs, ","))
	}
	for {
		var page wire.DeadLetters
		if err := s.do(ctx, "list dead letters", http.MethodGet, "/dead-letters?"+q.Encode(), nil, nil, &page); err != nil {
			return yield(store.DeadLetter{}, err) && false
		}
		for _, d := range page.Items {
			letter := store.DeadLetter{RunID: d.RunID, Seq: d.Seq, Kind: record.Kind(d.Kind), Reason: d.Reason, Where: d.Where, Time: d.RefusedAt}
			if !yield(letter, nil) {
				return false
			}
		}
		if page.Next == "" {
			return true
		}
		q.Set("cursor", page.Next)
	}
}
