package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// guideStep is a step as the guide shows it, with a state of 48 numbers.
func guideStep() []byte {
	b := []byte(`{"episode_number":1,"step_number":60,"active_vehicles":45,` +
		`"queue_lengths":{"ECOLAND":{"north":3,"south":7,"east":2,"west":5},"JOHNPAUL":{"north":4,"south":6,"east":3,"west":2},"SANDAWA":{"north":2,"south":8,"east":4,"west":3}},` +
		`"waiting_times":{"ECOLAND":15.2,"JOHNPAUL":12.8,"SANDAWA":18.5},"speeds":{"ECOLAND":18.5,"JOHNPAUL":16.2,"SANDAWA":14.8},"state_vector":[`)
	for i := range 60 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "0.%04d", i*i%9973)
	}
	return append(b, `],"action_taken":3,"immediate_reward":2.34,"intersection_metrics":{"coordination_score":0.85,"efficiency_index":0.78},"simulation_time":360}`...)
}

// BenchmarkAppendStep appends a step of the guide's shape. BenchmarkBareWrite writes
// the same bytes with nothing else; the limit is twice its time.
func BenchmarkAppendStep(b *testing.B) {
	w, err := Create(b.TempDir(), testHeader(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	data := guideStep()
	b.SetBytes(int64(lineSize(1, "step", data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Append("step", data, false); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBareWrite(b *testing.B) {
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "f"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	var e encoder
	line := e.line(nil, 1, time.Now().UnixMicro(), "step", guideStep())
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Write(line); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkReader reads a journal of 128 MiB: plain, and compressed.
func BenchmarkReader(b *testing.B) {
	for name, size := range map[string]int64{"plain": 1 << 40, "zstd": 0} {
		b.Run(name, func(b *testing.B) {
			w, err := Create(b.TempDir(), testHeader(), Options{SegmentSize: size})
			if err != nil {
				b.Fatal(err)
			}
			data := guideStep()
			var bytes int64
			for bytes < 128<<20 {
				seq, err := w.Append("step", data, false)
				if err != nil {
					b.Fatal(err)
				}
				bytes += int64(lineSize(seq, "step", data))
			}
			if size == 0 {
				err = w.Close()
			} else {
				abandon(b, w)
			}
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(bytes)
			b.ReportAllocs()
			for b.Loop() {
				r, err := Open(w.Dir())
				if err != nil {
					b.Fatal(err)
				}
				var n uint64
				for {
					l, err := r.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil || l.Damage != nil {
						b.Fatal(err, l.Damage)
					}
					n++
				}
				if n != w.Logged() {
					b.Fatalf("%d records of %d", n, w.Logged())
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRecover recovers a journal of 1 GiB whose writer was killed with a torn
// line in a segment that is nearly full; BenchmarkStat looks at the same journal.
// The limits are 1 s and 2 s.
func BenchmarkRecover(b *testing.B) {
	root := b.TempDir()
	source := bigJournal(b, root, 1<<30)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		dir := filepath.Join(root, fmt.Sprint(i))
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if report, err := Recover(dir); err != nil || report.Trimmed == 0 {
			b.Fatal(report, err)
		}
		b.StopTimer()
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkStat(b *testing.B) {
	dir := bigJournal(b, b.TempDir(), 1<<30)
	for b.Loop() {
		if info, err := Stat(dir); err != nil || info.Torn == 0 {
			b.Fatal(info, err)
		}
	}
}

// bigJournal leaves an unsealed journal of about size bytes.
func bigJournal(b *testing.B, root string, size int64) string {
	b.Helper()
	w, err := Create(root, testHeader(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	data := guideStep()
	for n := int64(0); n < size; {
		seq, err := w.Append("step", data, false)
		if err != nil {
			b.Fatal(err)
		}
		n += int64(lineSize(seq, "step", data))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	abandon(b, w)
	edit(b, lastFile(b, w.Dir()), cut(10))
	return w.Dir()
}
