package watch

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// experiment is what the runs of one have logged.
type experiment struct {
	name     string
	runs     []*run // by start
	episodes map[int64]*point
	sorted   []int64 // numbers of the episodes; nil when it must be made again
	planned  int64
	seen     time.Time            // when it was first looked at
	firing   map[string]time.Time // rule → since when
}

// point is an episode with what decides between two of the same number.
type point struct {
	Episode
	notFinite []string
	run       string
	seq       uint64
}

// plan takes how many episodes a configuration says that there will be.
func (e *experiment) plan(config []byte) {
	var c map[string]json.RawMessage
	if json.Unmarshal(config, &c) != nil {
		return
	}
	for _, name := range []string{"episodes", "num_episodes", "total_episodes"} {
		var n float64
		if json.Unmarshal(c[name], &n) == nil && n >= 1 && n < 1e12 {
			e.planned = int64(n)
			return
		}
	}
}

// take keeps an episode. Of two with the same number the one that was logged later
// counts, as in the database.
func (e *experiment) take(run string, item syncer.Item, row *record.Row) {
	p := &point{run: run, seq: item.Seq, Episode: Episode{
		Number: row.Get("episode_number").Int(), At: item.Time, Reward: float(row.Get("total_reward")), Waiting: float(row.Get("avg_waiting_time")),
		Loss: float(row.Get("avg_loss")), Epsilon: float(row.Get("epsilon_value")),
	}}
	if len(row.Extra) > 0 {
		var extra struct {
			NonFinite []string `json:"non_finite"`
		}
		if json.Unmarshal(row.Extra, &extra) == nil {
			p.notFinite = extra.NonFinite
		}
	}
	old := e.episodes[p.Number]
	switch {
	case old == nil:
		e.sorted = nil
	case cmp.Or(old.At.Compare(p.At), strings.Compare(old.run, p.run), cmp.Compare(old.seq, p.seq)) > 0:
		return
	}
	e.episodes[p.Number] = p
}

func float(v record.Value) *float64 {
	f := math.NaN()
	switch v.Type {
	case record.Int:
		f = float64(v.Int())
	case record.Float:
		f = v.Float()
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}

func (e *experiment) numbers() []int64 {
	if e.sorted == nil {
		e.sorted = slices.Sorted(maps.Keys(e.episodes))
	}
	return e.sorted
}

// line is the experiment in the list.
func (e *experiment) line(now time.Time) Experiment {
	numbers := e.numbers()
	last := e.runs[len(e.runs)-1]
	x := Experiment{Name: e.name, Status: last.state(now), Episodes: int64(len(numbers)), Planned: e.planned, started: last.started}
	if last.imported { // files of one training, of which one may say how it ended
		x.Status = "interrupted"
		for _, r := range e.runs {
			if s := r.state(now); s == "running" || !r.ended.IsZero() {
				x.Status = s
			}
		}
	}
	x.Data.Never, x.Data.Foreign = true, true
	for _, r := range e.runs {
		if r.sign.After(x.LastRecord) {
			x.LastRecord = r.sign
		}
		x.Data.Foreign = x.Data.Foreign && r.imported
		x.Data.Logged += r.seq
		x.Data.Damage += r.damage
		if r.trouble != "" {
			x.Data.Error = r.trouble
		}
		if r.confirmedAny {
			x.Data.Never = false
			x.Data.Synced += min(r.confirmed.Synced, r.seq)
			x.Data.Dead += r.confirmed.Dead
			if r.confirmed.LastError != "" {
				x.Data.Error = r.confirmed.LastError
			}
		}
	}
	x.Data.Waiting = x.Data.Logged - x.Data.Synced
	if len(numbers) == 0 {
		return x
	}
	end := e.episodes[numbers[len(numbers)-1]]
	x.Latest, x.Waiting = end.Reward, end.Waiting
	sum, count := make([]float64, min(sparkCells, len(numbers))), make([]int, min(sparkCells, len(numbers)))
	for i, n := range numbers {
		reward := e.episodes[n].Reward
		if reward == nil {
			continue
		}
		if x.Best == nil || *reward > *x.Best {
			x.Best = reward
		}
		cell := i * len(sum) / len(numbers)
		sum[cell] += *reward
		count[cell]++
	}
	x.Spark = make([]*float64, len(sum))
	for i := range sum {
		if count[i] > 0 {
			x.Spark[i] = new(sum[i] / float64(count[i]))
		}
	}
	return x
}

// sparkCells is how many stretches of a training a list draws at most.
const sparkCells = 48

func newestFirst(a, b Experiment) int {
	return cmp.Or(b.started.Compare(a.started), strings.Compare(a.Name, b.Name))
}

// detail is the experiment with its curves.
func (e *experiment) detail(now time.Time) *Detail {
	d := &Detail{Experiment: e.line(now)}
	numbers := e.numbers()
	nan := math.NaN()
	or := func(v *float64) float64 {
		if v == nil {
			return nan
		}
		return *v
	}
	for i, n := range numbers {
		if i > 0 && n > numbers[i-1]+1 { // a gap is drawn as one
			d.add(float64(numbers[i-1]+1), nan, nan, nan)
		}
		p := e.episodes[n]
		d.add(float64(n), or(p.Reward), or(p.Waiting), or(p.Loss))
		if p.Epsilon != nil {
			d.Epsilon = p.Epsilon
		}
	}
	d.smooth()
	last := e.runs[len(e.runs)-1]
	d.Began, d.Reason = last.started, last.reason
	for _, r := range e.runs {
		if len(r.step) == 0 || d.Step != nil && r.stepAt.Before(d.Step.At) {
			continue
		}
		if row, err := record.Parse(record.KindStep, slices.Clone(r.step), nil); err == nil {
			d.Step = stepOf(&row, r.stepAt)
		}
	}
	d.Pace = pace(numbers, func(n int64) time.Time { return e.episodes[n].At })
	return d
}

func (d *Detail) add(x, reward, waiting, loss float64) {
	d.X = append(d.X, x)
	d.Reward, d.WaitingTime, d.Loss = append(d.Reward, reward), append(d.WaitingTime, waiting), append(d.Loss, loss)
}

// windowOf is over how many episodes the mean of a training with so many goes.
func windowOf(episodes int64) int { return int(min(max(episodes/12, 5), 50)) }

func (d *Detail) smooth() {
	d.Window = windowOf(d.Episodes)
	d.RewardMean, d.WaitingMean, d.LossMean = means(d.Reward, d.Window), means(d.WaitingTime, d.Window), means(d.Loss, d.Window)
}

// means are moving means over the last n values that are there; a gap stays a gap.
func means(values []float64, n int) []float64 {
	out := make([]float64, len(values))
	var window []float64
	for i, v := range values {
		out[i] = math.NaN()
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		window = append(window, v)
		window = window[max(0, len(window)-n):]
		sum := 0.0
		for _, w := range window {
			sum += w
		}
		out[i] = sum / float64(len(window))
	}
	return out
}

// pace is how long an episode takes: the mean over the last ones.
func pace(numbers []int64, at func(int64) time.Time) float64 {
	recent := numbers[max(0, len(numbers)-20):]
	if len(recent) < 2 {
		return 0
	}
	gaps := make([]float64, 0, len(recent))
	for i := 1; i < len(recent); i++ {
		gaps = append(gaps, at(recent[i]).Sub(at(recent[i-1])).Seconds())
	}
	slices.Sort(gaps) // a pause of the training is not its pace
	sum, kept := 0.0, gaps[:max(1, len(gaps)*9/10)]
	for _, g := range kept {
		sum += max(g, 0)
	}
	return sum / float64(len(kept))
}

// forRules is what the rules of alerts look at.
func (e *experiment) forRules(now time.Time) alert.Seen {
	last := e.runs[len(e.runs)-1]
	seen := alert.Seen{
		Experiment: e.name, RunID: last.id, Import: last.imported, Status: last.state(now), Reason: last.reason,
		Started: last.started, Ended: last.ended, LastSign: last.sign, LastProgress: last.progress, First: e.seen,
		Signals: &last.signals, DiskFreeMB: last.disk,
	}
	for _, r := range e.runs {
		seen.Dead += int64(min(r.confirmed.Dead, math.MaxInt64))
	}
	numbers := e.numbers()
	for _, n := range numbers[max(0, len(numbers)-200):] {
		p := e.episodes[n]
		seen.Episodes = append(seen.Episodes, alert.SeenEpisode{Number: n, At: p.At, Reward: p.Reward, Loss: p.Loss, Epsilon: p.Epsilon, Waiting: p.Waiting, NotFinite: p.notFinite})
	}
	return seen
}

func (e *experiment) alertSince(rule string, now time.Time) time.Time {
	if e.firing == nil {
		e.firing = map[string]time.Time{}
	}
	if _, known := e.firing[rule]; !known {
		e.firing[rule] = now
	}
	return e.firing[rule]
}

func (e *experiment) forgetAlerts(open []Alert) {
	for rule := range e.firing {
		if !slices.ContainsFunc(open, func(a Alert) bool { return a.Rule == rule }) {
			delete(e.firing, rule)
		}
	}
}

// stepOf reads a step for drawing: queues by intersection and approach, and what each
// signal shows.
func stepOf(row *record.Row, at time.Time) *Step {
	s := &Step{Episode: row.Get("episode_number").Int(), Number: row.Get("step_number").Int(), At: at, Time: float(row.Get("simulation_time")), Reward: float(row.Get("immediate_reward"))}
	if v := row.Get("active_vehicles"); !v.IsNull() {
		s.Vehicles = new(v.Int())
	}
	decode := func(name string, into any) {
		if v := row.Get(name); !v.IsNull() {
			_ = json.Unmarshal(v.Bytes(), into) // another shape says nothing here
		}
	}
	var queues map[string]map[string]*float64
	decode("queue_lengths", &queues)
	var waiting map[string]*float64
	decode("waiting_times", &waiting)
	var metrics map[string]json.RawMessage
	decode("intersection_metrics", &metrics)
	phases := map[string]string{}
	for name, raw := range metrics {
		if name == "actions" { // as imported logs have it
			var actions map[string]json.RawMessage
			_ = json.Unmarshal(raw, &actions)
			for agent, action := range actions {
				phases[agent] = strings.Trim(string(action), `"`)
			}
			continue
		}
		var m struct{ Phase, Action json.RawMessage }
		if json.Unmarshal(raw, &m) != nil {
			continue
		}
		if m.Phase == nil {
			m.Phase = m.Action
		}
		if m.Phase != nil {
			phases[name] = strings.Trim(string(m.Phase), `"`)
		}
	}
	names := map[string]bool{}
	for name := range queues {
		names[name] = true
	}
	for name := range phases {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x := Intersection{Name: name, Phase: phases[name], Waiting: waiting[name]}
		for _, approach := range slices.Sorted(maps.Keys(queues[name])) {
			x.Approaches = append(x.Approaches, Approach{approach, queues[name][approach]})
		}
		s.Intersections = append(s.Intersections, x)
	}
	return s
}
