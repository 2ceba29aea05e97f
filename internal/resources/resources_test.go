package resources

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// CPU time is that of the interval: a process that spins on one core uses about 100 %.
func TestProcessCPU(t *testing.T) {
	s := New(time.Now())
	spins := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		spins++
	}
	var r record.Resource
	s.Sample(t.Context(), time.Now(), t.TempDir(), &r)
	// Other processes want the cores too, so only a floor can be told.
	if r.ProcessCPUPercent == nil || *r.ProcessCPUPercent < 10 {
		t.Errorf("a process that spun %d times used %v %% of a core", spins, r.ProcessCPUPercent)
	}
}

// A program that calls itself nvidia-smi is asked as the real one.
func TestGPUs(t *testing.T) {
	smi := filepath.Join(t.TempDir(), "nvidia-smi")
	program := func(body string) {
		t.Helper()
		if err := os.WriteFile(smi, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program("printf '0, NVIDIA A100, 35, 1024, 40960\\n1, Tesla M60, [N/A], 1, 2\\n'")
	gpus := askGPUs(t.Context(), smi)
	if len(gpus) != 2 {
		t.Fatalf("GPUs are %v", gpus)
	}
	first, second := gpus[0].(map[string]any), gpus[1].(map[string]any)
	if first["name"] != "NVIDIA A100" || first["index"] != 0.0 || first["utilization_percent"] != 35.0 || first["memory_used_mb"] != 1024*1.048576 {
		t.Errorf("the first is %v", first)
	}
	if _, known := second["utilization_percent"]; known || second["index"] != 1.0 {
		t.Errorf("the second is %v", second)
	}
	program("exit 9")
	if gpus := askGPUs(t.Context(), smi); gpus != nil {
		t.Errorf("one that fails says %v", gpus)
	}
}
