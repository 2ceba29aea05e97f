package learning

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Training is what an experiment's rows say of its learning.
type Training struct {
	Experiment store.Experiment
	Group      string // of experiments that differ in their seed; may be empty
	Episodes   []float64
	Rewards    []float64
	Left       int                  // episodes without a reward: it was no number when it was logged
	PerStep    bool                 // episodes are of unlike length: rewards and components are of a decision
	Components map[string][]float64 // by episode; NaN where it is missing
	Steps      []float64            // decisions by episode; NaN where it is missing
	Minutes    []float64            // by episode; NaN where it is missing
	Validated  []Validated
	Hash       string // SHA-256 of what was read
	Query      string // the statement that shows the episodes
}

// Validated is a validation: the mean reward of a policy that does not explore.
type Validated struct {
	Episode float64  `json:"episode"`
	Reward  float64  `json:"reward"`
	Delay   *float64 `json:"full_delay,omitempty"` // s, where it was measured
}

// unlikeLength is how many times as long as the shortest an episode must be for the
// rewards not to be sums over the same time.
const unlikeLength = 1.5

// Read reads episodes and validations in one pass each.
func Read(ctx context.Context, s store.Reader, name string) (*Training, error) {
	e, err := s.Experiment(ctx, name)
	if err != nil {
		return nil, err
	}
	t := &Training{
		Experiment: e, Group: GroupOf(e), Components: map[string][]float64{},
		Query: "SELECT t.* FROM training_episodes t JOIN experiments e ON e.id = t.experiment_id WHERE e.experiment_name = '" + strings.ReplaceAll(name, "'", "''") + "' ORDER BY t.episode_number",
	}
	sum := sha256.New()
	columns := []string{"episode_number", "total_reward", "reward_components", "steps_completed", "episode_duration_minutes"}
	for row, err := range s.Page(ctx, e.ID, record.KindEpisode, store.Range{Columns: columns}) {
		if err != nil {
			return nil, fmt.Errorf("episodes of %s: %w", name, err)
		}
		t.add(sum, &row.Row)
	}
	for name, list := range t.Components {
		t.Components[name] = fill(list, len(t.Rewards))
	}
	t.even()
	if err := t.validations(ctx, s, sum); err != nil {
		return nil, err
	}
	t.Hash = hex.EncodeToString(sum.Sum(nil))
	return t, nil
}

func (t *Training) add(sum hash.Hash, row *record.Row) {
	reward := row.Get("total_reward")
	if reward.IsNull() {
		t.Left++
		return
	}
	optional := func(column string) float64 {
		switch v := row.Get(column); {
		case v.IsNull():
			return math.NaN()
		case column == "steps_completed":
			return float64(v.Int())
		default:
			return v.Float()
		}
	}
	number, components := row.Get("episode_number").Int(), row.Get("reward_components").Bytes()
	fmt.Fprintf(sum, "%d %g\n", number, reward.Float())
	t.Episodes, t.Rewards = append(t.Episodes, float64(number)), append(t.Rewards, reward.Float())
	t.Steps, t.Minutes = append(t.Steps, optional("steps_completed")), append(t.Minutes, optional("episode_duration_minutes"))
	var parts map[string]any
	if len(components) > 0 && json.Unmarshal(components, &parts) != nil {
		return // no object: there are no parts
	}
	// In the order of their names: databases keep members in another order than they came.
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if f, ok := parts[name].(float64); ok && !measure(name) {
			fmt.Fprintf(sum, "%s %g\n", name, f)
			t.Components[name] = append(fill(t.Components[name], len(t.Rewards)-1), f)
		}
	}
}

// measure reports whether a member of reward_components is no part of the reward: older
// loggers put measures among them.
func measure(name string) bool {
	return strings.HasPrefix(name, "avg_") || strings.HasPrefix(name, "pt_") || record.SchemaOf(record.KindEpisode).Index(name) >= 0
}

// fill makes a list so long with NaN.
func fill(list []float64, n int) []float64 {
	for len(list) < n {
		list = append(list, math.NaN())
	}
	return list
}

// even divides by the decisions of an episode where episodes are of unlike length. The
// last episode of an interrupted run may be cut short, so one in twenty may be.
func (t *Training) even() {
	known := slices.DeleteFunc(slices.Clone(t.Steps), func(v float64) bool { return math.IsNaN(v) || v <= 0 })
	if len(known) == 0 || len(known) < len(t.Steps) {
		return
	}
	slices.Sort(known)
	if known[len(known)*19/20] < unlikeLength*known[len(known)/20] {
		return
	}
	t.PerStep = true
	for i, n := range t.Steps {
		t.Rewards[i] /= n
		for _, list := range t.Components {
			list[i] /= n
		}
	}
}

func (t *Training) validations(ctx context.Context, s store.Reader, sum hash.Hash) error {
	of := map[float64][]Validated{} // some loggers write a row for each scenario
	for row, err := range s.Rows(ctx, t.Experiment.ID, record.KindValidation) {
		if err != nil {
			return fmt.Errorf("validations of %s: %w", t.Experiment.Name, err)
		}
		var scenario struct {
			Split string `json:"split"`
		}
		if text := row.Row.Get("test_scenario").Bytes(); len(text) > 0 && json.Unmarshal(text, &scenario) != nil {
			scenario.Split = "" // no object: it does not say
		}
		reward, at := row.Row.Get("total_reward"), row.Row.Get("validation_episode")
		if reward.IsNull() || at.IsNull() || scenario.Split == "test" {
			continue
		}
		var measures struct {
			Delay *float64 `json:"full_delay"`
		}
		if text := row.Row.Get("traffic_metrics").Bytes(); len(text) > 0 && json.Unmarshal(text, &measures) != nil {
			measures.Delay = nil
		}
		v := Validated{float64(at.Int()), reward.Float(), measures.Delay}
		of[v.Episode] = append(of[v.Episode], v)
	}
	for episode, rows := range of {
		mean := Validated{Episode: episode}
		delay := 0.0
		for _, v := range rows {
			mean.Reward += v.Reward / float64(len(rows))
			if v.Delay == nil {
				delay = math.NaN()
				continue
			}
			delay += *v.Delay / float64(len(rows))
		}
		if !math.IsNaN(delay) {
			mean.Delay = &delay
		}
		t.Validated = append(t.Validated, mean)
	}
	slices.SortStableFunc(t.Validated, func(a, b Validated) int { return cmp.Compare(a.Episode, b.Episode) })
	for _, v := range t.Validated {
		fmt.Fprintf(sum, "validation %g %g\n", v.Episode, v.Reward)
	}
	return nil
}
