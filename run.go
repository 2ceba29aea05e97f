package greenwave

import (
	"context"
	"errors"
)

// Run is a run that is being recorded. Its methods may be called concurrently.
type Run struct{}

// Start begins a run.
func Start(ctx context.Context, cfg Config) (*Run, error) { return nil, errors.New("being written") }

// Resume begins a run that continues the earlier runs of the experiment.
func Resume(ctx context.Context, cfg Config) (*Run, error) { return nil, errors.New("being written") }

// ID is the run's id.
func (r *Run) ID() string { return "" }

// Dir is the run's folder.
func (r *Run) Dir() string { return "" }

// LastEpisode is the number of the last episode that earlier runs logged.
func (r *Run) LastEpisode() (number int, ok bool) { return 0, false }

// LogStep records a step.
func (r *Run) LogStep(s Step) error { return nil }

// LogEpisode records a finished episode.
func (r *Run) LogEpisode(e Episode) error { return nil }

// LogCheckpoint records a saved model.
func (r *Run) LogCheckpoint(c Checkpoint) error { return nil }

// LogValidation records a validation.
func (r *Run) LogValidation(v Validation) error { return nil }

// LogBaseline records a comparison.
func (r *Run) LogBaseline(b Baseline) error { return nil }

// LogExperiment changes the experiment's own row.
func (r *Run) LogExperiment(e Experiment) error { return nil }

// Flush makes everything logged so far durable.
func (r *Run) Flush() error { return nil }

// Report says where the run stands.
func (r *Run) Report() Report { return Report{} }

// Finish ends the run as completed.
func (r *Run) Finish() error { return nil }

// Fail ends the run as failed.
func (r *Run) Fail(cause error) error { return nil }

// Interrupt ends the run as interrupted.
func (r *Run) Interrupt(reason string) error { return nil }

// Pause ends the run as paused.
func (r *Run) Pause(reason string) error { return nil }
