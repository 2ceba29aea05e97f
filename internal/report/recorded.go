package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// RecordedComparison is a row of baseline_comparisons: what a training's final test or
// greenwave compare --record has stored, as it was found then.
type RecordedComparison struct {
	Against string            `json:"against"`
	At      time.Time         `json:"comparison_date"`
	Unlike  bool              `json:"unlike,omitempty"` // unlike things were compared
	Metrics []RecordedVerdict `json:"metrics"`          // the most important first
	Notes   string            `json:"notes,omitempty"`
}

// RecordedVerdict is what it says of one metric. What a logger did not write is null.
type RecordedVerdict struct {
	Metric      string   `json:"metric"`
	Improvement *float64 `json:"improvement_percent"` // positive is better
	PHolm       *float64 `json:"p_holm"`
	Significant *bool    `json:"significant_at_0.05"`
	Method      string   `json:"method,omitempty"`
	Version     string   `json:"version,omitempty"`
}

// recorded reads the comparisons that are stored with the experiment.
func (f *Findings) recorded(ctx context.Context, s store.Reader) error {
	for row, err := range s.Rows(ctx, f.training.Experiment.ID, record.KindBaseline) {
		if err != nil {
			return fmt.Errorf("comparisons of %s: %w", f.Experiment.Name, err)
		}
		r := RecordedComparison{Against: string(row.Row.Get("baseline_type").Bytes()), At: row.Time.UTC(), Notes: string(row.Row.Get("notes").Bytes())}
		if at := row.Row.Get("comparison_date"); !at.IsNull() {
			r.At = at.Time().UTC()
		}
		found := map[string]*RecordedVerdict{}
		of := func(metric string) *RecordedVerdict {
			if found[metric] == nil {
				found[metric] = &RecordedVerdict{Metric: metric}
			}
			return found[metric]
		}
		var improved map[string]any
		if text := row.Row.Get("improvement_percentages").Bytes(); len(text) > 0 && json.Unmarshal(text, &improved) == nil {
			for name, v := range improved {
				if percent, ok := v.(float64); ok {
					of(name).Improvement = &percent
				}
			}
		}
		var judged map[string]json.RawMessage
		if text := row.Row.Get("significance_results").Bytes(); len(text) > 0 && json.Unmarshal(text, &judged) == nil {
			for name, text := range judged {
				var j struct {
					PHolm       *float64 `json:"p_holm"`
					Significant *bool    `json:"significant_at_0.05"`
					Method      string   `json:"method"`
					Version     string   `json:"version"`
					Unlike      bool     `json:"unlike"`
				}
				if json.Unmarshal(text, &j) != nil {
					continue // another logger's own shape
				}
				v := of(name)
				v.PHolm, v.Significant, v.Method, v.Version = j.PHolm, j.Significant, j.Method, j.Version
				r.Unlike = r.Unlike || j.Unlike
			}
		}
		for _, name := range comparison.Ordered(found) {
			r.Metrics = append(r.Metrics, *found[name])
		}
		f.Recorded = append(f.Recorded, r)
	}
	slices.SortStableFunc(f.Recorded, func(a, b RecordedComparison) int { return a.At.Compare(b.At) })
	return nil
}

// recordedBlocks is a row for each stored comparison, by its most important metric.
func (f *Findings) recordedBlocks() []Block {
	if len(f.Recorded) == 0 {
		return nil
	}
	table := Table{
		Caption: "Comparisons that are stored with the experiment, each by its most important metric",
		Columns: []string{"when", "against", "metric", ">better by %", "p", "verdict"},
	}
	var methods []string
	for i := range f.Recorded {
		r := &f.Recorded[i]
		row := []string{r.At.Format("2006-01-02"), r.Against, "–", "–", "–", "–"}
		if len(r.Metrics) > 0 {
			m := &r.Metrics[0]
			row[2] = comparison.MetricOf(m.Metric).Label
			if how := m.Method + " (version " + m.Version + ")"; m.Version != "" && !slices.Contains(methods, how) {
				methods = append(methods, how)
			}
			if m.Improvement != nil {
				row[3] = signed(*m.Improvement)
			}
			if m.PHolm != nil {
				row[4] = probability(*m.PHolm)
			}
			if m.Significant != nil {
				row[5] = map[bool]string{true: "significant", false: "not shown"}[*m.Significant]
			}
		}
		if r.Unlike {
			row[5] = "UNLIKE; " + row[5]
		}
		table.Rows = append(table.Rows, row)
	}
	note := "As they were found then, by the final test of a training or by greenwave compare --record; all metrics are in --format json and in the table baseline_comparisons. p is after Holm's correction over the family that is stored with it"
	if len(methods) > 0 {
		note += "; methods: " + strings.Join(methods, ", ")
	}
	table.Notes = []string{note + "."}
	return []Block{Heading("Stored comparisons"), table}
}
