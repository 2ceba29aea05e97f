package importer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

// BenchmarkSteps reads steps of the older logger as a source. The limit is reading
// the same bytes.
func BenchmarkSteps(b *testing.B) {
	const copies = 20_000
	lines, err := os.ReadFile("testdata/rerun/ring_steps.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	episodes, err := os.ReadFile("testdata/rerun/ring_episodes.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	content := bytes.Repeat(lines, copies/4)
	if err := errors.Join(os.WriteFile(dir+"/a_steps.jsonl", content, 0o644), os.WriteFile(dir+"/a_episodes.jsonl", episodes, 0o644)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(Found{Path: dir + "/a_steps.jsonl", Experiment: "a", Role: Steps}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			item, err := s.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || item.Err != nil {
				b.Fatal(err, item.Err)
			}
		}
		if n != copies {
			b.Fatal(n)
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*copies), "ns/step")
}
