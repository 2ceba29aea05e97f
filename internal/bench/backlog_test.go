package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	greenwave "github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// BenchmarkBacklog leaves a backlog of five million steps behind (-steps) by a
// writer that never closes its journal, then measures recovery, status, and the
// memory and time of a sync by the real program.
func BenchmarkBacklog(b *testing.B) {
	dir := b.TempDir()
	program := filepath.Join(dir, "greenwave")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../../cmd/greenwave")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	runs := filepath.Join(dir, "runs")
	start := time.Now()
	writeBacklog(b, runs)
	b.Logf("%d steps written in %s", *steps, time.Since(start).Round(time.Second))
	infos, errs := journal.Find(runs)
	if len(errs) > 0 || len(infos) != 1 {
		b.Fatalf("found %d runs: %v", len(infos), errs)
	}
	runDir := infos[0].Dir
	onDisk := folderBytes(b, runDir)

	start = time.Now()
	if _, err := journal.Recover(runDir); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	plain := float64(*steps) * float64(lineBytes) / 1e9
	perGB := took.Seconds() / plain
	record(b, figure{
		name:     "recovery of a journal whose writer was killed",
		measured: fmt.Sprintf("%.2f s for %.2f GB of lines (%.2f GB on disk)", took.Seconds(), plain, float64(onDisk)/1e9),
		against:  "the clock", ratio: fmt.Sprintf("%.2f s/GB", perGB), limit: "< 1 s/GB", met: perGB < 1,
	})

	url := "sqlite:" + filepath.Join(dir, "backlog.db")
	server := pgtest.Start(b, pgtest.Options{Fsync: true})
	status := func(db string) {
		var best time.Duration
		for range 3 {
			start := time.Now()
			command(b, program, db, "status", runs)
			if took := time.Since(start); best == 0 || took < best {
				best = took
			}
		}
		record(b, figure{
			name:     "status on the backlog (" + scheme(db) + ")",
			measured: fmt.Sprintf("%.2f s", best.Seconds()), against: "the clock",
			ratio: fmt.Sprintf("%.2f s", best.Seconds()), limit: "< 2 s", met: best < 2*time.Second,
		})
	}
	status(url)
	for _, db := range []string{url, server.Database(b)} {
		if db != url {
			command(b, program, db, "migrate", "up")
		}
		start := time.Now()
		usage := command(b, program, db, "sync", runs)
		took := time.Since(start)
		mb := float64(usage.Maxrss) / 1024
		record(b, figure{
			name:     fmt.Sprintf("memory of a sync of %s steps (%s)", thousands(float64(*steps)), scheme(db)),
			measured: fmt.Sprintf("%.0f MB resident at most; %s", mb, rate(*steps, took)),
			against:  "the kernel's maximum resident set", ratio: fmt.Sprintf("%.0f MB", mb), limit: "< 150 MB", met: mb < 150,
		})
	}
	status(url)
}

func scheme(db string) string {
	if len(db) > 6 && db[:6] == "sqlite" {
		return "SQLite"
	}
	return "PostgreSQL"
}

// command runs the program and returns what it used.
func command(b *testing.B, program, db string, args ...string) *syscall.Rusage {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), program, args...)
	cmd.Env = append(os.Environ(), "GREENWAVE_DB="+db)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		b.Fatalf("greenwave %v: %v\n%s", args, err, out.Bytes())
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

// lineBytes is the mean length of a line of the backlog.
var lineBytes int

// writeBacklog has another process write the journal, which it leaves as a killed
// writer does.
func writeBacklog(b *testing.B, runs string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^TestBacklogWriter$", "-test.timeout", "0", "-steps", fmt.Sprint(*steps))
	cmd.Env = append(os.Environ(), "GREENWAVE_BENCH_BACKLOG="+runs)
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		b.Fatalf("the writer ended with %v: %s", err, out)
	}
	if _, err := fmt.Sscan(string(out), &lineBytes); err != nil {
		b.Fatalf("the writer said %q: %v", out, err)
	}
}

// TestBacklogWriter is the other process: it logs the steps and kills itself. In a
// plain test run it logs a few in a folder of its own and ends in good order.
func TestBacklogWriter(t *testing.T) {
	runs, n := os.Getenv("GREENWAVE_BENCH_BACKLOG"), *steps
	if runs == "" {
		runs, n = t.TempDir(), 1000
	}
	rng := rand.New(rand.NewPCG(7, 8))
	run, err := greenwave.Start(t.Context(), greenwave.Config{Experiment: "backlog", Dir: runs})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]greenwave.Step, 256)
	for i := range batch {
		batch[i] = guideStep(rng, 0, i, 4)
	}
	bytes := 0
	for i := range n {
		s := batch[i%len(batch)]
		s.EpisodeNumber, s.StepNumber = i/stepsEach, i%stepsEach
		if err := run.LogStep(s); err != nil {
			t.Fatal(err)
		}
		if i < len(batch) {
			line, err := s.AppendJSON(nil)
			if err != nil {
				t.Fatal(err)
			}
			bytes += len(line) + 90 // with the envelope
		}
	}
	if err := run.Flush(); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("GREENWAVE_BENCH_BACKLOG") == "" {
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
		return
	}
	fmt.Println(bytes / len(batch))
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
