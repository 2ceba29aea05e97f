package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
)

// How long an examination is good for, and how long it may take. It reads much and tries
// many things, so that all who ask within that time get the same.
const (
	examinationKept = time.Minute
	examinationTime = 3 * time.Minute
)

// examinations makes one at a time.
type examinations struct {
	turn chan struct{} // holds a token while nobody makes one
	last doctor.Examination
	at   time.Time
}

// examination returns what the checks said no longer than a minute ago, or makes them.
func (s *Server) examination(ctx context.Context) (doctor.Examination, error) {
	select {
	case s.examined.turn <- struct{}{}:
		defer func() { <-s.examined.turn }()
	case <-ctx.Done():
		return doctor.Examination{}, ctx.Err()
	}
	if s.examined.at.IsZero() || time.Since(s.examined.at) > examinationKept {
		// Not as the caller, who may be gone before it ends: it is everybody's.
		own, cancel := context.WithTimeout(context.Background(), examinationTime)
		defer cancel()
		r, err := s.opt.Doctor(own) //nolint:contextcheck // as above
		if err != nil {
			return r, err
		}
		s.examined.last, s.examined.at = r, time.Now()
	}
	return s.examined.last, nil
}

// showExamination answers with the checks of a phase.
func (s *Server) showExamination(w http.ResponseWriter, r *http.Request) error {
	phase := doctor.Phase(r.URL.Query().Get("phase"))
	if phase != "" && !slices.Contains(doctor.Phases, phase) {
		return badRequest("bad_phase", fmt.Sprintf("phase is %q: must be before, during or after", phase))
	}
	e, err := s.examination(r.Context())
	if err != nil {
		return err
	}
	if phase != "" {
		e = e.Of(phase)
	}
	return s.json(w, r, e)
}
