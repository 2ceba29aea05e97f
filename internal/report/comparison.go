package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/figure"
)

const starNote = "Stars mark the corrected p: *** below 0.001, ** below 0.01, * below 0.05. ± and brackets are 95 % intervals. Differences are the first arm minus the second."

// Comparison is the document of a comparison.
func Comparison(r *comparison.Result, o Origin) *Document {
	d := &Document{Title: "Comparison", Unlike: len(r.Unlike) > 0}
	if len(r.Pairs) == 1 {
		d.Title = "Comparison of " + r.Pairs[0].A + " and " + r.Pairs[0].B
	}
	for _, u := range r.Unlike {
		d.Blocks = append(d.Blocks, Warning("unlike: "+u))
	}
	for _, w := range r.Warnings {
		d.Blocks = append(d.Blocks, Warning(w))
	}
	for i := range r.Pairs {
		blocks, details := pairBlocks(r, &r.Pairs[i], o)
		d.Blocks = append(append(d.Blocks, blocks...), details...)
	}
	d.Facts = o.facts(r.Hash, queries(r))
	d.Facts = append(d.Facts, [2]string{"statistics", "version " + r.Methods + ", docs/statistics.md"})
	return d
}

func queries(r *comparison.Result) (list []string) {
	for _, a := range r.Arms {
		if q := a.Query; q != "" && !slices.Contains(list, q) {
			list = append(list, q)
		} else if q == "" && !slices.Contains(list, a.Source) {
			list = append(list, a.Source)
		}
	}
	return list
}

// pairBlocks is the part of one pair of arms: a summary and the figures, and apart from
// them how each number was found.
func pairBlocks(r *comparison.Result, p *comparison.Pair, o Origin) (blocks, details []Block) {
	a, b := arms(p)
	blocks = []Block{Heading(fmt.Sprintf("%s against %s, %s", a, b, of(p.N, "pair")))}
	summary := Table{
		Caption: "Means with 95 % intervals",
		Columns: []string{"metric", ">" + clip(a, 14), ">" + clip(b, 14), ">Δ %", "p", "verdict"},
		Notes:   []string{"p after Holm's correction over " + r.Family + ". " + starNote},
	}
	var notes []string
	for i := range p.Metrics {
		m := &p.Metrics[i]
		t := &m.Test
		name := label(m.Metric)
		percent := "–"
		if m.Percent != nil {
			percent = signed(*m.Percent)
		}
		summary.Rows = append(summary.Rows, []string{
			name, plusMinus(t.MeanA, t.DeviationA, t.N), plusMinus(t.MeanB, t.DeviationB, t.N), percent, strings.TrimSpace(probability(m.PHolm) + " " + comparison.Stars(m.PHolm)), m.Verdict,
		})
		if t.Conclusion != "" {
			text := name + ": " + t.Conclusion
			if t.Farthest != nil {
				text += " in " + p.Scenarios[*t.Farthest]
			}
			notes = append(notes, text+".")
		}
		if t.Outlier != nil {
			notes = append(notes, name+": "+t.Outlier.Says+". It is "+strings.Join(m.OutlierIn, ", ")+".")
		}
	}
	blocks = append(blocks, summary)
	if len(notes) > 0 {
		blocks = append(blocks, List(notes))
	}
	return append(blocks, pairFigures(r, p, o)...), methods(p)
}

// methods are the tests and effects of a pair, with the tests that were not chosen.
func methods(p *comparison.Pair) []Block {
	a, b := arms(p)
	tests := Table{
		Caption: "Tests of " + a + " against " + b + ", before correction",
		Columns: []string{"metric", ">difference", "95 % by t", "95 % by bootstrap (BCa)", "test", ">statistic", ">p", ">p by t", ">Wilcoxon", ">permutation"},
	}
	effects := Table{
		Caption: "Effects of " + a + " against " + b,
		Columns: []string{"metric", ">Cohen's dz", ">d, pooled", ">Hedges' g", ">Cliff's δ", ">P(better)", ">IQM A", ">IQM B"},
		Notes:   []string{"P(better): that the first arm is better in a scenario. IQM: interquartile mean. Brackets are 95 % intervals."},
	}
	for i := range p.Metrics {
		m := &p.Metrics[i]
		t := &m.Test
		bootstrap, better := "–", "–"
		if t.Bootstrap != nil {
			bootstrap = interval(t.Bootstrap.Low, t.Bootstrap.High)
		}
		if m.Improves != nil {
			better = num(m.Improves.Value) + " " + interval(m.Improves.Interval.Low, m.Improves.Interval.High)
		}
		name, statistic := statistic(t)
		row := []string{label(m.Metric), num(t.Mean), interval(t.Interval[0], t.Interval[1]), bootstrap, name, statistic, probability(t.P)}
		for _, method := range []string{analysis.MethodPairedT, analysis.MethodWilcoxon, analysis.MethodPermutation} {
			cell := "–"
			if k := slices.IndexFunc(t.Tests, func(x analysis.Test) bool { return x.Method == method }); k >= 0 {
				cell = probability(t.Tests[k].P)
			}
			row = append(row, cell)
		}
		tests.Rows = append(tests.Rows, row)
		effects.Rows = append(effects.Rows, []string{label(m.Metric), optional(t.CohenDz), optional(t.CohenD), optional(t.HedgesG), num(t.CliffDelta), better, estimate(m.IQMA), estimate(m.IQMB)})
	}
	return []Block{tests, effects, Text("Why these tests:"), choices(p)}
}

// choices says why each test was chosen, metrics with the same reason together.
func choices(p *comparison.Pair) (list List) {
	var normal, odd, equal []string
	for i := range p.Metrics {
		m := &p.Metrics[i]
		t := &m.Test
		switch {
		case t.Method == analysis.MethodNone:
			equal = append(equal, m.Metric.Label)
		case t.Normality == nil:
			list = append(list, m.Metric.Label+": "+t.Choice+", so the "+t.Method+".")
		default:
			text := m.Metric.Label + " (p = " + probability(*t.Normality)
			if _, more, ok := strings.Cut(t.Choice, "; "); ok {
				text += "; " + more
			}
			if text += ")"; t.Method == analysis.MethodPairedT {
				normal = append(normal, text)
			} else {
				odd = append(odd, text)
			}
		}
	}
	for _, g := range []struct {
		says string
		of   []string
	}{
		{"Shapiro-Wilk on the differences does not speak against normal ones, so the " + analysis.MethodPairedT, normal},
		{"Shapiro-Wilk on the differences speaks against normal ones, so the " + analysis.MethodWilcoxon, odd},
		{"All differences are equal, so there is nothing to test", equal},
	} {
		if len(g.of) > 0 {
			list = append(list, g.says+": "+strings.Join(g.of, ", ")+".")
		}
	}
	return list
}

// arms are the names of a pair's arms; a baseline of the other's own test is known
// without it.
func arms(p *comparison.Pair) (a, b string) {
	if own, ok := strings.CutPrefix(p.B, p.A+":"); ok {
		return p.A, own
	}
	return p.A, p.B
}

func pairFigures(r *comparison.Result, p *comparison.Pair, o Origin) []Block {
	src := figure.Source{Query: strings.Join(queries(r), "; "), Hash: r.Hash, Command: o.Command}
	name := fileName(p.A + " " + p.B)
	a, b := arms(p)
	var effects []figure.Effect
	for i := range p.Metrics {
		m := &p.Metrics[i]
		if m.Test.CohenDz == nil || m.Test.DzInterval == nil {
			continue
		}
		effects = append(effects, figure.Effect{
			Name: m.Metric.Label, Value: *m.Test.CohenDz, Low: m.Test.DzInterval[0], High: m.Test.DzInterval[1],
			Note: "p " + probability(m.PHolm) + " " + comparison.Stars(m.PHolm), Sure: m.PHolm < analysis.Alpha,
		})
	}
	blocks := []Block{}
	if len(effects) > 0 {
		blocks = append(blocks, Figure{
			Name:    "forest-" + name,
			Caption: fmt.Sprintf("Effects of %s against %s as Cohen's dz with 95 %% intervals; filled where a difference was shown.", a, b),
			SVG:     figure.Forest("Effects: "+a+" − "+b, "Cohen's dz of the paired differences", effects, src),
		})
	}
	m := &p.Metrics[0]
	axis := m.Metric.Label
	if m.Metric.Unit != "" {
		axis += ", " + m.Metric.Unit
	}
	points := make([]figure.PairedPoint, 0, p.N)
	for i := range m.A {
		points = append(points, figure.PairedPoint{Name: p.Scenarios[i], Difference: m.A[i] - m.B[i], Outlier: m.Test.Outlier != nil && slices.Contains(m.Test.Outlier.Pairs, i)})
	}
	return append(blocks,
		Figure{
			Name: "paired-" + name, Caption: fmt.Sprintf("Difference of the %s in each pair, %s minus %s.", m.Metric.Label, a, b),
			SVG: figure.Paired("Paired differences: "+a+" − "+b, "Δ "+axis, points, m.Test.Mean, m.Test.Interval[0], m.Test.Interval[1], src),
		},
		Figure{
			Name: "distribution-" + name, Caption: fmt.Sprintf("Distribution of the %s over the pairs.", m.Metric.Label),
			SVG: figure.Distributions("Distribution of the "+m.Metric.Label+" over the pairs", axis, []figure.Sample{{Name: a, Values: m.A}, {Name: b, Values: m.B}}, src),
		})
}

// ComparisonCSV writes a row for each metric of each pair, exact. marks says of a pair
// which of its rows do not say what was logged.
func ComparisonCSV(w io.Writer, r *comparison.Result, marks func(*comparison.Pair) string) error {
	out := csv.NewWriter(w)
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	pointer := func(v *float64) string {
		if v == nil {
			return ""
		}
		return exact(*v)
	}
	rows := [][]string{{
		"a", "b", "metric", "unit", "pairs", "mean_a", "sd_a", "mean_b", "sd_b", "mean_difference", "ci95_low", "ci95_high", "method", "statistic", "p", "p_holm", "p_bonferroni",
		"cohen_dz", "cohen_d_pooled", "hedges_g", "cliff_delta", "verdict", "unlike", "data_sha256", "methods_version", "changed_since_sync",
	}}
	for _, p := range r.Pairs {
		for _, m := range p.Metrics {
			t := m.Test
			rows = append(rows, []string{
				p.A, p.B, m.Metric.Name, m.Metric.Unit, strconv.Itoa(t.N), exact(t.MeanA), exact(t.DeviationA), exact(t.MeanB), exact(t.DeviationB), exact(t.Mean), exact(t.Interval[0]), exact(t.Interval[1]),
				t.Method, exact(t.Statistic), exact(t.P), exact(m.PHolm), exact(m.PBonf), pointer(t.CohenDz), pointer(t.CohenD), pointer(t.HedgesG), exact(t.CliffDelta), m.Verdict,
				strings.Join(r.Unlike, "; "), r.Hash, r.Methods, marks(&p),
			})
		}
	}
	return out.WriteAll(rows)
}

func label(m comparison.Metric) string {
	if m.Unit == "" {
		return m.Label
	}
	return m.Label + ", " + m.Unit
}

func plusMinus(mean, deviation float64, n int) string {
	half := analysis.HalfWidth(deviation, n, 0.95)
	if half == 0 {
		return num(mean)
	}
	return num(mean) + " ± " + num(half)
}

// statistic is the chosen test and its statistic.
func statistic(t *analysis.Comparison) (test, value string) {
	switch t.Method {
	case analysis.MethodNone:
		return "none", "–"
	case analysis.MethodWilcoxon:
		return "Wilcoxon signed-rank", "W = " + num(t.Statistic)
	}
	return t.Method, "t = " + num(t.Statistic)
}

func estimate(e *comparison.Estimate) string {
	if e == nil {
		return "–"
	}
	return num(e.Value) + " " + interval(e.Interval.Low, e.Interval.High)
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// fileName makes a name that is good for a file.
func fileName(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(clipBytes(b.String(), 80), "-")
}

func clipBytes(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
