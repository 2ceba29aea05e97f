package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/learning"
)

// CSV writes what the report says in numbers, exact: a row for each. A value that is not
// known is empty. Marks say which rows of the database do not say what was logged.
func (f *Findings) CSV(w io.Writer, marks []string) error {
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	pointer := func(v *float64) string {
		if v == nil {
			return ""
		}
		return exact(*v)
	}
	rows := [][]string{{"experiment", "section", "item", "unit", "value", "ci95_low", "ci95_high", "p", "note", "data_sha256"}}
	add := func(name, section, item, unit, value, low, high, p, note, hash string) {
		rows = append(rows, []string{name, section, item, unit, value, low, high, p, note, hash})
	}
	me := f.Experiment.Name
	for _, m := range marks {
		add(me, "integrity", "changed_since_sync", "", "", "", "", "", m, f.Hash)
	}
	add(me, "experiment", "status", "", f.Experiment.Status, "", "", "", "", f.Hash)
	add(me, "experiment", "episodes", "episodes", strconv.FormatInt(f.Experiment.Episodes, 10), "", "", "", "", f.Hash)
	add(me, "experiment", "best_reward", "", pointer(f.Experiment.BestReward), "", "", "", "", f.Hash)
	curve := func(name string, c *learning.Curve, hash string) {
		if c == nil {
			return
		}
		l := &c.Shape
		add(name, "learning", "convergence_episode", "episode", pointer(c.Converged), "", "", "", strings.TrimSuffix(l.Rule+"; "+l.Why, "; "), hash)
		add(name, "learning", "moving_mean_first", "reward", exact(l.First), "", "", "", "window "+strconv.Itoa(l.Window), hash)
		add(name, "learning", "moving_mean_best", "reward", exact(l.Best), "", "", "", "episode "+exact(c.BestAt), hash)
		add(name, "learning", "last_fifth", "reward", exact(l.Last), "", "", "", "", hash)
		add(name, "learning", "stability", "reward", exact(l.Stability), "", "", "", "standard deviation of the last fifth", hash)
		add(name, "learning", "sample_efficiency", "", pointer(l.Efficiency), "", "", "", "1 is at once", hash)
		for i, r := range []*learning.Reached{c.Threshold, c.Asked} {
			if r != nil {
				item := []string{"threshold", "asked_threshold"}[i]
				add(name, "learning", item+"_episode", "episode", pointer(r.Episode), "", "", "", "level "+exact(r.Level), hash)
				add(name, "learning", item+"_decisions", "decisions", pointer(r.Steps), "", "", "", "", hash)
				add(name, "learning", item+"_minutes", "min", pointer(r.Minutes), "", "", "", "", hash)
			}
		}
		for _, p := range c.Plateaus {
			add(name, "learning", "plateau", "episodes", exact(p[1]-p[0]+1), "", "", "", "from "+exact(p[0])+" to "+exact(p[1]), hash)
		}
		add(name, "learning", "collapse_episode", "episode", pointer(c.Collapse), "", "", "", "recovered "+strconv.FormatBool(l.Recovered), hash)
	}
	curve(me, f.Learning, f.Hash)
	for i, s := range f.Seeds {
		if s.Name != me {
			curve(s.Name, s.Curve, f.group[i].Hash)
		}
	}
	if v := f.Validation; v != nil {
		add(me, "validation", "trend", "rank correlation", pointer(v.Rho), "", "", pointer(v.P), v.Says, f.Hash)
		add(me, "validation", "best_reward", "reward", exact(v.Best.Reward), "", "", "", "episode "+exact(v.Best.Episode), f.Hash)
	}
	for _, x := range f.Fights {
		add(me, "reward parts", x.A+" against "+x.B, "rank correlation", exact(x.Rho), "", "", exact(x.PHolm), "trend taken out", f.Hash)
	}
	if f.Test != nil {
		for _, p := range f.Test.Pairs {
			for i := range p.Metrics {
				m := &p.Metrics[i]
				add(p.A, "test against "+p.B, m.Metric.Name, m.Metric.Unit, exact(m.Test.Mean), exact(m.Test.Interval[0]), exact(m.Test.Interval[1]), exact(m.PHolm), m.Verdict+"; "+m.Test.Method, f.Test.Hash)
			}
		}
	}
	if f.City != nil {
		for _, s := range f.City.Saved {
			add(f.City.A, "saved against "+f.City.B, s.What, "h in an hour", exact(s.Test.Mean), exact(s.Test.Interval[0]), exact(s.Test.Interval[1]), exact(s.Test.P), s.Test.Method, f.Test.Hash)
		}
	}
	for _, l := range f.Missing {
		add(me, "missing", l.What, "", "", "", "", "", l.How, f.Hash)
	}
	return csv.NewWriter(w).WriteAll(rows)
}
