package report

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/figure"
	"github.com/greenwave-traffic/greenwave/internal/learning"
)

// Document is the report of an experiment.
func (f *Findings) Document() *Document {
	d := f.document("Report on " + f.Experiment.Name)
	d.Lead = f.Experiment.Description
	d.Blocks = append(d.Blocks, Table{Columns: []string{"", ""}, Rows: f.Experiment.rows()})
	d.Blocks = append(d.Blocks, f.summary()...)
	d.Blocks = append(d.Blocks, f.missing()...)
	d.Blocks = append(d.Blocks, Heading("Learning"))
	d.Blocks = append(d.Blocks, f.learning()...)
	var details []Block
	if f.Test != nil {
		for i := range f.Test.Pairs {
			blocks, more := pairBlocks(f.Test, &f.Test.Pairs[i], f.Origin)
			d.Blocks, details = append(d.Blocks, blocks...), append(details, more...)
		}
	}
	d.Blocks = append(d.Blocks, f.recordedBlocks()...)
	d.Blocks = append(d.Blocks, f.episode.blocks(f.source(0))...)
	if f.City != nil {
		d.Blocks = append(d.Blocks, Page("For the city"))
		d.Blocks = append(d.Blocks, f.city()...)
	}
	if len(details) > 0 {
		d.Blocks = append(d.Blocks, Page("How the numbers of the test were found"))
		d.Blocks = append(d.Blocks, details...)
	}
	return d
}

// CityPage is the page for those who decide about signals, by itself; ok is false when
// there was no test to write it from.
func (f *Findings) CityPage() (d *Document, ok bool) {
	if f.City == nil {
		return nil, false
	}
	d = f.document("What " + f.Experiment.Name + " would change on the street")
	d.Blocks = append(d.Blocks, f.city()...)
	return d, true
}

// document begins one with the warnings and ends it with where it is from.
func (f *Findings) document(title string) *Document {
	d := &Document{Title: title}
	for _, w := range f.Warnings {
		d.Blocks = append(d.Blocks, Warning(w))
	}
	d.Facts = f.Origin.facts(f.Hash, f.Queries)
	if f.Test != nil {
		d.Unlike = len(f.Test.Unlike) > 0
		for _, u := range f.Test.Unlike {
			d.Blocks = append(d.Blocks, Warning("unlike: "+u))
		}
		for _, w := range f.Test.Warnings {
			d.Blocks = append(d.Blocks, Warning(w))
		}
		d.Facts = append(d.Facts, [2]string{"test data SHA-256", f.Test.Hash})
	}
	d.Facts = append(d.Facts, [2]string{"statistics", "version " + analysis.Version + ", docs/statistics.md"})
	return d
}

// source is where the numbers of a figure are from: 0 the training, 1 the test.
func (f *Findings) source(i int) figure.Source {
	return figure.Source{Query: f.Queries[i], Hash: f.Hash, Command: f.Origin.Command}
}

func (s *Subject) rows() [][]string {
	completed := "–"
	if s.Completed != nil {
		completed = s.Completed.Format("2006-01-02 15:04Z")
	}
	rows := [][]string{
		{"status", s.Status}, {"created", s.Created.Format("2006-01-02 15:04Z")}, {"completed", completed},
		{"episodes", strconv.FormatInt(s.Episodes, 10)}, {"reward", "best " + optional(s.BestReward) + ", latest " + optional(s.LastReward)},
	}
	for _, m := range s.Metadata {
		switch {
		case len(m[1]) == 64:
			m[1] = m[1][:16] + "…"
		case m[0] == "network":
			m[1] = path.Base(m[1])
		}
		rows = append(rows, []string{m[0], m[1]})
	}
	return rows
}

// summary is what it came to, in a table of the first metric against each baseline and a
// sentence on learning.
func (f *Findings) summary() []Block {
	blocks := []Block{Heading("In short")}
	if c := f.Learning; c != nil {
		text := "The reward did not converge: " + c.Shape.Why + "."
		if c.Converged != nil {
			text = fmt.Sprintf("The reward converged at episode %s of %d.", episodeOf(c.Converged), f.Experiment.Episodes)
		}
		blocks = append(blocks, Text(text))
	}
	if f.Test == nil {
		return append(blocks, Text("There is no test against a baseline: nothing says whether it is better than what is there."))
	}
	first := f.Test.Pairs[0].Metrics[0].Metric
	table := Table{
		Caption: fmt.Sprintf("%s of %s (%s) against each baseline, %s", upper(first.Label), f.Experiment.Name, first.Unit, of(f.Test.Pairs[0].N, "pair")),
		Columns: []string{"baseline", ">mean", ">learned", ">Δ %", "95 % interval of Δ", "p", "verdict"},
		Notes:   []string{"p is after Holm's correction over all tests of this report (" + f.Test.Family + "). " + starNote},
	}
	for i := range f.Test.Pairs {
		p := &f.Test.Pairs[i]
		m := &p.Metrics[0]
		_, b := arms(p)
		percent := "–"
		if m.Percent != nil {
			percent = signed(*m.Percent)
		}
		table.Rows = append(table.Rows, []string{b, num(m.Test.MeanB), num(m.Test.MeanA), percent, interval(m.Test.Interval[0], m.Test.Interval[1]), strings.TrimSpace(probability(m.PHolm) + " " + comparison.Stars(m.PHolm)), m.Verdict})
	}
	return append(blocks, table)
}

func (f *Findings) missing() []Block {
	if len(f.Missing) == 0 {
		return nil
	}
	var list List
	for _, l := range f.Missing {
		list = append(list, l.What+". To get it: "+l.How+".")
	}
	return []Block{Text("What this report does not have:"), list}
}

// learning describes the learning curve, with those of the group's other seeds.
func (f *Findings) learning() []Block {
	t, c := f.training, f.Learning
	if c == nil {
		return []Block{Text("Nothing is said of learning: " + t.Lacks() + ".")}
	}
	axis := "reward"
	if c.PerDecision {
		axis = "reward of a decision"
	}
	blocks := []Block{curveTable(c, t.Experiment.ConvergenceEpisode, axis)}
	curves := []figure.Curve{trainingCurve(t, c)}
	caption := "Each episode as a dot, the moving mean as a line"
	if b := learning.BandOf(f.group, c.Shape.Window); len(b.Episode) > 0 {
		curves = append(curves, figure.Curve{Name: fmt.Sprintf("mean of %d seeds, 95 %%", len(f.group)), X: b.Episode, Y: b.Mean, Low: b.Low, High: b.High})
		caption += ", and the mean of the group's seeds with its 95 % interval at each episode"
	}
	var marks []figure.Mark
	if c.Converged != nil {
		marks = append(marks, figure.Mark{X: *c.Converged, Name: "converged"})
	}
	if c.Collapse != nil {
		marks = append(marks, figure.Mark{X: *c.Collapse, Name: "collapse"})
	}
	blocks = append(blocks, Figure{
		Name: "learning-" + fileName(t.Experiment.Name), Caption: caption + ".",
		SVG: figure.Learning("Learning curve of "+t.Experiment.Name, axis, curves, marks, f.source(0)),
	})
	blocks = append(blocks, f.seeds()...)
	blocks = append(blocks, f.validation(curves[0], axis)...)
	return append(blocks, f.fighting()...)
}

// curveTable is what there is to say of a curve.
func curveTable(c *learning.Curve, stored *int64, axis string) Table {
	l := &c.Shape
	converged := episodeOf(c.Converged)
	if c.Converged == nil {
		converged = "not converged: " + l.Why
	}
	var flat []string
	for _, p := range c.Plateaus {
		flat = append(flat, fmt.Sprintf("%g to %g", p[0], p[1]))
	}
	plateaus := "none"
	if len(flat) > 0 {
		plateaus = "episodes " + strings.Join(flat, ", ")
	}
	collapse := "none"
	if c.Collapse != nil {
		collapse = "at episode " + episodeOf(c.Collapse) + map[bool]string{true: ", recovered", false: ", not recovered"}[l.Recovered]
	}
	rows := [][]string{
		{"converged at episode", converged},
		{"moving mean of the " + axis + ", first", num(l.First)},
		{"best", num(l.Best) + ", at episode " + strconv.FormatFloat(c.BestAt, 'f', 0, 64)},
		{"last fifth of the episodes", num(l.Last) + ", standard deviation " + num(l.Stability)},
		{"90 % of the way from first to best", reached(c.Threshold)},
	}
	if c.Asked != nil {
		rows = append(rows, []string{"level " + num(c.Asked.Level), reached(c.Asked)})
	}
	rows = append(rows, []string{"sample efficiency (1: at once)", optional(l.Efficiency)}, []string{"plateaus before the best", plateaus}, []string{"collapse", collapse})
	notes := []string{"Converged: the first episode from which on " + l.Rule + ", a fifth of the episodes before the end or earlier."}
	if c.PerDecision {
		notes = append(notes, "Episodes are of unlike length: rewards are those of a decision.")
	}
	switch {
	case stored != nil && c.Converged == nil:
		notes = append(notes, fmt.Sprintf("The database says that it converged at episode %d; by the rule above it did not.", *stored))
	case stored != nil && float64(*stored) != *c.Converged:
		notes = append(notes, fmt.Sprintf("The database says episode %d; this report follows the rule above.", *stored))
	}
	return Table{Columns: []string{"", ""}, Rows: rows, Notes: notes}
}

func episodeOf(e *float64) string {
	if e == nil {
		return "–"
	}
	return strconv.FormatFloat(*e, 'f', 0, 64)
}

func reachedAt(r *learning.Reached) string {
	if r == nil {
		return "–"
	}
	return episodeOf(r.Episode)
}

// reached says when a level was reached, in episodes, decisions and time.
func reached(r *learning.Reached) string {
	switch {
	case r == nil:
		return "–"
	case r.Episode == nil:
		return "never"
	}
	text := "episode " + episodeOf(r.Episode)
	if r.Steps != nil {
		text += ", " + thousands(*r.Steps) + " decisions"
	}
	if r.Minutes != nil {
		text += ", " + num(*r.Minutes) + " min of episodes"
	}
	return text
}

func trainingCurve(t *learning.Training, c *learning.Curve) figure.Curve {
	raw := make([][2]float64, len(t.Rewards))
	for i := range t.Rewards {
		raw[i] = [2]float64{t.Episodes[i], t.Rewards[i]}
	}
	return figure.Curve{Name: fmt.Sprintf("training, mean of %d", c.Shape.Window), X: t.Episodes, Y: analysis.MovingMean(t.Rewards, c.Shape.Window), Raw: raw}
}

// seeds is a row for each training of the group.
func (f *Findings) seeds() []Block {
	if len(f.Seeds) < 2 {
		return nil
	}
	table := Table{
		Caption: fmt.Sprintf("The %d trainings of group %s", len(f.Seeds), f.training.Group),
		Columns: []string{"experiment", ">converged", ">90 % at", ">last fifth", ">best mean", ">stability", ">efficiency"},
	}
	converged := 0
	var last []float64
	for _, s := range f.Seeds {
		c := s.Curve
		if c == nil {
			table.Rows = append(table.Rows, []string{s.Name, "–", "–", "–", "–", "–", "–"})
			continue
		}
		last = append(last, c.Shape.Last)
		if c.Converged != nil {
			converged++
		}
		table.Rows = append(table.Rows, []string{s.Name, episodeOf(c.Converged), reachedAt(c.Threshold), num(c.Shape.Last), num(c.Shape.Best), num(c.Shape.Stability), optional(c.Shape.Efficiency)})
	}
	text := fmt.Sprintf("%d of %d converged.", converged, len(f.Seeds))
	if low, high, err := analysis.TInterval(last, 0.95); err == nil {
		text += fmt.Sprintf(" The last fifth: %s, 95 %% interval %s over the seeds.", num((low+high)/2), interval(low, high))
	}
	if len(last) < 5 {
		text += fmt.Sprintf(" %s are few: the interval is as wide as that makes it.", of(len(last), "seed"))
	}
	table.Notes = []string{text}
	return []Block{table}
}

func (f *Findings) validation(train figure.Curve, axis string) []Block {
	v := f.Validation
	if v == nil {
		return nil
	}
	curve := figure.Curve{Name: "validation", Dots: true}
	for _, p := range f.training.Validated {
		curve.X, curve.Y = append(curve.X, p.Episode), append(curve.Y, p.Reward)
	}
	text := fmt.Sprintf("Validation: %s, from %s (episode %g) to %s (episode %g), best %s (episode %g). %s.",
		of(len(curve.X), "time"), num(v.First.Reward), v.First.Episode, num(v.Last.Reward), v.Last.Episode, num(v.Best.Reward), v.Best.Episode, upper(v.Says))
	if v.Rho != nil {
		text += fmt.Sprintf(" Rank correlation with the episode %s, p = %s.", num(*v.Rho), probability(*v.P))
	}
	blocks := []Block{Text(text)}
	if f.Learning.PerDecision {
		return blocks // rewards of a decision and of a validation have no common axis
	}
	return append(blocks, Figure{
		Name: "validation-" + fileName(f.Experiment.Name), Caption: "Training against validation. Demand and exploration differ between them: compare the direction, not the level.",
		SVG: figure.Learning("Training and validation of "+f.Experiment.Name, axis, []figure.Curve{train, curve}, nil, f.source(0)),
	})
}

func (f *Findings) fighting() []Block {
	if !f.foughtFor {
		return nil
	}
	if len(f.Fights) == 0 {
		return []Block{Text("No two parts of the reward fight each other (rank correlation below −0.3 over the episodes, trend taken out).")}
	}
	table := Table{
		Caption: "Parts of the reward that fight each other",
		Columns: []string{"part", "and part", ">rank correlation", ">with trend", ">p", ">episodes"},
		Notes:   []string{"Where one rises the other falls: below −0.3 over the episodes after the trend of each was taken out; p after Holm over all pairs of parts. Weights decide between them."},
	}
	for _, x := range f.Fights {
		table.Rows = append(table.Rows, []string{x.A, x.B, num(x.Rho), num(x.Raw), probability(x.PHolm), strconv.Itoa(x.Episodes)})
	}
	return []Block{table}
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
