package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
	"github.com/greenwave-traffic/greenwave/record"
)

// Register sends the run's header; see [store.Destination].
func (s *Store) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	const doing = "register a run"
	if !utf8.ValidString(run.Experiment) || !utf8.ValidString(run.Description) {
		return store.State{}, s.invalid(doing, errors.New("name or description of the experiment is not valid UTF-8"))
	}
	data, err := json.Marshal(wire.Header{
		RunID: run.ID, Experiment: run.Experiment, Source: run.Source, Description: run.Description, Config: run.Config, Metadata: run.Metadata,
		Host: run.Host, PID: run.PID, StartedAt: run.StartedAt, Header: run.Header,
	})
	if err != nil {
		return store.State{}, s.invalid(doing, err)
	}
	line, err := json.Marshal(wire.Line{Kind: "header", Data: data})
	if err != nil {
		return store.State{}, s.invalid(doing, err)
	}
	q := url.Values{"brief": {"true"}}
	if restore {
		q.Set("restore", "true")
	}
	var receipt wire.Receipt
	if err := s.post(ctx, doing, "/records", q, line, &receipt); err != nil {
		return store.State{}, err
	}
	return stateOf(&receipt.State), nil
}

func (s *Store) invalid(doing string, err error) error {
	return &failure{class: store.ErrRefused, text: fmt.Sprintf("%s: %s: %s: %v", s.name, doing, store.ErrRefused, err), err: err}
}

// Apply sends a batch; see [store.Destination].
func (s *Store) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	return s.send(ctx, "store records", &b, url.Values{"from": {strconv.FormatUint(b.From, 10)}, "to": {strconv.FormatUint(b.To, 10)}})
}

// Replay sends records again that were dead letters; see [store.Destination].
func (s *Store) Replay(ctx context.Context, b store.Batch) (store.Result, error) {
	return s.send(ctx, "store dead letters", &b, url.Values{"replay": {"true"}})
}

func (s *Store) send(ctx context.Context, doing string, b *store.Batch, q url.Values) (store.Result, error) {
	q.Set("run", b.RunID)
	q.Set("experiment_id", b.ExperimentID)
	q.Set("brief", "true")
	body := s.bodies.Get().(*bytes.Buffer)
	defer s.bodies.Put(body)
	body.Reset()
	if err := appendLines(body, b); err != nil {
		return store.Result{}, s.invalid(doing, err)
	}
	var receipt wire.Receipt
	if err := s.post(ctx, doing, "/records", q, body.Bytes(), &receipt); err != nil {
		return store.Result{}, err
	}
	return store.Result(receipt.Effect), nil
}

// appendLines writes a batch as lines: entries and dead letters by sequence number.
func appendLines(body *bytes.Buffer, b *store.Batch) error {
	line := body.AvailableBuffer()
	next := 0
	dead := func(upTo uint64) error {
		for ; next < len(b.Dead) && b.Dead[next].Seq < upTo; next++ {
			d := &b.Dead[next]
			data, err := json.Marshal(wire.Dead{Kind: string(d.Kind), Reason: d.Reason, Where: d.Where})
			if err != nil {
				return err
			}
			line = append(appendHead(line, d.Seq, d.Time, "dead"), data...)
			line = append(line, "}\n"...)
		}
		return nil
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		if err := dead(e.Seq); err != nil {
			return err
		}
		e.Row.Default(e.Time)
		line = appendHead(line, e.Seq, e.Time, e.Row.Schema.Kind)
		line = record.AppendRow(line, &e.Row)
		line = append(line, "}\n"...)
		if len(line) > 64<<10 {
			body.Write(line)
			line = body.AvailableBuffer()
		}
	}
	if err := dead(^uint64(0)); err != nil {
		return err
	}
	body.Write(line)
	return nil
}

func appendHead(line []byte, seq uint64, at time.Time, kind record.Kind) []byte {
	line = strconv.AppendUint(append(line, `{"seq":`...), seq, 10)
	line = at.UTC().AppendFormat(append(line, `,"time":"`...), time.RFC3339Nano)
	line = append(append(line, `","kind":"`...), kind...)
	return append(line, `","data":`...)
}

// MarkInterrupted says that a run has no process any more; see [store.Destination].
func (s *Store) MarkInterrupted(ctx context.Context, runID string, since time.Time) error {
	body, err := json.Marshal(wire.Silence{Since: since})
	if err != nil {
		return s.invalid("mark a run as interrupted", err)
	}
	return s.do(ctx, "mark a run as interrupted", http.MethodPost, "/runs/"+url.PathEscape(runID)+"/interrupted", body,
		map[string]string{"Content-Type": "application/json"}, nil)
}

func stateOf(w *wire.State) store.State {
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	}
	return store.State{
		RunID: strings.ToLower(w.RunID), Experiment: w.Experiment, ExperimentID: w.ExperimentID, Cursor: w.Cursor, Dead: w.Dead, Superseded: w.Superseded,
		Status: w.Status, LastHeartbeat: at(w.Heartbeat), LastRecord: at(w.LastRecord), UpdatedAt: at(w.UpdatedAt),
	}
}
