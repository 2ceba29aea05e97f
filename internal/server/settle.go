package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
	"github.com/greenwave-traffic/greenwave/record"
)

// ingest is a body on its way into the database.
type ingest struct {
	s        *Server
	state    store.State
	lines    []wire.Line
	outcomes []wire.Outcome
	effect   store.Result
	refused  int // records in a row that the database refused

	// Of a sender that knows the run: it finds the record that is refused by itself.
	knows    bool
	from, to uint64
}

// settle applies the lines behind the run's cursor. A record that the database refuses
// becomes a dead letter, and the others are stored.
func (in *ingest) settle(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		batch, err := in.batch()
		if err != nil {
			return err
		}
		if batch.To == batch.From {
			return nil
		}
		err = in.apply(ctx, batch)
		if errors.Is(err, store.ErrCursorMoved) && attempt < 5 {
			// The same records came from elsewhere meanwhile.
			if in.state, err = in.s.stateOf(ctx, in.state.RunID); err != nil {
				return err
			}
			continue
		}
		if err == nil && in.effect.Superseded > 0 {
			err = in.findLosers(ctx, batch)
		}
		return err
	}
}

// settleFrom applies a batch of a sender that knows the run's cursor: it stands where
// the sender says, or nothing is done.
func (in *ingest) settleFrom(ctx context.Context) error {
	if in.state.Cursor != in.from {
		return moved(in.state.Cursor)
	}
	batch, err := in.batch()
	if err != nil || batch.To == batch.From {
		return err
	}
	in.effect, err = in.s.opt.Store.Apply(ctx, batch)
	return err
}

func moved(cursor uint64) *Failure {
	return &Failure{Status: http.StatusConflict, Code: wire.CodeCursorMoved, Details: map[string]uint64{"cursor": cursor},
		Message: fmt.Sprintf("the run's cursor is %d: somebody else has sent records of it, or its experiment was made again; send on from there", cursor)}
}

// mostRefused is how many records in a row the database may refuse before it is taken
// for broken.
const mostRefused = 100

// apply commits a stretch, and one that is refused in halves, down to the record that
// is the reason.
func (in *ingest) apply(ctx context.Context, b store.Batch) error {
	result, err := in.s.opt.Store.Apply(ctx, b)
	if err == nil {
		in.effect.Add(result)
		if result.Stored > 0 {
			in.refused = 0
		}
		return nil
	}
	if !errors.Is(err, store.ErrRefused) || len(b.Entries) == 0 || in.refused >= mostRefused {
		return err
	}
	if n := len(b.Entries); n > 1 {
		left, right := b, b
		at := b.Entries[n/2-1].Seq
		left.To, right.From = at, at
		left.Entries, right.Entries = b.Entries[:n/2], b.Entries[n/2:]
		first := len(b.Dead)
		if i := slices.IndexFunc(b.Dead, func(d store.DeadLetter) bool { return d.Seq > at }); i >= 0 {
			first = i
		}
		left.Dead, right.Dead = b.Dead[:first], b.Dead[first:]
		if err := in.apply(ctx, left); err != nil {
			return err
		}
		return in.apply(ctx, right)
	}
	in.refused++
	e := &b.Entries[0]
	reason := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "\uFFFD")
	b.Dead = append(slices.Clone(b.Dead), store.DeadLetter{
		RunID: b.RunID, Seq: e.Seq, Kind: e.Row.Schema.Kind, Reason: reason, Where: whereSent(e.Seq), Time: in.s.opt.Now(),
	})
	slices.SortFunc(b.Dead, func(x, y store.DeadLetter) int { return int(x.Seq) - int(y.Seq) })
	b.Entries = nil
	for i := range in.outcomes {
		if in.outcomes[i].Seq == e.Seq {
			in.outcomes[i].Outcome, in.outcomes[i].Reason = "refused", reason
		}
	}
	return in.apply(ctx, b)
}

// receipt asks the database what it has confirmed.
func (in *ingest) receipt(ctx context.Context) (wire.Receipt, error) {
	state, err := in.s.stateOf(ctx, in.state.RunID)
	if err != nil {
		return wire.Receipt{}, err
	}
	out := wire.Receipt{State: wireState(&state), Results: in.outcomes, Effect: wire.Effect(in.effect)}
	for _, o := range in.outcomes {
		switch {
		case o.Repeated:
			out.Applied.Repeated++
		case o.Outcome == "stored":
			out.Applied.Stored++
		case o.Outcome == "superseded":
			out.Applied.Superseded++
		default:
			out.Applied.Refused++
		}
	}
	return out, nil
}

// stateOf is what the database knows of a run.
func (s *Server) stateOf(ctx context.Context, runID string) (store.State, error) {
	states, err := s.opt.Store.States(ctx, []string{runID})
	if err != nil {
		return store.State{}, err
	}
	state, ok := reached(ctx, states)[strings.ToLower(runID)]
	if !ok {
		return state, &Failure{Status: http.StatusNotFound, Code: wire.CodeUnknownRun, Message: fmt.Sprintf("run %s is not known: send its header first, a line of kind header", runID)}
	}
	return state, nil
}

// batch makes a batch of the lines behind the cursor, which must follow it without a
// gap.
func (in *ingest) batch() (store.Batch, error) {
	state := in.state
	b := store.Batch{RunID: state.RunID, ExperimentID: state.ExperimentID, From: state.Cursor, To: state.Cursor}
	in.outcomes = nil
	last := uint64(0)
	for i := range in.lines {
		l := &in.lines[i]
		if l.Kind == "header" {
			continue
		}
		if l.Seq <= last {
			return b, badRequest("bad_order", fmt.Sprintf("record %d comes after record %d: send the records of a run in their order", l.Seq, last))
		}
		last = l.Seq
		if l.Seq <= state.Cursor {
			in.outcomes = append(in.outcomes, wire.Outcome{Seq: l.Seq, Outcome: "stored", Repeated: true})
			continue
		}
		if l.Seq != b.To+1 && !in.knows {
			return b, &Failure{Status: http.StatusConflict, Code: wire.CodeGap, Details: map[string]uint64{"cursor": state.Cursor},
				Message: fmt.Sprintf("records %d to %d are missing before record %d: send on from %d", b.To+1, l.Seq-1, l.Seq, b.To+1)}
		}
		b.To = l.Seq
		if err := in.take(&b, l); err != nil {
			return b, err
		}
	}
	if in.knows {
		if in.to < b.To {
			return b, badRequest("bad_to", fmt.Sprintf("to is %d, and record %d is in the body", in.to, b.To))
		}
		b.To = in.to // what is not in the body, the sender does not have
	}
	return b, nil
}

// take parses a record into a batch; one that breaks a rule is a dead letter.
func (in *ingest) take(b *store.Batch, l *wire.Line) error {
	entry, dead := entryOf(l, in.s.opt.Now())
	if dead != nil {
		if in.knows && l.Kind != "dead" {
			return &Failure{Status: http.StatusUnprocessableEntity, Code: wire.CodeRefused, Message: fmt.Sprintf("record %d: %s", l.Seq, dead.Reason)}
		}
		dead.RunID = b.RunID
		b.Dead = append(b.Dead, *dead)
		in.outcomes = append(in.outcomes, wire.Outcome{Seq: l.Seq, Outcome: "refused", Reason: dead.Reason})
		return nil
	}
	b.Entries = append(b.Entries, entry)
	in.outcomes = append(in.outcomes, wire.Outcome{Seq: l.Seq, Outcome: "stored"})
	return nil
}

func whereSent(seq uint64) string { return fmt.Sprintf("sent over HTTP, record %d", seq) }

// entryOf parses a record; one that breaks a rule is a dead letter.
func entryOf(l *wire.Line, now time.Time) (store.Entry, *store.DeadLetter) {
	if l.Kind == "dead" {
		var d wire.Dead
		if err := json.Unmarshal(l.Data, &d); err != nil || d.Reason == "" {
			d.Reason = "the sender could not send it and did not say why"
		}
		return store.Entry{}, &store.DeadLetter{Seq: l.Seq, Kind: record.Kind(d.Kind), Reason: d.Reason, Where: d.Where, Time: l.Time}
	}
	row, err := record.Parse(record.Kind(l.Kind), l.Data, new(record.Row))
	if err != nil {
		return store.Entry{}, &store.DeadLetter{Seq: l.Seq, Kind: record.Kind(l.Kind), Reason: err.Error(), Where: whereSent(l.Seq), Time: now}
	}
	row.Default(l.Time)
	return store.Entry{Seq: l.Seq, Time: l.Time, Row: row}, nil
}

// findLosers marks the records of a batch whose row holds another record.
func (in *ingest) findLosers(ctx context.Context, b store.Batch) error {
	at := make(map[uint64]*wire.Outcome, len(in.outcomes))
	for i := range in.outcomes {
		at[in.outcomes[i].Seq] = &in.outcomes[i]
	}
	keys := map[record.Kind][]store.Key{}
	mine := map[record.Kind]map[store.Key][]uint64{}
	for i := range b.Entries {
		e := &b.Entries[i]
		schema := e.Row.Schema
		if schema.Key == 0 || at[e.Seq].Outcome != "stored" {
			continue
		}
		k := store.KeyOf(b.RunID, e)
		if mine[schema.Kind] == nil {
			mine[schema.Kind] = map[store.Key][]uint64{}
		}
		if mine[schema.Kind][k] == nil {
			keys[schema.Kind] = append(keys[schema.Kind], k)
		}
		mine[schema.Kind][k] = append(mine[schema.Kind][k], e.Seq)
	}
	for kind, list := range keys {
		for chunk := range slices.Chunk(list, 1000) {
			found, err := in.s.opt.Store.Lookup(ctx, b.ExperimentID, kind, chunk)
			if err != nil {
				return err
			}
			for k, row := range found {
				for _, seq := range mine[kind][k] {
					if !strings.EqualFold(row.RunID, b.RunID) || row.Seq != seq {
						at[seq].Outcome = "superseded"
					}
				}
			}
		}
	}
	return nil
}

// replay tries records again that were dead letters.
func (in *ingest) replay(ctx context.Context) error {
	b := store.Batch{RunID: in.state.RunID, ExperimentID: in.state.ExperimentID}
	for i := range in.lines {
		l := &in.lines[i]
		if l.Kind == "header" {
			continue
		}
		if l.Seq > in.state.Cursor {
			return badRequest("not_settled", fmt.Sprintf("record %d was never sent: only dead letters can be tried again", l.Seq))
		}
		if err := in.take(&b, l); err != nil {
			return err
		}
	}
	var err error
	if in.effect, err = in.s.opt.Store.Replay(ctx, b); err != nil {
		return err
	}
	if in.effect.Superseded > 0 {
		return in.findLosers(ctx, b)
	}
	return nil
}

// wireState is a state as it travels.
func wireState(s *store.State) wire.State {
	return wire.State{
		RunID: s.RunID, Experiment: s.Experiment, ExperimentID: strings.ToLower(s.ExperimentID), Status: s.Status,
		Cursor: s.Cursor, Dead: s.Dead, Superseded: s.Superseded,
		Heartbeat: optionalTime(s.LastHeartbeat), LastRecord: optionalTime(s.LastRecord), UpdatedAt: optionalTime(s.UpdatedAt),
	}
}

// mostStates is how many runs can be asked about at a time.
const mostStates = 500

// runsOf reads the parameter runs: UUIDs.
func runsOf(q url.Values) ([]string, error) {
	runs := listOf(q, "runs")
	if len(runs) > mostStates {
		return nil, badRequest("too_many", fmt.Sprintf("%d runs: at most %d at a time", len(runs), mostStates))
	}
	for i, run := range runs {
		id, err := uuid.Parse(run)
		if err != nil {
			return nil, badRequest("bad_run", fmt.Sprintf("run %q is not a UUID", run))
		}
		runs[i] = id.String()
	}
	return runs, nil
}

// listStates says what is known of some runs.
func (s *Server) listStates(w http.ResponseWriter, r *http.Request) error {
	runs, err := runsOf(r.URL.Query())
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return badRequest("no_run", "runs is empty: name some, as runs=UUID,UUID")
	}
	states, err := s.opt.Store.States(r.Context(), runs)
	if err != nil {
		return err
	}
	states = reached(r.Context(), states)
	s.here()
	out := wire.States{Items: []wire.State{}}
	for _, run := range runs {
		if state, ok := states[run]; ok {
			out.Items = append(out.Items, wireState(&state))
		}
	}
	return s.json(w, r, out)
}

// markInterrupted says that a run has no process any more.
func (s *Server) markInterrupted(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(r.PathValue("run"))
	if err != nil {
		return badRequest("bad_run", fmt.Sprintf("run %q is not a UUID", r.PathValue("run")))
	}
	var in wire.Silence
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil {
		return badRequest("not_json", `the body must be {"since": "RFC 3339"}`)
	}
	if access.From(r.Context()) != nil {
		if _, err := s.stateOf(r.Context(), id.String()); err != nil {
			return err
		}
	}
	if err := s.opt.Store.MarkInterrupted(r.Context(), id.String(), in.Since); err != nil {
		return err
	}
	s.Changed(nil)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// placeOf reads the parameters from and to.
func placeOf(q url.Values) (from, to uint64, given bool, err error) {
	if q.Get("from") == "" && q.Get("to") == "" {
		return 0, 0, false, nil
	}
	var place [2]uint64
	for i, name := range []string{"from", "to"} {
		if place[i], err = strconv.ParseUint(q.Get(name), 10, 63); err != nil {
			return 0, 0, false, badRequest("bad_"+name, fmt.Sprintf("%s is %q: from must be the cursor of the last receipt, to the last record that this body settles", name, q.Get(name)))
		}
	}
	return place[0], place[1], true, nil
}
