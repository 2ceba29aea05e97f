package record

import "time"

// parseInstant reads RFC 3339 or what Python's isoformat and str write: a space for
// the T, the zone left out (zone then says which; nil is UTC). Digits behind the
// microsecond are cut off. It returns microseconds since 1970.
func parseInstant(b []byte, zone *time.Location) (int64, bool) {
	if len(b) < len("2006-01-02T15:04:05") {
		return 0, false
	}
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' && b[10] != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year := two(b, 0)*100 + two(b, 2)
	month, day := two(b, 5), two(b, 8)
	hour, minute, second := two(b, 11), two(b, 14), two(b, 17)
	if two(b, 0) < 0 || two(b, 2) < 0 || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, false
	}
	micros, i := 0, 19
	if i < len(b) && (b[i] == '.' || b[i] == ',') {
		scale := 100_000
		for i++; i < len(b) && b[i]-'0' < 10; i++ {
			micros += int(b[i]-'0') * scale
			scale /= 10
		}
		if b[i-1]-'0' >= 10 {
			return 0, false
		}
	}
	offset := 0
	switch rest := b[i:]; {
	case len(rest) == 0:
		if zone != nil && zone != time.UTC {
			return time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, zone).UnixMicro(), true
		}
	case len(rest) == 1 && (rest[0] == 'Z' || rest[0] == 'z'):
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		h, m := two(rest, 1), two(rest, 4)
		if h < 0 || h > 23 || m < 0 || m > 59 {
			return 0, false
		}
		if offset = h*3600 + m*60; rest[0] == '-' {
			offset = -offset
		}
	default:
		return 0, false
	}
	seconds := days(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
	t := seconds*1_000_000 + int64(micros)
	return t, t >= firstInstant && t < endInstant
}

// An instant lies in the years 1 to 9999 in UTC, which RFC 3339 can write.
var (
	firstInstant = days(1, 1, 1) * 86400 * 1_000_000
	endInstant   = days(10000, 1, 1) * 86400 * 1_000_000
)

// two returns the number of two digits at i; below 0 when they are not digits.
func two(b []byte, i int) int {
	h, l := b[i]-'0', b[i+1]-'0'
	if h > 9 || l > 9 {
		return -100_000
	}
	return int(h)*10 + int(l)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// days returns the days from 1970-01-01 to a date. The year is taken to begin in
// March, so that the leap day is its last.
func days(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return int64(era*146097+dayOfEra) - 719468
}
