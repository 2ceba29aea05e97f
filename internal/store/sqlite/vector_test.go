package sqlite_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

func TestVector(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Just(uint32(0)), rapid.Uint32(), rapid.Just(math.Float32bits(float32(math.Copysign(0, -1))))), 0, 700).Draw(t, "values")
		var raw []byte
		set := 0
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint32(raw, v)
			if v != 0 {
				set++
			}
		}
		stored := sqlite.AppendVector([]byte("x"), raw)[1:]
		if limit := min(1+len(raw), 5+(len(values)+7)/8+4*set); len(stored) > limit {
			t.Fatalf("%d values, %d of them set, take %d bytes, want at most %d", len(values), set, len(stored), limit)
		}
		got, err := sqlite.ParseVector(stored)
		if err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("read % x as % x, %v", stored, got, err)
		}
	})
}

// FuzzVector: no bytes make the reader fail otherwise than by an error, and what it
// reads can be stored and read again.
func FuzzVector(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x00\x00\x00\x80\x3f", "\x01\x00\x00\x00\x00", "\x01\x09\x00\x00\x00\x01\x00\x00\x00\x80\x3f", "\x01\xff\xff\xff\xff", "\x02abcd"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		values, err := sqlite.ParseVector(stored)
		if err != nil {
			return
		}
		again, err := sqlite.ParseVector(sqlite.AppendVector(nil, values))
		if err != nil || !bytes.Equal(again, values) {
			t.Errorf("% x was read as % x, then as % x, %v", stored, values, again, err)
		}
	})
}
