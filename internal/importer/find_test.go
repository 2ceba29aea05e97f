package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	line := `{"episode_number":1,"total_reward":2}` + "\n"
	write(t, dir, "b_steps.jsonl", line)
	write(t, dir, "b_episodes.jsonl", line)
	write(t, dir, "a_summary.json", "{}")
	write(t, dir, "complete_results.json", `{"experiment_name":"c","config":{},"training_results":[]}`)
	write(t, dir, "unnamed.json", `{"config":{},"validation_results":[]}`)
	write(t, dir, "statistics.json", `{"p":0.5}`)
	write(t, dir, "broken.json", `{`)
	write(t, dir, "notes.txt", "hello")
	write(t, dir, ".hidden_episodes.jsonl", line)
	if err := os.Symlink(filepath.Join(dir, "b_steps.jsonl"), filepath.Join(dir, "z_steps.jsonl")); err != nil {
		t.Fatal(err)
	}

	found, errs := Find([]string{dir, filepath.Join(dir, "b_steps.jsonl"), dir + "/./"}, Options{})
	if len(errs) > 0 {
		t.Error(errs)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Experiment+" "+string(f.Role)+" "+filepath.Base(f.Path))
	}
	want := "a summary a_summary.json, b episodes b_episodes.jsonl, b steps b_steps.jsonl, c results complete_results.json, unnamed results unnamed.json"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("found %s\nwant  %s", s, want)
	}

	_, errs = Find([]string{dir}, Options{Experiment: "mine"})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "the paths hold 4 (a, b, c, unnamed)") {
		t.Errorf("one name for four experiments: %v", errs)
	}
	found, errs = Find([]string{filepath.Join(dir, "b_steps.jsonl"), filepath.Join(dir, "b_episodes.jsonl")}, Options{Experiment: "mine"})
	if len(errs) > 0 || len(found) != 2 || found[0].Experiment != "mine" || found[0].Role != Episodes {
		t.Errorf("renamed: %v, %v", found, errs)
	}
}

// TestThousandFiles: following keeps no file open between looks.
func TestThousandFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 1000 {
		write(t, dir, fmt.Sprintf("x%03d_episodes.jsonl", i), `{"episode_number":1,"total_reward":2}`+"\n")
	}
	sources, errs := NewWatcher([]string{dir}, Options{Follow: true}).Scan()
	if len(errs) > 0 || len(sources) != 1000 {
		t.Fatalf("%d sources, %v", len(sources), errs)
	}
	runs := map[string]bool{}
	for _, s := range sources {
		wantRecords(t, rest(t, s), "1 ")
		runs[s.Run().ID] = true
		if s.(*lines).tail.file != nil || s.(*lines).tail.buf != nil {
			t.Fatal("a source keeps its file open")
		}
	}
	if len(runs) != 1000 {
		t.Errorf("1000 experiments have %d runs", len(runs))
	}
}

// wantDenied checks what is said of folders and files that must not be read.
func wantDenied(t *testing.T, errs []error, paths ...string) {
	t.Helper()
	if len(errs) != len(paths) {
		t.Fatalf("errors %v, want one for each of %q", errs, paths)
	}
	for i, err := range errs {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), paths[i]) || !strings.Contains(err.Error(), "give this user the right to read it") {
			t.Errorf("%v, want %s and what to do", err, paths[i])
		}
	}
}
