package record

import (
	"errors"
	"time"
)

// Parse reads a record in its JSON form and checks it against the schema of its
// kind. Unknown fields go to Extra; NaN and infinity, written bare or as the texts
// "NaN", "Infinity" and "-Infinity" in a numeric place, become null and their paths
// go to Extra's non_finite. The row keeps slices of data; it does not keep data's
// other contents alive on purpose, so the caller must not change data while the row
// is used. Parse reuses the capacity of into when it is not nil.
//
// The error is a *FieldError when a field breaks a rule, or a plain error when data
// is not one JSON object or the kind is unknown.
func Parse(kind Kind, data []byte, into *Row) (Row, error) {
	return Row{}, errors.New("being written")
}

// AppendRow appends a row as the JSON object that Parse would read back to the same
// row: fields in schema order, null fields left out, then the members of Extra.
// Fields of type Vector are written as JSON arrays, times as RFC 3339 in UTC.
func AppendRow(dst []byte, r *Row) []byte {
	return dst
}

// Default sets the kind's own time field to t where the record has none, so that
// a row always says when it was logged.
func (r *Row) Default(t time.Time) {}
