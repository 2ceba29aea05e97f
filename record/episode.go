package record

import "time"

// Episode is a finished episode: one simulated scenario from reset to end.
// A nil pointer is "not measured". Written as new(0.885) in Go 1.26.
type Episode struct {
	EpisodeNumber          int                // unique in the experiment, ≥ 0
	ScenarioInfo           map[string]any     // day, cycle, intersections, …
	TotalReward            float64            // sum of the rewards
	StepsCompleted         *int               // decision intervals
	EpsilonValue           *float64           // exploration rate, 0 to 1
	AvgLoss                *float64           // mean training loss
	MemorySize             *int               // transitions in the replay memory
	TotalVehicles          *int               // vehicles
	CompletedTrips         *int               // vehicles that arrived
	PassengerThroughput    *float64           // passengers per hour
	AvgWaitingTime         *float64           // seconds
	AvgSpeed               *float64           // km/h
	AvgQueueLength         *float64           // halting vehicles (below 0.1 m/s)
	MaxQueueLength         *float64           // halting vehicles (below 0.1 m/s)
	TravelTimeIndex        *float64           // actual over free-flow travel time
	BusesProcessed         *int               // buses that arrived
	JeepneysProcessed      *int               // jeepneys that arrived
	PTPassengerThroughput  *float64           // passengers per hour in buses and jeepneys
	PTAvgWaiting           *float64           // seconds, buses and jeepneys
	PTServiceEfficiency    *float64           // share served without undue waiting
	RewardComponents       map[string]float64 // parts of the reward by name
	EpisodeDurationMinutes *float64           // wall-clock minutes
	Timestamp              time.Time          // zero: the time of logging
	Extra                  Extra
}

func (e *Episode) fields(c *codec) {
	c.requiredInt(&e.EpisodeNumber)
	c.object(&e.ScenarioInfo)
	c.requiredFloat(&e.TotalReward)
	c.int(&e.StepsCompleted)
	c.float(&e.EpsilonValue)
	c.float(&e.AvgLoss)
	c.int(&e.MemorySize)
	c.int(&e.TotalVehicles)
	c.int(&e.CompletedTrips)
	c.float(&e.PassengerThroughput)
	c.float(&e.AvgWaitingTime)
	c.float(&e.AvgSpeed)
	c.float(&e.AvgQueueLength)
	c.float(&e.MaxQueueLength)
	c.float(&e.TravelTimeIndex)
	c.int(&e.BusesProcessed)
	c.int(&e.JeepneysProcessed)
	c.float(&e.PTPassengerThroughput)
	c.float(&e.PTAvgWaiting)
	c.float(&e.PTServiceEfficiency)
	c.numbers(&e.RewardComponents)
	c.float(&e.EpisodeDurationMinutes)
	c.time(&e.Timestamp)
	c.extra(&e.Extra)
}

// Kind returns KindEpisode.
func (e *Episode) Kind() Kind { return KindEpisode }

// Check returns a *FieldError for the first field that breaks its rule.
func (e *Episode) Check() error { return check(e) }

// AppendJSON appends the record as one JSON object; see [Record].
func (e *Episode) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, e) }

// MarshalJSON is AppendJSON for encoding/json.
func (e *Episode) MarshalJSON() ([]byte, error) { return encode(nil, e) }

// UnmarshalJSON reads and checks a record; see [Record].
func (e *Episode) UnmarshalJSON(data []byte) error { return unmarshal(data, e) }
