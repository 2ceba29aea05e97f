package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// liveEvery is how often a source that has nothing new is asked whether somebody
// still writes to it.
const liveEvery = time.Second

// reader is the first stage of a stream: it reads and parses the next batch while
// the one before is committed.
type reader struct {
	cfg    *Config
	src    Source
	next   uint64       // sequence number that must come next
	limits func() limit // asked once per batch
	found  func(uint64) // told now and then how much the source has

	held  *Item     // damage that did not fit into the batch before; Lost is what is left
	live  bool      // somebody may write more
	asked time.Time // when live was learned

	looked time.Time // when the source was asked how much it has
	last   time.Time // when the last record that was read was logged
	ended  bool      // it was the end of the run
}

// errStopped means that the sync was asked to stop before the source was read whole.
var errStopped = errors.New("stopped before everything was synced")

// limit is the largest size of a batch.
type limit struct{ rows, bytes int }

// run fills batches until the source is over or stop ends. A batch that it has
// sent belongs to the receiver until it comes back on free. When work ends it
// returns at once.
func (r *reader) run(stop, work context.Context, free <-chan *batch, full chan<- *batch) error {
	for {
		var b *batch
		select {
		case b = <-free:
		case <-work.Done():
			return errStopped
		}
		b.reset(r.next - 1)
		if time.Since(r.looked) >= liveEvery {
			if logged, err := r.src.Logged(); err == nil {
				r.found(logged)
			}
			r.looked = time.Now()
		}
		more, err := r.fill(stop, work, b)
		if !b.empty() && !errors.Is(err, errStopped) {
			select {
			case full <- b:
			case <-work.Done():
				return errStopped
			}
		}
		if err != nil || !more {
			return err
		}
	}
}

// fill reads records into b until it is to be sent. more is false when the source
// is over, or stop has ended and everything that was there is read.
func (r *reader) fill(stop, work context.Context, b *batch) (more bool, err error) {
	limit := r.limits()
	upTo := uint64(0) // with Follow, once stop has ended: what is still sent
	for n := 0; len(b.Entries)+len(b.Dead) < limit.rows && b.size < limit.bytes; n++ {
		if n%256 == 0 && stop.Err() != nil {
			if !r.cfg.Follow {
				return false, errStopped
			}
			if work.Err() != nil {
				return false, errStopped
			}
			if upTo == 0 {
				if upTo, err = r.src.Logged(); err != nil {
					return false, err
				}
			}
			if r.next > upTo {
				return false, nil
			}
		}
		switch err := r.take(b, limit.rows); {
		case err == nil:
			if r.cfg.Follow && n%64 == 63 && time.Since(b.began) >= r.cfg.MaxDelay {
				return true, nil
			}
			continue
		case !errors.Is(err, io.EOF):
			return false, err
		}
		if !r.cfg.Follow || !r.live || stop.Err() != nil {
			return false, nil
		}
		wait := r.cfg.Poll
		if !b.empty() {
			rest := r.cfg.MaxDelay - time.Since(b.began)
			if b.urgent || rest <= 0 {
				return true, nil
			}
			wait = min(wait, rest)
		}
		r.pause(stop, wait)
	}
	return true, nil
}

// take moves the next item of the source into b.
func (r *reader) take(b *batch, rows int) error {
	item := r.held
	if item == nil {
		got, err := r.src.Next()
		if err != nil {
			return err
		}
		if got.Seq < r.next {
			return fmt.Errorf("%s: record %d came after record %d: the source changed while it was read", got.Where, got.Seq, r.next-1)
		}
		if gap := got.Seq - r.next; gap > 0 {
			// What the source skips is reported like what it cannot read; the
			// record that follows it is read again.
			if err := r.src.Seek(got.Seq - 1); err != nil {
				return err
			}
			got = Item{Seq: r.next, Where: got.Where, Lost: gap,
				Err: fmt.Errorf("records %d to %d are not in the source", r.next, got.Seq-1)}
		}
		if got.Err == nil {
			r.last, r.ended = got.Time, got.Kind == record.KindEnd
			b.add(got, r.cfg.Now)
			r.next = got.Seq + 1
			return nil
		}
		got.Lost = max(got.Lost, 1)
		item = &got
	}
	r.held = nil
	for ; item.Lost > 0; item.Lost-- {
		if len(b.Entries)+len(b.Dead) >= rows {
			r.held = item
			return nil
		}
		b.bury(*item, item.Err.Error(), r.cfg.Now())
		b.quarantined++
		item.Seq++
		r.next = item.Seq
	}
	return nil
}

// pause waits for something new, for the given time or for stop, and asks now and
// then whether anybody is still there. The answer is from before the next look at
// the source, so nothing is missed.
func (r *reader) pause(stop context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.src.Changed():
	case <-stop.Done():
	}
	if time.Since(r.asked) >= liveEvery {
		r.live, r.asked = r.src.Live(), time.Now()
	}
}
