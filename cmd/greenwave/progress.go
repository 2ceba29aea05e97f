package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress draws a bar with rate and time left on a terminal, and nothing elsewhere.
type progress struct {
	w     io.Writer
	on    bool
	width int
	now   func() time.Time

	mu      sync.Mutex
	drawn   bool
	begun   time.Time
	first   int64
	painted time.Time
}

func newProgress(w io.Writer, on bool, width int, now func() time.Time) *progress {
	return &progress{w: w, on: on, width: width, now: now}
}

// update shows that done of total things are done; total 0 is unknown. It redraws at
// most ten times a second.
func (p *progress) update(what string, done, total int64) {
	if !p.on {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.begun.IsZero() {
		p.begun, p.first = now, done
	}
	if now.Sub(p.painted) < 100*time.Millisecond && done < total {
		return
	}
	p.painted = now
	line := bar(what, p.first, done, total, now.Sub(p.begun))
	if p.width > 0 {
		line = clip(line, p.width-1)
	}
	_, _ = fmt.Fprint(p.w, "\r\x1b[K"+line)
	p.drawn = true
}

// restart begins a new bar with its own rate.
func (p *progress) restart() {
	p.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Time{}
}

// clear takes the bar away before something else is written.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// bar is the line of a progress bar.
func bar(what string, first, done, total int64, elapsed time.Duration) string {
	rate := 0.0
	if s := elapsed.Seconds(); s > 0.2 {
		rate = float64(done-first) / s
	}
	if total <= 0 {
		return fmt.Sprintf("%s %s  %s/s", count(done), what, count(int64(rate)))
	}
	const cells = 24
	share := min(1, float64(done)/float64(total))
	full := int(share * cells)
	s := strings.Repeat("▓", full) + strings.Repeat("░", cells-full)
	s += fmt.Sprintf(" %3d %%  %s of %s %s", int(share*100), count(done), count(total), what)
	if rate > 0 {
		s += fmt.Sprintf("  %s/s", count(int64(rate)))
		if done < total {
			s += "  " + duration(time.Duration(float64(total-done)/rate*float64(time.Second))) + " left"
		}
	}
	return s
}
