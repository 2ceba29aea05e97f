package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// childEnv makes the test binary a process of its own: "write DIR SEGMENTSIZE" logs
// until it is killed and tells each acknowledged number; "recover RUNDIR" recovers.
const childEnv = "GREENWAVE_JOURNAL_CHILD"

func child() int {
	args := strings.Split(os.Getenv(childEnv), "\t")
	if err := runChild(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runChild(args []string) error {
	if args[0] == "recover" {
		report, err := Recover(args[1])
		fmt.Println(len(report.Sealed), err)
		return err
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	h := testHeader()
	h.RunID = args[3]
	w, err := Create(args[1], h, Options{SegmentSize: size})
	if err != nil {
		return err
	}
	for {
		seq := w.Logged() + 1
		got, err := w.Append("step", []byte(stepData(seq)), seq%16 == 0)
		if err != nil || got != seq {
			return fmt.Errorf("append %d: got %d, %w", seq, got, err)
		}
		if _, err := fmt.Println(seq); err != nil {
			return err
		}
	}
}

func childProcess(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\t"))
	return cmd
}

// memoryDir is a temporary folder in memory, where there is one: kill -9 does not
// touch what the kernel holds, and a disk would be most of the test's time.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "greenwave-journal-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// killAfter runs a writer and kills it after n acknowledged records. It returns the
// last number that it acknowledged.
func killAfter(t *testing.T, n uint64, args ...string) uint64 {
	t.Helper()
	cmd := childProcess(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := uint64(0)
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadString('\n')
		if err != nil {
			break // an unfinished number was not told
		}
		if acked, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64); err != nil {
			t.Fatalf("child said %q", text)
		}
		if acked == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("child was to be killed: %v: %s", err, stderr.String())
	}
	return acked
}

// TestKill kills writers at random points of appending, sealing and compressing.
// Every number that one acknowledged must be there.
func TestKill(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	root := memoryDir(t)
	recovered := 0
	for round := range rounds {
		id := fmt.Sprintf("0197f3a4-5b6c-7d8e-9f00-%012d", round)
		size := []int64{1200, 3000, 20000}[rng.IntN(3)]
		acked := killAfter(t, 1+rng.Uint64N(150), "write", root, fmt.Sprint(size), id)
		dir := filepath.Join(root, FolderName(testHeader().Experiment), id)
		check := func(when string) uint64 {
			lines := readAll(t, dir)
			if uint64(len(lines)) < acked {
				t.Fatalf("round %d, %s: %d records of %d", round, when, len(lines), acked)
			}
			wantSteps(t, lines, 1, uint64(len(lines)))
			info, err := Stat(dir)
			if err != nil || info.Logged != uint64(len(lines)) || info.Live {
				t.Fatalf("round %d, %s: stat %+v, %v", round, when, info, err)
			}
			return info.Logged
		}
		before := check("before recovery")
		// Recovery is killed too, at a random moment.
		if rng.IntN(4) == 0 {
			cmd := childProcess("recover", dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for range rng.IntN(200) {
				if _, err := os.Stat(dir); err != nil {
					t.Fatal(err)
				}
			}
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
			recovered++
		}
		if _, err := Recover(dir); err != nil {
			t.Fatalf("round %d: recover: %v", round, err)
		}
		if after := check("after recovery"); after != before {
			t.Fatalf("round %d: %d records before recovery, %d after", round, before, after)
		}
		if faults, err := Verify(dir); err != nil || len(faults) > 0 {
			t.Fatalf("round %d: verify: %v, %v", round, faults, err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*.tmp")); err != nil || len(left) > 0 {
			t.Fatalf("round %d: left %v, %v", round, left, err)
		}
	}
	t.Logf("%d writers and %d recoveries killed", rounds, recovered)
}

// TestLocked: a second process is refused while the first writes.
func TestLocked(t *testing.T) {
	root := t.TempDir()
	w := create(t, root, Options{})
	for _, args := range [][]string{{"write", root, "1000", testRun}, {"recover", w.Dir()}} {
		out, err := childProcess(args...).CombinedOutput()
		want := fmt.Sprintf("another process writes to this journal (process %d on", os.Getpid())
		if err == nil || !strings.Contains(string(out), want) {
			t.Fatalf("%s: %v: %s", args[0], err, out)
		}
	}
	if _, err := Create(root, testHeader(), Options{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("in the same process: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(root, testHeader(), Options{}); !errors.Is(err, os.ErrExist) {
		t.Fatalf("a run that exists: %v", err)
	}
	var h holder
	b, err := os.ReadFile(filepath.Join(w.Dir(), lockName))
	if err != nil || json.Unmarshal(b, &h) != nil || h.PID != os.Getpid() {
		t.Fatalf("lock file: %s, %v", b, err)
	}
}
