package journal

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"
)

// entry is a line of quarantine.jsonl: bytes of a segment that could not be read.
// The bytes stay in the segment too, where they are what the chain proves.
type entry struct {
	At      time.Time `json:"at"`
	File    string    `json:"file"` // plain name of the segment
	Segment int       `json:"segment"`
	Offset  int64     `json:"offset"` // uncompressed
	Length  int64     `json:"length"` // with the line break
	Seq     uint64    `json:"seq"`    // first sequence number that is affected
	Lost    uint64    `json:"lost"`   // how many are
	Reason  string    `json:"reason"`
	Text    string    `json:"text,omitempty"`   // the bytes, when they are UTF-8
	Base64  string    `json:"base64,omitempty"` // the bytes, otherwise; neither when they are more than MaxLine

	err error
	raw []byte
}

// maxEntry bounds how many bytes of neighbouring damaged lines make one entry.
const maxEntry = 64 << 10

func newEntry(s segmentFile, c chunk, reason error, seq uint64) entry {
	return entry{File: s.base() + plainExt, Segment: s.number, Offset: c.off, Length: c.length, Seq: seq,
		Reason: reason.Error(), err: reason, raw: bytes.Clone(c.raw)}
}

// join adds a damaged line that follows directly, so that a segment of garbage
// does not become millions of entries.
func (e *entry) join(c chunk) bool {
	if e.raw == nil || c.raw == nil || e.Offset+e.Length != c.off || len(e.raw)+len(c.raw) > maxEntry {
		return false
	}
	e.raw = append(append(e.raw, '\n'), c.raw...)
	e.Length += c.length
	return true
}

// encode writes the bytes in the form that they allow.
func (e *entry) encode() ([]byte, error) {
	if utf8.Valid(e.raw) {
		e.Text = string(e.raw)
	} else {
		e.Base64 = base64.StdEncoding.EncodeToString(e.raw)
	}
	return marshal(e)
}

// place identifies an entry.
type place struct {
	file   string
	offset int64
}

// quarantine appends the entries that are not in quarantine.jsonl yet and returns
// them.
func quarantine(fsys FS, dir string, entries []entry, now time.Time) ([]Line, error) {
	path := filepath.Join(dir, quarantineName)
	known, size, err := readQuarantine(path)
	if err != nil {
		return nil, err
	}
	f, err := fsys.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	// An unfinished entry of a crash is written again below.
	err = f.Truncate(size)
	var added []Line
	for _, e := range entries {
		if err != nil || known[place{e.File, e.Offset}] {
			continue
		}
		e.At = now.UTC()
		var line []byte
		if line, err = e.encode(); err == nil {
			_, err = f.Write(append(line, '\n'))
		}
		fault := &Fault{File: filepath.Join(dir, e.File), Segment: e.Segment, Offset: e.Offset, Length: e.Length, Err: e.err}
		added = append(added, Line{Seq: e.Seq, Lost: e.Lost, Damage: fault, Where: fault.where()})
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("quarantine to %s: %w", path, err)
	}
	return added, nil
}

// readQuarantine returns the places that are in quarantine and the size of the
// whole lines.
func readQuarantine(path string) (map[place]bool, int64, error) {
	known := map[place]bool{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return known, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	var size int64
	for b := bufio.NewReader(f); ; {
		line, err := b.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return known, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		size += int64(len(line))
		var e entry
		if json.Unmarshal(bytes.TrimSpace(line), &e) == nil {
			known[place{e.File, e.Offset}] = true
		}
	}
}
