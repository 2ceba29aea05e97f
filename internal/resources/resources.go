// Package resources measures what a process and its host use: CPU, memory, disk, GPUs.
package resources

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/greenwave-traffic/greenwave/record"
)

// Sampler measures what the process and its host use. What cannot be measured is left
// out. It is for one goroutine, which a disk or a driver that does not answer may hold up.
type Sampler struct {
	self *process.Process // nil where the system does not say
	smi  string           // path of nvidia-smi; "" where there is none

	at      time.Time // of the sample before
	process float64   // its CPU time, s
	host    cpu.TimesStat
}

// smiTime is how long nvidia-smi may take. It is not asked again after it failed.
const smiTime = 5 * time.Second

// New returns a sampler; CPU is measured from here on.
func New(now time.Time) *Sampler {
	s := &Sampler{}
	s.self, _ = process.NewProcess(int32(os.Getpid()))
	s.smi, _ = exec.LookPath("nvidia-smi")
	s.Sample(context.Background(), now, "", &record.Resource{})
	return s
}

// Sample fills in what can be measured. dir is the folder whose disk is asked; ""
// asks for the times of the CPU alone.
func (s *Sampler) Sample(ctx context.Context, now time.Time, dir string, r *record.Resource) {
	elapsed := now.Sub(s.at).Seconds()
	if s.self != nil {
		if t, err := s.self.TimesWithContext(ctx); err == nil {
			used := t.User + t.System
			if elapsed > 0 && used >= s.process {
				r.ProcessCPUPercent = new(100 * (used - s.process) / elapsed)
			}
			s.process = used
		}
	}
	if all, err := cpu.TimesWithContext(ctx, false); err == nil && len(all) == 1 {
		idle, total := all[0].Idle+all[0].Iowait, busy(all[0])+all[0].Idle+all[0].Iowait
		idle -= s.host.Idle + s.host.Iowait
		total -= busy(s.host) + s.host.Idle + s.host.Iowait
		if total > 0 {
			r.HostCPUPercent = new(min(100, max(0, 100*(1-idle/total))))
		}
		s.host = all[0]
	}
	s.at = now
	if dir == "" {
		return
	}
	if s.self != nil {
		if m, err := s.self.MemoryInfoWithContext(ctx); err == nil {
			r.ProcessMemoryMB = megabytes(m.RSS)
		}
	}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		r.HostMemoryTotalMB, r.HostMemoryUsedMB = megabytes(m.Total), megabytes(m.Total-min(m.Total, m.Available))
	}
	if d, err := disk.UsageWithContext(ctx, dir); err == nil {
		r.DiskFreeMB, r.DiskTotalMB = megabytes(d.Free), megabytes(d.Total)
	}
	if s.smi != "" {
		if gpus := askGPUs(ctx, s.smi); gpus != nil {
			r.GPUs = gpus
		} else {
			s.smi = ""
		}
	}
}

// busy is the time that the CPUs worked. Guests are counted in user and nice.
func busy(t cpu.TimesStat) float64 {
	return t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal
}

func megabytes(n uint64) *float64 { return new(float64(n) / 1e6) }

// askGPUs runs nvidia-smi; nil when it does not answer.
func askGPUs(ctx context.Context, smi string) []any {
	ctx, cancel := context.WithTimeout(ctx, smiTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, smi, "--query-gpu=index,name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return readGPUs(string(out))
}

// readGPUs reads nvidia-smi's lines, "0, NVIDIA A100, 35, 1024, 40960". It counts
// memory in MiB; a record counts in 10^6 bytes. What it cannot tell ("[N/A]") is left
// out.
func readGPUs(text string) []any {
	var gpus []any
	for line := range strings.Lines(text) {
		f := strings.Split(line, ",")
		if len(f) != 5 {
			continue
		}
		gpu := map[string]any{"name": strings.TrimSpace(f[1])}
		for i, name := range []string{"index", "", "utilization_percent", "memory_used_mb", "memory_total_mb"} {
			v, err := strconv.ParseFloat(strings.TrimSpace(f[i]), 64)
			if name == "" || err != nil {
				continue
			}
			if strings.HasSuffix(name, "_mb") {
				v *= 1.048576
			}
			gpu[name] = v
		}
		gpus = append(gpus, gpu)
	}
	return gpus
}
