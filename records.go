package greenwave

import "github.com/greenwave-traffic/greenwave/record"

// The records that a trainer logs, so that it needs to import one package only.
// Optional numbers are pointers: nil is "not measured", which is not the same as 0.
// In Go 1.26, new(0.885) makes one.
type (
	// Episode is a finished episode.
	Episode = record.Episode
	// Step is one logged decision interval of an episode.
	Step = record.Step
	// Checkpoint is a saved model.
	Checkpoint = record.Checkpoint
	// Validation is a policy evaluated on held-out scenarios.
	Validation = record.Validation
	// Baseline compares the trained controller with one that is not trained.
	Baseline = record.Baseline
	// Experiment changes the experiment's own row; nil fields stay as they are.
	Experiment = record.Experiment
	// Extra holds fields that have no column of their own.
	Extra = record.Extra
	// FieldError says which field of a record breaks which rule.
	FieldError = record.FieldError
)
