package sqlite

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The quick way reads what is stored as time.Parse does, and leaves all else to it.
func TestParseOurs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		at := time.UnixMicro(rng.Int64N(4e15) - 2e15).UTC()
		if got, ok := parseOurs(timeText(at)); !ok || !got.Equal(at) || got.Location() != time.UTC {
			t.Fatalf("%s became %s, %v", at, got, ok)
		}
	}
	for _, text := range []string{
		"", "2025-07-08T09:31:00Z", "2025-07-08 09:31:00.500000Z", "2025-02-30T09:31:00.500000Z", "2025-13-01T09:31:00.500000Z",
		"2025-07-08T24:31:00.500000Z", "2025-07-08T09:61:00.500000Z", "2025-07-08T09:31:60.500000Z", "2025-07-08T09:31:00,500000Z",
		"2025-07-08T09:31:00.50000aZ", "2025-00-08T09:31:00.500000Z", "2025-07-08T09:31:00.500000+",
	} {
		if got, ok := parseOurs(text); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
}
