package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Line is a line of a body with records: a line of a journal, whose checksum may be
// left out. The first may be the run's header (kind "header"); seals are passed over.
type Line struct {
	Seq  uint64          `json:"seq"`  // 1, 2, 3, … in the run; 0: not a record
	Time time.Time       `json:"time"` // when it was logged; later in each line
	Kind string          `json:"kind"` // episode, step, checkpoint, validation, baseline, experiment, heartbeat, resource, end; header; dead
	Data json.RawMessage `json:"data"` // the record
}

// Header is the data of a line of kind "header": the run.
type Header struct {
	RunID       string          `json:"run_id"`
	Experiment  string          `json:"experiment"`
	Source      string          `json:"source"` // journal unless it says import
	Description string          `json:"description"`
	Config      json.RawMessage `json:"config"`
	Metadata    json.RawMessage `json:"metadata"`
	Host        string          `json:"host"`
	PID         int             `json:"pid"`
	StartedAt   time.Time       `json:"started_at"`
}

// Dead is the data of a line of kind "dead": a record that its sender cannot send,
// because it cannot be read or breaks a rule.
type Dead struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
	Where  string `json:"where"`
}

// Receipt is the answer to records.
type Receipt struct {
	RunID        string `json:"run_id"`
	Experiment   string `json:"experiment"`
	ExperimentID string `json:"experiment_id"`
	Status       string `json:"status"`     // of the run
	Cursor       uint64 `json:"cursor"`     // every record up to this one is settled: send the next
	Dead         uint64 `json:"dead"`       // of these, in dead letters
	Superseded   uint64 `json:"superseded"` // of these, lost to a record that was logged later
	Applied      Counts `json:"applied"`    // what this body did
	// Results are one for each record of the body, in its order; absent with brief.
	Results []Outcome `json:"results,omitempty"`
}

// Counts are what a body did.
type Counts struct {
	Stored     int `json:"stored"`
	Superseded int `json:"superseded"`
	Refused    int `json:"refused"`
	Repeated   int `json:"repeated"` // were settled before
}

// Outcome is what became of a record.
type Outcome struct {
	Seq      uint64 `json:"seq"`
	Outcome  string `json:"outcome"`            // stored, superseded or refused
	Reason   string `json:"reason,omitempty"`   // why it was refused
	Repeated bool   `json:"repeated,omitempty"` // it had been sent before
}

var errBody = &Failure{Status: http.StatusBadRequest, Code: "body_cut_off", Message: "the body stopped before its end: nothing of it was stored, send it again"}

// takeRecords stores the records of a body. Everything in it is stored, or with an
// error nothing.
func (s *Server) takeRecords(w http.ResponseWriter, r *http.Request) error {
	release, err := s.admit(r)
	if err != nil {
		return err
	}
	defer release()
	q := r.URL.Query()
	header := &Header{RunID: q.Get("run"), Experiment: q.Get("experiment")}
	lines, err := s.readLines(w, r, header)
	if err != nil {
		return err
	}
	if _, err := uuid.Parse(header.RunID); err != nil || header.Experiment == "" {
		return badRequest("no_run", "which run the records are of is not said: give ?run=UUID&experiment=NAME, or a first line of kind header with run_id and experiment")
	}
	run := header.run()
	if raw, ok := headerOf(lines); ok {
		run.Header = raw
	}
	state, err := s.opt.Store.Register(r.Context(), run, q.Get("restore") != "")
	if err != nil {
		return err
	}
	var receipt Receipt
	if q.Get("replay") != "" {
		receipt, err = s.replay(r.Context(), state, lines)
	} else {
		receipt, err = s.settle(r.Context(), state, lines)
	}
	if err != nil {
		return err
	}
	s.here()
	s.meters.records.Add(float64(receipt.Applied.Stored + receipt.Applied.Superseded))
	s.meters.refused.Add(float64(receipt.Applied.Refused))
	s.Changed([]string{strings.ToLower(receipt.ExperimentID)})
	if q.Get("brief") != "" {
		receipt.Results = nil
	}
	return s.json(w, r, receipt)
}

// admit refuses what is too much, with the time after which to try again. Whoever
// sends keeps a journal, so nothing is lost.
func (s *Server) admit(r *http.Request) (release func(), err error) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if wait := s.rates.wait(host, s.opt.Now()); wait > 0 {
		s.meters.refusals.Inc()
		return nil, &Failure{Status: http.StatusTooManyRequests, Code: "too_many_requests", Retry: wait,
			Message: fmt.Sprintf("more than %g bodies a second came from this address: send more records in each, or wait", s.opt.Rate)}
	}
	select {
	case s.ingests <- struct{}{}:
		return func() { <-s.ingests }, nil
	default:
		s.meters.refusals.Inc()
		return nil, &Failure{Status: http.StatusTooManyRequests, Code: "busy", Retry: time.Second,
			Message: fmt.Sprintf("%d bodies are being stored already: try again in a second", cap(s.ingests))}
	}
}

// readLines reads a body whole. A header among the lines is read into header.
func (s *Server) readLines(w http.ResponseWriter, r *http.Request, header *Header) ([]Line, error) {
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
	default:
		return nil, &Failure{Status: http.StatusUnsupportedMediaType, Code: "not_ndjson",
			Message: fmt.Sprintf("the content type is %q: send application/x-ndjson, one record a line", r.Header.Get("Content-Type"))}
	}
	body := io.Reader(http.MaxBytesReader(w, r.Body, s.opt.MaxBody))
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, badRequest("not_gzip", "the body is not gzip, as its Content-Encoding says")
		}
		body = z
	case "zstd":
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(s.opt.MaxBody)+1<<20))
		if err != nil {
			return nil, badRequest("not_zstd", "the body is not zstd, as its Content-Encoding says")
		}
		defer z.Close()
		body = z
	default:
		return nil, &Failure{Status: http.StatusUnsupportedMediaType, Code: "unknown_encoding", Message: fmt.Sprintf("the content encoding %q is not known: send plain, gzip or zstd", encoding)}
	}
	limited := &io.LimitedReader{R: body, N: s.opt.MaxBody + 1}
	in := bufio.NewReaderSize(limited, 256<<10)
	var lines []Line
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		text = bytes.TrimSpace(text)
		if limited.N <= 0 {
			return nil, &Failure{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: fmt.Sprintf("the body has more than %d bytes when it is decompressed: send fewer records at a time", s.opt.MaxBody)}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
				return nil, err
			}
			return nil, errBody
		}
		if len(text) > 0 {
			if int64(len(text)) > s.opt.MaxRecord {
				return nil, &Failure{Status: http.StatusRequestEntityTooLarge, Code: "record_too_large", Message: fmt.Sprintf("line %d has %d bytes: a record may have %d", n, len(text), s.opt.MaxRecord)}
			}
			line, bad := readLine(text)
			if bad != nil {
				return nil, badRequest("bad_line", fmt.Sprintf("line %d: %v: nothing of the body was stored", n, bad))
			}
			switch line.Kind {
			case "header":
				if err := json.Unmarshal(line.Data, header); err != nil {
					return nil, badRequest("bad_line", fmt.Sprintf("line %d: the header: %v: nothing of the body was stored", n, err))
				}
				lines = append(lines, line)
			case "seal", "index":
			default:
				lines = append(lines, line)
			}
		}
		if err != nil {
			return lines, nil
		}
	}
}

func readLine(text []byte) (Line, error) {
	var line Line
	if err := json.Unmarshal(text, &line); err != nil {
		return line, fmt.Errorf("it is not a JSON object with seq, time, kind and data: %w", err)
	}
	switch {
	case line.Kind == "":
		return line, errors.New(`"kind" is missing`)
	case line.Kind == "header" || line.Kind == "seal" || line.Kind == "index":
		return line, nil
	case line.Seq == 0:
		return line, errors.New(`"seq" is missing: records of a run are numbered 1, 2, 3, …`)
	case line.Time.IsZero():
		return line, errors.New(`"time" is missing: when the record was logged, RFC 3339`)
	case len(line.Data) == 0:
		return line, errors.New(`"data" is missing: the record, an object`)
	}
	return line, nil
}

func headerOf(lines []Line) (json.RawMessage, bool) {
	for _, l := range lines {
		if l.Kind == "header" {
			return l.Data, true
		}
	}
	return nil, false
}

func (h *Header) run() store.Run {
	run := store.Run{
		ID: strings.ToLower(h.RunID), Experiment: h.Experiment, Source: h.Source, Host: h.Host, PID: h.PID, StartedAt: h.StartedAt,
		Config: h.Config, Description: h.Description, Metadata: h.Metadata,
	}
	if run.Source != "import" {
		run.Source = "journal"
	}
	if run.StartedAt.IsZero() {
		run.StartedAt = time.Now().UTC()
	}
	return run
}

// settle applies the lines behind the run's cursor.
func (s *Server) settle(ctx context.Context, state store.State, lines []Line) (Receipt, error) {
	for attempt := 0; ; attempt++ {
		batch, outcomes, err := batchOf(state, lines, s.opt.Now())
		if err != nil {
			return Receipt{}, err
		}
		var result store.Result
		if batch.To > batch.From {
			result, err = s.opt.Store.Apply(ctx, batch)
		}
		if errors.Is(err, store.ErrCursorMoved) && attempt < 5 {
			// The same records came from elsewhere meanwhile.
			states, stateErr := s.opt.Store.States(ctx, []string{state.RunID})
			if stateErr != nil {
				return Receipt{}, stateErr
			}
			state = states[state.RunID]
			continue
		}
		if err != nil {
			return Receipt{}, err
		}
		if result.Superseded > 0 {
			if err := s.findLosers(ctx, batch, outcomes); err != nil {
				return Receipt{}, err
			}
		}
		return s.receipt(ctx, state, outcomes)
	}
}

// receipt asks the database what it has confirmed.
func (s *Server) receipt(ctx context.Context, state store.State, outcomes []Outcome) (Receipt, error) {
	states, err := s.opt.Store.States(ctx, []string{state.RunID})
	if err != nil {
		return Receipt{}, err
	}
	if now, ok := states[state.RunID]; ok {
		state = now
	}
	out := Receipt{
		RunID: state.RunID, Experiment: state.Experiment, ExperimentID: state.ExperimentID, Status: state.Status,
		Cursor: state.Cursor, Dead: state.Dead, Superseded: state.Superseded, Results: outcomes,
	}
	for _, o := range outcomes {
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

// batchOf makes a batch of the lines behind the cursor, which must follow it without
// a gap.
func batchOf(state store.State, lines []Line, now time.Time) (store.Batch, []Outcome, error) {
	b := store.Batch{RunID: state.RunID, ExperimentID: state.ExperimentID, From: state.Cursor, To: state.Cursor}
	var outcomes []Outcome
	last := uint64(0)
	for i := range lines {
		l := &lines[i]
		if l.Kind == "header" {
			continue
		}
		if l.Seq <= last {
			return b, nil, badRequest("bad_order", fmt.Sprintf("record %d comes after record %d: send the records of a run in their order", l.Seq, last))
		}
		last = l.Seq
		if l.Seq <= state.Cursor {
			outcomes = append(outcomes, Outcome{Seq: l.Seq, Outcome: "stored", Repeated: true})
			continue
		}
		if l.Seq != b.To+1 {
			return b, nil, &Failure{Status: http.StatusConflict, Code: "gap", Details: map[string]uint64{"cursor": state.Cursor},
				Message: fmt.Sprintf("records %d to %d are missing before record %d: send on from %d", b.To+1, l.Seq-1, l.Seq, b.To+1)}
		}
		b.To = l.Seq
		entry, dead := entryOf(l, now)
		if dead != nil {
			dead.RunID = state.RunID
			b.Dead = append(b.Dead, *dead)
			outcomes = append(outcomes, Outcome{Seq: l.Seq, Outcome: "refused", Reason: dead.Reason})
			continue
		}
		b.Entries = append(b.Entries, entry)
		outcomes = append(outcomes, Outcome{Seq: l.Seq, Outcome: "stored"})
	}
	return b, outcomes, nil
}

// entryOf parses a record; one that breaks a rule is a dead letter.
func entryOf(l *Line, now time.Time) (store.Entry, *store.DeadLetter) {
	where := fmt.Sprintf("sent over HTTP, record %d", l.Seq)
	if l.Kind == "dead" {
		var d Dead
		if err := json.Unmarshal(l.Data, &d); err != nil || d.Reason == "" {
			d.Reason = "the sender could not send it and did not say why"
		}
		if d.Where != "" {
			where = d.Where
		}
		return store.Entry{}, &store.DeadLetter{Seq: l.Seq, Kind: record.Kind(d.Kind), Reason: d.Reason, Where: where, Time: now}
	}
	row, err := record.Parse(record.Kind(l.Kind), l.Data, new(record.Row))
	if err != nil {
		return store.Entry{}, &store.DeadLetter{Seq: l.Seq, Kind: record.Kind(l.Kind), Reason: err.Error(), Where: where, Time: now}
	}
	row.Default(l.Time)
	return store.Entry{Seq: l.Seq, Time: l.Time, Row: row}, nil
}

// findLosers marks the records of a batch whose row holds another record.
func (s *Server) findLosers(ctx context.Context, b store.Batch, outcomes []Outcome) error {
	at := make(map[uint64]*Outcome, len(outcomes))
	for i := range outcomes {
		at[outcomes[i].Seq] = &outcomes[i]
	}
	keys := map[record.Kind][]store.Key{}
	mine := map[record.Kind]map[store.Key][]uint64{}
	for i := range b.Entries {
		e := &b.Entries[i]
		schema := e.Row.Schema
		if schema.Key == 0 {
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
			found, err := s.opt.Store.Lookup(ctx, b.ExperimentID, kind, chunk)
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
func (s *Server) replay(ctx context.Context, state store.State, lines []Line) (Receipt, error) {
	b := store.Batch{RunID: state.RunID, ExperimentID: state.ExperimentID}
	var outcomes []Outcome
	for i := range lines {
		l := &lines[i]
		if l.Kind == "header" {
			continue
		}
		if l.Seq > state.Cursor {
			return Receipt{}, badRequest("not_settled", fmt.Sprintf("record %d was never sent: only dead letters can be tried again", l.Seq))
		}
		entry, dead := entryOf(l, s.opt.Now())
		if dead != nil {
			dead.RunID = state.RunID
			b.Dead = append(b.Dead, *dead)
			outcomes = append(outcomes, Outcome{Seq: l.Seq, Outcome: "refused", Reason: dead.Reason})
			continue
		}
		b.Entries = append(b.Entries, entry)
		outcomes = append(outcomes, Outcome{Seq: l.Seq, Outcome: "stored"})
	}
	result, err := s.opt.Store.Replay(ctx, b)
	if err != nil {
		return Receipt{}, err
	}
	if result.Superseded > 0 {
		if err := s.findLosers(ctx, b, outcomes); err != nil {
			return Receipt{}, err
		}
	}
	return s.receipt(ctx, state, outcomes)
}

// Silence is when a run was last heard of.
type Silence struct {
	Since time.Time `json:"since"`
}

// markInterrupted says that a run has no process any more.
func (s *Server) markInterrupted(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(r.PathValue("run"))
	if err != nil {
		return badRequest("bad_run", fmt.Sprintf("run %q is not a UUID", r.PathValue("run")))
	}
	var in Silence
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil {
		return badRequest("not_json", `the body must be {"since": "RFC 3339"}`)
	}
	if err := s.opt.Store.MarkInterrupted(r.Context(), id.String(), in.Since); err != nil {
		return err
	}
	s.Changed(nil)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// rates counts the bodies of each address: a bucket that holds two seconds' worth.
type rates struct {
	perSecond float64
	mu        sync.Mutex
	buckets   map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// wait takes one out of the address's bucket; when it is empty it says how long until
// there is one.
func (l *rates) wait(host string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil || len(l.buckets) > 10_000 {
		l.buckets = map[string]*bucket{}
	}
	b := l.buckets[host]
	if b == nil {
		b = &bucket{left: 2 * l.perSecond, at: now}
		l.buckets[host] = b
	}
	b.left = min(2*l.perSecond, b.left+now.Sub(b.at).Seconds()*l.perSecond)
	b.at = now
	if b.left < 1 {
		return time.Duration((1 - b.left) / l.perSecond * float64(time.Second))
	}
	b.left--
	return 0
}
