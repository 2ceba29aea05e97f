package server

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

// letterKey is the place of a dead letter in the list.
type letterKey struct {
	Run string
	Seq uint64
}

// listDeadLetters answers with a page of dead letters, by run and sequence number.
func (s *Server) listDeadLetters(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q, 100, 10_000)
	if err != nil {
		return err
	}
	runs, err := runsOf(q)
	if err != nil {
		return err
	}
	ref := q.Get("experiment")
	if ref != "" || !access.From(r.Context()).ReachesAll() {
		where := "WHERE r.dead > 0"
		if ref != "" {
			e, err := s.find(r.Context(), ref)
			if err != nil {
				return err
			}
			where = fmt.Sprintf("WHERE r.experiment_id = '%s'", e.ID)
		}
		of, err := s.runs(r.Context(), where)
		if err != nil {
			return err
		}
		chosen := runs
		runs = nil
		for _, run := range of {
			if chosen == nil || slices.Contains(chosen, run.ID) {
				runs = append(runs, run.ID)
			}
		}
		if len(runs) == 0 {
			return s.json(w, r, wire.DeadLetters{Items: []wire.DeadLetter{}})
		}
	}
	var from letterKey
	if err := readCursor(r, &from); err != nil {
		return err
	}
	if runs != nil && from.Run != "" {
		runs = slices.DeleteFunc(runs, func(id string) bool { return id < from.Run })
		if len(runs) == 0 {
			return s.json(w, r, wire.DeadLetters{Items: []wire.DeadLetter{}})
		}
	}
	out := wire.DeadLetters{Items: []wire.DeadLetter{}}
	for d, err := range s.opt.Store.DeadLetters(r.Context(), runs) {
		if err != nil {
			return err
		}
		if cmp.Or(cmp.Compare(d.RunID, from.Run), cmp.Compare(d.Seq, from.Seq)) <= 0 && from.Run != "" {
			continue
		}
		if n := len(out.Items); n == limit {
			last := out.Items[n-1]
			out.More, out.Next = true, writeCursor(r, letterKey{last.RunID, last.Seq})
			break
		}
		out.Items = append(out.Items, wire.DeadLetter{RunID: d.RunID, Seq: d.Seq, Kind: string(d.Kind), Reason: d.Reason, Where: d.Where, RefusedAt: d.Time.UTC()})
	}
	s.here()
	return s.json(w, r, out)
}
