package syncer

import (
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

const (
	chunkSize = 256 << 10
	// rowCost is about what a parsed row takes beside the bytes that it points
	// into.
	rowCost = 512
	// largeRecord is the size from which a row's buffers are not kept for reuse,
	// so that a few large records do not grow every batch for good.
	largeRecord = 32 << 10
	// maxReason bounds the text of a dead letter in bytes.
	maxReason = 2000
)

// batch is a stretch of a source on its way to the database. It owns the bytes
// that its rows point into; both are used again for the next stretch.
type batch struct {
	store.Batch
	size        int       // bytes of memory, roughly
	began       time.Time // when the first record came
	urgent      bool      // holds a record that must not wait
	quarantined uint64    // records that could not be read

	where  []string // of each entry, as far as the source says
	chunks [][]byte // each of chunkSize; those before chunk are full
	chunk  int
	large  []int // entries whose buffers are dropped
}

// reset empties the batch; the next record is the one after from.
func (b *batch) reset(from uint64) {
	for _, i := range b.large {
		b.Entries[i].Row = record.Row{}
	}
	clear(b.Dead)
	clear(b.where)
	for i := range b.chunks {
		b.chunks[i] = b.chunks[i][:0]
	}
	*b = batch{
		Batch: store.Batch{From: from, To: from, Entries: b.Entries[:0], Dead: b.Dead[:0]},
		where: b.where[:0], chunks: b.chunks, large: b.large[:0],
	}
}

func (b *batch) empty() bool { return b.To == b.From }

// add takes in an item, whose bytes it copies. One that breaks a rule becomes a
// dead letter.
func (b *batch) add(item Item, now func() time.Time) {
	if b.empty() {
		b.began = time.Now()
	}
	b.To = item.Seq
	n := len(b.Entries)
	if n < cap(b.Entries) {
		b.Entries = b.Entries[:n+1]
	} else {
		b.Entries = append(b.Entries, store.Entry{})
	}
	e := &b.Entries[n]
	row, err := record.Parse(item.Kind, b.keep(item.Data), &e.Row)
	if err != nil {
		e.Row = record.Row{}
		b.Entries = b.Entries[:n]
		b.bury(item, err.Error(), now())
		return
	}
	row.Default(item.Time)
	e.Seq, e.Time, e.Row = item.Seq, item.Time, row
	b.where = append(b.where, item.Where)
	b.size += len(item.Data) + rowCost
	if len(item.Data) > largeRecord {
		b.large = append(b.large, n)
	}
	if urgent(item.Kind) {
		b.urgent = true
	}
}

// bury takes in an item as a dead letter.
func (b *batch) bury(item Item, reason string, now time.Time) {
	if b.empty() {
		b.began = time.Now()
	}
	b.To = item.Seq
	dl := store.DeadLetter{Seq: item.Seq, Kind: item.Kind, Reason: plainText(reason), Where: item.Where, Time: now}
	b.Dead = append(b.Dead, dl)
	b.size += rowCost + len(dl.Reason) + len(dl.Where)
}

// keep copies data into the batch's own memory.
func (b *batch) keep(data []byte) []byte {
	if len(data) > chunkSize/4 {
		return append([]byte(nil), data...)
	}
	for ; b.chunk < len(b.chunks); b.chunk++ {
		c := b.chunks[b.chunk]
		if len(c)+len(data) <= cap(c) {
			b.chunks[b.chunk] = append(c, data...)
			return b.chunks[b.chunk][len(c) : len(c)+len(data) : len(c)+len(data)]
		}
	}
	b.chunks = append(b.chunks, make([]byte, 0, chunkSize))
	return b.keep(data)
}

// whereIs says where in the source the entry with the sequence number stands.
func (b *batch) whereIs(seq uint64) string {
	i := sort.Search(len(b.Entries), func(i int) bool { return b.Entries[i].Seq >= seq })
	if i == len(b.Entries) || b.Entries[i].Seq != seq {
		return ""
	}
	return b.where[i]
}

// urgent reports whether a record of the kind is sent at once.
func urgent(k record.Kind) bool {
	return k != record.KindStep && k != record.KindHeartbeat && k != record.KindResource
}

// plainText makes a reason that every database can hold: valid UTF-8 without NUL,
// not longer than maxReason.
func plainText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", `\0`)
	if len(s) <= maxReason {
		return s
	}
	cut := maxReason
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:cut], len(s))
}
