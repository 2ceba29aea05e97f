package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// DeadLetters lists the dead letters of all runs at or below dir, by run and
// sequence number.
func DeadLetters(ctx context.Context, dir string, reader Asked) iter.Seq2[store.DeadLetter, error] {
	return func(yield func(store.DeadLetter, error) bool) {
		infos, _, errs := find(dir)
		for _, err := range errs {
			if !yield(store.DeadLetter{}, err) {
				return
			}
		}
		var ids []string
		for _, info := range infos {
			ids = append(ids, strings.ToLower(info.Header.RunID))
		}
		for chunk := range slices.Chunk(ids, stateChunk) {
			for letter, err := range reader.DeadLetters(ctx, chunk) {
				if !yield(letter, err) {
					return
				}
			}
		}
	}
}

// RetryReport says what became of dead letters that were tried again.
// Tried = Stored + Superseded + Repeated + Dead.
type RetryReport struct {
	Tried      uint64 `json:"tried"`
	Stored     uint64 `json:"stored"`
	Superseded uint64 `json:"superseded"` // lost to a record that was logged later
	Repeated   uint64 `json:"repeated"`   // no dead letter any more: somebody else retried it
	Dead       uint64 `json:"dead"`       // refused again, with the new reason
}

// Add adds o to r.
func (r *RetryReport) Add(o RetryReport) {
	r.Tried += o.Tried
	r.Stored += o.Stored
	r.Superseded += o.Superseded
	r.Repeated += o.Repeated
	r.Dead += o.Dead
}

// String says it in one line: "12 dead letters tried again: 10 stored, 2 refused again".
func (r RetryReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s tried again: %s stored", plural(r.Tried, "dead letter"), Count(r.Stored))
	if r.Superseded > 0 {
		fmt.Fprintf(&b, ", %s superseded", Count(r.Superseded))
	}
	if r.Repeated > 0 {
		fmt.Fprintf(&b, ", %s stored already", Count(r.Repeated))
	}
	if r.Dead > 0 {
		fmt.Fprintf(&b, ", %s refused again", Count(r.Dead))
	}
	return b.String()
}

// Retry reads the records of a source's dead letters again and tries to store them.
// Those that are refused again stay, with the new reason.
func (s *Syncer) Retry(ctx context.Context, src Source, reader Asked) (RetryReport, error) {
	r := &retry{s: s, src: src, run: src.Run()}
	r.run.ID = strings.ToLower(r.run.ID)
	err := r.all(ctx, reader)
	if err != nil {
		err = fmt.Errorf("retry the dead letters of run %s of experiment %q: %w", r.run.ID, r.run.Experiment, s.explain(&task{run: r.run}, err))
	}
	return r.report, err
}

// retry is the state of one call of Retry.
type retry struct {
	s      *Syncer
	src    Source
	run    store.Run
	b      batch
	report RetryReport
}

func (r *retry) all(ctx context.Context, reader Asked) error {
	var dead spans
	err := r.insist(ctx, func() error {
		states, err := reader.States(ctx, []string{r.run.ID})
		if err != nil {
			return err
		}
		state, ok := states[r.run.ID]
		switch {
		case !ok:
			return nil // never synced: no dead letters
		case state.ExperimentID == "":
			return store.ErrExperimentDeleted
		}
		r.b.RunID, r.b.ExperimentID = r.run.ID, state.ExperimentID
		dead, err = deadSpans(ctx, reader, r.run.ID)
		return err
	})
	if err != nil {
		return err
	}
	r.reset()
	for _, span := range dead {
		if err := r.read(ctx, span); err != nil {
			return err
		}
	}
	return r.send(ctx)
}

func (r *retry) reset() {
	run, experiment := r.b.RunID, r.b.ExperimentID
	r.b.reset(0)
	r.b.RunID, r.b.ExperimentID = run, experiment
}

// read takes in the records of a stretch of dead letters.
func (r *retry) read(ctx context.Context, span span) error {
	if err := r.src.Seek(span.from - 1); err != nil {
		return err
	}
	for next := span.from; next <= span.to; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		item, err := r.src.Next()
		switch {
		case errors.Is(err, io.EOF), err == nil && item.Seq > next:
			last := span.to
			if err == nil {
				last = min(last, item.Seq-1)
			}
			item = Item{Seq: next, Err: fmt.Errorf("record %d is not in this copy of the source", next), Lost: last - next + 1}
			if err == nil {
				if err := r.src.Seek(last); err != nil {
					return err
				}
			}
		case err != nil:
			return err
		}
		if item.Err == nil {
			r.b.add(item, r.s.cfg.Now)
			next = item.Seq + 1
		}
		for n := max(item.Lost, 1); item.Err != nil && n > 0 && next <= span.to; n-- {
			item.Seq = next
			r.b.bury(item, item.Err.Error(), r.s.cfg.Now())
			next++
			if err := r.sendFull(ctx); err != nil {
				return err
			}
		}
		if err := r.sendFull(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sendFull sends the batch when it is large enough.
func (r *retry) sendFull(ctx context.Context) error {
	if len(r.b.Entries)+len(r.b.Dead) < min(1000, r.s.cfg.MaxRows) && r.b.size < 4<<20 {
		return nil
	}
	return r.send(ctx)
}

func (r *retry) send(ctx context.Context) error {
	if r.b.empty() {
		return nil
	}
	for i := range r.b.Dead {
		r.b.Dead[i].RunID = r.run.ID
	}
	if err := r.replay(ctx, r.b.Batch); err != nil {
		return err
	}
	r.reset()
	return nil
}

// replay commits a part of the batch. What is refused is split until one record is
// left, which stays a dead letter with the new reason.
func (r *retry) replay(ctx context.Context, b store.Batch) error {
	var result store.Result
	err := r.insist(ctx, func() error {
		unlock, err := r.s.lock(ctx, r.run.Experiment)
		if err != nil {
			return err
		}
		defer unlock()
		result, err = r.s.dest.Replay(ctx, b)
		return err
	})
	if err == nil {
		lost := len(b.Entries) - result.Stored - result.Repeated
		r.report.Add(RetryReport{
			Tried: uint64(len(b.Entries) + len(b.Dead)), Stored: uint64(result.Stored),
			Superseded: uint64(max(lost, 0)), Repeated: uint64(result.Repeated), Dead: uint64(len(b.Dead)),
		})
		return nil
	}
	n := len(b.Entries)
	if n == 0 || !errors.Is(err, store.ErrRefused) && !unexpected(err) {
		return err
	}
	if n > 1 {
		left, right := split(b, b.Entries[n/2-1].Seq)
		if err := r.replay(ctx, left); err != nil {
			return err
		}
		return r.replay(ctx, right)
	}
	e := &b.Entries[0]
	b.Dead = append(b.Dead[:len(b.Dead):len(b.Dead)], store.DeadLetter{
		RunID: r.run.ID, Seq: e.Seq, Kind: e.Row.Schema.Kind, Reason: plainText(err.Error()),
		Where: r.b.whereIs(e.Seq), Time: r.s.cfg.Now(),
	})
	b.Entries = nil
	return r.replay(ctx, b)
}

// insist tries until it succeeds, fails for good, or MaxWait is over.
func (r *retry) insist(ctx context.Context, try func() error) error {
	began, pause := time.Now(), r.s.newPause()
	for {
		err := try()
		if err == nil || !errors.Is(err, store.ErrTemporary) && !errors.Is(err, store.ErrAuth) || time.Since(began) >= r.s.cfg.MaxWait {
			return err
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// spans is a set of sequence numbers, kept as ascending ranges: damage mostly comes
// in long stretches.
type spans []span

type span struct{ from, to uint64 }

func (s *spans) add(seq uint64) {
	if n := len(*s); n > 0 && seq == (*s)[n-1].to+1 {
		(*s)[n-1].to = seq
		return
	}
	*s = append(*s, span{seq, seq})
}

func (s spans) contain(seq uint64) bool {
	low, high := 0, len(s)
	for low < high {
		if mid := (low + high) / 2; s[mid].to < seq {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < len(s) && s[low].from <= seq
}

// deadSpans returns the sequence numbers of a run's dead letters.
func deadSpans(ctx context.Context, reader Asked, runID string) (spans, error) {
	var dead spans
	for letter, err := range reader.DeadLetters(ctx, []string{runID}) {
		if err != nil {
			return nil, fmt.Errorf("list dead letters: %w", err)
		}
		dead.add(letter.Seq)
	}
	return dead, nil
}
