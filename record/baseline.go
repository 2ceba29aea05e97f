package record

import "time"

// Baseline compares the trained controller with one that is not trained.
type Baseline struct {
	BaselineType           string         // fixed_time, actuated, max_pressure, webster, …
	TestScenarios          any            // the scenarios of both
	D3QNMetrics            map[string]any // measures of the trained controller
	BaselineMetrics        map[string]any // measures of the baseline
	ImprovementPercentages map[string]any // percent by measure
	StatisticalTests       map[string]any // method, statistic, p-value by measure
	SignificanceResults    map[string]any // verdict and level by measure
	ComparisonDate         time.Time      // zero: the time of logging
	Notes                  string         // free text
	Extra                  Extra
}

func (b *Baseline) fields(c *codec) {
	c.text(&b.BaselineType)
	c.any(&b.TestScenarios)
	c.object(&b.D3QNMetrics)
	c.object(&b.BaselineMetrics)
	c.object(&b.ImprovementPercentages)
	c.object(&b.StatisticalTests)
	c.object(&b.SignificanceResults)
	c.time(&b.ComparisonDate)
	c.text(&b.Notes)
	c.extra(&b.Extra)
}

// Kind returns KindBaseline.
func (b *Baseline) Kind() Kind { return KindBaseline }

// Check returns a *FieldError for the first field that breaks its rule.
func (b *Baseline) Check() error { return check(b) }

// AppendJSON appends the record as one JSON object; see [Record].
func (b *Baseline) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, b) }

// MarshalJSON is AppendJSON for encoding/json.
func (b *Baseline) MarshalJSON() ([]byte, error) { return encode(nil, b) }

// UnmarshalJSON reads and checks a record; see [Record].
func (b *Baseline) UnmarshalJSON(data []byte) error { return unmarshal(data, b) }
