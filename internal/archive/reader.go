package archive

import (
	"cmp"
	"context"
	"iter"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Reader is a database with the rows of one experiment that are in archives, as if they
// had never left.
type Reader struct {
	store.Reader
	experimentID string
	archives     []*Opened
}

// Reader fetches the archives of an experiment that were not restored. Close it.
func (a *Archive) Reader(ctx context.Context, e store.Experiment) (*Reader, error) {
	r := &Reader{Reader: a.DB, experimentID: e.ID}
	list, err := a.DB.Archives(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	for _, archived := range list {
		if !archived.RestoredAt.IsZero() {
			continue
		}
		o, err := a.Open(ctx, archived.ID)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.archives = append(r.archives, o)
	}
	return r, nil
}

// Close removes what was fetched.
func (r *Reader) Close() {
	for _, o := range r.archives {
		o.Close()
	}
}

// Rows streams the rows of the database and of the archives in the order of their keys.
// Of two with one key it is the one that was logged later.
func (r *Reader) Rows(ctx context.Context, experimentID string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	live := r.Reader.Rows(ctx, experimentID, kind)
	if experimentID != r.experimentID || !store.Leaves(kind) {
		return live
	}
	for _, o := range r.archives {
		live = merge(live, o.Rows(kind))
	}
	return live
}

func merge(a, b iter.Seq2[*store.Stored, error]) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		nextA, stopA := iter.Pull2(a)
		defer stopA()
		nextB, stopB := iter.Pull2(b)
		defer stopB()
		x, errX, isX := nextA()
		y, errY, isY := nextB()
		for isX || isY {
			if isX && errX != nil || isY && errY != nil {
				yield(nil, cmp.Or(errX, errY))
				return
			}
			order := -1
			switch {
			case !isX:
				order = 1
			case isY:
				order = compare(x, y)
			}
			row := x
			if order > 0 || order == 0 && !store.Later(x.Time, x.RunID, x.Seq, y.Time, y.RunID, y.Seq) {
				row = y
			}
			if !yield(row, nil) {
				return
			}
			if order <= 0 {
				x, errX, isX = nextA()
			}
			if order >= 0 {
				y, errY, isY = nextB()
			}
		}
	}
}

// compare sorts rows as databases do: by key, or by time where there is none.
func compare(a, b *store.Stored) int {
	for i := range a.Row.Schema.Key {
		if c := cmp.Compare(a.Row.Values[i].Int(), b.Row.Values[i].Int()); c != 0 {
			return c
		}
	}
	if a.Row.Schema.Key > 0 {
		return 0
	}
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
}
