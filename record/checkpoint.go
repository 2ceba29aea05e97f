package record

import "time"

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

func (k *Checkpoint) fields(c *codec) {
	c.int(&k.EpisodeNumber)
	c.text(&k.CheckpointType)
	c.text(&k.ModelPath)
	c.float(&k.ModelSizeMB)
	c.text(&k.ModelHash)
	c.float(&k.ValidationReward)
	c.object(&k.ValidationMetrics)
	c.object(&k.Hyperparameters)
	c.float(&k.TrainingTimeMinutes)
	c.float(&k.VsBaselineImprovement)
	c.time(&k.CreatedAt)
	c.extra(&k.Extra)
}

// Kind returns KindCheckpoint.
func (k *Checkpoint) Kind() Kind { return KindCheckpoint }

// Check returns a *FieldError for the first field that breaks its rule.
func (k *Checkpoint) Check() error { return check(k) }

// AppendJSON appends the record as one JSON object; see [Record].
func (k *Checkpoint) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, k) }

// MarshalJSON is AppendJSON for encoding/json.
func (k *Checkpoint) MarshalJSON() ([]byte, error) { return encode(nil, k) }

// UnmarshalJSON reads and checks a record; see [Record].
func (k *Checkpoint) UnmarshalJSON(data []byte) error { return unmarshal(data, k) }
