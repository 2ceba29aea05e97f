package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	greenwave "github.com/greenwave-traffic/greenwave"
)

// BenchmarkAppend logs guide-shaped steps through the SDK and writes the same bytes
// with bare write calls, in turns.
func BenchmarkAppend(b *testing.B) {
	for _, state := range []int{4, 600} {
		b.Run(fmt.Sprintf("state=%d", state), func(b *testing.B) {
			const n, rounds = 20_000, 7
			rng := rand.New(rand.NewPCG(1, 2))
			batch := make([]greenwave.Step, 64)
			for i := range batch {
				batch[i] = guideStep(rng, 1, i, state)
			}
			dir := b.TempDir()
			run, err := greenwave.Start(b.Context(), greenwave.Config{Experiment: "bench", Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			logSteps := func(round int) time.Duration {
				start := time.Now()
				for i := range n {
					s := batch[i%len(batch)]
					s.EpisodeNumber, s.StepNumber = round, i
					if err := run.LogStep(s); err != nil {
						b.Fatal(err)
					}
				}
				return time.Since(start)
			}
			logSteps(0) // warm up
			if err := run.Flush(); err != nil {
				b.Fatal(err)
			}
			line := int(folderBytes(b, run.Dir())) / n
			f, err := os.Create(filepath.Join(dir, "bare"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			buf := make([]byte, line)
			for i := range buf {
				buf[i] = byte('a' + i%26)
			}
			bare := func() time.Duration {
				start := time.Now()
				for range n {
					if _, err := f.Write(buf); err != nil {
						b.Fatal(err)
					}
				}
				return time.Since(start)
			}
			bare()
			var ours, theirs []time.Duration
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for r := range rounds {
				ours = append(ours, logSteps(r+1))
				theirs = append(theirs, bare())
			}
			runtime.ReadMemStats(&after)
			if err := run.Finish(); err != nil {
				b.Fatal(err)
			}
			o, t := median(ours)/n, median(theirs)/n
			ratio := float64(o) / float64(t)
			b.ReportMetric(ratio, "ratio")
			record(b, figure{
				name:     fmt.Sprintf("append a guide-shaped step, state of %d (%d B a line)", state, line),
				measured: fmt.Sprintf("%.2f µs, %d allocations a step", float64(o)/1e3, (after.Mallocs-before.Mallocs)/(n*rounds)),
				against:  fmt.Sprintf("bare write of the same bytes %.2f µs", float64(t)/1e3),
				ratio:    fmt.Sprintf("%.2f", ratio), limit: "≤ 2", met: ratio <= 2,
			})
		})
	}
}

// folderBytes is the size of the files in a folder.
func folderBytes(b *testing.B, dir string) int64 {
	b.Helper()
	var sum int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			b.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}
