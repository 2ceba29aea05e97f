package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"time"
)

// Kinds of the lines that carry no record. Their sequence number is 0.
const (
	kindHeader = "header" // first line of a segment
	kindSeal   = "seal"   // last line of a sealed segment
	kindIndex  = "index"  // behind the data of a compressed segment
)

const (
	timeLen   = len("2006-01-02T15:04:05.000000Z")
	tailLen   = len(`,"crc":"00000000"}`)
	maxKind   = 32
	minYear   = 1
	maxYear   = 9999
	layoutSec = "2006-01-02T15:04:05."
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder builds lines. It remembers the text of the last second, because most
// lines share it with the line before.
type encoder struct {
	sec     int64
	secText [len(layoutSec)]byte
	known   bool
}

// line appends one line with its line break to dst. micro is the time in
// microseconds since 1970.
func (e *encoder) line(dst []byte, seq uint64, micro int64, kind string, data []byte) []byte {
	start := len(dst)
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = e.time(dst, micro)
	dst = append(dst, `","kind":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","data":`...)
	dst = append(dst, data...)
	sum := crc32.Checksum(dst[start:], castagnoli)
	dst = append(dst, `,"crc":"`...)
	dst = appendHex32(dst, sum)
	return append(dst, "\"}\n"...)
}

func (e *encoder) time(dst []byte, micro int64) []byte {
	sec, frac := micro/1e6, micro%1e6
	if frac < 0 {
		sec, frac = sec-1, frac+1e6
	}
	if !e.known || sec != e.sec {
		time.Unix(sec, 0).UTC().AppendFormat(e.secText[:0], layoutSec)
		e.sec, e.known = sec, true
	}
	dst = append(dst, e.secText[:]...)
	var d [6]byte
	for i := 5; i >= 0; i-- {
		d[i] = byte('0' + frac%10)
		frac /= 10
	}
	dst = append(dst, d[:]...)
	return append(dst, 'Z')
}

func appendHex32(dst []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// lineSize is the length of the line that encoder.line would append.
func lineSize(seq uint64, kind string, data []byte) int {
	n := 1
	for s := seq; s >= 10; s /= 10 {
		n++
	}
	return len(`{"seq":,"time":"","kind":"","data":`) + n + timeLen + len(kind) + len(data) + tailLen + 1
}

// checkRecord says whether kind and data can stand in a line.
func checkRecord(kind string, data []byte) error {
	if err := checkKind(kind); err != nil {
		return err
	}
	if kind == kindHeader || kind == kindSeal || kind == kindIndex {
		return fmt.Errorf("%w: kind %q is kept for the journal itself", ErrInvalid, kind)
	}
	if len(data) < 2 || data[0] != '{' || data[len(data)-1] != '}' {
		return fmt.Errorf("%w: data must be one JSON object, from { to }", ErrInvalid)
	}
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return fmt.Errorf("%w: data has a line break at offset %d: write the JSON on one line", ErrInvalid, i)
	}
	return nil
}

func checkKind(kind string) error {
	if kind == "" || len(kind) > maxKind {
		return fmt.Errorf("%w: kind must have 1 to %d characters, has %d", ErrInvalid, maxKind, len(kind))
	}
	for i := range len(kind) {
		if c := kind[i]; (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return fmt.Errorf("%w: kind %q must be lower case letters, digits and _, beginning with a letter", ErrInvalid, kind)
		}
	}
	return nil
}

// Reasons why a line is not one.
var (
	errNotLine  = errors.New("not a journal line")
	errChecksum = errors.New("checksum does not fit")
	errTooLong  = fmt.Errorf("line is longer than %d bytes", MaxLine)
)

// parseLine decodes a line without its line break. The result shares raw's bytes.
// Exactly the lines that encoder.line writes are taken.
func parseLine(raw []byte) (Line, error) {
	if len(raw) < tailLen {
		return Line{}, errNotLine
	}
	body, tail := raw[:len(raw)-tailLen], raw[len(raw)-tailLen:]
	if string(tail[:8]) != `,"crc":"` || string(tail[16:]) != `"}` {
		return Line{}, fmt.Errorf("%w: it does not end with its checksum", errNotLine)
	}
	want, ok := parseHex32(tail[8:16])
	if !ok {
		return Line{}, fmt.Errorf("%w: the checksum is not 8 hexadecimal digits", errNotLine)
	}
	if sum := crc32.Checksum(body, castagnoli); sum != want {
		return Line{}, fmt.Errorf("%w: the line says %08x, its bytes give %08x", errChecksum, want, sum)
	}
	var l Line
	b, ok := bytes.CutPrefix(body, []byte(`{"seq":`))
	if !ok {
		return Line{}, fmt.Errorf("%w: its first member is not seq", errNotLine)
	}
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		d := uint64(b[i] - '0')
		if l.Seq > (math.MaxUint64-d)/10 {
			return Line{}, fmt.Errorf("%w: sequence number is too large", errNotLine)
		}
		l.Seq = l.Seq*10 + d
		i++
	}
	if i == 0 || i > 1 && b[0] == '0' {
		return Line{}, fmt.Errorf("%w: sequence number is not one", errNotLine)
	}
	b, ok = bytes.CutPrefix(b[i:], []byte(`,"time":"`))
	if !ok || len(b) < timeLen {
		return Line{}, fmt.Errorf("%w: no time behind the sequence number", errNotLine)
	}
	if l.Time, ok = parseTime(b[:timeLen]); !ok {
		return Line{}, fmt.Errorf("%w: time is not like 2006-01-02T15:04:05.000000Z", errNotLine)
	}
	b, ok = bytes.CutPrefix(b[timeLen:], []byte(`","kind":"`))
	if !ok {
		return Line{}, fmt.Errorf("%w: no kind behind the time", errNotLine)
	}
	i = bytes.IndexByte(b[:min(len(b), maxKind+1)], '"')
	if i < 0 {
		return Line{}, fmt.Errorf("%w: kind does not end", errNotLine)
	}
	l.Kind = kindName(b[:i])
	if checkKind(l.Kind) != nil {
		return Line{}, fmt.Errorf("%w: kind is not lower case letters, digits and _", errNotLine)
	}
	l.Data, ok = bytes.CutPrefix(b[i:], []byte(`","data":`))
	if !ok || len(l.Data) < 2 || l.Data[0] != '{' || l.Data[len(l.Data)-1] != '}' {
		return Line{}, fmt.Errorf("%w: data is not an object", errNotLine)
	}
	control := l.Kind == kindHeader || l.Kind == kindSeal || l.Kind == kindIndex
	if control != (l.Seq == 0) {
		return Line{}, fmt.Errorf("%w: a line of kind %s has sequence number %d", errNotLine, l.Kind, l.Seq)
	}
	return l, nil
}

// kindName returns the kind as a string, without allocating for the usual ones.
func kindName(b []byte) string {
	switch string(b) {
	case "step":
		return "step"
	case "episode":
		return "episode"
	case "heartbeat":
		return "heartbeat"
	}
	return string(b)
}

func parseHex32(b []byte) (v uint32, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint32(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint32(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// parseTime decodes 2006-01-02T15:04:05.000000Z.
func parseTime(b []byte) (time.Time, bool) {
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[26] != 'Z' {
		return time.Time{}, false
	}
	bad := false
	num := func(from, to int) (v int) {
		for _, c := range b[from:to] {
			if c < '0' || c > '9' {
				bad = true
			}
			v = v*10 + int(c-'0')
		}
		return v
	}
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, sec, micro := num(11, 13), num(14, 16), num(17, 19), num(20, 26)
	if bad || year < minYear || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || sec > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, micro*1000, time.UTC)
	if t.Day() != day { // 30 February
		return time.Time{}, false
	}
	return t, true
}

// marshal writes v as JSON on one line, without escaping <, > and &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
