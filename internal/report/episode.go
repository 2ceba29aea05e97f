package report

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/figure"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// lastEpisode are the steps of the last episode that logged any.
type lastEpisode struct {
	number int64
	times  []float64
	queues map[string][]float64 // "junction approach" → by time; NaN is a gap
	phases map[string][]int     // junction → by time; -1 is a gap
	cut    bool                 // there are more steps than the figures show
}

// mostSteps is how many steps of an episode the figures show.
const mostSteps = 2000

func readLastEpisode(ctx context.Context, s store.Reader, experimentID string) (*lastEpisode, error) {
	e := &lastEpisode{number: -1, queues: map[string][]float64{}, phases: map[string][]int{}}
	for row, err := range s.Page(ctx, experimentID, record.KindStep, store.Range{Newest: true, Limit: 1, Columns: []string{"episode_number", "step_number"}}) {
		if err != nil {
			return nil, err
		}
		e.number = row.Row.Get("episode_number").Int()
	}
	if e.number < 0 {
		return e, nil
	}
	from := store.Key{Episode: e.number, Step: math.MinInt64}
	columns := []string{"episode_number", "step_number", "queue_lengths", "intersection_metrics", "simulation_time"}
	for row, err := range s.Page(ctx, experimentID, record.KindStep, store.Range{After: &from, Limit: mostSteps + 1, Columns: columns}) {
		if err != nil {
			return nil, err
		}
		if len(e.times) == mostSteps {
			e.cut = true
			break
		}
		e.add(&row.Row)
	}
	n := len(e.times)
	for name, list := range e.queues {
		e.queues[name] = gaps(list, n, math.NaN())
	}
	for name, list := range e.phases {
		e.phases[name] = gaps(list, n, -1)
	}
	return e, nil
}

// add adds a step. Queues and phases that are not written as the guide has them are gaps.
func (e *lastEpisode) add(row *record.Row) {
	n := len(e.times)
	at := float64(row.Get("step_number").Int())
	if v := row.Get("simulation_time"); !v.IsNull() {
		at = v.Float()
	}
	e.times = append(e.times, at)
	var queues map[string]map[string]*float64
	if text := row.Get("queue_lengths").Bytes(); len(text) > 0 && json.Unmarshal(text, &queues) == nil {
		for junction, approaches := range queues {
			for approach, q := range approaches {
				if q != nil {
					name := junction + " " + approach
					e.queues[name] = append(gaps(e.queues[name], n, math.NaN()), *q)
				}
			}
		}
	}
	var signals map[string]json.RawMessage
	if text := row.Get("intersection_metrics").Bytes(); len(text) > 0 && json.Unmarshal(text, &signals) == nil {
		for junction, text := range signals {
			var m struct {
				Phase *int `json:"phase"`
			}
			if json.Unmarshal(text, &m) == nil && m.Phase != nil && *m.Phase >= 0 {
				e.phases[junction] = append(gaps(e.phases[junction], n, -1), *m.Phase)
			}
		}
	}
}

// gaps makes a list so long with a value that stands for a gap.
func gaps[T any](list []T, n int, gap T) []T {
	for len(list) < n {
		list = append(list, gap)
	}
	return list
}

// blocks are the figures of the episode.
func (e *lastEpisode) blocks(src figure.Source) []Block {
	if len(e.queues)+len(e.phases) == 0 {
		return nil
	}
	blocks := []Block{Heading(fmt.Sprintf("Episode %d, step by step", e.number))}
	if e.cut {
		blocks = append(blocks, Text(fmt.Sprintf("The first %s steps of it.", thousands(mostSteps))))
	}
	var places []figure.Place
	for _, n := range slices.Sorted(maps.Keys(e.queues)) {
		places = append(places, figure.Place{Name: n, Values: e.queues[n]})
	}
	if len(places) > 0 {
		blocks = append(blocks, Figure{
			Name: fmt.Sprintf("queues-episode-%d", e.number), Caption: "Halting vehicles by approach and time: darker is longer.",
			SVG: figure.SpaceTime(fmt.Sprintf("Queues in episode %d", e.number), e.times, places, src),
		})
	}
	var signals []figure.Signal
	for _, n := range slices.Sorted(maps.Keys(e.phases)) {
		signals = append(signals, figure.Signal{Name: n, Phases: e.phases[n]})
	}
	if len(signals) > 0 {
		blocks = append(blocks, Figure{
			Name: fmt.Sprintf("phases-episode-%d", e.number), Caption: "The phase that each signal showed at each decision, by number.",
			SVG: figure.Phases(fmt.Sprintf("Signals in episode %d", e.number), e.times, signals, src),
		})
	}
	return blocks
}
