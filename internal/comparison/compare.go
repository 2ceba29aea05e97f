package comparison

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
)

// Options are what a comparison can be told.
type Options struct {
	Metrics []string // none: all that both arms have
	Force   bool     // compare what is unlike, and mark it
	Draws   int      // of the bootstraps; 0: the default
}

// Result is the comparison of pairs of arms over several metrics.
type Result struct {
	Arms     []Arm    `json:"arms"`
	Pairs    []Pair   `json:"pairs"`
	Unlike   []string `json:"unlike,omitempty"` // what differs, when it was forced
	Warnings []string `json:"warnings,omitempty"`
	Family   string   `json:"family"` // over which p-values were corrected
	Hash     string   `json:"data_sha256"`
	Methods  string   `json:"methods_version"`
}

// Pair is one arm against another. Differences are A − B.
type Pair struct {
	A       string       `json:"a"`
	B       string       `json:"b"`
	N       int          `json:"pairs"`
	OnlyA   []string     `json:"only_in_a,omitempty"`
	OnlyB   []string     `json:"only_in_b,omitempty"`
	Metrics []Difference `json:"metrics"`
	// Scenarios and the values of each metric are in the same order.
	Scenarios []string `json:"scenarios"`
}

// Difference is what one metric says.
type Difference struct {
	Metric     Metric              `json:"metric"`
	Test       analysis.Comparison `json:"comparison"`
	PHolm      float64             `json:"p_holm"`
	PBonf      float64             `json:"p_bonferroni"`
	Percent    *float64            `json:"difference_percent"` // of B's mean
	IQMA       *Estimate           `json:"iqm_a,omitempty"`
	IQMB       *Estimate           `json:"iqm_b,omitempty"`
	Improves   *Estimate           `json:"probability_of_improvement,omitempty"` // that A is better than B in a scenario
	Verdict    string              `json:"verdict"`
	A          []float64           `json:"values_a"`
	B          []float64           `json:"values_b"`
	OutlierIn  []string            `json:"outlier_scenarios,omitempty"`
	seedsByKey [2]analysis.Scores
}

// Estimate is a number with its interval.
type Estimate struct {
	Value    float64           `json:"value"`
	Interval analysis.Interval `json:"interval"`
}

// The verdicts. Not shown is no difference shown, which is not the same as none.
const (
	Better      = "better"
	Worse       = "worse"
	NotShown    = "not shown"
	Higher      = "higher"
	Lower       = "lower"
	NothingToDo = "equal"
)

type pair struct{ a, b *Measurement }

// Contest names two arms to compare.
type Contest struct{ A, B *Arm }

// Compare compares each contest over the metrics. It is an [*UnlikeError] when the
// conditions differ and it is not forced.
func Compare(contests []Contest, o Options) (*Result, error) {
	r := &Result{Methods: analysis.Version}
	var arms []*Arm
	for _, c := range contests {
		for _, a := range []*Arm{c.A, c.B} {
			if slices.Contains(arms, a) {
				continue
			}
			if err := a.settle(); err != nil {
				return nil, err
			}
			arms = append(arms, a)
		}
	}
	for _, c := range contests {
		p, different, warnings, err := match(c, o)
		if err != nil {
			return nil, err
		}
		if len(different) > 0 && !o.Force {
			return nil, &UnlikeError{c.A.Name, c.B.Name, different}
		}
		for _, d := range different {
			if !slices.Contains(r.Unlike, d) {
				r.Unlike = append(r.Unlike, d)
			}
		}
		r.Warnings = append(r.Warnings, warnings...)
		r.Pairs = append(r.Pairs, p)
	}
	if err := r.compute(o); err != nil {
		return nil, err
	}
	r.correct()
	sums := ""
	for _, a := range arms {
		r.Warnings = append(a.Warnings, r.Warnings...)
		r.Arms = append(r.Arms, *a)
		sums += a.Hash()
	}
	sum := sha256.Sum256([]byte(sums))
	r.Hash = hex.EncodeToString(sum[:])
	return r, nil
}

// match pairs the measurements of two arms and lays out the metrics to compare.
func match(c Contest, o Options) (p Pair, different, warnings []string, err error) {
	p = Pair{A: c.A.Name, B: c.B.Name}
	right := map[string]*Measurement{}
	for i := range c.B.Measured {
		right[c.B.Measured[i].key()] = &c.B.Measured[i]
	}
	var pairs []pair
	for i := range c.A.Measured {
		m := &c.A.Measured[i]
		other, ok := right[m.key()]
		if !ok {
			p.OnlyA = append(p.OnlyA, m.key())
			continue
		}
		delete(right, m.key())
		pairs = append(pairs, pair{m, other})
	}
	p.OnlyB = slices.Sorted(maps.Keys(right))
	slices.SortFunc(pairs, func(x, y pair) int { return strings.Compare(x.a.key(), y.a.key()) })
	if p.N = len(pairs); p.N == 0 {
		return p, nil, nil, fmt.Errorf("%s and %s have no scenario with the same seed in common: %s has %s; %s has %s", p.A, p.B, p.A, few(p.OnlyA), p.B, few(p.OnlyB))
	}
	if n := len(p.OnlyA); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d of %d of %s are without a pair in %s and left out: %s", n, len(c.A.Measured), p.A, p.B, few(p.OnlyA)))
	}
	if n := len(p.OnlyB); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d of %d of %s are without a pair in %s and left out: %s", n, len(c.B.Measured), p.B, p.A, few(p.OnlyB)))
	}
	different, unknown := unlike(c.A, c.B, pairs)
	if len(unknown) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s and %s: nobody can check whether these were the same: %s", p.A, p.B, strings.Join(unknown, ", ")))
	}
	names, err := chosen(c, o.Metrics)
	if err != nil {
		return p, nil, nil, err
	}
	for _, x := range pairs {
		p.Scenarios = append(p.Scenarios, x.a.key())
	}
	for _, n := range names {
		d := Difference{Metric: MetricOf(n)}
		at := map[string]int{} // place of a scenario in the scores
		for _, x := range pairs {
			d.A, d.B = append(d.A, x.a.Metrics[n]), append(d.B, x.b.Metrics[n])
			i, ok := at[x.a.Scenario]
			if !ok {
				i = len(at)
				at[x.a.Scenario] = i
				d.seedsByKey[0], d.seedsByKey[1] = append(d.seedsByKey[0], nil), append(d.seedsByKey[1], nil)
			}
			d.seedsByKey[0][i] = append(d.seedsByKey[0][i], x.a.Metrics[n])
			d.seedsByKey[1][i] = append(d.seedsByKey[1][i], x.b.Metrics[n])
		}
		p.Metrics = append(p.Metrics, d)
	}
	return p, different, warnings, nil
}

// chosen are the metrics to compare, the most important first.
func chosen(c Contest, wanted []string) ([]string, error) {
	left, right := c.A.names(), c.B.names()
	var both []string
	for _, n := range left {
		if slices.Contains(right, n) {
			both = append(both, n)
		}
	}
	if len(wanted) == 0 {
		both = slices.DeleteFunc(both, func(n string) bool { return MetricOf(n).Better == 0 })
		if len(both) == 0 {
			return nil, fmt.Errorf("%s and %s have no metric in common: %s has %s; %s has %s", c.A.Name, c.B.Name, c.A.Name, few(left), c.B.Name, few(right))
		}
		return both, nil
	}
	for _, n := range wanted {
		if slices.Contains(both, n) {
			continue
		}
		where := "neither of them has it"
		switch {
		case slices.Contains(left, n):
			where = c.B.Name + " does not have it everywhere"
		case slices.Contains(right, n):
			where = c.A.Name + " does not have it everywhere"
		}
		text := fmt.Sprintf("metric %q of %s and %s: %s", n, c.A.Name, c.B.Name, where)
		if near := Nearest(n, both); len(near) > 0 {
			text += "; the nearest are " + strings.Join(near, ", ")
		} else {
			text += "; there are " + strings.Join(both, ", ")
		}
		if MetricOf(n).Better != 0 {
			text += "; tests that were recorded before it was measured do not have it"
		}
		return nil, fmt.Errorf("%s", text)
	}
	return wanted, nil
}

// compute runs the statistics on all cores. The result does not depend on how many.
func (r *Result) compute(o Options) error {
	type job struct {
		p *Pair
		d *Difference
	}
	var jobs []job
	for i := range r.Pairs {
		for k := range r.Pairs[i].Metrics {
			jobs = append(jobs, job{&r.Pairs[i], &r.Pairs[i].Metrics[k]})
		}
	}
	errs := make([]error, len(jobs))
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wait.Go(func() {
			for i := range next {
				errs[i] = jobs[i].d.compute(jobs[i].p, o)
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s of %s and %s: %w", jobs[i].d.Metric.Name, jobs[i].p.A, jobs[i].p.B, err)
		}
	}
	return nil
}

func (d *Difference) compute(p *Pair, o Options) (err error) {
	if d.Test, err = analysis.CompareWith(d.A, d.B, analysis.Options{Draws: o.Draws}); err != nil {
		return err
	}
	if d.Test.MeanB != 0 {
		percent := 100 * d.Test.Mean / abs(d.Test.MeanB)
		d.Percent = &percent
	}
	if out := d.Test.Outlier; out != nil {
		for _, i := range out.Pairs {
			d.OutlierIn = append(d.OutlierIn, p.Scenarios[i])
		}
	}
	draws := cmp.Or(o.Draws, analysis.Draws)
	for i, to := range []**Estimate{&d.IQMA, &d.IQMB} {
		interval, err := d.seedsByKey[i].IQMInterval(0.95, draws, analysis.Seed)
		if err != nil {
			return err
		}
		*to = &Estimate{d.seedsByKey[i].IQM(), interval}
	}
	if d.Metric.Better != 0 {
		a, b := d.seedsByKey[0], d.seedsByKey[1]
		if d.Metric.Better < 0 {
			a, b = b, a // A is better where B is larger
		}
		value, err := analysis.Improvement(a, b)
		if err != nil {
			return err
		}
		interval, err := analysis.ImprovementInterval(a, b, 0.95, draws, analysis.Seed)
		if err != nil {
			return err
		}
		d.Improves = &Estimate{value, interval}
	}
	return nil
}

// correct corrects the p-values over all metrics and pairs of the comparison, and
// judges.
func (r *Result) correct() {
	var raw []float64
	for _, p := range r.Pairs {
		for _, d := range p.Metrics {
			raw = append(raw, d.Test.P)
		}
	}
	holm, bonferroni := analysis.Holm(raw), analysis.Bonferroni(raw)
	r.Family = fmt.Sprintf("%d tests", len(raw))
	if len(r.Pairs) == 1 {
		r.Family = several(len(raw), "metric")
	} else if n := len(r.Pairs[0].Metrics); n*len(r.Pairs) == len(raw) {
		r.Family = several(n, "metric") + " × " + several(len(r.Pairs), "comparison")
	}
	i := 0
	for _, p := range r.Pairs {
		for k := range p.Metrics {
			d := &p.Metrics[k]
			d.PHolm, d.PBonf = holm[i], bonferroni[i]
			d.Verdict = d.judge()
			i++
		}
	}
}

func several(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (d *Difference) judge() string {
	switch {
	case d.Test.Method == analysis.MethodNone && d.Test.Mean == 0:
		return NothingToDo
	case d.PHolm >= analysis.Alpha:
		return NotShown
	case d.Metric.Better == 0 && d.Test.Mean > 0:
		return Higher
	case d.Metric.Better == 0:
		return Lower
	case (d.Test.Mean > 0) == (d.Metric.Better > 0):
		return Better
	}
	return Worse
}

// Stars mark a corrected p-value: *** below 0.001, ** below 0.01, * below 0.05.
func Stars(p float64) string {
	switch {
	case p < 0.001:
		return "***"
	case p < 0.01:
		return "**"
	case p < 0.05:
		return "*"
	}
	return ""
}

func abs(v float64) float64 {
	if v < 0 {
		return -v
	}
	return v
}
