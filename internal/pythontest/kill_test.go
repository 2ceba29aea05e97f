package pythontest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

// kills is how many trainers are killed.
const kills = 60

type position struct{ episode, step int }

// TestKilled kills Python trainers at random points, some of them with the real
// program beside them. Everything that they were told is safe must be in their
// journals, read by the Go reader, and end in the database as it was logged.
func TestKilled(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	runs, db := filepath.Join(dir, "runs"), "sqlite:"+filepath.Join(dir, "killed.db")
	acknowledged := map[position]bool{}
	// Where each trainer went on, at least; what it logged since is checked at the end.
	last := -1
	for i := range kills {
		args := []string{"../../internal/pythontest/testdata/killed.py", runs}
		if i%15 == 7 {
			args = append(args, db)
		}
		began := trainAndKill(t, args, random, acknowledged)
		if began < last {
			t.Fatalf("trainer %d went on behind episode %d, and %d was acknowledged", i, began, last)
		}
		for p := range acknowledged {
			if p.step < 0 {
				last = max(last, p.episode)
			}
		}
	}
	t.Logf("%d trainers were killed, %d records acknowledged, %d episodes", kills, len(acknowledged), last+1)
	if last < 5 {
		t.Error("too little was logged: that shows nothing")
	}

	found := map[position]bool{}
	infos, errs := journal.Find(runs)
	for _, err := range errs {
		if !errors.Is(err, journal.ErrEmpty) { // killed before its first record
			t.Error(err)
		}
	}
	for _, info := range infos {
		collect(t, info.Dir, found)
	}
	missing := 0
	for p := range acknowledged {
		if !found[p] {
			if missing++; missing < 10 {
				t.Errorf("%+v was acknowledged and is in no journal", p)
			}
		}
	}
	if out, err := run(t, "sync", runs, "--db", db); err != nil {
		t.Fatalf("sync: %v\n%s", err, out)
	}
	out, err := run(t, "verify", runs, "--db", db)
	if err != nil || !strings.Contains(out, "equal") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// trainAndKill lets a trainer work for a random time and kills it. It returns the
// episode that the trainer found as the last one.
func trainAndKill(t *testing.T, args []string, random *rand.Rand, acknowledged map[position]bool) int {
	t.Helper()
	cmd := python(t, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	began := -1
	if _, serr := fmt.Sscanf(first, "begun %d", &began); err != nil || serr != nil {
		t.Fatalf("the trainer says %q, %v\n%s", first, err, &stderr)
	}
	// From the first record to the first changes of segments.
	timer := time.AfterFunc(time.Duration(random.Int64N(int64(120*time.Millisecond))), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // an unfinished line was not acknowledged for certain
		}
		var p position
		if _, err := fmt.Sscanf(line, "%d %d", &p.episode, &p.step); err != nil {
			t.Errorf("the trainer wrote %q: %v", line, err)
		}
		acknowledged[p] = true
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the trainer ended by itself: %v\n%s", err, &stderr)
	}
	return began
}

// collect reads a run with the Go reader and fails on any damage.
func collect(t *testing.T, dir string, found map[position]bool) {
	t.Helper()
	if faults, err := journal.Verify(dir); err != nil {
		t.Error(err)
	} else {
		for _, f := range faults {
			if !strings.Contains(f.Error(), "unfinished last line") {
				t.Error(f)
			}
		}
	}
	r, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || line.Damage != nil {
			t.Fatalf("%s: %v %v", dir, err, line.Damage)
		}
		switch record.Kind(line.Kind) {
		case record.KindStep:
			var s record.Step
			if err := s.UnmarshalJSON(line.Data); err != nil {
				t.Fatal(err)
			}
			found[position{s.EpisodeNumber, s.StepNumber}] = true
		case record.KindEpisode:
			var e record.Episode
			if err := e.UnmarshalJSON(line.Data); err != nil {
				t.Fatal(err)
			}
			found[position{e.EpisodeNumber, -1}] = true
		}
	}
}

// TestMissingPython makes sure that a missing interpreter is a failure.
func TestMissingPython(t *testing.T) {
	t.Setenv("GREENWAVE_PYTHON", filepath.Join(t.TempDir(), "none"))
	if _, err := python(t, "-V").CombinedOutput(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an interpreter that is not there: %v", err)
	}
}
