package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Row is a record in its generic form.
type Row struct {
	Schema *Schema
	Values []Value // one for each field of the schema, in its order

	// Extra is a JSON object of what has no column: unknown fields as they were
	// written, and non_finite, the list of the paths whose number was NaN or
	// infinite and is null here ("avg_loss", "waiting_times.ECOLAND",
	// "state_vector[3]"). Nil when there is nothing.
	Extra []byte

	buf []byte // what Parse had to write itself: vectors, texts with escapes, Extra
}

// Value is one field of a row. The zero Value is null.
type Value struct {
	Type Type
	num  uint64
	raw  []byte
}

// IntValue makes an Int value.
func IntValue(v int64) Value { return Value{Type: Int, num: uint64(v)} }

// FloatValue makes a Float value.
func FloatValue(v float64) Value { return Value{Type: Float, num: math.Float64bits(v)} }

// TextValue makes a Text value, which keeps the bytes it is given.
func TextValue(b []byte) Value { return Value{Type: Text, raw: b} }

// JSONValue makes a JSON value, which keeps the bytes it is given.
func JSONValue(b []byte) Value { return Value{Type: JSON, raw: b} }

// VectorValue wraps little-endian float32 values, four bytes each; NaN stands for
// a null element.
func VectorValue(b []byte) Value { return Value{Type: Vector, raw: b} }

// TimeValue keeps t to the microsecond.
func TimeValue(t time.Time) Value { return Value{Type: Time, num: uint64(t.UnixMicro())} }

// UUIDValue keeps a UUID in its canonical text form (36 bytes).
func UUIDValue(b []byte) Value { return Value{Type: UUID, raw: b} }

// IsNull reports whether the value is absent.
func (v Value) IsNull() bool { return v.Type == Null }

// Int returns the integer of an Int value.
func (v Value) Int() int64 { return int64(v.num) }

// Float returns the number of a Float value.
func (v Value) Float() float64 { return math.Float64frombits(v.num) }

// Bytes returns the bytes of a Text, JSON, Vector or UUID value. They are shared
// with the row.
func (v Value) Bytes() []byte { return v.raw }

// Time returns the instant of a Time value in UTC.
func (v Value) Time() time.Time { return time.UnixMicro(int64(v.num)).UTC() }

// Len returns the number of elements of a Vector value.
func (v Value) Len() int { return len(v.raw) / 4 }

// At returns element i of a Vector value.
func (v Value) At(i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(v.raw[4*i:]))
}

// Get returns the value of the named field; null when there is no such field.
func (r *Row) Get(name string) Value {
	if i := r.Schema.Index(name); i >= 0 {
		return r.Values[i]
	}
	return Value{}
}

// FieldError says which field of a record breaks which rule.
type FieldError struct {
	Kind  Kind
	Field string
	Value string // as written, shortened
	Rule  string // "must be …"
}

// Error returns "step: active_vehicles is "12": must be an integer".
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s is %s: %s", e.Kind, e.Field, e.Value, e.Rule)
}
