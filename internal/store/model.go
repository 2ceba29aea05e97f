package store

import (
	"context"
	"encoding/json"
	"time"
)

// ModelFile says that a store of models has the file of a checkpoint.
type ModelFile struct {
	ExperimentID string // UUID
	Hash         string // SHA-256 of the file in hexadecimal
	Location     string // which store, without secrets
	Size         int64  // bytes
	StoredAt     time.Time
	VerifiedAt   time.Time // when its content was last read and had its hash; zero: never
}

// Promotion says that a checkpoint was given a stage under a name. Promotions are only
// added, so they tell who did what and when; of a name and stage the latest one holds.
type Promotion struct {
	ID           string // UUID
	Name         string // of the model, as it is deployed
	Stage        string // candidate, staging or production
	ExperimentID string // UUID
	Experiment   string // its name; only read
	CheckpointID string // UUID
	Hash         string // SHA-256 of the checkpoint's file
	SetAt        time.Time
	SetBy        string // who, as user@host
	Reason       string
	Evidence     json.RawMessage // what it was decided on, an object; nil: nothing
}

// Stages are the stages of a model, in the order in which it goes through them.
var Stages = []string{"candidate", "staging", "production"}

// Modeler keeps where the files of models are and which of them is in use.
type Modeler interface {
	// ModelFiles lists the files of an experiment by time; of all when it is "".
	ModelFiles(ctx context.Context, experimentID string) ([]ModelFile, error)
	// PutModelFile adds a file, or sets VerifiedAt of the one that is there. It is
	// ErrNotFound when the experiment is not there.
	PutModelFile(ctx context.Context, f ModelFile) error
	// ForgetModelFile says that a store has a file no more.
	ForgetModelFile(ctx context.Context, hash, location string) error
	// Promotions lists those of a name, the latest first; all when it is "".
	Promotions(ctx context.Context, name string) ([]Promotion, error)
	// Promote adds a promotion. It is ErrNotFound when the experiment is not there,
	// and ErrConflict when the latest promotion of the name and stage is another than
	// after ("": none): somebody else was faster.
	Promote(ctx context.Context, p Promotion, after string) error
}
