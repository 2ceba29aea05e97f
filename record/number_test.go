package record

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Numbers are read as strconv reads them, bit by bit.
func TestNumbersAsStrconv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?`),
			rapid.Map(rapid.Float64(), func(f float64) string { return string(appendFloat(nil, f, 64)) }),
			rapid.Map(rapid.Float32(), func(f float32) string { return string(appendFloat(nil, float64(f), 64)) }),
			rapid.Map(rapid.Float32(), middle),
		).Draw(t, "number")
		s := scanner{data: []byte(text + ",")}
		n, end := s.decimal(0)
		if end != len(text) {
			t.Fatalf("read %d bytes of %s", end, text)
		}
		want, err := strconv.ParseFloat(text, 64)
		got, ok := n.float([]byte(text))
		if ok != (err == nil) || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s: got %v %v, want %v %v", text, got, ok, want, err)
		}
		single, ok := n.float32([]byte(text))
		want32, _ := strconv.ParseFloat(text, 32)
		if ok != (err == nil) || ok && math.Float32bits(single) != math.Float32bits(float32(want32)) {
			t.Fatalf("%s: got %v in single precision, want %v", text, single, want32)
		}
		whole, ok := n.int([]byte(text))
		exact, _ := new(big.Rat).SetString(text)
		if want := exact.IsInt() && exact.Num().IsInt64(); ok != want || ok && whole != exact.Num().Int64() {
			t.Fatalf("%s: got integer %d %v, want %s", text, whole, ok, exact)
		}
	})
}

// middle is a number next to the middle between two numbers of single precision,
// where rounding twice goes wrong.
func middle(f float32) string {
	m := (float64(f) + float64(math.Nextafter32(f, math.MaxFloat32))) / 2
	if math.IsInf(m, 0) {
		return "0"
	}
	b := new(big.Float).SetFloat64(m).Text('e', 25)
	return b[:len(b)-5] + "1" + b[len(b)-4:]
}

// scanner.number takes the same texts as encoding/json.
func TestNumberSyntax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?`).Draw(t, "number")
		if text == "" {
			return
		}
		s := scanner{data: []byte(text)}
		valid := json.Valid([]byte(text))
		if got := s.number(0) == len(text); got != valid {
			t.Fatalf("number takes %q: %v", text, got)
		}
		if _, end := s.decimal(0); (end == len(text)) != valid {
			t.Fatalf("decimal takes %q to byte %d", text, end)
		}
	})
}

// Floats are written as encoding/json writes them.
func TestFloatsAsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1e7, 1e7)).Draw(t, "float64")
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendFloat(nil, f, 64); string(got) != string(want) {
			t.Fatalf("got %s, want %s", got, want)
		}
		g := rapid.Float32().Draw(t, "float32")
		if want, err = json.Marshal(g); err != nil {
			t.Fatal(err)
		}
		if got := appendFloat(nil, float64(g), 32); string(got) != string(want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

// Numbers with few digits take a short way; they must look as encoding/json writes
// them all the same.
func TestFewDigitsAreTheShortest(t *testing.T) {
	for _, bits := range []int{32, 64} {
		for k := -2_000_000; k <= 2_000_000; k += 7 {
			for _, f := range []float64{float64(k) / 1000, float64(k) / 10000, math.Nextafter(float64(k)/1000, 1e9)} {
				if bits == 32 {
					f = float64(float32(f))
				}
				got := string(appendFloat(nil, f, bits))
				want, err := json.Marshal(f)
				if bits == 32 {
					want, err = json.Marshal(float32(f))
				}
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) && !(got == "0" && f == 0) {
					t.Fatalf("%d bits: got %s, want %s", bits, got, want)
				}
			}
		}
	}
}
