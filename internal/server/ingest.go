package server

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

var errBody = &Failure{Status: http.StatusBadRequest, Code: "body_cut_off", Message: "the body stopped before its end: nothing of it was stored, send it again"}

// takeRecords stores the records of a body. What is wrong with the body itself is found
// before anything is stored.
func (s *Server) takeRecords(w http.ResponseWriter, r *http.Request) error {
	release, err := s.admit(r)
	if err != nil {
		return err
	}
	defer release()
	q := r.URL.Query()
	header := &wire.Header{RunID: q.Get("run"), Experiment: q.Get("experiment")}
	var flags [3]bool
	for i, name := range []string{"brief", "restore", "replay"} {
		if flags[i], err = boolOf(q, name); err != nil {
			return err
		}
	}
	brief, restore, replay := flags[0], flags[1], flags[2]
	in := &ingest{s: s}
	if in.from, in.to, in.knows, err = placeOf(q); err != nil {
		return err
	}
	in.knows = in.knows || replay && q.Get("experiment_id") != ""
	if in.lines, err = s.readLines(w, r, header); err != nil {
		return err
	}
	if _, err := uuid.Parse(header.RunID); err != nil {
		return badRequest(wire.CodeNoRun, "which run the records are of is not said: give ?run=UUID&experiment=NAME, or a first line of kind header with run_id and experiment")
	}
	if in.state, err = s.runOf(r, header, in.lines, restore); err != nil {
		return err
	}
	switch {
	case replay:
		err = in.replay(r.Context())
	case in.knows:
		err = in.settleFrom(r.Context())
	default:
		err = in.settle(r.Context())
	}
	if err != nil {
		return err
	}
	receipt, err := in.receipt(r.Context())
	if err != nil {
		return err
	}
	s.here()
	s.meters.records.Add(float64(receipt.Applied.Stored + receipt.Applied.Superseded))
	s.meters.refused.Add(float64(receipt.Applied.Refused))
	s.Changed([]string{receipt.ExperimentID})
	if brief {
		receipt.Results = nil
	}
	return s.json(w, r, receipt)
}

// runOf registers the run that a body is of, or finds it when the sender names the
// experiment by its id: that is a run which has been registered before.
func (s *Server) runOf(r *http.Request, header *wire.Header, lines []wire.Line, restore bool) (store.State, error) {
	if id := r.URL.Query().Get("experiment_id"); id != "" {
		state, err := s.stateOf(r.Context(), header.RunID)
		switch {
		case err != nil:
			return state, err
		case state.ExperimentID == "":
			return state, fmt.Errorf("experiment %q: %w", state.Experiment, store.ErrExperimentDeleted)
		case !strings.EqualFold(state.ExperimentID, id):
			return state, moved(state.Cursor)
		}
		return state, nil
	}
	if header.Experiment == "" {
		return store.State{}, badRequest(wire.CodeNoRun, "which experiment the run belongs to is not said: give ?experiment=NAME, or a first line of kind header with run_id and experiment")
	}
	if err := reach(r.Context(), header.Experiment); err != nil {
		return store.State{}, err
	}
	run := runOfHeader(header)
	if raw, ok := headerOf(lines); ok && run.Header == nil {
		run.Header = raw
	}
	state, err := s.opt.Store.Register(r.Context(), run, restore)
	if err == nil {
		err = reach(r.Context(), state.Experiment) // the run may be another experiment's
	}
	return state, err
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
func (s *Server) readLines(w http.ResponseWriter, r *http.Request, header *wire.Header) ([]wire.Line, error) {
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
	var lines []wire.Line
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		text = bytes.TrimSpace(text)
		if limited.N <= 0 {
			return nil, &Failure{Status: http.StatusRequestEntityTooLarge, Code: wire.CodeBodyTooLarge, Message: fmt.Sprintf("the body has more than %d bytes when it is decompressed: send fewer records at a time", s.opt.MaxBody)}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
				return nil, err
			}
			return nil, errBody
		}
		if len(text) > 0 {
			if int64(len(text)) > s.opt.MaxRecord {
				return nil, &Failure{Status: http.StatusRequestEntityTooLarge, Code: wire.CodeRecordTooLarge, Message: fmt.Sprintf("line %d has %d bytes: a record may have %d", n, len(text), s.opt.MaxRecord)}
			}
			line, bad := readLine(text)
			if bad != nil {
				return nil, badRequest(wire.CodeBadLine, fmt.Sprintf("line %d: %v: nothing of the body was stored", n, bad))
			}
			switch line.Kind {
			case "header":
				if err := json.Unmarshal(line.Data, header); err != nil {
					return nil, badRequest(wire.CodeBadLine, fmt.Sprintf("line %d: the header: %v: nothing of the body was stored", n, err))
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

func readLine(text []byte) (wire.Line, error) {
	var line wire.Line
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

func headerOf(lines []wire.Line) (json.RawMessage, bool) {
	for _, l := range lines {
		if l.Kind == "header" {
			return l.Data, true
		}
	}
	return nil, false
}

func runOfHeader(h *wire.Header) store.Run {
	run := store.Run{
		ID: strings.ToLower(h.RunID), Experiment: h.Experiment, Source: h.Source, Host: h.Host, PID: h.PID, StartedAt: h.StartedAt,
		Config: h.Config, Description: h.Description, Metadata: h.Metadata, Header: h.Header,
	}
	if run.Source != "import" {
		run.Source = "journal"
	}
	if run.StartedAt.IsZero() {
		run.StartedAt = time.Now().UTC()
	}
	return run
}

// rates counts the bodies of each address: a bucket that holds two seconds' worth.
type rates struct {
	perSecond float64
	most      float64 // in a full bucket; 0: those of two seconds
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
		b = &bucket{left: l.full(), at: now}
		l.buckets[host] = b
	}
	b.left = min(l.full(), b.left+now.Sub(b.at).Seconds()*l.perSecond)
	b.at = now
	if b.left < 1 {
		return time.Duration((1 - b.left) / l.perSecond * float64(time.Second))
	}
	b.left--
	return 0
}

func (l *rates) full() float64 { return cmp.Or(l.most, 2*l.perSecond) }

// give puts back what was taken.
func (l *rates) give(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[host]; b != nil {
		b.left = min(l.full(), b.left+1)
	}
}
