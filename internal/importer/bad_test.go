package importer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/greenwave-traffic/greenwave/record"
)

func TestFilesThatCannotBeOpened(t *testing.T) {
	wide := binary.LittleEndian.AppendUint16(nil, 0xfeff)
	for _, c := range utf16.Encode([]rune("{\"episode_number\":1}\n")) {
		wide = binary.LittleEndian.AppendUint16(wide, c)
	}
	for _, c := range []struct{ name, content, want string }{
		{"a_episodes.jsonl", "", "the file is empty"},
		{"a_episodes.jsonl", "\n \r\n", "the file is empty"},
		{"a_episodes.jsonl", `{"episode_number":`, "a_episodes.jsonl:1: holds no whole record yet: an unfinished line of 18 bytes"},
		{"a_episodes.jsonl", string(wide), "it is UTF-16, not UTF-8: convert it with iconv"},
		{"a_summary.json", string(wide), "it is UTF-16"},
		{"a_steps.jsonl", "\x1f\x8b\x08\x00", "unpack it first with gunzip"},
		{"a_steps.jsonl", "\x28\xb5\x2f\xfd\x00", "unpack it first with unzstd"},
		{"a_summary.json", "", "the file is empty"},
		{"a_summary.json", `{"total_episodes":`, "a_summary.json:1: the file ends in the middle (byte 18): it is not whole"},
		{"a_summary.json", "{\n\"a\":1\n}\n{}", "a_summary.json:4: something follows the object"},
		{"a_summary.json", "{\n\"a\" 1}", `a_summary.json:2: expected ':'`},
		{"a_summary.json", `{"a":,"b":1}`, "a value is missing"},
		{"a_summary.json", `[1]`, "expected '{'"},
		{"_episodes.jsonl", "{}\n", "no experiment name"},
		{"results.json", `{"training_results":[{"episode":1},`, "results.json:1: the file ends in the middle"},
		{"results.json", `{"some":"thing"}`, "is not a log"},
		{"results.json", `12`, "is not a log"},
		{"notes.txt", `hello`, "is not a log"},
	} {
		path := write(t, t.TempDir(), c.name, c.content)
		found, errs := Find([]string{path}, Options{})
		err := errors.Join(errs...)
		for _, f := range found {
			var s Source
			if s, err = Open(f, Options{}); err == nil {
				s.Close()
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s with %.30q: %v, want %q", c.name, c.content, err, c.want)
		}
	}
	if _, errs := Find([]string{t.TempDir()}, Options{}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "no logs in this folder") {
		t.Errorf("an empty folder: %v", errs)
	}
	if _, errs := Find([]string{filepath.Join(t.TempDir(), "gone")}, Options{}); len(errs) != 1 || !errors.Is(errs[0], os.ErrNotExist) {
		t.Errorf("no folder: %v", errs)
	}
}

// TestLargeLine: a line of 50 MB is reported with its size, memory stays flat, and
// reading goes on behind it, wherever it stands.
func TestLargeLine(t *testing.T) {
	dir := t.TempDir()
	const size = 50 << 20
	good := `{"episode_number":1,"total_reward":2}` + "\n"
	large := `{"episode_number":2,"total_reward":2,"x":"` + strings.Repeat("x", size-44) + `"}` + "\n"
	for name, content := range map[string][]string{
		"b_episodes.jsonl": {good, large, good},
		"a_episodes.jsonl": {large[:MaxRecord+1], "\n", good},
		"c_episodes.jsonl": {good, large[:MaxRecord+1]},
	} {
		for _, c := range content {
			write(t, dir, name, c)
		}
	}
	large = ""
	read := func(name string) (lines []string, s Source) {
		s = open(t, Found{Path: filepath.Join(dir, name), Experiment: "a", Role: Episodes}, Options{})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		lines = rest(t, s)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > MaxRecord+2*tailBuffer { // one buffer
			t.Errorf("%s: memory grew by %d bytes", name, grown)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 5*MaxRecord {
			t.Errorf("%s: %d bytes were allocated on the way", name, allocated)
		}
		return lines, s
	}
	lines, _ := read("b_episodes.jsonl")
	wantRecords(t, lines, "1 {", "2 refused: line of 52428", "3 {")
	lines, _ = read("a_episodes.jsonl")
	wantRecords(t, lines, "1 refused: line of 16777217 bytes", "2 {")
	lines, s := read("c_episodes.jsonl")
	wantRecords(t, lines, "1 {")
	if u := s.Unfinished(); len(u) != 1 || !strings.Contains(u[0].Error(), "unfinished (16777217 bytes)") {
		t.Errorf("unfinished: %v", u)
	}

	path := write(t, t.TempDir(), "r.json", `{"training_results":[{"episode":1,"reward":2},{"x":"`+strings.Repeat("x", MaxRecord)+
		`"},{"episode":3,"reward":2}],"weights":"`+strings.Repeat("x", MaxRecord)+`"}`)
	s = open(t, Found{Path: path, Experiment: "r", Role: Results}, Options{})
	wantRecords(t, rest(t, s), `1 {`, `2 {`, "3 refused: entry of 1677", "4 {", `5 refused: field "weights" of 1677`, `6 {"status"`)
}

func TestOddButGoodLines(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a_episodes.jsonl", "\xef\xbb\xbf"+`{"episode_number":1,"total_reward":NaN}`+"\r\n\r\n"+
		` {"episode_number":2,"total_reward":-Infinity} `+"\r\n")
	s := open(t, Found{Path: path, Experiment: "a", Role: Episodes}, Options{})
	for i := 1; i <= 2; i++ {
		item, err := s.Next()
		if err != nil || item.Err != nil {
			t.Fatal(err, item.Err)
		}
		row, err := record.Parse(item.Kind, item.Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.Get("episode_number").Int() != int64(i) || !row.Get("total_reward").IsNull() || !bytes.Contains(row.Extra, []byte("total_reward")) {
			t.Errorf("line %d became %s", i, record.AppendRow(nil, &row))
		}
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestSameRun: what a file is called and where it lies does not matter, what it is
// and whose does.
func TestSameRun(t *testing.T) {
	line := `{"episode_number":1,"total_reward":2}` + "\n"
	id := func(content, experiment string, role Role) string {
		path := write(t, t.TempDir(), "x_steps.jsonl", content)
		return open(t, Found{Path: path, Experiment: experiment, Role: role}, Options{}).Run().ID
	}
	first := id(line, "a", Episodes)
	for name, same := range map[string]string{
		"a copy":           id(line, "a", Episodes),
		"a longer copy":    id(line+line, "a", Episodes),
		"another encoding": id("\xef\xbb\xbf"+strings.TrimSuffix(line, "\n")+"\r\n", "a", Episodes),
	} {
		if same != first {
			t.Errorf("%s is another run", name)
		}
	}
	for name, other := range map[string]string{
		"another experiment": id(line, "b", Episodes),
		"another role":       id(line, "a", Steps),
		"another first line": id(" "+line, "a", Episodes),
	} {
		if other == first {
			t.Errorf("%s is the same run", name)
		}
	}
}

// FuzzResults: any results file is refused as a whole, or every entry comes once.
func FuzzResults(f *testing.F) {
	sample, err := os.ReadFile("testdata/results/complete_results.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(sample), `{"training_results":[]}`, `{"validation_results":[1,{}],"training_results":[{"episode":1,"reward":NaN}]}`,
		`{"training_results":{},"config":[],"timestamp":"2026-01-05 08:00:00"}`, `{"a":[{"b":"}"}],"training_results":[`, `{"training_results":[1,]}`, "\xef\xbb\xbf{}"} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "r.json")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = Find([]string{path}, Options{})
		for _, role := range []Role{Results, Summary} {
			s, err := Open(Found{Path: path, Experiment: "r", Role: role}, Options{})
			if err != nil {
				continue
			}
			all := lineUp(t, s)
			if err := s.Seek(uint64(len(all) - 1)); err != nil {
				t.Fatal(err)
			}
			if end := lineUpFrom(t, s); end != all[len(all)-1] {
				t.Fatalf("the last record is %s, after Seek %s", all[len(all)-1], end)
			}
			s.Close()
		}
	})
}

func lineUpFrom(t *testing.T, s Source) string {
	t.Helper()
	item, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	return describe(item.Seq, item.Kind, item.Time, item.Guessed, item.Where, item.Data, item.Err)
}
