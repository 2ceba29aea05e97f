package greenwave

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// guideStep is the step of the guide, with n numbers of state of which 7 in 10 are 0.
func guideStep(n int) Step {
	junctions := []string{"ECOLAND", "JOHNPAUL", "SANDAWA"}
	s := Step{
		EpisodeNumber: 1, ActiveVehicles: new(45), ActionTaken: new(3), ImmediateReward: new(2.34), SimulationTime: new(360.0),
		QueueLengths: map[string]map[string]float64{}, WaitingTimes: map[string]float64{}, Speeds: map[string]float64{},
		IntersectionMetrics: map[string]any{"coordination_score": 0.85, "efficiency_index": 0.78},
		StateVector:         make([]float32, n),
	}
	for i, j := range junctions {
		s.QueueLengths[j] = map[string]float64{"north": 3, "south": 7, "east": 2, "west": float64(i)}
		s.WaitingTimes[j] = 15.2 + float64(i)
		s.Speeds[j] = 18.5 - float64(i)
	}
	for i := range s.StateVector {
		if i%10 < 3 {
			s.StateVector[i] = float32(i%97) / 97
		}
	}
	return s
}

// BenchmarkLogStep logs steps and, in turns with them, writes as many bytes with a
// bare write to a file beside the journal. The metric x-bare-write is the ratio of
// the two, which is to stay below 2.
func BenchmarkLogStep(b *testing.B) {
	for _, size := range []struct {
		name  string
		state int
	}{{"guide", 3}, {"state600", 600}} {
		b.Run(size.name, func(b *testing.B) { benchmarkLogStep(b, guideStep(size.state)) })
	}
}

func benchmarkLogStep(b *testing.B, step Step) {
	dir := b.TempDir()
	run, err := Start(b.Context(), Config{Experiment: "bench", Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer run.Finish()
	log := func(n int) {
		step.StepNumber = n
		if err := run.LogStep(step); err != nil {
			b.Fatal(err)
		}
	}
	log(0)
	before := folderSize(b, run.Dir())
	log(1)
	bytes := folderSize(b, run.Dir()) - before
	bare, err := os.OpenFile(filepath.Join(dir, "bare"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	line := make([]byte, bytes)

	const turn = 500
	var logging, writing time.Duration
	b.ReportAllocs()
	b.SetBytes(bytes)
	b.ResetTimer()
	for n := 0; n < b.N; n += turn {
		many := min(turn, b.N-n)
		begin := time.Now()
		for i := range many {
			log(n + i + 2)
		}
		middle := time.Now()
		for range many {
			if _, err := bare.Write(line); err != nil {
				b.Fatal(err)
			}
		}
		logging += middle.Sub(begin)
		writing += time.Since(middle)
	}
	b.StopTimer()
	b.ReportMetric(float64(logging.Nanoseconds())/float64(b.N), "ns/op")
	b.ReportMetric(float64(writing.Nanoseconds())/float64(b.N), "ns/bare-write")
	b.ReportMetric(float64(logging)/float64(writing), "x-bare-write")
	b.ReportMetric(float64(bytes)*float64(b.N)/logging.Seconds()/1e6, "MB/s")
}

func folderSize(b *testing.B, dir string) (size int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}
