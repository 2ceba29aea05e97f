package greenwave

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// A run records what it uses, on this machine: the numbers are plausible.
func TestResources(t *testing.T) {
	cfg := quiet(t)
	cfg.ResourcesEvery = 20 * time.Millisecond
	run := begin(t, cfg)
	var samples []line
	for deadline := time.Now().Add(20 * time.Second); len(samples) < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("%d samples in 20 s", len(samples))
		}
		if err := run.Flush(); err != nil {
			t.Fatal(err)
		}
		samples = samples[:0]
		for _, l := range read(t, run.Dir()) {
			if l.Kind == string(record.KindResource) {
				samples = append(samples, l)
			}
		}
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	last := samples[len(samples)-1].fields
	number := func(name string) float64 {
		v, ok := last[name].(float64)
		if !ok {
			t.Errorf("%s is %v", name, last[name])
		}
		return v
	}
	if mb := number("process_memory_mb"); mb < 2 || mb > number("host_memory_total_mb") {
		t.Errorf("the process has %v MB", mb)
	}
	if used, total := number("host_memory_used_mb"), number("host_memory_total_mb"); used <= 0 || used > total {
		t.Errorf("%v of %v MB of memory in use", used, total)
	}
	if free, total := number("disk_free_mb"), number("disk_total_mb"); free <= 0 || free > total {
		t.Errorf("%v of %v MB of disk free", free, total)
	}
	if cpu := number("process_cpu_percent"); cpu < 0 || cpu > 100_000 {
		t.Errorf("CPU of the process is %v %%", cpu)
	}
	if got := run.Report().NotRecorded; got != 0 {
		t.Errorf("%d lost", got)
	}
}

// A program that calls itself nvidia-smi is asked as the real one; one that hangs
// is not waited for when the run ends.
func TestGPUs(t *testing.T) {
	dir := t.TempDir()
	smi := filepath.Join(dir, "nvidia-smi")
	program := func(body string) {
		t.Helper()
		if err := os.WriteFile(smi, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program("printf '0, NVIDIA A100, 35, 1024, 40960\\n1, Tesla M60, [N/A], 1, 2\\n'")
	// What it says is in the records of a run.
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	sampled := quiet(t)
	sampled.ResourcesEvery = 10 * time.Millisecond
	run := begin(t, sampled)
	recorded := func() bool {
		if err := run.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, l := range read(t, run.Dir()) {
			if gpus, ok := l.fields["gpus"].([]any); ok && len(gpus) == 2 {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(20 * time.Second); !recorded(); time.Sleep(5 * time.Millisecond) { // until the deadline
		if time.Now().After(deadline) {
			t.Fatal("no record of the run has the GPUs")
		}
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}

	program("exec sleep 60")
	cfg := quiet(t)
	cfg.ResourcesEvery = time.Millisecond
	run = begin(t, cfg)
	if err := run.LogEpisode(Episode{EpisodeNumber: 1}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Finish took %v", took)
	}
}
