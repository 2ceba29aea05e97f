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

// Compared is a comparison, or why there is none.
type Compared struct {
	Comparison *comparison.Result `json:"comparison,omitempty"`
	Refused    *Refusal           `json:"refused,omitempty"`
}

// Refusal says why things are not compared.
type Refusal struct {
	Code        string   `json:"code"` // unlike: the conditions differ, and force=1 compares all the same; not_comparable: there is nothing to pair
	Message     string   `json:"message"`
	A           string   `json:"a,omitempty"`
	B           string   `json:"b,omitempty"`
	Differences []string `json:"differences,omitempty"` // of A and B
}

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
		return s.refuse(w, r, err)
	}
	select {
	case s.comparisons <- struct{}{}:
		defer func() { <-s.comparisons }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	result, err := comparison.Compare(contests, comparison.Options{Metrics: metrics, Force: force})
	if err != nil {
		return s.refuse(w, r, err)
	}
	s.here()
	return s.json(w, r, Compared{Comparison: result})
}

// refuse answers with what stands in the way of a comparison; what is the database's
// fault, or an experiment that is not there, stays an error.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	if unlike, ok := errors.AsType[*comparison.UnlikeError](err); ok {
		return s.json(w, r, Compared{Refused: &Refusal{Code: "unlike", Message: unlike.Error(), A: unlike.A, B: unlike.B, Differences: unlike.Differences}})
	}
	if _, ok := errors.AsType[*Failure](err); ok {
		return err
	}
	for _, known := range []error{store.ErrNotFound, store.ErrTemporary, store.ErrAuth, store.ErrSchema, store.ErrForbidden, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	return s.json(w, r, Compared{Refused: &Refusal{Code: "not_comparable", Message: err.Error()}})
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
