package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Order says who wants a checkpoint in which stage, and why.
type Order struct {
	Name, Stage string
	By, Reason  string
	Evidence    any // what it was decided on; nil: nothing
	Now         time.Time
}

// History lists the promotions of a name and stage, the latest, which holds, first.
func History(ctx context.Context, db store.Modeler, name, stage string) ([]store.Promotion, error) {
	all, err := db.Promotions(ctx, name)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p store.Promotion) bool { return p.Stage != stage }), nil
}

// inForce returns of each name and stage the promotion that holds.
func inForce(ctx context.Context, db store.Modeler) ([]store.Promotion, error) {
	all, err := db.Promotions(ctx, "")
	if err != nil {
		return nil, err
	}
	seen := map[Stage]bool{}
	return slices.DeleteFunc(all, func(p store.Promotion) bool {
		key := Stage{p.Name, p.Stage}
		old := seen[key]
		seen[key] = true
		return old
	}), nil
}

// Promote puts a checkpoint into a stage. What was there before is returned; it stays in
// the history.
func Promote(ctx context.Context, db store.Modeler, c Checkpoint, o Order) (before *store.Promotion, err error) {
	if !slices.Contains(store.Stages, o.Stage) {
		return nil, fmt.Errorf("stage %q is unknown: candidate, staging or production", o.Stage)
	}
	if c.Hash == "" {
		return nil, fmt.Errorf("%s: %w", c, ErrNoHash)
	}
	history, err := History(ctx, db, o.Name, o.Stage)
	if err != nil {
		return nil, err
	}
	after := ""
	if len(history) > 0 {
		before, after = &history[0], history[0].ID
		if before.CheckpointID == c.ID {
			return before, fmt.Errorf("%s is in %s as %s already", c, o.Stage, o.Name)
		}
	}
	return before, add(ctx, db, store.Promotion{ExperimentID: c.ExperimentID, CheckpointID: c.ID, Hash: c.Hash}, o, after)
}

func add(ctx context.Context, db store.Modeler, p store.Promotion, o Order, after string) error {
	p.ID, p.Name, p.Stage, p.SetAt, p.SetBy, p.Reason = uuid.NewString(), o.Name, o.Stage, o.Now, o.By, o.Reason
	if o.Evidence != nil {
		text, err := json.Marshal(o.Evidence)
		if err != nil {
			return fmt.Errorf("evidence of a promotion: %w", err)
		}
		p.Evidence = text
	}
	return db.Promote(ctx, p, after)
}

// ErrNothingBefore means that there is nothing to go back to.
var ErrNothingBefore = errors.New("nothing was there before")

// Rollback puts back what was in a stage before. Rolling back again goes back further.
func Rollback(ctx context.Context, db store.Modeler, o Order) (from, to store.Promotion, err error) {
	history, err := History(ctx, db, o.Name, o.Stage)
	if err != nil {
		return from, to, err
	}
	if len(history) == 0 {
		return from, to, fmt.Errorf("nothing is in %s as %s: %w", o.Stage, o.Name, ErrNothingBefore)
	}
	var standing []store.Promotion // as if nothing had been rolled back
	for _, p := range slices.Backward(history) {
		if rolledBack(p) {
			standing = standing[:max(0, len(standing)-1)]
		} else {
			standing = append(standing, p)
		}
	}
	if len(standing) < 2 {
		return history[0], to, fmt.Errorf("%s of %s: %w", o.Stage, o.Name, ErrNothingBefore)
	}
	from, to = standing[len(standing)-1], standing[len(standing)-2]
	o.Evidence = map[string]string{"rolled_back": from.ID, "to": to.ID}
	return from, to, add(ctx, db, store.Promotion{ExperimentID: to.ExperimentID, CheckpointID: to.CheckpointID, Hash: to.Hash}, o, history[0].ID)
}

func rolledBack(p store.Promotion) bool {
	var e struct {
		RolledBack string `json:"rolled_back"`
	}
	return json.Unmarshal(p.Evidence, &e) == nil && e.RolledBack != ""
}

// Prunable lists the checkpoints whose files may go: neither staged anywhere, now or
// before in production, nor the best, nor of type best or final, nor among the last keep
// of their experiment, nor one file with such a checkpoint.
func Prunable(ctx context.Context, db Database, experiment string, keep int) ([]Checkpoint, error) {
	all, err := List(ctx, db, "")
	if err != nil {
		return nil, err
	}
	promotions, err := db.Promotions(ctx, "")
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for _, p := range promotions {
		if p.Stage == "production" { // a rollback wants it
			needed[p.Hash] = true
		}
	}
	left := map[string]int{} // experiment → checkpoints that follow
	for _, c := range all {
		left[c.Experiment]++
	}
	var candidates []Checkpoint
	for _, c := range all {
		left[c.Experiment]--
		if experiment != "" && c.Experiment != experiment || c.Best || c.Type != "regular" || len(c.Stages) > 0 || left[c.Experiment] < keep {
			needed[c.Hash] = true
		} else if c.Hash != "" && len(c.Stored) > 0 {
			candidates = append(candidates, c)
		}
	}
	return slices.DeleteFunc(candidates, func(c Checkpoint) bool { return needed[c.Hash] }), nil
}
