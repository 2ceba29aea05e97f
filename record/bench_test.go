package record

import (
	"math/rand/v2"
	"testing"
)

// sparse is a state as facts describe it: 600 elements of which 70 % are zero, the
// rest with the digits that Python writes for a single-precision number.
func sparse() []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, 600)
	for i := range v {
		if r.Float64() > 0.7 {
			v[i] = r.Float32()
		}
	}
	return v
}

func benchmarkParse(b *testing.B, data []byte) {
	var row Row
	var err error
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if row, err = Parse(KindStep, data, &row); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseStep(b *testing.B) { benchmarkParse(b, []byte(guideStep)) }

// 600 elements, none of them zero, with the 17 digits of Python's repr.
func BenchmarkParseStep600(b *testing.B) {
	v := make([]any, 600)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range v {
		v[i] = float64(r.Float32())
	}
	data, _ := guideStepTyped(nil).AppendJSON(nil)
	list, _ := (&Validation{ConfidenceInterval: v}).AppendJSON(nil)
	list = list[len(`{"confidence_interval":`) : len(list)-1]
	data = append(append(data[:len(data)-1], `,"state_vector":`...), list...)
	benchmarkParse(b, append(data, '}'))
}

func BenchmarkParseStep600Sparse(b *testing.B) {
	data, err := guideStepTyped(sparse()).AppendJSON(nil)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkParse(b, data)
}

func BenchmarkParseEpisode(b *testing.B) {
	data := []byte(guideEpisode)
	var row Row
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		row, _ = Parse(KindEpisode, data, &row)
	}
}

func benchmarkAppend(b *testing.B, s *Step) {
	dst, err := s.AppendJSON(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = s.AppendJSON(dst[:0])
	}
}

func BenchmarkAppendStep(b *testing.B) {
	benchmarkAppend(b, guideStepTyped([]float32{0.15, 0.23, 0.45}))
}
func BenchmarkAppendStep600(b *testing.B) { benchmarkAppend(b, guideStepTyped(sparse())) }

func BenchmarkCheckStep(b *testing.B) {
	s := guideStepTyped(sparse())
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRow(b *testing.B) {
	row, err := Parse(KindStep, []byte(guideStep), nil)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendRow(dst[:0], &row)
	}
}
