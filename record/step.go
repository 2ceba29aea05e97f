package record

import "time"

// Step is one logged decision interval of an episode. A nil pointer is "not
// measured".
type Step struct {
	EpisodeNumber       int                           // ≥ 0
	StepNumber          int                           // unique in the episode, ≥ 0
	ActiveVehicles      *int                          // vehicles in the network
	QueueLengths        map[string]map[string]float64 // intersection → approach → halting vehicles
	WaitingTimes        map[string]float64            // seconds per intersection
	Speeds              map[string]float64            // km/h per intersection
	StateVector         []float32                     // what the agent observed
	ActionTaken         *int                          // the joint or first action
	ImmediateReward     *float64                      // reward of the step
	IntersectionMetrics map[string]any                // measures and actions per intersection
	SimulationTime      *float64                      // seconds since the scenario began
	RealTimestamp       time.Time                     // zero: the time of logging
	Extra               Extra
}

func (s *Step) fields(c *codec) {
	c.requiredInt(&s.EpisodeNumber)
	c.requiredInt(&s.StepNumber)
	c.int(&s.ActiveVehicles)
	c.numbersOfNumbers(&s.QueueLengths)
	c.numbers(&s.WaitingTimes)
	c.numbers(&s.Speeds)
	c.vector(&s.StateVector)
	c.int(&s.ActionTaken)
	c.float(&s.ImmediateReward)
	c.object(&s.IntersectionMetrics)
	c.float(&s.SimulationTime)
	c.time(&s.RealTimestamp)
	c.extra(&s.Extra)
}

// Kind returns KindStep.
func (s *Step) Kind() Kind { return KindStep }

// Check returns a *FieldError for the first field that breaks its rule.
func (s *Step) Check() error { return check(s) }

// AppendJSON appends the record as one JSON object; see [Record].
func (s *Step) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, s) }

// MarshalJSON is AppendJSON for encoding/json.
func (s *Step) MarshalJSON() ([]byte, error) { return encode(nil, s) }

// UnmarshalJSON reads and checks a record; see [Record].
func (s *Step) UnmarshalJSON(data []byte) error { return unmarshal(data, s) }
