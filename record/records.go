package record

import "time"

// Record is a typed record: *Episode, *Step, *Checkpoint, *Validation, *Baseline,
// *Experiment, *Heartbeat or *End.
type Record interface {
	// Kind says which kind of record it is.
	Kind() Kind
	// Check returns a *FieldError for the first field that breaks its rule.
	Check() error
	// AppendJSON appends the record as one JSON object without line breaks, in
	// the order of the schema, and returns the extended slice. Numbers that are
	// NaN or infinite are written as the texts "NaN", "Infinity" and "-Infinity"
	// and their paths are listed in the field "non_finite". It returns an error
	// only when a value in an any cannot be written as JSON.
	AppendJSON(dst []byte) ([]byte, error)
}

// Extra holds fields that have no column. On decoding, values are
// [encoding/json.RawMessage] with the bytes as they were written.
type Extra map[string]any

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

// Step is one logged decision interval of an episode.
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

// Checkpoint is a saved model.
type Checkpoint struct {
	EpisodeNumber         *int           // episode after which it was saved
	CheckpointType        string         // regular, best or final
	ModelPath             string         // where the file is
	ModelSizeMB           *float64       // megabytes (10^6 bytes)
	ModelHash             string         // SHA-256 in hexadecimal; empty when unknown
	ValidationReward      *float64       // mean reward on the validation scenarios
	ValidationMetrics     map[string]any // further measures
	Hyperparameters       map[string]any // snapshot
	TrainingTimeMinutes   *float64       // minutes of training so far
	VsBaselineImprovement *float64       // percent
	CreatedAt             time.Time      // zero: the time of logging
	Extra                 Extra
}

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
	Notes                  string
	Extra                  Extra
}

// Experiment changes the experiment's own row; nil fields stay as they are.
type Experiment struct {
	Description        *string
	Config             map[string]any // all hyperparameters
	Metadata           map[string]any // tags, group, …; merged by key
	ConvergenceEpisode *int           // episode at which the reward converged
	Extra              Extra
}

// Heartbeat says that the run is alive.
type Heartbeat struct {
	Extra Extra
}

// End is the end of a run.
type End struct {
	Status string // completed, failed, interrupted or paused
	Reason string
	Extra  Extra
}
