package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

var update = flag.Bool("update", false, "write the vectors in testdata/journal anew")

var vectorRoot = filepath.Join("..", "..", "testdata", "journal")

// expectation is expected.json: what a correct reader returns for the folder run.
type expectation struct {
	About      string         `json:"about"`
	Error      string         `json:"error,omitempty"` // "empty" or "format": it cannot be opened
	RunID      string         `json:"run_id,omitempty"`
	Experiment string         `json:"experiment,omitempty"`
	Folder     string         `json:"experiment_folder,omitempty"`
	Continues  string         `json:"continues,omitempty"`
	Lines      []expectedLine `json:"lines"`
	Logged     uint64         `json:"logged"`
	Sealed     bool           `json:"sealed"`
	Recovered  bool           `json:"recovered"`
	Torn       int64          `json:"torn"`
	Faults     []expectedAt   `json:"faults"`            // that verify finds; not recovered
	Recover    *expectedFix   `json:"recover,omitempty"` // what recovery does; it changes no line above
}

type expectedLine struct {
	Seq    uint64 `json:"seq"`
	Time   string `json:"time,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Data   string `json:"data,omitempty"` // the bytes, as a text
	Damage bool   `json:"damage,omitempty"`
	Lost   uint64 `json:"lost,omitempty"`
	Where  string `json:"where,omitempty"` // file:offset
}

type expectedAt struct {
	Segment int   `json:"segment"`
	Offset  int64 `json:"offset"`
}

type expectedFix struct {
	Trimmed     int64    `json:"trimmed"`
	Quarantined []string `json:"quarantined"` // file:offset
	Sealed      bool     `json:"sealed"`      // it wrote a seal
}

// vector is one folder of vectors.
type vector struct {
	name, about string
	make        func(t *testing.T, w func(int64, ...string) *Writer) string // returns the run's folder
}

const layoutMicro = "2006-01-02T15:04:05.000000Z"

func where(dir, s string) string {
	rel := strings.TrimPrefix(s, dir+string(filepath.Separator))
	return strings.TrimPrefix(rel, dir)
}

// observe is what this package's reader makes of a run's folder.
func observe(t *testing.T, dir string) expectation {
	t.Helper()
	e := expectation{Lines: []expectedLine{}, Faults: []expectedAt{}}
	r, err := Open(dir)
	switch {
	case errors.Is(err, ErrEmpty):
		e.Error = "empty"
		return e
	case errors.Is(err, ErrFormat):
		e.Error = "format"
		return e
	case err != nil:
		t.Fatal(err)
	}
	defer r.Close()
	h := r.Header()
	e.RunID, e.Experiment, e.Folder, e.Continues = h.RunID, h.Experiment, FolderName(h.Experiment), h.Continues
	for _, l := range drain(t, r) {
		x := expectedLine{Seq: l.Seq, Where: where(dir, l.Where)}
		if l.Damage != nil {
			x.Damage, x.Lost = true, l.Lost
		} else {
			x.Time, x.Kind, x.Data = l.Time.Format(layoutMicro), l.Kind, string(l.Data)
		}
		e.Lines = append(e.Lines, x)
	}
	info, err := Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	e.Logged, e.Sealed, e.Recovered, e.Torn = info.Logged, info.Sealed, info.Recovered, info.Torn
	faults, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		var fault *Fault
		if !errors.As(f, &fault) {
			t.Fatalf("fault %v", f)
		}
		e.Faults = append(e.Faults, expectedAt{fault.Segment, fault.Offset})
	}
	return e
}

// observeRecovery recovers a copy and checks that no line changes.
func observeRecovery(t *testing.T, dir string, before expectation) *expectedFix {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	report, err := recoverRun(copied, osFS{}, newClock().now)
	if before.Error != "" {
		if err == nil {
			t.Fatal("recovered what cannot be opened")
		}
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	fix := &expectedFix{Trimmed: report.Trimmed, Quarantined: []string{}}
	for _, q := range report.Quarantined {
		fix.Quarantined = append(fix.Quarantined, where(copied, q.Where))
	}
	after := observe(t, copied)
	fix.Sealed = after.Recovered && !before.Recovered
	plain := func(e expectation) []expectedLine {
		var lines []expectedLine
		for _, l := range e.Lines { // recovery compresses: the file's name may change
			l.Where = strings.ReplaceAll(l.Where, zstdExt, plainExt)
			lines = append(lines, l)
		}
		return lines
	}
	if diff := differ(plain(before), plain(after)); diff != "" {
		t.Errorf("recovery changes the lines (-before +after):\n%s", diff)
	}
	return fix
}

// TestReaderVectors holds the reader to testdata/journal, as any client is.
func TestReaderVectors(t *testing.T) {
	for kind, vectors := range map[string][]vector{"good": goodVectors, "bad": badVectors} {
		for _, v := range vectors {
			t.Run(kind+"/"+v.name, func(t *testing.T) {
				dir := filepath.Join(vectorRoot, kind, v.name)
				run := filepath.Join(dir, "run")
				if *update {
					writeVector(t, v, dir, run)
				}
				want := expectation{}
				b, err := os.ReadFile(filepath.Join(dir, "expected.json"))
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(b, &want); err != nil {
					t.Fatal(err)
				}
				got := observe(t, run)
				got.About, got.Recover = want.About, observeRecovery(t, run, got)
				if diff := differ(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				damaged := len(got.Faults) > 0 || got.Error != "" || got.Torn > 0
				if damaged != (kind == "bad") {
					t.Errorf("it lies in %s, but: %+v", kind, got.Faults)
				}
			})
		}
	}
}

func writeVector(t *testing.T, v vector, dir, run string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	runs := 0
	var c *clock
	made := v.make(t, func(segment int64, data ...string) *Writer {
		if c == nil {
			c = newClock()
		}
		runs++
		h := testHeader()
		h.RunID = fmt.Sprintf("0197f3a4-5b6c-7d8e-9f00-%012d", runs)
		h.StartedAt = time.Date(2026, 11, 22, 22, 19, 1, 0, time.UTC)
		opt := Options{SegmentSize: segment, Now: c.now}
		if runs > 1 {
			h.Continues = fmt.Sprintf("0197f3a4-5b6c-7d8e-9f00-%012d", runs-1)
		}
		if len(data) > 0 && strings.HasPrefix(data[0], "name:") {
			h.Experiment = strings.TrimPrefix(data[0], "name:")
			data = data[1:]
		}
		w, err := Create(root, h, opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() }) //nolint:errcheck // closed or abandoned below
		for _, d := range data {
			if _, err := w.Append("step", []byte(d), false); err != nil {
				t.Fatal(err)
			}
		}
		return w
	})
	if err := os.CopyFS(run, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	if l, err := list(run); err == nil && len(l.segments) > 0 {
		remove(t, filepath.Join(run, lockName)) // it names a process and a host
	}
	e := observe(t, run)
	e.About = v.about
	e.Recover = observeRecovery(t, run, e)
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "expected.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func steps(n int) []string {
	var s []string
	for i := range n {
		s = append(s, stepData(uint64(i+1)))
	}
	return s
}

func closed(t *testing.T, w *Writer) string {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Dir()
}

func abandoned(t *testing.T, w *Writer) string {
	t.Helper()
	abandon(t, w)
	return w.Dir()
}

// unpack replaces a compressed segment by its plain form, or by the same without
// an index.
func unpack(t *testing.T, dir string, number int, ext string) string {
	t.Helper()
	l, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := l.segments[number-1]
	b, err := os.ReadFile(s.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	text, err := dec.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, s.path(dir))
	if ext == zstdExt {
		enc, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		text = enc.EncodeAll(text, nil)
	}
	path := filepath.Join(dir, s.base()+ext)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

var goodVectors = []vector{
	{"open", "one segment, not sealed: the writer still runs or was killed", func(t *testing.T, w func(int64, ...string) *Writer) string {
		return abandoned(t, w(0, steps(5)...))
	}},
	{"empty", "a run that ended without a record", func(t *testing.T, w func(int64, ...string) *Writer) string {
		return closed(t, w(0))
	}},
	{"sealed", "several sealed and compressed segments, the last with the final seal", func(t *testing.T, w func(int64, ...string) *Writer) string {
		return closed(t, w(1500, steps(20)...))
	}},
	{"sealed-and-open", "sealed segments and an open one", func(t *testing.T, w func(int64, ...string) *Writer) string {
		x := w(1500, steps(20)...)
		if err := x.Flush(); err != nil {
			t.Fatal(err)
		}
		return abandoned(t, x)
	}},
	{"plain", "a sealed segment that is not compressed", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := closed(t, w(0, steps(5)...))
		unpack(t, dir, 1, plainExt)
		return dir
	}},
	{"no-index", "compressed segments as the zstd command writes them, without an index", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := closed(t, w(1500, steps(20)...))
		for i := range 2 {
			unpack(t, dir, i+1, zstdExt)
		}
		return dir
	}},
	{"both-forms", "a crash between compressing a segment and removing its plain form", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := closed(t, w(1500, steps(20)...))
		packed := filepath.Join(dir, segmentName(1, 1)+zstdExt)
		b, err := os.ReadFile(packed)
		if err != nil {
			t.Fatal(err)
		}
		unpack(t, dir, 1, plainExt)
		if err := os.WriteFile(packed, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, segmentName(2, 8)+zstdExt+tmpExt), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}},
	{"unicode", "an experiment name and data that are not ASCII, with escapes and U+2028", func(t *testing.T, w func(int64, ...string) *Writer) string {
		return closed(t, w(0, "name:Äpfel 🚦/ndu\u0001", `{"step_number":1,"note":"ß 🚌 \u2028 \ud83d\ude8c \"quoted\" \\"}`, "{\"step_number\":2,\"note\":\"\u2028 and a tab: \\t\"}"))
	}},
	{"long-name", "an experiment name of 300 characters", func(t *testing.T, w func(int64, ...string) *Writer) string {
		return closed(t, w(0, "name:"+strings.Repeat("long/", 60), stepData(1)))
	}},
	{"non-finite", "numbers that are not finite are texts in data", func(t *testing.T, w func(int64, ...string) *Writer) string {
		return closed(t, w(0, `{"episode_number":1,"avg_loss":"NaN","total_reward":"-Infinity","non_finite":["avg_loss","total_reward"]}`))
	}},
	{"resumed", "a run that continues another; its times come after", func(t *testing.T, w func(int64, ...string) *Writer) string {
		closed(t, w(0, steps(2)...))
		return closed(t, w(0, steps(3)...))
	}},
	{"recovered", "a killed run after its recovery", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := abandoned(t, w(0, steps(5)...))
		if _, err := recoverRun(dir, osFS{}, newClock().now); err != nil {
			t.Fatal(err)
		}
		return dir
	}},
}

// damagedVector changes the only segment of an unsealed run with five records.
func damagedVector(change func([]byte) []byte) func(*testing.T, func(int64, ...string) *Writer) string {
	return func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := abandoned(t, w(0, steps(5)...))
		edit(t, lastFile(t, dir), change)
		return dir
	}
}

// segmentVector changes one file of a run with 20 records in several segments.
func segmentVector(number int, change func(t *testing.T, path string)) func(*testing.T, func(int64, ...string) *Writer) string {
	return func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := closed(t, w(1500, steps(20)...))
		l, err := list(dir)
		if err != nil {
			t.Fatal(err)
		}
		change(t, l.segments[number-1].path(dir))
		return dir
	}
}

var badVectors = []vector{
	{"torn", "the last line is unfinished", damagedVector(cut(40))},
	{"torn-line-break", "the last line lacks its line break", damagedVector(cut(1))},
	{"zeros", "a power failure left zeros behind the last line", damagedVector(func(b []byte) []byte { return append(b, make([]byte, 100)...) })},
	{"flipped", "one bit of record 3 differs", damagedVector(flip(3, 60))},
	{"flipped-number", "one bit of the sequence number of record 3 differs", damagedVector(flip(3, 7))},
	{"flipped-last", "one bit of the last record differs", damagedVector(flip(5, 60))},
	{"garbage", "a line that is none stands between records 2 and 3; it is not UTF-8", damagedVector(func(b []byte) []byte {
		f, _ := nthLine(b, 3)
		return bytes.Join([][]byte{b[:f], []byte("\xff\xfe garbage\n"), b[f:]}, nil)
	})},
	{"merged", "the line break between records 2 and 3 is a space", damagedVector(func(b []byte) []byte {
		_, to := nthLine(b, 2)
		b[to-1] = ' '
		return b
	})},
	{"gap", "record 2 is not there", damagedVector(func(b []byte) []byte {
		f, to := nthLine(b, 2)
		return append(b[:f:f], b[to:]...)
	})},
	{"twice", "record 2 stands there twice", damagedVector(func(b []byte) []byte {
		f, to := nthLine(b, 2)
		return append(b[:to:to], b[f:]...)
	})},
	{"missing-segment", "segment 2 is not there", segmentVector(2, remove)},
	{"empty-segment", "segment 2 is an empty file", segmentVector(2, func(t *testing.T, path string) { edit(t, path, func([]byte) []byte { return nil }) })},
	{"corrupt-segment", "one byte of the compressed segment 2 differs", segmentVector(2, func(t *testing.T, path string) {
		edit(t, path, func(b []byte) []byte { b[30] ^= 0xff; return b })
	})},
	{"wrong-chain", "segment 2 was written anew with another record, its checksum and its seal mended", segmentVector(2, forge)},
	{"foreign-segment", "segment 2 is one of another run", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := closed(t, w(1500, steps(20)...))
		other := closed(t, w(1500, steps(20)...))
		name := segmentName(2, secondFirst(t, dir)) + zstdExt
		b, err := os.ReadFile(filepath.Join(other, segmentName(2, secondFirst(t, other))+zstdExt))
		if err != nil {
			t.Fatal(err)
		}
		edit(t, filepath.Join(dir, name), func([]byte) []byte { return b })
		return dir
	}},
	{"no-segment", "the writer was killed before the header was there", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := t.TempDir()
		for _, name := range []string{lockName, segmentName(1, 1) + plainExt + tmpExt} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}},
	{"newer-format", "the header says format 2", func(t *testing.T, w func(int64, ...string) *Writer) string {
		dir := abandoned(t, w(0, steps(5)...))
		edit(t, lastFile(t, dir), func(b []byte) []byte {
			_, to := nthLine(b, 0)
			l, err := parseLine(b[:to-1])
			if err != nil {
				t.Fatal(err)
			}
			var e encoder
			data := bytes.Replace(l.Data, []byte(`"format":1`), []byte(`"format":2`), 1)
			return append(e.line(nil, 0, l.Time.UnixMicro(), kindHeader, data), b[to:]...)
		})
		return dir
	}},
}

func secondFirst(t *testing.T, dir string) uint64 {
	t.Helper()
	l, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l.segments[1].first
}

// forge writes a compressed segment anew as a careful liar would.
func forge(t *testing.T, path string) {
	t.Helper()
	dir, base := filepath.Split(path)
	number, _, _, _ := parseSegmentName(base)
	plain := unpack(t, dir, number, plainExt)
	edit(t, plain, func(b []byte) []byte {
		var out []byte
		var e encoder
		for i, raw := range bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) {
			l, err := parseLine(raw)
			if err != nil {
				t.Fatal(err)
			}
			data := l.Data
			if i == 1 {
				data = []byte(`{"step_number":666}`)
			}
			if l.Kind == kindSeal {
				s, err := parseSeal(l)
				if err != nil {
					t.Fatal(err)
				}
				s.SHA256 = shaText(out)
				if data, err = marshal(s); err != nil {
					t.Fatal(err)
				}
			}
			out = e.line(out, l.Seq, l.Time.UnixMicro(), l.Kind, data)
		}
		return out
	})
}

// differ says where two values, as JSON, differ; empty when they do not.
func differ(want, got any) string {
	a, err1 := json.MarshalIndent(want, "", " ")
	b, err2 := json.MarshalIndent(got, "", " ")
	if err1 != nil || err2 != nil {
		return fmt.Sprint(err1, err2)
	}
	if bytes.Equal(a, b) {
		return ""
	}
	x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d:\n-%s\n+%s", i+1, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(y), len(x))
}
