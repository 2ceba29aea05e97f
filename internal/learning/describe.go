package learning

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Curve is the shape of a training's learning curve, with the numbers of its episodes in
// place of their places.
type Curve struct {
	Shape       analysis.Learning `json:"shape"` // with places
	Converged   *float64          `json:"convergence_episode"`
	BestAt      float64           `json:"best_episode"` // at the end of the best window
	Threshold   *Reached          `json:"threshold,omitempty"`
	Asked       *Reached          `json:"asked_threshold,omitempty"` // the level that was asked for
	Plateaus    [][2]float64      `json:"plateaus,omitempty"`        // first and last episode
	Collapse    *float64          `json:"collapse_episode,omitempty"`
	PerDecision bool              `json:"per_decision,omitempty"` // the rewards are of a decision
}

// Reached says when the moving mean was first at a level.
type Reached struct {
	Level   float64  `json:"level"`
	Episode *float64 `json:"episode"`             // null: never
	Steps   *float64 `json:"decisions,omitempty"` // until then
	Minutes *float64 `json:"minutes,omitempty"`   // of episodes until then, as the clock ran
}

// Describe describes the learning curve; nil with too few episodes (see
// [analysis.Learn]). A level, where one is given, is looked for too.
func (t *Training) Describe(level *float64) *Curve {
	l, ok := analysis.Learn(t.Rewards)
	if !ok {
		return nil
	}
	c := &Curve{Shape: l, Converged: t.at(l.Converged), BestAt: t.Episodes[l.BestAt], Collapse: t.at(l.Collapse), PerDecision: t.PerStep}
	for _, p := range l.Plateaus {
		c.Plateaus = append(c.Plateaus, [2]float64{t.Episodes[p[0]], t.Episodes[p[1]]})
	}
	if l.ToThreshold != nil {
		c.Threshold = t.reached(analysis.MovingMean(t.Rewards, l.Window)[*l.ToThreshold], l.ToThreshold)
		c.Threshold.Level = l.First + 0.9*(l.Best-l.First)
	}
	if level != nil {
		c.Asked = t.reached(*level, analysis.Reach(t.Rewards, l.Window, *level))
	}
	return c
}

// at is the number of the episode at a place.
func (t *Training) at(i *int) *float64 {
	if i == nil {
		return nil
	}
	return &t.Episodes[*i]
}

func (t *Training) reached(level float64, i *int) *Reached {
	r := &Reached{Level: level, Episode: t.at(i)}
	if i != nil {
		r.Steps, r.Minutes = total(t.Steps[:*i+1]), total(t.Minutes[:*i+1])
	}
	return r
}

// total is the sum; nil when one is not known.
func total(x []float64) *float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	if math.IsNaN(sum) {
		return nil
	}
	return &sum
}

// Fight is two parts of the reward of which one falls where the other rises.
type Fight struct {
	A        string  `json:"a"`
	B        string  `json:"b"`
	Rho      float64 `json:"rank_correlation"` // of what is left when the mean of its neighbours is taken out
	Raw      float64 `json:"rank_correlation_with_trend"`
	PHolm    float64 `json:"p_holm"` // over all pairs of parts
	Episodes int     `json:"episodes"`
}

// The rule of [Training.Fights].
const (
	FightsBelow   = -0.3
	fightEpisodes = 30
)

// Fights are the pairs of parts of the reward whose rank correlation over the episodes is
// below −0.3, significantly after Holm. The trend of each part is taken out before:
// while a policy learns all parts move with it, which is no fight. ok is false with fewer
// than 30 episodes that have two parts.
func (t *Training) Fights() (list []Fight, ok bool) {
	names := slices.Sorted(maps.Keys(t.Components))
	var all []Fight
	var raw []float64
	for i, a := range names {
		for _, b := range names[i+1:] {
			var x, y []float64
			for k, u := range t.Components[a] {
				if v := t.Components[b][k]; !math.IsNaN(u) && !math.IsNaN(v) {
					x, y = append(x, u), append(y, v)
				}
			}
			if len(x) < fightEpisodes {
				continue
			}
			rest := [2][]float64{detrended(x), detrended(y)}
			found, err := analysis.Influences(rest[1], []analysis.Factor{{Name: a, Numbers: rest[0]}})
			ok = true
			if err != nil || len(found) == 0 || found[0].Rho == nil {
				continue // one of them does not vary
			}
			all = append(all, Fight{A: a, B: b, Rho: *found[0].Rho, Raw: analysis.Spearman(x, y), Episodes: len(x)})
			raw = append(raw, found[0].P)
		}
	}
	for i, p := range analysis.Holm(raw) {
		if all[i].PHolm = p; p < analysis.Alpha && all[i].Rho < FightsBelow {
			list = append(list, all[i])
		}
	}
	slices.SortFunc(list, func(a, b Fight) int { return cmp.Compare(a.Rho, b.Rho) })
	return list, ok
}

// detrended is what is left of a list without the mean of the neighbours of each place,
// a tenth of the list wide.
func detrended(x []float64) []float64 {
	half := min(max(len(x)/10, 10), 100) / 2
	rest := make([]float64, len(x))
	for i := range x {
		near := x[max(i-half, 0):min(i+half+1, len(x))]
		rest[i] = x[i] - stat.Mean(near, nil)
	}
	return rest
}

// Carry is training against validation: whether what was learned carries over.
type Carry struct {
	Rho   *float64  `json:"rank_correlation"` // of validation rewards with their episodes: 1 is better and better; null with fewer than 5
	P     *float64  `json:"p,omitempty"`
	Best  Validated `json:"best"`
	First Validated `json:"first"`
	Last  Validated `json:"last"`
	Says  string    `json:"says"`
}

// Validation compares how training and validation went; nil with fewer than two
// validations.
func (t *Training) Validation(c *Curve) *Carry {
	n := len(t.Validated)
	if n < 2 {
		return nil
	}
	v := &Carry{First: t.Validated[0], Last: t.Validated[n-1]}
	v.Best = slices.MaxFunc(t.Validated, func(a, b Validated) int { return cmp.Compare(a.Reward, b.Reward) })
	v.Says = "too few validations, or episodes, to set one against the other"
	var x, y []float64
	for _, o := range t.Validated {
		x, y = append(x, o.Episode), append(y, o.Reward)
	}
	found, err := analysis.Influences(y, []analysis.Factor{{Name: "episode", Numbers: x}})
	if n < 5 || err != nil || len(found) == 0 || c == nil {
		return v
	}
	v.Rho, v.P = found[0].Rho, &found[0].P
	rising := c.Shape.Last-c.Shape.First > c.Shape.Band
	switch {
	case *v.P >= analysis.Alpha && rising:
		v.Says = "training rewards rose; no trend of the validations is shown"
	case *v.P >= analysis.Alpha:
		v.Says = "neither training nor validation shows a trend"
	case *v.Rho < 0 && rising:
		v.Says = "training rewards rose while validations got worse: what was learned does not carry over to other demand"
	case *v.Rho < 0:
		v.Says = "validations got worse"
	case rising:
		v.Says = "validations rose with the training"
	default:
		v.Says = "validations rose though training rewards did not: exploration hides it there"
	}
	return v
}

// Seeds reads the experiments of the same group, this one included, in the order of
// their names.
func Seeds(ctx context.Context, s store.Reader, t *Training) (list []*Training, err error) {
	if t.Group == "" {
		return nil, nil
	}
	all, err := s.Experiments(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		switch {
		case GroupOf(e) != t.Group:
		case e.Name == t.Experiment.Name:
			list = append(list, t)
		default:
			other, err := Read(ctx, s, e.Name)
			if err != nil {
				return nil, err
			}
			if len(other.Rewards) > 0 {
				list = append(list, other)
			}
		}
	}
	slices.SortFunc(list, func(a, b *Training) int { return cmp.Compare(a.Experiment.Name, b.Experiment.Name) })
	return list, nil
}

// GroupOf is the group of an experiment: of those that differ in their seed; empty when
// it has none.
func GroupOf(e store.Experiment) string {
	var meta struct {
		Group string `json:"group"`
	}
	if len(e.Metadata) == 0 || json.Unmarshal(e.Metadata, &meta) != nil {
		return ""
	}
	return meta.Group
}

// Band is the mean of the moving means of several trainings with its 95 % interval, over
// the episodes that all of them have.
type Band struct{ Episode, Mean, Low, High []float64 }

// BandOf is the band of trainings; it is empty for fewer than two.
func BandOf(group []*Training, window int) (b Band) {
	if len(group) < 2 {
		return b
	}
	means := make([]map[float64]float64, len(group))
	for i, t := range group {
		means[i] = make(map[float64]float64, len(t.Rewards))
		for k, m := range analysis.MovingMean(t.Rewards, window) {
			means[i][t.Episodes[k]] = m
		}
	}
	x := make([]float64, len(group))
	for _, episode := range group[0].Episodes {
		whole := true
		for i := range means {
			m, ok := means[i][episode]
			x[i], whole = m, whole && ok
		}
		if !whole {
			continue
		}
		low, high, err := analysis.TInterval(x, 0.95)
		if err != nil {
			continue // finite numbers of two or more: cannot fail
		}
		b.Episode, b.Mean = append(b.Episode, episode), append(b.Mean, (low+high)/2)
		b.Low, b.High = append(b.Low, low), append(b.High, high)
	}
	return b
}

// Lacks says how many episodes a curve needs.
func (t *Training) Lacks() string {
	return fmt.Sprintf("%d episodes with a reward are too few to say anything about learning; 30 are needed", len(t.Rewards))
}
