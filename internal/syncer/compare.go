package syncer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// difference returns the first column in which a row differs from its record, with
// both values; no column when they are equal.
func difference(e *store.Entry, stored *store.Stored, want *expected) (column, logged, got string) {
	if !want.guessed && e.Time.UnixMicro() != stored.Time.UnixMicro() {
		return "logged_at", e.Time.UTC().Format(time.RFC3339Nano), stored.Time.UTC().Format(time.RFC3339Nano)
	}
	for i, field := range e.Row.Schema.Fields {
		if i == want.assigned {
			continue
		}
		a, b := e.Row.Values[i], stored.Row.Values[i]
		if !equalValues(field.Type, a, b) {
			return field.Name, valueText(a), valueText(b)
		}
	}
	if !equalExtra(e.Row.Extra, stored.Row.Extra) {
		return "extra", shorten(string(e.Row.Extra)), shorten(string(stored.Row.Extra))
	}
	return "", "", ""
}

func equalValues(t record.Type, a, b record.Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() == b.IsNull()
	}
	switch t {
	case record.Int:
		return a.Int() == b.Int()
	case record.Float:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case record.Time:
		return a.Time().Equal(b.Time())
	case record.JSON:
		return equalJSON(a.Bytes(), b.Bytes())
	case record.UUID:
		return strings.EqualFold(string(a.Bytes()), string(b.Bytes()))
	case record.Vector:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			x, y := a.At(i), b.At(i)
			if x != y && (x == x || y == y) { // NaN stands for null
				return false
			}
		}
		return true
	}
	return string(a.Bytes()) == string(b.Bytes())
}

// equalJSON reports whether two JSON texts say the same: white space, the order of
// members and the way in which a number is written do not matter.
func equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err := decodeJSON(a)
	if err != nil {
		return false
	}
	y, err := decodeJSON(b)
	return err == nil && equalAny(x, y)
}

// equalExtra is equalJSON for a row's extra, where nothing and {} are the same.
func equalExtra(a, b []byte) bool {
	if len(a) == 0 {
		a = []byte("{}")
	}
	if len(b) == 0 {
		b = []byte("{}")
	}
	return equalJSON(a, b)
}

func decodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func equalAny(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, x := range a {
			if y, ok := b[name]; !ok || !equalAny(x, y) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i, x := range a {
			if !equalAny(x, b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(string(a), string(b))
	}
	return a == b
}

// equalNumbers compares numbers by value. Databases may keep a number exactly or in
// double precision.
func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	if errA != nil || errB != nil || x != y {
		return false
	}
	if len(a) <= 15 && len(b) <= 15 {
		return true
	}
	// Two long integers may share their nearest float.
	if i, ok := new(big.Int).SetString(a, 10); ok {
		if j, ok := new(big.Int).SetString(b, 10); ok {
			return i.Cmp(j) == 0
		}
	}
	return true
}

// valueText writes a value for a person, shortened.
func valueText(v record.Value) string {
	switch v.Type {
	case record.Null:
		return "null"
	case record.Int:
		return strconv.FormatInt(v.Int(), 10)
	case record.Float:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case record.Time:
		return v.Time().Format(time.RFC3339Nano)
	case record.Vector:
		var b strings.Builder
		for i := range min(v.Len(), 8) {
			fmt.Fprintf(&b, "%v, ", v.At(i))
		}
		return fmt.Sprintf("[%s] (%d numbers)", strings.TrimSuffix(b.String(), ", "), v.Len())
	case record.Text:
		return shorten(strconv.Quote(string(v.Bytes())))
	}
	return shorten(string(v.Bytes()))
}

func shorten(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	cut := limit
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Differs returns the first column in which a row differs from the record that it was
// made from, with both values; no column when they say the same. The error is a record
// that cannot be read.
func Differs(item Item, stored *store.Stored) (column, logged, got string, err error) {
	if item.Err != nil {
		return "", "", "", item.Err
	}
	row, err := record.Parse(item.Kind, item.Data, nil)
	if err != nil {
		return "", "", "", err
	}
	if row.Schema != stored.Row.Schema {
		return "kind", string(row.Schema.Kind), string(stored.Row.Schema.Kind), nil
	}
	want := expected{guessed: item.Guessed, assigned: assignedTime(item, &row)}
	row.Default(item.Time)
	column, logged, got = difference(&store.Entry{Seq: item.Seq, Time: item.Time, Row: row}, stored, &want)
	return column, logged, got, nil
}

// assignedTime is the column that [record.Row.Default] fills in with a time that is only
// guessed; -1: none.
func assignedTime(item Item, row *record.Row) int {
	if item.Guessed {
		for i, field := range row.Schema.Fields {
			if field.Type == record.Time && row.Values[i].IsNull() {
				return i
			}
		}
	}
	return -1
}

// Chain checks a source's own checksums and chain, where it has them, and returns each
// fault; chained is false when it has none, as a file of another logger.
func Chain(src Source) (faults []error, chained bool, err error) {
	j, ok := src.(interface{ verifyChain() ([]error, error) })
	if !ok {
		return nil, false, nil
	}
	faults, err = j.verifyChain()
	return faults, true, err
}
