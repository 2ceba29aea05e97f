package watch

import (
	"context"
	"errors"
	"sync"
	"time"
)

// News is what a round of asking has brought.
type News struct {
	At     time.Time
	List   []Experiment // as it was when the source last answered
	Detail *Detail      // of the chosen experiment; nil: none is chosen, or it is not there
	Err    error        // why the source does not answer
	Since  time.Time    // since when it does not
	Gone   bool         // the chosen experiment is not there
}

// Follower asks a source whenever something may have changed.
type Follower struct {
	src  Source
	now  func() time.Time
	wake chan struct{} // holds one when another experiment was chosen

	mu     sync.Mutex
	chosen string
}

// NewFollower makes one; now may be nil.
func NewFollower(src Source, now func() time.Time) *Follower {
	if now == nil {
		now = time.Now
	}
	return &Follower{src: src, now: now, wake: make(chan struct{}, 1)}
}

// Choose says which experiment is shown; empty: none.
func (f *Follower) Choose(name string) {
	f.mu.Lock()
	f.chosen = name
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

const (
	askEvery   = 150 * time.Millisecond // at most: what follows at once comes with the next
	retryEvery = 2 * time.Second
)

// Run asks until ctx ends and hands over what it is told. A source that does not answer
// is asked again.
func (f *Follower) Run(ctx context.Context, deliver func(News)) {
	var news News
	for ctx.Err() == nil {
		begun := time.Now()
		err := f.ask(ctx, &news)
		if ctx.Err() != nil {
			return
		}
		news.At = f.now()
		switch {
		case err == nil:
			news.Err, news.Since = nil, time.Time{}
		case news.Err == nil:
			news.Err, news.Since = err, news.At
		default:
			news.Err = err
		}
		deliver(news)
		if err != nil {
			f.sleep(ctx, retryEvery)
			continue
		}
		f.wait(ctx)
		f.sleep(ctx, askEvery-time.Since(begun))
	}
}

// wait returns when the source has news or another experiment was chosen.
func (f *Follower) wait(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var chosen sync.WaitGroup
	chosen.Go(func() {
		select {
		case <-f.wake:
			cancel()
		case <-ctx.Done():
		}
	})
	_ = f.src.Wait(ctx) // what is wrong is said by the next question
	cancel()
	chosen.Wait()
}

func (f *Follower) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.wake:
	case <-ctx.Done():
	}
}

func (f *Follower) ask(ctx context.Context, news *News) error {
	f.mu.Lock()
	chosen := f.chosen
	f.mu.Unlock()
	list, err := f.src.Experiments(ctx)
	if err != nil {
		return err
	}
	news.List = list
	if chosen == "" {
		news.Detail, news.Gone = nil, false
		return nil
	}
	d, err := f.src.Show(ctx, chosen)
	news.Gone = errors.Is(err, ErrUnknown)
	if news.Gone {
		news.Detail = nil
		return nil
	}
	if err == nil {
		news.Detail = d
	}
	return err
}
