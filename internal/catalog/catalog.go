// Package catalog finds the checkpoints that a database knows, says which is the best and
// which is in use, and changes that.
package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Database is what a catalog is read from.
type Database interface {
	store.Reader
	store.Modeler
}

// Checkpoint is a saved model with what is known of it.
type Checkpoint struct {
	ID               string    `json:"id"` // UUID
	Experiment       string    `json:"experiment"`
	ExperimentID     string    `json:"experiment_id"`
	Episode          *int64    `json:"episode_number"`
	Type             string    `json:"checkpoint_type"` // regular, best or final, as the trainer said
	Path             string    `json:"model_path"`      // where the trainer wrote it
	Hash             string    `json:"model_hash"`      // SHA-256; empty when the trainer did not say
	SizeMB           *float64  `json:"model_size_mb"`
	ValidationReward *float64  `json:"validation_reward"` // its own, else the mean of its validations
	CreatedAt        time.Time `json:"created_at"`
	Best             bool      `json:"best"`       // of its experiment, by validation reward
	Stages           []Stage   `json:"stages"`     // that it has now
	Stored           []Place   `json:"stored"`     // where its file is
	LoggedAt         time.Time `json:"logged_at"`  //
	Validated        int       `json:"validation"` // how many validations it has
}

// Stage is a stage that a checkpoint has under a name.
type Stage struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
}

// Place is a store that has a checkpoint's file.
type Place struct {
	Location   string     `json:"location"`
	StoredAt   time.Time  `json:"stored_at"`
	VerifiedAt *time.Time `json:"verified_at"`
}

// String is how a checkpoint is named in messages.
func (c Checkpoint) String() string {
	if c.Episode == nil {
		return fmt.Sprintf("checkpoint %.8s of %s", c.ID, c.Experiment)
	}
	return fmt.Sprintf("checkpoint %.8s of %s (episode %d)", c.ID, c.Experiment, *c.Episode)
}

// Errors that callers branch on.
var (
	ErrNone      = errors.New("no such checkpoint")
	ErrAmbiguous = errors.New("more than one checkpoint")
	ErrNoHash    = errors.New("the checkpoint has no hash: its model cannot be told from another")
)

// List returns the checkpoints of an experiment, of all when it is "", by experiment and
// time. The best of an experiment is the one with the largest validation reward, of
// several the latest; the training's reward does not count.
func List(ctx context.Context, db Database, experiment string) ([]Checkpoint, error) {
	var experiments []store.Experiment
	if experiment == "" {
		all, err := db.Experiments(ctx)
		if err != nil {
			return nil, err
		}
		experiments = all
		slices.SortFunc(experiments, func(a, b store.Experiment) int { return cmp.Compare(a.Name, b.Name) })
	} else {
		e, err := db.Experiment(ctx, experiment)
		if err != nil {
			return nil, err
		}
		experiments = []store.Experiment{e}
	}
	stages, err := inForce(ctx, db)
	if err != nil {
		return nil, err
	}
	var all []Checkpoint
	for _, e := range experiments {
		list, err := ofExperiment(ctx, db, e)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			continue
		}
		files, err := db.ModelFiles(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		for i := range list {
			c := &list[i]
			for _, f := range files {
				if f.Hash == c.Hash {
					p := Place{Location: f.Location, StoredAt: f.StoredAt}
					if !f.VerifiedAt.IsZero() {
						p.VerifiedAt = &f.VerifiedAt
					}
					c.Stored = append(c.Stored, p)
				}
			}
			for _, p := range stages {
				if p.CheckpointID == c.ID {
					c.Stages = append(c.Stages, Stage{p.Name, p.Stage})
				}
			}
		}
		all = append(all, list...)
	}
	return all, nil
}

func ofExperiment(ctx context.Context, db store.Reader, e store.Experiment) ([]Checkpoint, error) {
	var list []Checkpoint
	for row, err := range db.Rows(ctx, e.ID, record.KindCheckpoint) {
		if err != nil {
			return nil, err
		}
		c := Checkpoint{
			ID: store.RowID(row.RunID, row.Seq), Experiment: e.Name, ExperimentID: e.ID, LoggedAt: row.Time,
			Type: string(row.Row.Get("checkpoint_type").Bytes()), Path: string(row.Row.Get("model_path").Bytes()),
			Hash: strings.ToLower(string(row.Row.Get("model_hash").Bytes())), SizeMB: float(row.Row.Get("model_size_mb")),
			ValidationReward: float(row.Row.Get("validation_reward")), CreatedAt: row.Time,
		}
		if v := row.Row.Get("episode_number"); !v.IsNull() {
			c.Episode = new(v.Int())
		}
		if v := row.Row.Get("created_at"); !v.IsNull() {
			c.CreatedAt = v.Time()
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, nil
	}
	if err := addValidations(ctx, db, e, list); err != nil {
		return nil, err
	}
	best := -1
	for i, c := range list {
		if c.ValidationReward != nil && (best < 0 || *c.ValidationReward >= *list[best].ValidationReward) {
			best = i
		}
	}
	if best >= 0 {
		list[best].Best = true
	}
	return list, nil
}

// addValidations gives checkpoints that came without a validation reward the mean of
// their validations.
func addValidations(ctx context.Context, db store.Reader, e store.Experiment, list []Checkpoint) error {
	sum, n := map[string]float64{}, map[string]int{}
	for row, err := range db.Rows(ctx, e.ID, record.KindValidation) {
		if err != nil {
			return err
		}
		id, reward := row.Row.Get("checkpoint_id"), row.Row.Get("total_reward")
		if id.IsNull() {
			continue
		}
		key := strings.ToLower(string(id.Bytes()))
		n[key]++
		if !reward.IsNull() {
			sum[key] += reward.Float()
		}
	}
	for i := range list {
		c := &list[i]
		c.Validated = n[c.ID]
		if c.ValidationReward == nil && c.Validated > 0 {
			c.ValidationReward = new(sum[c.ID] / float64(c.Validated))
		}
	}
	return nil
}

func float(v record.Value) *float64 {
	if v.IsNull() {
		return nil
	}
	return new(v.Float())
}

// Find returns the checkpoint that a text means:
//
//	EXPERIMENT          its best by validation reward, else its last
//	EXPERIMENT@best, @last, @final, @120
//	NAME@production, @staging, @candidate
//	an id, or the first 6 or more digits of an id or of a hash
func Find(ctx context.Context, db Database, ref string) (Checkpoint, error) {
	if at := strings.LastIndexByte(ref, '@'); at > 0 {
		name, which := ref[:at], ref[at+1:]
		if slices.Contains(store.Stages, which) {
			return staged(ctx, db, name, which)
		}
		list, err := List(ctx, db, name)
		if err != nil {
			return Checkpoint{}, err
		}
		return choose(list, name, which)
	}
	list, err := List(ctx, db, ref)
	switch {
	case err == nil:
		if c, err := choose(list, ref, "best"); err == nil {
			return c, nil
		}
		return choose(list, ref, "last")
	case !errors.Is(err, store.ErrNotFound):
		return Checkpoint{}, err
	case len(ref) < 6:
		return Checkpoint{}, fmt.Errorf("%q is no experiment, and too short for an id: %w", ref, ErrNone)
	}
	if list, err = List(ctx, db, ""); err != nil {
		return Checkpoint{}, err
	}
	var found []Checkpoint
	for _, c := range list {
		if strings.HasPrefix(c.ID, strings.ToLower(ref)) || strings.HasPrefix(c.Hash, strings.ToLower(ref)) {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 0:
		return Checkpoint{}, fmt.Errorf("%q is neither an experiment nor the beginning of an id or a hash: %w", ref, ErrNone)
	case len(found) > 1 && !sameHash(found):
		return Checkpoint{}, fmt.Errorf("%q means %s and %s: %w", ref, found[0], found[1], ErrAmbiguous)
	}
	return found[len(found)-1], nil
}

func sameHash(list []Checkpoint) bool {
	for _, c := range list {
		if c.Hash == "" || c.Hash != list[0].Hash {
			return false
		}
	}
	return true
}

func choose(list []Checkpoint, experiment, which string) (Checkpoint, error) {
	n, err := strconv.ParseInt(which, 10, 64)
	numbered := err == nil
	if !numbered && which != "best" && which != "last" && which != "final" {
		return Checkpoint{}, fmt.Errorf("%q after @ is unknown: best, last, final, the number of an episode, candidate, staging or production", which)
	}
	for _, c := range slices.Backward(list) {
		if which == "last" || which == "best" && c.Best || which == "final" && c.Type == "final" || numbered && c.Episode != nil && *c.Episode == n {
			return c, nil
		}
	}
	if which == "best" && len(list) > 0 {
		return Checkpoint{}, fmt.Errorf("no checkpoint of %s was validated, so none is the best: %w", experiment, ErrNone)
	}
	return Checkpoint{}, fmt.Errorf("%s@%s: %w", experiment, which, ErrNone)
}

func staged(ctx context.Context, db Database, name, stage string) (Checkpoint, error) {
	history, err := History(ctx, db, name, stage)
	if err != nil {
		return Checkpoint{}, err
	}
	if len(history) == 0 {
		return Checkpoint{}, fmt.Errorf("nothing is in %s under the name %s: %w", stage, name, ErrNone)
	}
	return byID(ctx, db, history[0])
}

// byID returns the checkpoint of a promotion.
func byID(ctx context.Context, db Database, p store.Promotion) (Checkpoint, error) {
	list, err := List(ctx, db, p.Experiment)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, c := range list {
		if c.ID == p.CheckpointID {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("checkpoint %s of %s, which is in %s as %s: %w", p.CheckpointID, p.Experiment, p.Stage, p.Name, ErrNone)
}
