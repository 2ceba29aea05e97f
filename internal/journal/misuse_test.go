package journal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// TestRefused: what cannot be a record is refused and the journal is unharmed.
func TestRefused(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	appendSteps(t, w, 1)
	huge := append(append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), 50<<20)...), `"}`...)
	tests := []struct {
		name, kind string
		data       []byte
		want       error
	}{
		{"50 MB", "step", huge, ErrTooLarge},
		{"one byte too long", "step", append(append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), MaxLine-lineSize(2, "step", []byte(`{"x":""}`))+1)...), `"}`...), ErrTooLarge},
		{"a line break", "step", []byte("{\"x\":\n1}"), ErrInvalid},
		{"no object", "step", []byte("[1]"), ErrInvalid},
		{"nothing", "step", nil, ErrInvalid},
		{"no kind", "", []byte("{}"), ErrInvalid},
		{"a kind with a quote", `a"b`, []byte("{}"), ErrInvalid},
		{"a kind of the journal", kindSeal, []byte("{}"), ErrInvalid},
	}
	for _, tt := range tests {
		if _, err := w.Append(tt.kind, tt.data, true); !errors.Is(err, tt.want) || errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// The longest line that is allowed.
	longest := append(append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), MaxLine-lineSize(2, "step", []byte(`{"x":""}`)))...), `"}`...)
	if seq, err := w.Append("step", longest, false); err != nil || seq != 2 {
		t.Fatalf("longest: %d, %v", seq, err)
	}
	appendSteps(t, w, 1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append("step", []byte("{}"), false); !errors.Is(err, ErrClosed) {
		t.Fatalf("after close: %v", err)
	}
	if err := errors.Join(w.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
	lines := readAll(t, w.Dir())
	if len(lines) != 3 || !bytes.Equal(lines[1].Data, longest) {
		t.Fatalf("%d lines", len(lines))
	}
}

// TestCreateRefused: bad headers and places get an error that says why.
func TestCreateRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		change    func(*Header)
		want      string
	}{
		{"no folder", file, func(*Header) {}, "choose a folder"},
		{"no run id", dir, func(h *Header) { h.RunID = "../x" }, "must be a UUID"},
		{"no experiment", dir, func(h *Header) { h.Experiment = "" }, "no name"},
		{"not UTF-8", dir, func(h *Header) { h.Experiment = "\xff" }, "not UTF-8"},
		{"config", dir, func(h *Header) { h.Config = []byte("[]") }, "config must be a JSON object"},
		{"huge", dir, func(h *Header) { h.Description = strings.Repeat("x", MaxLine) }, "too large"},
	}
	for _, tt := range tests {
		h := testHeader()
		tt.change(&h)
		if _, err := Create(tt.dir, h, Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, name := range []string{file, filepath.Join(dir, "nowhere")} {
		_, err1 := Open(name)
		_, err2 := Stat(name)
		_, err3 := Recover(name)
		_, err4 := Verify(name)
		if _, errs := Find(name); err1 == nil || err2 == nil || err3 == nil || err4 == nil || len(errs) != 1 {
			t.Errorf("%s: %v, %v, %v, %v, %v", name, err1, err2, err3, err4, errs)
		}
	}
	empty := t.TempDir()
	_, err1 := Open(empty)
	_, err2 := Recover(empty)
	if runs, errs := Find(empty); !errors.Is(err1, ErrEmpty) || !errors.Is(err2, ErrEmpty) || len(runs)+len(errs) != 0 {
		t.Errorf("empty folder: %v, %v, %v, %v", err1, err2, runs, errs)
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
		t.Errorf("recovery left %v in an empty folder", entries)
	}
	// A huge header leaves a run that was never begun: Find tells.
	if _, errs := Find(dir); len(errs) != 1 || !errors.Is(errs[0], ErrEmpty) {
		t.Errorf("find: %v", errs)
	}
}

// TestClock: times go forward whatever the clock does.
func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := create(t, t.TempDir(), Options{Now: func() time.Time { return now }, NotBefore: now.Add(time.Hour)})
	for _, d := range []time.Duration{0, 2 * time.Hour, -time.Hour, 3 * time.Hour, 1e6 * time.Hour} {
		now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(d)
		appendSteps(t, w, 2)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lines := readAll(t, w.Dir())
	wantSteps(t, lines, 1, 10)
	if !lines[0].Time.After(now.Add(time.Hour - 1e6*time.Hour)) {
		t.Fatalf("first time is %v", lines[0].Time)
	}
}

// TestConcurrent: many goroutines log, one reads across segments, others look at
// the run.
func TestConcurrent(t *testing.T) {
	w := create(t, t.TempDir(), Options{SegmentSize: 4000, SyncEvery: time.Millisecond})
	r, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const writers, each = 8, 100
	var done sync.WaitGroup
	for i := range writers {
		done.Go(func() {
			for n := range each {
				if _, err := w.Append("step", []byte(`{"n":1}`), n%20 == i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Go(func() {
		for range 50 {
			if info, err := Stat(w.Dir()); err != nil || !info.Live {
				t.Errorf("stat: %+v, %v", info, err)
			}
		}
	})
	next := uint64(1)
	for next <= writers*each {
		<-w.Appended()
		for _, l := range drain(t, r) {
			if l.Damage != nil || l.Seq != next {
				t.Fatalf("got %d %v, want %d", l.Seq, l.Damage, next)
			}
			next++
		}
	}
	done.Wait()
	var closers sync.WaitGroup
	for range 4 {
		closers.Go(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	if faults, err := Verify(w.Dir()); err != nil || len(faults) > 0 {
		t.Fatalf("verify: %v, %v", faults, err)
	}
}
