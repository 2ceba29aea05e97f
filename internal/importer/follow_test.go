package importer

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// write appends to a file in dir.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return path
}

// rest reads what a source has now and returns one line per record: number and what
// became of it.
func rest(t *testing.T, s Source) []string {
	t.Helper()
	var out []string
	for {
		item, err := s.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		what := string(item.Data)
		if item.Err != nil {
			what = "refused: " + item.Err.Error()
		}
		out = append(out, strconv.FormatUint(item.Seq, 10)+" "+what)
	}
}

func wantRecords(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records %q, want %d", len(got), got, len(want))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("record %d is %q, want %q in it", i, got[i], want[i])
		}
	}
}

func episodeLine(n int, id, start, end string) string {
	return `{"episode_id":"` + id + `","episode_number":` + strconv.Itoa(n) + `,"session_id":"s","total_reward":1,"start_time":"2026-01-05T08:` + start +
		`","end_time":"2026-01-05T08:` + end + `"}` + "\n"
}

func stepLine(id, at string) string {
	return `{"episode_id":"` + id + `","session_id":"s","step":0,"timestamp":"2026-01-05T08:` + at + `"}` + "\n"
}

func TestFollowTakesWholeLinesOnly(t *testing.T) {
	dir := t.TempDir()
	line := `{"episode_number":1,"total_reward":2}`
	path := write(t, dir, "a_episodes.jsonl", line+"\n"+line[:20])
	s := open(t, Found{Path: path, Experiment: "a", Role: Episodes}, Options{Follow: true})
	wantRecords(t, rest(t, s), `1 {"episode_number":1`)
	wantRecords(t, rest(t, s))
	if u := s.Unfinished(); len(u) != 1 || !strings.Contains(u[0].Error(), path+":2") {
		t.Errorf("unfinished: %v", u)
	}
	write(t, dir, "a_episodes.jsonl", line[20:])
	wantRecords(t, rest(t, s)) // whole, but the line break is still to come
	write(t, dir, "a_episodes.jsonl", "\r\n\n"+strings.Replace(line, "1", "7", 1)+"\n")
	wantRecords(t, rest(t, s), "2 ", `3 {"episode_number":7`)
	if u := s.Unfinished(); len(u) != 0 {
		t.Errorf("unfinished: %v", u)
	}
	if n, err := s.Logged(); n != 3 || err != nil {
		t.Errorf("Logged is %d, %v", n, err)
	}
}

// TestLastLineWithoutBreak: a finished file may end without a line break; when it
// grows after all, the next import goes on behind it.
func TestLastLineWithoutBreak(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a_episodes.jsonl", `{"episode_number":1,"total_reward":2}`)
	f := Found{Path: path, Experiment: "a", Role: Episodes}
	s := open(t, f, Options{})
	id := s.Run().ID
	wantRecords(t, lineUp(t, s), "1 ")
	write(t, dir, "a_episodes.jsonl", "\n"+`{"episode_number":2,"total_reward":2}`+"\n")
	s = open(t, f, Options{})
	if s.Run().ID != id {
		t.Error("a file that grew is another run")
	}
	if err := s.Seek(1); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, rest(t, s), `2 {"episode_number":2`)
}

// TestStepsWaitForTheirEpisode: followed or imported later, steps get the same
// numbers, and a step whose episode was given up holds nobody up.
func TestStepsWaitForTheirEpisode(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a_episodes.jsonl", episodeLine(4, "A", "00:00", "01:00"))
	path := write(t, dir, "a_steps.jsonl", stepLine("A", "00:10")+stepLine("B", "01:10")+stepLine("C", "02:10"))
	f := Found{Path: path, Experiment: "a", Role: Steps}
	s := open(t, f, Options{Follow: true})
	got := rest(t, s)
	wantRecords(t, got, `1 {"episode_number":4`)
	if u := s.Unfinished(); len(u) != 1 || !strings.Contains(u[0].Error(), "has not ended yet") || !strings.Contains(u[0].Error(), path+":2") {
		t.Errorf("unfinished: %v", u)
	}
	wantRecords(t, rest(t, s))
	// B was given up; C is the next to end.
	write(t, dir, "a_episodes.jsonl", episodeLine(5, "C", "02:00", "03:00"))
	more := rest(t, s)
	wantRecords(t, more, "2 refused: step: its episode never ended", `3 {"episode_number":5`)

	again := rest(t, open(t, f, Options{}))
	if strings.Join(again, "\n") != strings.Join(append(got, more...), "\n") {
		t.Errorf("followed: %q\nimported: %q", append(got, more...), again)
	}

	// What was refused is read again once its episode is there.
	write(t, dir, "a_episodes.jsonl", episodeLine(6, "B", "01:05", "04:00"))
	s = open(t, f, Options{})
	if err := s.Seek(1); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, rest(t, s), `2 {"episode_number":6`, `3 {"episode_number":5`)
}

func TestStepsWithoutEpisodes(t *testing.T) {
	path := write(t, t.TempDir(), "a_steps.jsonl", stepLine("A", "00:10"))
	f := Found{Path: path, Experiment: "a", Role: Steps}
	wantRecords(t, rest(t, open(t, f, Options{})), "1 refused: step: it has no episode_number, and there is no a_episodes.jsonl beside it")
	wantRecords(t, rest(t, open(t, f, Options{Follow: true})))
}

// TestTimesDoNotDependOnWhereReadingBegan: a reader that starts in the middle gives
// each record the time that it had.
func TestTimesDoNotDependOnWhereReadingBegan(t *testing.T) {
	dir := copyOf(t, "mixed")
	f := Found{Path: filepath.Join(dir, "grid_episodes.jsonl"), Experiment: "grid", Role: Episodes}
	all := lineUp(t, open(t, f, Options{}))
	for seq := range all {
		s := open(t, f, Options{})
		if err := s.Seek(uint64(seq)); err != nil {
			t.Fatal(err)
		}
		item, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(item.Seq, item.Kind, item.Time, item.Guessed, item.Where, item.Data, item.Err); got != all[seq] {
			t.Errorf("from record %d on: %s\nfrom the beginning: %s", seq, got, all[seq])
		}
	}
}

func TestFileThatWasShortened(t *testing.T) {
	dir := t.TempDir()
	line := `{"episode_number":1,"total_reward":2}` + "\n"
	path := write(t, dir, "a_episodes.jsonl", line+line+line)
	f := Found{Path: path, Experiment: "a", Role: Episodes}
	s := open(t, f, Options{Follow: true})
	wantRecords(t, rest(t, s), "1 ", "2 ", "3 ")

	if err := os.WriteFile(path, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); !errors.Is(err, errChanged) {
		t.Errorf("while it is followed: %v", err)
	}
	err := open(t, f, Options{}).Seek(3)
	if err == nil || !strings.Contains(err.Error(), "it has 1 records, but 3 were imported before") {
		t.Errorf("between two imports: %v", err)
	}

	other := strings.Replace(line, "1", "9", 1)
	if err := os.WriteFile(path, []byte(other+other+other+other), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); !errors.Is(err, errChanged) {
		t.Errorf("written again: %v", err)
	}
}

func TestWatcherFindsWhatComesLater(t *testing.T) {
	dir := t.TempDir()
	w := NewWatcher([]string{dir}, Options{Follow: true})
	scan := func(want ...string) {
		t.Helper()
		sources, errs := w.Scan()
		if len(errs) > 0 {
			t.Error(errs)
		}
		var got []string
		for _, s := range sources {
			t.Cleanup(func() { s.Close() })
			got = append(got, filepath.Base(s.Found().Path))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	scan()
	write(t, dir, "a_episodes.jsonl", "")
	scan()
	write(t, dir, "a_episodes.jsonl", `{"episode_number":1,"total_reward":2}`+"\n")
	scan("a_episodes.jsonl")
	write(t, dir, "a_episodes.jsonl", `{"episode_number":2,"total_reward":2}`+"\n")
	scan()
	write(t, dir, "a_summary.json", `{"total_episodes":1} `)
	scan("a_summary.json")
	write(t, dir, "a_summary.json", "\n")
	scan("a_summary.json")
	scan()
}
