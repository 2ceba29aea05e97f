package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLine: what the decoder takes is exactly what the encoder writes.
func FuzzLine(f *testing.F) {
	var e encoder
	f.Add(bytes.TrimSuffix(e.line(nil, 1, 1795386121123456, "step", []byte(`{"a":1}`)), []byte("\n")))
	f.Add(bytes.TrimSuffix(e.line(nil, 0, -1, kindSeal, []byte(`{}`)), []byte("\n")))
	f.Add(bytes.TrimSuffix(e.line(nil, 18446744073709551615, maxMicro, "a_1", []byte(`{"x":"}"}`)), []byte("\n")))
	f.Add([]byte(`{"seq":1,"time":"2026-02-30T00:00:00.000000Z","kind":"step","data":{},"crc":"00000000"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = bytes.ReplaceAll(raw, []byte("\n"), nil) // the scanner takes those away
		l, err := parseLine(raw)
		if err != nil {
			// Again with a checksum that fits, to reach what lies behind it.
			if len(raw) < tailLen {
				return
			}
			raw = raw[: len(raw)-tailLen : len(raw)-tailLen]
			raw = append(raw, `,"crc":"`...)
			raw = appendHex32(raw, crcOf(raw[:len(raw)-8]))
			raw = append(raw, `"}`...)
			if l, err = parseLine(raw); err != nil {
				return
			}
		}
		var e encoder
		if got := e.line(nil, l.Seq, l.Time.UnixMicro(), l.Kind, l.Data); string(got) != string(raw)+"\n" {
			t.Fatalf("%q was taken as %q", raw, got)
		}
	})
}

// FuzzReader: whatever the bytes of a segment are, plain or compressed, reading
// ends, numbers never go back, and Stat, Verify and Recover do not panic.
func FuzzReader(f *testing.F) {
	for _, pattern := range []string{"good/*/run/*.jsonl*", "bad/*/run/*.jsonl*"} {
		files, err := filepath.Glob(filepath.Join(vectorRoot, pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, filepath.Ext(name) == ".zst")
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, compressed bool) {
		dir := t.TempDir()
		name := segmentName(1, 1) + plainExt
		if compressed {
			name = segmentName(1, 1) + zstdExt
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r, err := Open(dir)
			if err != nil {
				return
			}
			last := uint64(0)
			for {
				l, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					break // a newer format in the middle
				}
				if l.Seq <= last {
					t.Fatalf("%d comes behind %d", l.Seq, last)
				}
				last = l.Seq
				if l.Damage != nil {
					last = l.Seq + l.Lost - 1
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Stat(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(dir); err != nil {
				return
			}
			if _, err := Recover(dir); err != nil {
				return
			}
		}
	})
}
