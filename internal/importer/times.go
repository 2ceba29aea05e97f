package importer

import (
	"strings"
	"time"
)

// layouts are the ways in which times are written, with and without a zone. A
// fraction of a second is taken with each.
var (
	zoned = []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700"}
	naive = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}
)

// parseTime reads a JSON text that is a time. A time without a zone is one of loc.
// asIs says that record.Parse would read the same instant from the same text.
func parseTime(value []byte, loc *time.Location) (t time.Time, asIs, ok bool) {
	s, isText := text(value)
	if !isText {
		return time.Time{}, false, false
	}
	if len(s) > 19 && strings.ContainsAny(s[19:], "Z+-") {
		for i, layout := range zoned {
			if t, err := time.Parse(layout, s); err == nil {
				return t, i == 0, true
			}
		}
		return time.Time{}, false, false
	}
	for i, layout := range naive {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t, i == 0 && loc == time.UTC, true
		}
	}
	return time.Time{}, false, false
}

// appendTime writes a time as a JSON text that record.Parse reads.
func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}

// clock gives each record of a source the time at which it was logged: its own, if
// that is later than the record before, else a microsecond more.
type clock struct {
	start time.Time // of a first record without a time of its own
	last  time.Time
}

// next returns the time of a record whose own time is t; zero when it has none.
func (c *clock) next(t time.Time) time.Time {
	t = t.Truncate(time.Microsecond)
	if t.IsZero() && c.last.IsZero() {
		t = c.start.Truncate(time.Microsecond)
	}
	if !t.After(c.last) {
		t = c.last.Add(time.Microsecond)
	}
	c.last = t.UTC()
	return c.last
}
