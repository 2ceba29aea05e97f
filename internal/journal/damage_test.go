package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// abandon leaves a journal as kill -9 leaves it: unsealed, its lock released.
func abandon(t testing.TB, w *Writer) {
	t.Helper()
	w.mu.Lock()
	w.closed = true
	err := errors.Join(w.file.Close(), w.lock.Close())
	w.file = nil
	w.mu.Unlock()
	close(w.stop)
	<-w.syncDone
	w.sealer.close()
	w.sum.close()
	w.closeOnce.Do(func() {})
	if err != nil {
		t.Fatalf("abandon: %v", err)
	}
}

// killed makes an abandoned journal with n steps.
func killed(t *testing.T, n int, segment int64) string {
	t.Helper()
	w := create(t, t.TempDir(), Options{SegmentSize: segment, Now: newClock().now})
	appendSteps(t, w, n)
	if err := w.Flush(); err != nil { // so that full segments are handed to the sealer
		t.Fatal(err)
	}
	abandon(t, w)
	return w.Dir()
}

// lastFile is the path of the last segment.
func lastFile(t testing.TB, dir string) string {
	t.Helper()
	l, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l.segments[len(l.segments)-1].path(dir)
}

func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nthLine returns the offset and the end of a line, counted from 0.
func nthLine(b []byte, n int) (from, to int) {
	for range n {
		from += bytes.IndexByte(b[from:], '\n') + 1
	}
	return from, from + bytes.IndexByte(b[from:], '\n') + 1
}

// summary tells what a reader returns: "1-4 !5+1 6-9".
func summary(lines []Line) string {
	var parts []string
	from := uint64(0)
	flush := func(to uint64) {
		if from > 0 {
			parts = append(parts, fmt.Sprintf("%d-%d", from, to))
		}
		from = 0
	}
	last := uint64(0)
	for _, l := range lines {
		if l.Damage != nil {
			flush(last)
			parts = append(parts, fmt.Sprintf("!%d+%d", l.Seq, l.Lost))
			continue
		}
		if from == 0 || l.Seq != last+1 {
			flush(last)
			from = l.Seq
		}
		last = l.Seq
	}
	flush(last)
	return strings.Join(parts, " ")
}

func cut(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:len(b)-n] }
}

func flip(line, at int) func([]byte) []byte {
	return func(b []byte) []byte {
		from, _ := nthLine(b, line)
		b[from+at] ^= 1
		return b
	}
}

// TestTorn reads, recovers, reads again, recovers again and verifies.
func TestTorn(t *testing.T) {
	long := strings.Repeat("z", MaxLine+10)
	tests := []struct {
		name        string
		change      func([]byte) []byte // of an unsealed segment with records 1 to 5
		want        string              // what a reader returns, before and after
		trimmed     bool
		quarantined int
		faults      int // that Verify finds after Recover
	}{
		{"nothing", cut(0), "1-5", false, 0, 0},
		{"line break of the last line", cut(1), "1-4", true, 0, 0},
		{"half of the last line", cut(40), "1-4", true, 0, 0},
		{"garbage behind", func(b []byte) []byte { return append(b, "\x00\x00{\"seq\""...) }, "1-5", true, 0, 0},
		{"zeros behind", func(b []byte) []byte { return append(b, make([]byte, 5000)...) }, "1-5", true, 0, 0},
		{"a whole line of garbage behind", func(b []byte) []byte { return append(b, "garbage\n"...) }, "1-5 !6+1", false, 1, 1},
		{"all but the header", func(b []byte) []byte { _, to := nthLine(b, 0); return b[:to] }, "", false, 0, 0},
		{"flip in record 3", flip(3, 60), "1-2 !3+1 4-5", false, 1, 1},
		{"flip in a sequence number", flip(3, 7), "1-2 !3+1 4-5", false, 1, 1},
		{"flip in a checksum", flip(2, 10), "1-1 !2+1 3-5", false, 1, 1},
		{"flip in the last record", flip(5, 60), "1-4 !5+1", false, 1, 1},
		{"flip in the header", flip(0, 40), "", false, 0, 0},
		{"record 2 gone", func(b []byte) []byte { f, to := nthLine(b, 2); return append(b[:f:f], b[to:]...) }, "1-1 !2+1 3-5", false, 0, 1},
		{"record 2 twice", func(b []byte) []byte {
			f, to := nthLine(b, 2)
			return append(b[:to:to], b[f:]...)
		}, "1-2 !3+0 3-5", false, 0, 1},
		{"records 2 and 3 in one line", func(b []byte) []byte {
			_, to := nthLine(b, 2)
			b[to-1] = ' '
			return b
		}, "1-1 !2+2 4-5", false, 1, 1},
		{"record 4 in two lines", func(b []byte) []byte {
			f, _ := nthLine(b, 4)
			b[f+30] = '\n'
			return b
		}, "1-3 !4+1 5-5", false, 1, 2},
		{"an over-long line", func(b []byte) []byte {
			f, _ := nthLine(b, 4)
			return append(append(b[:f:f], long+"\n"...), b[f:]...)
		}, "1-3 !4+0 4-5", false, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := killed(t, 5, 0)
			path := lastFile(t, dir)
			edit(t, path, tt.change)
			if tt.name == "flip in the header" {
				// The only segment: nothing says what run this is.
				if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), path) {
					t.Fatalf("open: %v", err)
				}
				return
			}
			want := tt.want
			check := func(when string) {
				t.Helper()
				lines := readAll(t, dir)
				if got := summary(lines); got != want {
					t.Fatalf("%s: got %s, want %s", when, got, want)
				}
				for _, l := range lines {
					if l.Damage == nil && string(l.Data) != stepData(l.Seq) {
						t.Fatalf("%s: record %d is %s", when, l.Seq, l.Data)
					}
					var f *Fault
					if l.Damage != nil && (!errors.As(l.Damage, &f) || f.Segment != 1 || !strings.HasPrefix(l.Where, f.File)) {
						t.Fatalf("%s: damage %#v", when, l.Damage)
					}
				}
				info, err := Stat(dir)
				if err != nil {
					t.Fatal(err)
				}
				last := uint64(0)
				for _, l := range lines {
					last = max(last, l.Seq+max(l.Lost, 1)-1)
				}
				if last != info.Logged {
					t.Fatalf("%s: stat says %d, the reader %d", when, info.Logged, last)
				}
				if torn := when == "before" && tt.trimmed; torn != (info.Torn > 0) {
					t.Fatalf("%s: torn %d", when, info.Torn)
				}
			}
			check("before")
			report, err := Recover(dir)
			if err != nil {
				t.Fatal(err)
			}
			if tt.trimmed != (report.Trimmed > 0) || len(report.Quarantined) != tt.quarantined || len(report.Sealed) != 1 {
				t.Fatalf("report: %+v", report)
			}
			check("after")
			faults, err := Verify(dir)
			if err != nil || len(faults) != tt.faults {
				t.Fatalf("verify: %v, %v", faults, err)
			}
			again, err := Recover(dir)
			if err != nil || again.Trimmed != 0 || len(again.Quarantined)+len(again.Sealed)+len(again.Removed) != 0 {
				t.Fatalf("again: %+v, %v", again, err)
			}
			check("again")
			if info, err := Stat(dir); err != nil || !info.Sealed || !info.Recovered {
				t.Fatalf("stat: %+v, %v", info, err)
			}
		})
	}
}

// TestSegments damages segments as a whole.
func TestSegments(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, files []string)
		want   func(first []uint64) string // of the numbers of the segments' first records
	}{
		{"one is missing", func(t *testing.T, f []string) { remove(t, f[2]) },
			func(n []uint64) string { return fmt.Sprintf("1-%d !%d+%d %d-60", n[2]-1, n[2], n[3]-n[2], n[3]) }},
		{"the first two are missing", func(t *testing.T, f []string) { remove(t, f[0]); remove(t, f[1]) },
			func(n []uint64) string { return fmt.Sprintf("!1+%d %d-60", n[2]-1, n[2]) }},
		{"one is empty", func(t *testing.T, f []string) { edit(t, f[2], func([]byte) []byte { return nil }) },
			func(n []uint64) string { return fmt.Sprintf("1-%d !%d+%d %d-60", n[2]-1, n[2], n[3]-n[2], n[3]) }},
		{"one is garbage", func(t *testing.T, f []string) {
			edit(t, f[2], func([]byte) []byte { return bytes.Repeat([]byte("garbage\n"), 100) })
		}, func(n []uint64) string { return fmt.Sprintf("1-%d !%d+%d %d-60", n[2]-1, n[2], n[3]-n[2], n[3]) }},
		{"one is corrupt", func(t *testing.T, f []string) {
			edit(t, f[2], func(b []byte) []byte { b[30] ^= 0xff; return b })
		}, func(n []uint64) string { return fmt.Sprintf("1-%d !%d+%d %d-60", n[2]-1, n[2], n[3]-n[2], n[3]) }},
		{"the last is corrupt", func(t *testing.T, f []string) {
			edit(t, f[len(f)-1], func(b []byte) []byte { b[30] ^= 0xff; return b })
		}, func(n []uint64) string {
			l := n[len(n)-1]
			return fmt.Sprintf("1-%d !%d+%d", l-1, l, 61-l)
		}},
		{"one is another's", func(t *testing.T, f []string) {
			b, err := os.ReadFile(f[1])
			if err != nil {
				t.Fatal(err)
			}
			edit(t, f[2], func([]byte) []byte { return b })
		}, func(n []uint64) string { return fmt.Sprintf("1-%d !%d+%d %d-60", n[2]-1, n[2], n[3]-n[2], n[3]) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), 60, Options{SegmentSize: 2000, Now: newClock().now})
			l, err := list(dir)
			if err != nil {
				t.Fatal(err)
			}
			var files []string
			var first []uint64
			for _, s := range l.segments {
				files = append(files, s.path(dir))
				first = append(first, s.first)
			}
			tt.change(t, files)
			lines := readAll(t, dir)
			want := tt.want(first)
			got := summary(lines)
			if got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			faults, err := Verify(dir)
			if err != nil || len(faults) == 0 {
				t.Fatalf("verify: %v, %v", faults, err)
			}
			for _, f := range faults {
				var fault *Fault
				if !errors.As(f, &fault) || fault.Segment == 0 {
					t.Errorf("fault %v has no segment", f)
				}
			}
			// From every position the same records come.
			for seq := uint64(0); seq < 60; seq += 7 {
				r, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Seek(seq); err != nil {
					t.Fatal(err)
				}
				covered := seq
				for _, l := range drain(t, r) {
					if l.Seq != covered+1 && l.Lost > 0 || l.Damage == nil && l.Seq != covered+1 {
						t.Fatalf("after seek %d: %d behind %d", seq, l.Seq, covered)
					}
					covered = l.Seq + max(l.Lost, 1) - 1
					if l.Damage != nil && l.Lost == 0 {
						covered = l.Seq - 1
					}
				}
				if covered != 60 {
					t.Fatalf("after seek %d: ends at %d", seq, covered)
				}
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyEdit changes a sealed journal as somebody who also mends the checksum
// of the line and the seal would: the chain shows it.
func TestVerifyEdit(t *testing.T) {
	dir := write(t, t.TempDir(), 60, Options{SegmentSize: 2000, Now: newClock().now})
	if faults, err := Verify(dir); err != nil || len(faults) != 0 {
		t.Fatalf("whole journal: %v, %v", faults, err)
	}
	l, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := l.segments[1]
	src, _, err := openSegmentFile(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 1<<16)
	n, err := src.readAt(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := src.close(); err != nil {
		t.Fatal(err)
	}
	text = text[:n]
	from, to := nthLine(text, 1)
	old, err := parseLine(text[from : to-1])
	if err != nil {
		t.Fatal(err)
	}
	var e encoder
	forged := e.line(nil, old.Seq, old.Time.UnixMicro(), "step", []byte(`{"step_number":666}`))
	text = append(append(append([]byte(nil), text[:from]...), forged...), text[to:]...)
	remove(t, s.path(dir))
	if err := os.WriteFile(filepath.Join(dir, s.base()+plainExt), text, 0o644); err != nil {
		t.Fatal(err)
	}
	faults, err := Verify(dir)
	if err != nil || len(faults) != 2 || !strings.Contains(faults[0].Error(), "seal says") || !strings.Contains(faults[1].Error(), "chain is broken") {
		t.Fatalf("verify: %v, %v", faults, err)
	}
}

// TestDamageProperty flips or cuts anywhere: what is whole comes back as it was
// written, in order, and every record that does not is reported.
func TestDamageProperty(t *testing.T) {
	root := memoryDir(t)
	base := write(t, root, 40, Options{SegmentSize: 1500, Now: newClock().now})
	open := killed(t, 40, 1500)
	trial := 0
	rapid.Check(t, func(rt *rapid.T) {
		trial++
		source := rapid.SampledFrom([]string{base, open}).Draw(rt, "journal")
		dir := filepath.Join(root, fmt.Sprint(trial))
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			rt.Fatal(err)
		}
		l, err := list(dir)
		if err != nil {
			rt.Fatal(err)
		}
		i := rapid.IntRange(0, len(l.segments)-1).Draw(rt, "segment")
		path := l.segments[i].path(dir)
		size := int(l.segments[i].bytes)
		cutting := rapid.Bool().Draw(rt, "cut")
		at := rapid.IntRange(0, size-1).Draw(rt, "at")
		bit := rapid.ByteRange(0, 7).Draw(rt, "bit")
		edit(t, path, func(b []byte) []byte {
			if cutting {
				return b[:at]
			}
			b[at] ^= 1 << bit
			return b
		})
		last := i == len(l.segments)-1
		for _, when := range []string{"before", "after"} {
			lines := readAll(t, dir)
			seen := uint64(0)
			damaged := false
			for _, l := range lines {
				if l.Damage != nil {
					damaged = true
					if l.Lost > 0 && l.Seq != seen+1 {
						rt.Fatalf("%s: damage at %d behind %d", when, l.Seq, seen)
					}
					seen += l.Lost
					continue
				}
				if l.Seq != seen+1 || string(l.Data) != stepData(l.Seq) {
					rt.Fatalf("%s: %d %s behind %d", when, l.Seq, l.Data, seen)
				}
				seen = l.Seq
			}
			info, err := Stat(dir)
			if err != nil {
				rt.Fatal(err)
			}
			if seen < 40 && !(last && (cutting || info.Torn > 0 || damaged || when == "after")) {
				rt.Fatalf("%s: %d of 40 records, nothing says why", when, seen)
			}
			if _, err := Recover(dir); err != nil {
				rt.Fatalf("recover: %v", err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestTruncateProperty: cut the last segment anywhere behind the last acknowledged
// record, and nothing acknowledged is lost.
func TestTruncateProperty(t *testing.T) {
	root := memoryDir(t)
	trial := 0
	rapid.Check(t, func(rt *rapid.T) {
		trial++
		dir := filepath.Join(root, fmt.Sprint(trial))
		acked := rapid.IntRange(1, 40).Draw(rt, "acked")
		more := rapid.IntRange(0, 10).Draw(rt, "more")
		w, err := Create(dir, testHeader(), Options{SegmentSize: 1500, Now: newClock().now, SyncEvery: time.Hour})
		if err != nil {
			rt.Fatal(err)
		}
		appendSteps(t, w, acked)
		ackedName, ackedSize := w.name, w.size
		for i := 0; i < more && w.name == ackedName; i++ {
			appendSteps(t, w, 1)
		}
		abandon(t, w)
		path := lastFile(t, w.Dir())
		low := int64(0)
		if filepath.Base(path) == ackedName {
			low = ackedSize
		}
		st, err := os.Stat(path)
		if err != nil {
			rt.Fatal(err)
		}
		if err := os.Truncate(path, rapid.Int64Range(low, st.Size()).Draw(rt, "size")); err != nil {
			rt.Fatal(err)
		}
		for range 2 {
			lines := readAll(t, w.Dir())
			if len(lines) < acked {
				rt.Fatalf("%d records of %d", len(lines), acked)
			}
			wantSteps(t, lines, 1, uint64(len(lines)))
			if _, err := Recover(w.Dir()); err != nil {
				rt.Fatal(err)
			}
			if faults, err := Verify(w.Dir()); err != nil || len(faults) > 0 {
				rt.Fatalf("verify: %v %v", faults, err)
			}
		}
	})
}
