package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// mostArms is how many experiments, checkpoints and baselines one comparison may name.
const mostArms = 50

// comparing is how many comparisons are computed at the same time: each takes all cores.
const comparing = 2

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// judge answers with the comparison of what greenwave compare compares: the same pairs,
// refusals, tests and numbers. Files are not read.
func (s *Server) judge(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	arms, baselines := listOf(q, "experiments"), listOf(q, "baseline")
	if len(arms) == 0 || len(arms)+len(baselines) > mostArms {
		return badRequest("nothing_to_compare", fmt.Sprintf("experiments must name 1 to %d experiments, checkpoints (NAME@EPISODE) or baselines (NAME:BASELINE), as experiments=a,b", mostArms))
	}
	force, err := boolOf(q, "force")
	if err != nil {
		return err
	}
	metrics := listOf(q, "metrics")
	for name, list := range map[string][]string{"metrics": metrics, "baseline": baselines} {
		for _, n := range list {
			if !plainName.MatchString(n) {
				return badRequest("bad_"+name, fmt.Sprintf("%s names %q: must be names such as full_delay and max_pressure", name, n))
			}
		}
	}
	for i, ref := range arms {
		if _, err := uuid.Parse(ref); err == nil {
			e, err := s.find(r.Context(), ref)
			if err != nil {
				return err
			}
			arms[i] = e.Name
		}
	}
	contests, err := comparison.ChooseStored(r.Context(), arms, baselines, found{s.opt.Store, s})
	if err != nil {
		return incomparable(err)
	}
	select {
	case s.comparisons <- struct{}{}:
		defer func() { <-s.comparisons }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	result, err := comparison.Compare(contests, comparison.Options{Metrics: metrics, Force: force})
	if unlike, ok := errors.AsType[*comparison.UnlikeError](err); ok {
		return &Failure{Status: http.StatusConflict, Code: "unlike", Message: unlike.Error() + ": measure both under the same conditions, or add force=1, which marks the answer as unlike", Details: unlike}
	}
	if err != nil {
		return incomparable(err)
	}
	s.here()
	return s.json(w, r, result)
}

// found is the database in which only experiments are found that the caller's token is
// good for.
type found struct {
	store.Reader
	s *Server
}

// Experiment returns one by name.
func (f found) Experiment(ctx context.Context, name string) (store.Experiment, error) {
	if err := reach(ctx, name); err != nil {
		return store.Experiment{}, err
	}
	e, err := f.s.find(ctx, name)
	if err != nil {
		return store.Experiment{}, err
	}
	return f.Reader.Experiment(ctx, e.Name)
}

// incomparable is what stands in the way of a comparison, when it is not the database.
func incomparable(err error) error {
	if _, ok := errors.AsType[*Failure](err); ok {
		return err
	}
	for _, known := range []error{store.ErrNotFound, store.ErrTemporary, store.ErrAuth, store.ErrSchema, store.ErrForbidden, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	return &Failure{Status: http.StatusUnprocessableEntity, Code: "not_comparable", Message: err.Error()}
}
