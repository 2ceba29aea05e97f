package record

import "time"

// Validation is a policy evaluated on held-out scenarios.
type Validation struct {
	CheckpointID            string         // UUID of the checkpoint; empty when there is none
	ValidationEpisode       *int           // training episode after which it ran
	TestScenario            map[string]any // the scenario or scenarios
	TotalReward             *float64       // reward, or the mean over scenarios
	TrafficMetrics          map[string]any // traffic measures
	ComparisonMetrics       map[string]any // against a baseline
	ConfidenceInterval      any            // interval with its level
	StatisticalSignificance any            // test, statistic, p-value
	Timestamp               time.Time      // zero: the time of logging
	Extra                   Extra
}

func (v *Validation) fields(c *codec) {
	c.uuid(&v.CheckpointID)
	c.int(&v.ValidationEpisode)
	c.object(&v.TestScenario)
	c.float(&v.TotalReward)
	c.object(&v.TrafficMetrics)
	c.object(&v.ComparisonMetrics)
	c.any(&v.ConfidenceInterval)
	c.any(&v.StatisticalSignificance)
	c.time(&v.Timestamp)
	c.extra(&v.Extra)
}

// Kind returns KindValidation.
func (v *Validation) Kind() Kind { return KindValidation }

// Check returns a *FieldError for the first field that breaks its rule.
func (v *Validation) Check() error { return check(v) }

// AppendJSON appends the record as one JSON object; see [Record].
func (v *Validation) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, v) }

// MarshalJSON is AppendJSON for encoding/json.
func (v *Validation) MarshalJSON() ([]byte, error) { return encode(nil, v) }

// UnmarshalJSON reads and checks a record; see [Record].
func (v *Validation) UnmarshalJSON(data []byte) error { return unmarshal(data, v) }
