package greenwave

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

// The test program plays a trainer when this variable says so.
const roleVariable = "GREENWAVE_TEST_ROLE"

// play is a trainer in a process of its own. It writes a line to standard output
// after each record that was acknowledged.
func play(role string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := Config{
		Experiment: "killed", Dir: os.Getenv("GREENWAVE_TEST_DIR"), Logger: slog.New(slog.DiscardHandler),
		Destination: os.Getenv("GREENWAVE_TEST_DESTINATION"), Program: os.Getenv("GREENWAVE_TEST_PROGRAM"),
	}
	begin := Start
	if role == "resume" {
		begin = Resume
	}
	run, err := begin(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("dir", run.Dir())
	first, _ := run.LastEpisode()
	for episode := first + 1; ; episode++ {
		for step := range 20 {
			if err := run.LogStep(Step{EpisodeNumber: episode, StepNumber: step, StateVector: make([]float32, 60)}); err != nil {
				return ended(run, err)
			}
			fmt.Println("step", episode, step)
		}
		if err := run.LogEpisode(Episode{EpisodeNumber: episode, TotalReward: float64(episode)}); err != nil {
			return ended(run, err)
		}
		fmt.Println("episode", episode)
	}
}

// ended is the way out of a trainer that was asked to stop.
func ended(run *Run, err error) int {
	if !errors.Is(err, ErrFinished) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := run.Finish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("finished", run.Report().Status)
	return 0
}

// trainer is a process that plays.
type trainer struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	stderr *strings.Builder
	dir    string // the run's folder
}

func startTrainer(t *testing.T, role, dir string, env ...string) *trainer {
	t.Helper()
	p := &trainer{cmd: exec.CommandContext(t.Context(), os.Args[0]), stderr: new(strings.Builder)}
	p.cmd.Env = append(os.Environ(), append(env, roleVariable+"="+role, "GREENWAVE_TEST_DIR="+dir)...)
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the trainer says nothing: %v, %s", err, p.stderr)
	}
	p.dir = strings.TrimSpace(strings.TrimPrefix(line, "dir "))
	return p
}

// read takes n lines of output, or all until the end when n is negative.
func (p *trainer) read(n int) []string {
	var lines []string
	for n < 0 || len(lines) < n {
		line, err := p.out.ReadString('\n')
		if err != nil {
			break // an unfinished line was not acknowledged for certain
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// kills is how many processes are killed. Set GREENWAVE_KILLS for more.
func kills(t *testing.T) int {
	n := 200
	if s := os.Getenv("GREENWAVE_KILLS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Chains of trainers, each resuming the one before, each killed at a random point:
// what was acknowledged is there, once, in order.
func TestKilledTrainersLoseNothing(t *testing.T) {
	t.Parallel()
	const chain = 20
	n, records := kills(t), 0
	for begun := 0; begun < n; begun += chain {
		records += killChain(t, min(chain, n-begun), rand.New(rand.NewPCG(1, uint64(begun))))
	}
	t.Logf("%d processes killed, %d records found", n, records)
}

func killChain(t *testing.T, n int, random *rand.Rand) (records int) {
	dir := t.TempDir()
	var acknowledged []string
	role := "start"
	for i := range n {
		p := startTrainer(t, role, dir)
		role = "resume"
		lines := p.read(random.IntN(120))
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, p.read(-1)...)
		if err := p.cmd.Wait(); err == nil {
			t.Fatalf("process %d ended by itself: %s", i, p.stderr)
		}
		acknowledged = append(acknowledged, lines...)
	}
	runs, errs := journal.Find(dir)
	if len(errs) > 0 || len(runs) != n {
		t.Fatalf("%d processes left %d runs, and %v", n, len(runs), errs)
	}
	var recorded []string
	var last time.Time
	for i, info := range runs {
		if i > 0 && info.Header.Continues != runs[i-1].Header.RunID {
			t.Errorf("run %d continues %q, want %q", i, info.Header.Continues, runs[i-1].Header.RunID)
		}
		for _, l := range read(t, info.Dir) {
			if !l.Time.After(last) {
				t.Fatalf("%s: its time %v is not after %v", l.Where, l.Time, last)
			}
			last = l.Time
			switch l.Kind {
			case "step":
				recorded = append(recorded, fmt.Sprintf("step %v %v", l.fields["episode_number"], l.fields["step_number"]))
			case "episode":
				recorded = append(recorded, fmt.Sprintf("episode %v", l.fields["episode_number"]))
			}
		}
	}
	// Each process may have written more than it could still say.
	for i := 0; len(acknowledged) > 0; i++ {
		if i == len(recorded) {
			t.Fatalf("%d acknowledged records are missing, from %q on", len(acknowledged), acknowledged[0])
		}
		if recorded[i] == acknowledged[0] {
			acknowledged = acknowledged[1:]
		}
	}
	return len(recorded)
}

func TestSIGTERMFinishesAsInterrupted(t *testing.T) {
	t.Parallel()
	p := startTrainer(t, "start", t.TempDir())
	lines := p.read(30)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	lines = append(lines, p.read(-1)...)
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("the trainer: %v, %s", err, p.stderr)
	}
	if last := lines[len(lines)-1]; last != "finished interrupted" {
		t.Errorf("the trainer's last words are %q", last)
	}
	got := read(t, p.dir)
	end := got[len(got)-1]
	if end.Kind != "end" || end.fields["status"] != "interrupted" || !strings.Contains(fmt.Sprint(end.fields["reason"]), "terminated") {
		t.Errorf("the journal ends with %s %v", end.Kind, end.fields)
	}
	// A record may be written after the last acknowledgement and before the end.
	if n := len(lines) - 1; len(got)-1 < n || len(got)-1 > n+1 {
		t.Errorf("%d records were acknowledged, %d are there", n, len(got)-1)
	}
	info, err := journal.Stat(p.dir)
	if err != nil || !info.Sealed {
		t.Errorf("the journal is not closed in good order: %+v, %v", info, err)
	}
}

func TestResumeBesideALiveRunIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startTrainer(t, "start", dir)
	cfg := Config{Experiment: "killed", Dir: dir, Logger: slog.New(slog.DiscardHandler)}
	_, err := Resume(t.Context(), cfg)
	if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("got %v, want ErrRunning with the process", err)
	}
	beside, err := Start(t.Context(), cfg)
	if err != nil {
		t.Errorf("a second run beside the first: %v", err)
	} else if err := beside.Finish(); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait()
}
