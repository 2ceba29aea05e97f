package record

import "fmt"

// Record is a typed record: *Episode, *Step, *Checkpoint, *Validation, *Baseline,
// *Resource, *Experiment, *Heartbeat or *End.
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
	// UnmarshalJSON reads what AppendJSON wrote, or any record of the kind that
	// Parse takes. Numbers that non_finite lists become NaN.
	UnmarshalJSON(data []byte) error

	fields(c *codec)
}

// Extra holds fields that have no column, by name. A name that a column has is
// refused. On decoding, values are [encoding/json.RawMessage] with the bytes as
// they were written.
type Extra map[string]any

// New returns an empty record of a kind, nil when the kind is unknown.
func New(kind Kind) Record {
	switch kind {
	case KindEpisode:
		return new(Episode)
	case KindStep:
		return new(Step)
	case KindCheckpoint:
		return new(Checkpoint)
	case KindValidation:
		return new(Validation)
	case KindBaseline:
		return new(Baseline)
	case KindResource:
		return new(Resource)
	case KindExperiment:
		return new(Experiment)
	case KindHeartbeat:
		return new(Heartbeat)
	case KindEnd:
		return new(End)
	}
	return nil
}

// Record returns the row as a typed record.
func (r *Row) Record() (Record, error) {
	rec := New(r.Schema.Kind)
	if rec == nil {
		return nil, fmt.Errorf("unknown kind of record %q", r.Schema.Kind)
	}
	return rec, decode(rec, r)
}
