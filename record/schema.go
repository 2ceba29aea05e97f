package record

import "math"

// Kind names what a journal line holds.
type Kind string

// The kinds of records. The first six become rows of their own; the others
// change the rows of the experiment and the run.
const (
	KindEpisode    Kind = "episode"    // a finished episode: training_episodes
	KindStep       Kind = "step"       // a logged decision interval: training_steps
	KindCheckpoint Kind = "checkpoint" // saved model weights: model_checkpoints
	KindValidation Kind = "validation" // a policy on held-out scenarios: validation_results
	KindBaseline   Kind = "baseline"   // a comparison with an untrained controller: baseline_comparisons
	KindResource   Kind = "resource"   // what the trainer's process and host use: run_resources
	KindExperiment Kind = "experiment" // a change to the experiment's own row
	KindHeartbeat  Kind = "heartbeat"  // the run is alive
	KindEnd        Kind = "end"        // the run has ended, with its status
)

// Type is the type of a field.
type Type uint8

// The types of fields. Null is the type of a value that is absent.
const (
	Null   Type = iota
	Int         // 64-bit signed integer
	Float       // 64-bit floating point; NaN and infinity are allowed and become null
	Text        // UTF-8 without NUL
	JSON        // any JSON value; NaN and infinity inside become null
	Vector      // numbers stored in single precision; NaN and infinity become null elements
	Time        // an instant, RFC 3339, stored in UTC to the microsecond
	UUID        // a UUID in its text form
)

// String returns the type's name as used in messages ("an integer").
func (t Type) String() string {
	return [...]string{"null", "an integer", "a number", "text", "JSON", "a list of numbers", "a time (RFC 3339)", "a UUID"}[t]
}

// Field describes one column of a kind: its name in JSON and in the database, its
// type, its unit and its rule.
type Field struct {
	Name     string   // JSON name and column name
	Type     Type     //
	Required bool     // the record is refused without it
	Min, Max float64  // inclusive bounds of numbers; -Inf and +Inf where there are none
	OneOf    []string // allowed texts; empty for any
	Object   bool     // the JSON value must be an object
	Numbers  bool     // every leaf of the JSON value must be a number or null
	Unit     string   // "s", "km/h", "vehicles", "1/h", …; empty where there is none
	Doc      string   // one sentence, becomes the column's comment
}

// Schema describes a kind of record: its table and its fields in column order.
type Schema struct {
	Kind   Kind
	Table  string // "" for kinds without rows of their own
	Fields []Field

	// Key is how many leading fields identify a row within its experiment
	// (1: episode_number, 2: with step_number). 0: rows are identified by an id
	// that derives from run and sequence number.
	Key int

	index map[string]int
	time  int // position of the kind's own time, -1 where there is none
}

// Index returns the position of the named field, or -1.
func (s *Schema) Index(name string) int {
	if i, ok := s.index[name]; ok {
		return i
	}
	return -1
}

// SchemaOf returns the schema of a kind, or nil when the kind is unknown.
func SchemaOf(k Kind) *Schema { return schemas[k] }

// Tabled lists the schemas of the kinds that have a table, in the order in which
// the tables depend on each other.
func Tabled() []*Schema {
	return []*Schema{Episodes, Steps, Checkpoints, Validations, Baselines, Resources}
}

var inf = math.Inf(1)

func num(name string, t Type, min, max float64, unit, doc string) Field {
	return Field{Name: name, Type: t, Min: min, Max: max, Unit: unit, Doc: doc}
}

func other(name string, t Type, doc string) Field {
	return Field{Name: name, Type: t, Min: -inf, Max: inf, Doc: doc}
}

func required(f Field) Field { f.Required = true; return f }
func object(f Field) Field   { f.Object = true; return f }
func numbers(f Field) Field  { f.Object, f.Numbers = true, true; return f }

const maxInt32 = math.MaxInt32

// The schemas of all kinds.
var (
	Episodes = &Schema{Kind: KindEpisode, Table: "training_episodes", Key: 1, Fields: []Field{
		required(num("episode_number", Int, 0, maxInt32, "", "Number of the episode, unique in its experiment.")),
		object(other("scenario_info", JSON, "What was simulated: day, cycle, intersections.")),
		required(num("total_reward", Float, -inf, inf, "", "Sum of the rewards of the episode.")),
		num("steps_completed", Int, 0, maxInt32, "steps", "Decision intervals completed."),
		num("epsilon_value", Float, 0, 1, "", "Exploration rate at the end of the episode: the probability of a random action."),
		num("avg_loss", Float, -inf, inf, "", "Mean training loss over the updates of the episode."),
		num("memory_size", Int, 0, math.MaxInt64, "transitions", "Transitions in the replay memory."),
		num("total_vehicles", Int, 0, math.MaxInt64, "vehicles", "Vehicles that were in the network."),
		num("completed_trips", Int, 0, math.MaxInt64, "trips", "Vehicles that arrived at their destination."),
		num("passenger_throughput", Float, 0, inf, "passengers/h", "Passengers that arrived, per hour."),
		num("avg_waiting_time", Float, 0, inf, "s", "Mean waiting time of the vehicles."),
		num("avg_speed", Float, 0, inf, "km/h", "Mean speed of the vehicles."),
		num("avg_queue_length", Float, 0, inf, "vehicles", "Mean number of halting vehicles (below 0.1 m/s)."),
		num("max_queue_length", Float, 0, inf, "vehicles", "Largest number of halting vehicles (below 0.1 m/s)."),
		num("travel_time_index", Float, 0, inf, "", "Actual over free-flow travel time."),
		num("buses_processed", Int, 0, math.MaxInt64, "buses", "Buses that arrived."),
		num("jeepneys_processed", Int, 0, math.MaxInt64, "jeepneys", "Jeepneys that arrived."),
		num("pt_passenger_throughput", Float, 0, inf, "passengers/h", "Passengers of buses and jeepneys that arrived, per hour."),
		num("pt_avg_waiting", Float, 0, inf, "s", "Mean waiting time of buses and jeepneys."),
		num("pt_service_efficiency", Float, 0, inf, "", "Share of buses and jeepneys that were served without undue waiting."),
		numbers(other("reward_components", JSON, "Parts of the reward by name.")),
		num("episode_duration_minutes", Float, 0, inf, "min", "Wall-clock time that the episode took."),
		other("timestamp", Time, "When the episode ended; the time of logging unless the record says otherwise."),
	}}

	Steps = &Schema{Kind: KindStep, Table: "training_steps", Key: 2, Fields: []Field{
		required(num("episode_number", Int, 0, maxInt32, "", "Number of the episode that the step belongs to.")),
		required(num("step_number", Int, 0, maxInt32, "", "Number of the step, unique in its episode.")),
		num("active_vehicles", Int, 0, math.MaxInt64, "vehicles", "Vehicles in the network."),
		numbers(other("queue_lengths", JSON, "Halting vehicles (below 0.1 m/s): intersection → approach → vehicles.")),
		numbers(other("waiting_times", JSON, "Mean waiting time in seconds per intersection.")),
		numbers(other("speeds", JSON, "Mean speed in km/h per intersection.")),
		other("state_vector", Vector, "What the agent observed."),
		num("action_taken", Int, -inf, inf, "", "The joint or first action; the actions per intersection are in intersection_metrics."),
		num("immediate_reward", Float, -inf, inf, "", "Reward of the step."),
		object(other("intersection_metrics", JSON, "Per-intersection measures and actions.")),
		num("simulation_time", Float, 0, inf, "s", "Simulated time since the scenario began."),
		other("real_timestamp", Time, "When the step happened; the time of logging unless the record says otherwise."),
	}}

	Checkpoints = &Schema{Kind: KindCheckpoint, Table: "model_checkpoints", Fields: []Field{
		num("episode_number", Int, 0, maxInt32, "", "Episode after which the model was saved."),
		required(Field{Name: "checkpoint_type", Type: Text, OneOf: []string{"regular", "best", "final"}, Min: -inf, Max: inf, Doc: "regular, best or final."}),
		required(other("model_path", Text, "Where the model file was written.")),
		num("model_size_mb", Float, 0, inf, "MB", "Size of the model file in megabytes (10^6 bytes)."),
		other("model_hash", Text, "SHA-256 of the model file in hexadecimal."),
		num("validation_reward", Float, -inf, inf, "", "Mean reward on the validation scenarios."),
		object(other("validation_metrics", JSON, "Further measures on the validation scenarios.")),
		object(other("hyperparameters", JSON, "Snapshot of the hyperparameters.")),
		num("training_time_minutes", Float, 0, inf, "min", "Training time so far."),
		num("vs_baseline_improvement", Float, -inf, inf, "%", "Improvement over the baseline in percent."),
		other("created_at", Time, "When the model was saved; the time of logging unless the record says otherwise."),
	}}

	Validations = &Schema{Kind: KindValidation, Table: "validation_results", Fields: []Field{
		other("checkpoint_id", UUID, "The checkpoint that was validated."),
		num("validation_episode", Int, 0, maxInt32, "", "Training episode after which the validation ran."),
		object(other("test_scenario", JSON, "The held-out scenario or scenarios.")),
		num("total_reward", Float, -inf, inf, "", "Reward on the scenario; the mean where there are several."),
		object(other("traffic_metrics", JSON, "Traffic measures on the scenario.")),
		object(other("comparison_metrics", JSON, "Comparison with a baseline on the same scenario.")),
		other("confidence_interval", JSON, "Interval of the mean with its level."),
		other("statistical_significance", JSON, "Test, statistic and p-value."),
		other("timestamp", Time, "When the validation ended; the time of logging unless the record says otherwise."),
	}}

	Baselines = &Schema{Kind: KindBaseline, Table: "baseline_comparisons", Fields: []Field{
		required(other("baseline_type", Text, "fixed_time, actuated, max_pressure, webster or another controller that is not trained.")),
		other("test_scenarios", JSON, "The scenarios that both were measured on."),
		object(other("d3qn_metrics", JSON, "Measures of the trained controller.")),
		object(other("baseline_metrics", JSON, "Measures of the baseline.")),
		object(other("improvement_percentages", JSON, "Improvement over the baseline in percent, by measure.")),
		object(other("statistical_tests", JSON, "Tests by measure: method, statistic, p-value.")),
		object(other("significance_results", JSON, "Whether each difference is significant, and at which level.")),
		other("comparison_date", Time, "When the comparison was made; the time of logging unless the record says otherwise."),
		other("notes", Text, "Free text."),
	}}

	Resources = &Schema{Kind: KindResource, Table: "run_resources", Fields: []Field{
		num("process_cpu_percent", Float, 0, inf, "%", "CPU time of the trainer's process since the sample before; 100 is one core."),
		num("process_memory_mb", Float, 0, inf, "MB", "Resident memory of the trainer's process in megabytes (10^6 bytes)."),
		num("host_cpu_percent", Float, 0, 100, "%", "CPU time of the whole host since the sample before; 100 is all cores."),
		num("host_memory_used_mb", Float, 0, inf, "MB", "Memory of the host in use, without caches, in megabytes (10^6 bytes)."),
		num("host_memory_total_mb", Float, 0, inf, "MB", "Memory of the host in megabytes (10^6 bytes)."),
		num("disk_free_mb", Float, 0, inf, "MB", "Free space for the journal's folder in megabytes (10^6 bytes)."),
		num("disk_total_mb", Float, 0, inf, "MB", "Size of the disk that holds the journal's folder in megabytes (10^6 bytes)."),
		other("gpus", JSON, "GPUs as nvidia-smi shows them: a list of index, name, utilization_percent, memory_used_mb, memory_total_mb."),
		other("sampled_at", Time, "When it was measured; the time of logging unless the record says otherwise."),
	}}

	Experiments = &Schema{Kind: KindExperiment, Fields: []Field{
		other("description", Text, "What the experiment is about."),
		object(other("config", JSON, "All hyperparameters.")),
		object(other("metadata", JSON, "Tags, group and other facts about the experiment.")),
		num("convergence_episode", Int, 0, maxInt32, "", "Episode at which the reward converged; null when it did not."),
	}}

	Heartbeats = &Schema{Kind: KindHeartbeat}

	Ends = &Schema{Kind: KindEnd, Fields: []Field{
		required(Field{Name: "status", Type: Text, OneOf: []string{"completed", "failed", "interrupted", "paused"}, Min: -inf, Max: inf, Doc: "How the run ended."}),
		other("reason", Text, "Why, in words."),
	}}
)

var schemas = map[Kind]*Schema{}

func init() {
	for _, s := range []*Schema{Episodes, Steps, Checkpoints, Validations, Baselines, Resources, Experiments, Heartbeats, Ends} {
		s.index = make(map[string]int, len(s.Fields))
		s.time = -1
		for i, f := range s.Fields {
			s.index[f.Name] = i
			if f.Type == Time {
				s.time = i
			}
		}
		schemas[s.Kind] = s
	}
}
