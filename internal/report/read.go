package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// training is what a report needs of an experiment's rows.
type training struct {
	experiment store.Experiment
	episodes   []float64 // numbers
	rewards    []float64
	components map[string][]float64 // by episode; NaN where it is missing
	validated  [][2]float64         // episode and reward of the validations
	hash       string
}

// readTraining reads episodes and validations in one pass each.
func readTraining(ctx context.Context, s store.Reader, name string) (*training, error) {
	e, err := s.Experiment(ctx, name)
	if err != nil {
		return nil, err
	}
	t := &training{experiment: e, components: map[string][]float64{}}
	sum := sha256.New()
	for row, err := range s.Page(ctx, e.ID, record.KindEpisode, store.Range{Columns: []string{"episode_number", "total_reward", "reward_components"}}) {
		if err != nil {
			return nil, fmt.Errorf("episodes of %s: %w", name, err)
		}
		reward := row.Row.Get("total_reward")
		if reward.IsNull() {
			continue // NaN when it was logged; alerts and extra.non_finite say so
		}
		t.add(sum, float64(row.Row.Get("episode_number").Int()), reward.Float(), row.Row.Get("reward_components").Bytes())
	}
	for row, err := range s.Rows(ctx, e.ID, record.KindValidation) {
		if err != nil {
			return nil, fmt.Errorf("validations of %s: %w", name, err)
		}
		reward := row.Row.Get("total_reward")
		scenario := string(row.Row.Get("test_scenario").Bytes())
		if reward.IsNull() || strings.Contains(scenario, `"split":"test"`) || strings.Contains(scenario, `"split": "test"`) {
			continue
		}
		at := float64(row.Row.Get("validation_episode").Int())
		fmt.Fprintf(sum, "v %g %g\n", at, reward.Float())
		t.validated = append(t.validated, [2]float64{at, reward.Float()})
	}
	t.hash = hex.EncodeToString(sum.Sum(nil))
	return t, nil
}

func (t *training) add(sum hash.Hash, episode, reward float64, components []byte) {
	fmt.Fprintf(sum, "%g %g %s\n", episode, reward, components)
	t.episodes, t.rewards = append(t.episodes, episode), append(t.rewards, reward)
	var parts map[string]float64
	if len(components) > 0 && json.Unmarshal(components, &parts) != nil {
		parts = nil // a component that is null: the pair is left out
	}
	for name, v := range parts {
		list := t.components[name]
		for len(list) < len(t.rewards)-1 {
			list = append(list, math.NaN())
		}
		t.components[name] = append(list, v)
	}
}

// lastEpisode are the steps of the last episode that logged any.
type lastEpisode struct {
	number int64
	times  []float64
	queues map[string][]float64 // "junction approach" → by time
	phases map[string][]int     // junction → by time
}

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
	const most = 2000
	after := store.Key{Episode: e.number, Step: -1}
	columns := []string{"episode_number", "step_number", "queue_lengths", "intersection_metrics", "simulation_time"}
	for row, err := range s.Page(ctx, experimentID, record.KindStep, store.Range{After: &after, Limit: most, Columns: columns}) {
		if err != nil {
			return nil, err
		}
		var queues map[string]map[string]*float64
		var signals map[string]json.RawMessage
		if text := row.Row.Get("queue_lengths").Bytes(); len(text) > 0 && json.Unmarshal(text, &queues) != nil {
			continue
		}
		if text := row.Row.Get("intersection_metrics").Bytes(); len(text) > 0 && json.Unmarshal(text, &signals) != nil {
			continue
		}
		n := len(e.times)
		at := float64(row.Row.Get("step_number").Int())
		if v := row.Row.Get("simulation_time"); !v.IsNull() {
			at = v.Float()
		}
		e.times = append(e.times, at)
		for junction, approaches := range queues {
			for approach, q := range approaches {
				name := junction + " " + approach
				list := e.queues[name]
				for len(list) < n {
					list = append(list, math.NaN())
				}
				value := math.NaN()
				if q != nil {
					value = *q
				}
				e.queues[name] = append(list, value)
			}
		}
		for junction, text := range signals {
			var m struct {
				Phase *int `json:"phase"`
			}
			if json.Unmarshal(text, &m) != nil || m.Phase == nil {
				continue
			}
			list := e.phases[junction]
			for len(list) < n {
				list = append(list, -1)
			}
			e.phases[junction] = append(list, *m.Phase)
		}
	}
	return e, nil
}
