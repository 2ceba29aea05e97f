package report

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/figure"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Options are what a report can be told.
type Options struct {
	Baseline string  // for the city's page; "": fixed_time, else the first
	Hours    float64 // a day for which such traffic is assumed
	Force    bool    // compare what is unlike, and mark it
}

// Experiment is the report of one experiment.
func Experiment(ctx context.Context, s store.Reader, name string, o Options, origin Origin) (*Document, error) {
	t, err := readTraining(ctx, s, name)
	if err != nil {
		return nil, err
	}
	e := t.experiment
	query := "SELECT t.* FROM training_episodes t JOIN experiments e ON e.id = t.experiment_id WHERE e.experiment_name = '" + strings.ReplaceAll(name, "'", "''") + "' ORDER BY t.episode_number"
	src := figure.Source{Query: query, Hash: t.hash, Command: origin.Command}
	d := &Document{Title: "Experiment " + name, Lead: e.Description}
	d.Blocks = append(d.Blocks, Table{Columns: []string{"", ""}, Rows: t.facts()})
	if e.Status == "running" {
		d.Blocks = append(d.Blocks, Warning("the experiment is still running: its numbers will change"))
	}
	d.Blocks = append(d.Blocks, Heading("Learning"))
	group, err := groupOf(ctx, s, e)
	if err != nil {
		return nil, err
	}
	d.Blocks = append(d.Blocks, t.learning(src, group)...)
	d.Blocks = append(d.Blocks, t.fighting()...)
	d.Facts = origin.facts(t.hash, []string{query})

	stored, err := comparison.Load(ctx, s, name, -1)
	switch {
	case err != nil:
		d.Blocks = append(d.Blocks, Heading("Test"), Warning("no comparison: "+err.Error()))
	case len(stored.Baselines) == 0:
		d.Blocks = append(d.Blocks, Heading("Test"), Warning("the experiment was tested without baselines: nothing says whether it is better than what is there"))
	default:
		if err := d.test(stored, o, origin); err != nil {
			return nil, err
		}
	}
	last, err := readLastEpisode(ctx, s, e.ID)
	if err != nil {
		return nil, fmt.Errorf("steps of %s: %w", name, err)
	}
	d.Blocks = append(d.Blocks, last.blocks(src)...)
	return d, nil
}

// test compares with all baselines, and adds the city's page.
func (d *Document) test(stored *comparison.Stored, o Options, origin Origin) error {
	var contests []comparison.Contest
	for _, b := range slices.Sorted(maps.Keys(stored.Baselines)) {
		contests = append(contests, comparison.Contest{A: stored.Learned, B: stored.Baselines[b]})
	}
	r, err := comparison.Compare(contests, comparison.Options{Force: o.Force})
	if err != nil {
		d.Blocks = append(d.Blocks, Heading("Test"), Warning("no comparison: "+err.Error()))
		return nil
	}
	d.Unlike = len(r.Unlike) > 0
	for _, w := range append(slices.Clone(r.Unlike), r.Warnings...) {
		d.Blocks = append(d.Blocks, Warning(w))
	}
	for i := range r.Pairs {
		d.Blocks = append(d.Blocks, pairBlocks(r, &r.Pairs[i], origin)...)
	}
	d.Blocks = append(d.Blocks, city(r, stored.Learned.Name, o)...)
	d.Facts = append(d.Facts, [2]string{"test data SHA-256", r.Hash}, [2]string{"test query", stored.Learned.Query}, [2]string{"statistics", "version " + r.Methods + ", docs/statistics.md"})
	return nil
}

// facts are what the experiment is, in a few rows.
func (t *training) facts() [][]string {
	e := t.experiment
	rows := [][]string{
		{"status", e.Status}, {"episodes", strconv.FormatInt(e.TotalEpisodes, 10)}, {"reward", "best " + optional(e.BestReward) + ", latest " + optional(e.LatestReward)},
		{"created", e.CreatedAt.UTC().Format("2006-01-02 15:04Z")},
	}
	var meta map[string]any
	if len(e.Metadata) > 0 && json.Unmarshal(e.Metadata, &meta) == nil {
		for _, k := range []string{"algorithm", "seed", "group", "network", "network_sha256", "sumo_version", "metrics_version"} {
			if v, ok := meta[k]; ok {
				rows = append(rows, []string{strings.ReplaceAll(k, "_", " "), fmt.Sprint(v)})
			}
		}
	}
	return rows
}

// learning describes the learning curve, with those of the group's other seeds.
func (t *training) learning(src figure.Source, group []*training) []Block {
	l, ok := analysis.Learn(t.rewards)
	if !ok {
		return []Block{Warning(fmt.Sprintf("%d episodes are too few to say anything about learning; 30 are needed", len(t.rewards)))}
	}
	episode := func(i *int) string {
		if i == nil {
			return "–"
		}
		return strconv.FormatFloat(t.episodes[*i], 'f', 0, 64)
	}
	converged := episode(l.Converged)
	if l.Converged == nil {
		converged = "not converged"
	}
	var flat []string
	for _, p := range l.Plateaus {
		flat = append(flat, fmt.Sprintf("%g to %g", t.episodes[p[0]], t.episodes[p[1]]))
	}
	collapse := "none"
	if l.Collapse != nil {
		collapse = "at episode " + episode(l.Collapse) + map[bool]string{true: ", recovered", false: ", not recovered"}[l.Recovered]
	}
	rows := [][]string{
		{"converged at episode", converged},
		{"90 % of the way at episode", episode(l.ToThreshold)},
		{"moving mean: first, best, last fifth", num(l.First) + ", " + num(l.Best) + " (episode " + episode(&l.BestAt) + "), " + num(l.Last)},
		{"sample efficiency (1: at once)", num(l.Efficiency)},
		{"stability: sd of rewards in the last fifth", num(l.Stability)},
		{"plateaus", dash(strings.Join(flat, ", "))},
		{"collapse", collapse},
	}
	notes := []string{"Converged: the first episode from which on " + l.Rule + ", at least a fifth of the episodes before the end."}
	if stored := t.experiment.ConvergenceEpisode; stored != nil && l.Converged != nil && float64(*stored) != t.episodes[*l.Converged] {
		notes = append(notes, fmt.Sprintf("The database says episode %d; this report follows the rule above.", *stored))
	}
	mean := analysis.MovingMean(t.rewards, l.Window)
	var raw [][2]float64
	for i := range t.rewards {
		raw = append(raw, [2]float64{t.episodes[i], t.rewards[i]})
	}
	curves := []figure.Curve{{Name: fmt.Sprintf("training, mean of %d", l.Window), X: t.episodes, Y: mean, Raw: raw}}
	if len(group) > 1 {
		curves = append(curves, band(group, l.Window))
	}
	var marks []figure.Mark
	if l.Converged != nil {
		marks = append(marks, figure.Mark{X: t.episodes[*l.Converged], Name: "converged"})
	}
	blocks := []Block{Table{Columns: []string{"", ""}, Rows: rows, Notes: notes}, Figure{
		Name: "learning-" + fileName(t.experiment.Name), Caption: "Reward by episode: each episode as a dot, the moving mean as a line" + map[bool]string{true: ", and the mean of the group's seeds with its 95 % interval", false: ""}[len(group) > 1] + ".",
		SVG: figure.Learning("Learning curve of "+t.experiment.Name, "reward", curves, marks, src),
	}}
	if len(t.validated) > 0 {
		v := figure.Curve{Name: "validation", Dots: true}
		for _, p := range t.validated {
			v.X, v.Y = append(v.X, p[0]), append(v.Y, p[1])
		}
		first, last := t.validated[0], t.validated[len(t.validated)-1]
		text := fmt.Sprintf("Validation reward went from %s (episode %g) to %s (episode %g), the training's moving mean from %s to %s.", num(first[1]), first[0], num(last[1]), last[0], num(l.First), num(l.Last))
		if last[1] < first[1] && l.Last > l.First {
			text += " Training improved while validation got worse: what was learned does not carry over."
		}
		blocks = append(blocks, Text(text), Figure{
			Name: "validation-" + fileName(t.experiment.Name), Caption: "Training against validation. Horizon, scenarios and exploration differ between them, so compare the direction, not the level.",
			SVG: figure.Learning("Training and validation", "reward", []figure.Curve{curves[0], v}, nil, src),
		})
	}
	return blocks
}

func dash(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// groupOf reads the experiments of the same group.
func groupOf(ctx context.Context, s store.Reader, e store.Experiment) (list []*training, err error) {
	name := groupName(e)
	if name == "" {
		return nil, nil
	}
	all, err := s.Experiments(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if groupName(x) != name {
			continue
		}
		t, err := readTraining(ctx, s, x.Name)
		if err != nil {
			return nil, err
		}
		if len(t.rewards) > 0 {
			list = append(list, t)
		}
	}
	return list, nil
}

func groupName(e store.Experiment) string {
	var meta struct {
		Group string `json:"group"`
	}
	if len(e.Metadata) == 0 || json.Unmarshal(e.Metadata, &meta) != nil {
		return ""
	}
	return meta.Group
}

// band is the mean of the seeds' moving means over the episodes that all have.
func band(group []*training, window int) figure.Curve {
	shortest := math.MaxInt
	var means [][]float64
	for _, t := range group {
		shortest = min(shortest, len(t.rewards))
		means = append(means, analysis.MovingMean(t.rewards, window))
	}
	c := figure.Curve{Name: fmt.Sprintf("mean of %d seeds, 95 %%", len(group))}
	for i := range shortest {
		var x []float64
		for _, m := range means {
			x = append(x, m[i])
		}
		low, high, err := analysis.TInterval(x, 0.95)
		if err != nil {
			continue
		}
		c.X, c.Y = append(c.X, group[0].episodes[i]), append(c.Y, (low+high)/2)
		c.Low, c.High = append(c.Low, low), append(c.High, high)
	}
	return c
}

// fighting names the parts of the reward of which one rises where the other falls.
func (t *training) fighting() []Block {
	var lines []string
	names := slices.Sorted(maps.Keys(t.components))
	for i, a := range names {
		for _, b := range names[i+1:] {
			var x, y []float64
			for k := range min(len(t.components[a]), len(t.components[b])) {
				u, v := t.components[a][k], t.components[b][k]
				if !math.IsNaN(u) && !math.IsNaN(v) {
					x, y = append(x, u), append(y, v)
				}
			}
			if len(x) < 30 {
				continue
			}
			if r := analysis.Spearman(x, y); r < -0.3 {
				lines = append(lines, fmt.Sprintf("%s and %s fight each other: rank correlation %s over %d episodes", a, b, num(r), len(x)))
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []Block{Text("Parts of the reward:"), List(lines)}
}

// blocks are the figures of the last episode.
func (e *lastEpisode) blocks(src figure.Source) []Block {
	if len(e.times) == 0 {
		return nil
	}
	blocks := []Block{Heading(fmt.Sprintf("Episode %d, step by step", e.number))}
	var places []figure.Place
	for _, n := range slices.Sorted(maps.Keys(e.queues)) {
		places = append(places, figure.Place{Name: n, Values: e.queues[n]})
	}
	if len(places) > 0 {
		blocks = append(blocks, Figure{
			Name: fmt.Sprintf("queues-episode-%d", e.number), Caption: "Halting vehicles by approach and time; darker is longer.",
			SVG: figure.SpaceTime(fmt.Sprintf("Queues in episode %d", e.number), e.times, places, src),
		})
	}
	var signals []figure.Signal
	for _, n := range slices.Sorted(maps.Keys(e.phases)) {
		signals = append(signals, figure.Signal{Name: n, Phases: e.phases[n]})
	}
	if len(signals) > 0 {
		blocks = append(blocks, Figure{
			Name: fmt.Sprintf("phases-episode-%d", e.number), Caption: "The phase that each signal showed.",
			SVG: figure.Phases(fmt.Sprintf("Signals in episode %d", e.number), e.times, signals, src),
		})
	}
	return blocks
}
