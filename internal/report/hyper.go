package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
	"github.com/greenwave-traffic/greenwave/internal/learning"
)

// Hyperparameters is the document of a study of hyperparameters.
func Hyperparameters(st *learning.Study, o Origin) *Document {
	d := &Document{Title: "Hyperparameters of " + of(len(st.Runs), "experiment")}
	mean, deviation := st.Spread()
	d.Lead = fmt.Sprintf("Outcome: %s, %s ± %s (standard deviation) over the experiments.", st.Of, num(mean), num(deviation))
	for _, w := range st.Warnings {
		d.Blocks = append(d.Blocks, Warning(w))
	}
	for _, l := range st.Left {
		d.Blocks = append(d.Blocks, Warning("left out: "+l))
	}
	table := Table{
		Columns: []string{"hyperparameter", ">values", ">share", "direction", "p", ">p before", "method"},
		Notes: []string{
			"Share: of the variance of the outcomes' ranks that goes with the hyperparameter, each looked at by itself. Shares of hyperparameters that were changed together overlap. p after Holm over the hyperparameters. These are experiments that somebody chose to run: what went together need not be the cause.",
		},
	}
	for _, i := range st.Factors {
		table.Rows = append(table.Rows, []string{i.Factor, strconv.Itoa(i.Values), share(i.Share), direction(st, i), probability(i.PHolm), probability(i.P), i.Method})
	}
	d.Blocks = append(d.Blocks, table)
	var notes List
	for _, i := range st.Factors {
		if len(i.Together) > 0 {
			notes = append(notes, i.Factor+" changed together with "+strings.Join(i.Together, ", ")+": these experiments cannot tell them apart.")
		}
	}
	switch {
	case st.Seeds != nil:
		notes = append(notes, "Experiments with the same settings differ too: "+share(*st.Seeds)+" of the variance of the ranks is that, the seed and chance.")
	default:
		notes = append(notes, "No settings were run twice, so nothing says how much the seed alone does: greenwave train … --seeds 3.")
	}
	if len(st.NoNumbers) > 0 {
		notes = append(notes, "Not judged, because nearly each value was tried once: "+strings.Join(st.NoNumbers, ", ")+".")
	}
	d.Blocks = append(d.Blocks, notes)
	runs := Table{Caption: "The experiments, best first", Columns: []string{"experiment", ">" + st.Metric, "settings that were varied"}}
	sorted := slices.Clone(st.Runs)
	slices.SortStableFunc(sorted, func(a, b learning.Outcome) int {
		better := max(st.Better(), 0)*2 - 1
		switch {
		case a.Value == b.Value:
			return 0
		case a.Value > b.Value:
			return -better
		}
		return better
	})
	for _, r := range sorted {
		var settings []string
		for _, n := range slices.Sorted(maps.Keys(r.Settings)) {
			settings = append(settings, n+" "+r.Settings[n])
		}
		runs.Rows = append(runs.Rows, []string{r.Experiment, num(r.Value), strings.Join(settings, ", ")})
	}
	d.Blocks = append(d.Blocks, runs)
	d.Facts = o.facts(hashOf(st), []string{"SELECT experiment_name, config FROM experiments"})
	d.Facts = append(d.Facts, [2]string{"statistics", "version " + analysis.Version + ", docs/statistics.md"})
	return d
}

// hashOf is the SHA-256 of outcomes and settings.
func hashOf(st *learning.Study) string {
	sum := sha256.New()
	for _, r := range st.Runs {
		fmt.Fprintf(sum, "%s %g", r.Experiment, r.Value)
		for _, n := range slices.Sorted(maps.Keys(r.Settings)) {
			fmt.Fprintf(sum, " %s=%s", n, r.Settings[n])
		}
		fmt.Fprintln(sum)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func share(v float64) string { return strconv.FormatFloat(100*v, 'f', 0, 64) + " %" }

// direction says which values went with better outcomes, where there is a direction and
// it is more than chance.
func direction(st *learning.Study, i analysis.Influence) string {
	if i.Rho == nil || i.P >= analysis.Alpha || st.Better() == 0 || *i.Rho > -0.3 && *i.Rho < 0.3 {
		return "–"
	}
	if (*i.Rho > 0) == (st.Better() > 0) {
		return "larger is better"
	}
	return "smaller is better"
}
