package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

const testRun = "0197f3a4-5b6c-7d8e-9f00-112233445566"

// clock is a test's time: each call is a millisecond later.
type clock struct{ t time.Time }

func newClock() *clock {
	return &clock{time.Date(2026, 11, 22, 22, 19, 1, 123456000, time.UTC)}
}

func (c *clock) now() time.Time {
	c.t = c.t.Add(time.Millisecond)
	return c.t
}

func testHeader() Header {
	return Header{RunID: testRun, Experiment: "thesis/final run", Config: []byte(`{"gamma":0.99}`), Host: "host", PID: 42}
}

// write makes a journal with n records and closes it.
func write(t *testing.T, dir string, n int, opt Options) string {
	t.Helper()
	w := create(t, dir, opt)
	appendSteps(t, w, n)
	if err := w.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return w.Dir()
}

func create(t *testing.T, dir string, opt Options) *Writer {
	t.Helper()
	w, err := Create(dir, testHeader(), opt)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(func() { w.Close() }) //nolint:errcheck // tests that care close it themselves
	return w
}

func stepData(seq uint64) string {
	return fmt.Sprintf(`{"step_number":%d,"note":"%s"}`, seq, strings.Repeat("x", int(seq*7%50)))
}

func appendSteps(t *testing.T, w *Writer, n int) {
	t.Helper()
	for range n {
		seq := w.Logged() + 1
		got, err := w.Append("step", []byte(stepData(seq)), false)
		if err != nil || got != seq {
			t.Fatalf("append %d: got %d, %v", seq, got, err)
		}
	}
}

// readAll reads to the end. Data is copied.
func readAll(t testing.TB, dir string) []Line {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer r.Close()
	return drain(t, r)
}

func drain(t testing.TB, r *Reader) []Line {
	t.Helper()
	var lines []Line
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatalf("next after %d lines: %v", len(lines), err)
		}
		l.Data = append([]byte(nil), l.Data...)
		lines = append(lines, l)
	}
}

// wantSteps asserts that lines are the undamaged steps from..to.
func wantSteps(t testing.TB, lines []Line, from, to uint64) {
	t.Helper()
	if uint64(len(lines)) != to+1-from {
		t.Fatalf("got %d lines, want %d to %d", len(lines), from, to)
	}
	for i, l := range lines {
		seq := from + uint64(i)
		if l.Damage != nil {
			t.Fatalf("line %d is damaged: %v", seq, l.Damage)
		}
		if l.Seq != seq || l.Kind != "step" || string(l.Data) != stepData(seq) {
			t.Fatalf("line %d is %d %s %s", seq, l.Seq, l.Kind, l.Data)
		}
		if i > 0 && !l.Time.After(lines[i-1].Time) {
			t.Fatalf("line %d is not after the one before", seq)
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	for _, size := range []int64{0, 1000, 5000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := write(t, t.TempDir(), 200, Options{SegmentSize: size, Now: newClock().now})
			wantSteps(t, readAll(t, dir), 1, 200)
			info, err := Stat(dir)
			if err != nil || info.Logged != 200 || info.Live || !info.Sealed || info.Recovered || info.Torn != 0 {
				t.Fatalf("stat: %+v, %v", info, err)
			}
			plain, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
			if err != nil || len(plain) != 0 {
				t.Fatalf("left uncompressed: %v, %v", plain, err)
			}
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for seq := uint64(0); seq <= 201; seq += 3 {
				if err := r.Seek(seq); err != nil {
					t.Fatalf("seek %d: %v", seq, err)
				}
				wantSteps(t, drain(t, r), min(seq+1, 201), 200)
			}
		})
	}
}

func TestReadWhileWritten(t *testing.T) {
	w := create(t, t.TempDir(), Options{SegmentSize: 1000})
	r, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := uint64(1); i <= 100; i++ {
		appendSteps(t, w, 1)
		wantSteps(t, drain(t, r), i, i)
		info, err := Stat(w.Dir())
		if err != nil || info.Logged != i || !info.Live || info.Sealed {
			t.Fatalf("stat: %+v, %v", info, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, drain(t, r), 101, 100)
	found, errs := Find(filepath.Dir(filepath.Dir(w.Dir())))
	if len(found) != 1 || len(errs) != 0 || found[0].Header.Experiment != "thesis/final run" {
		t.Fatalf("find: %+v, %v", found, errs)
	}
}
