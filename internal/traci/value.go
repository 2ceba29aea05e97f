package traci

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Value is a decoded value. Its strings share the memory of the message they came
// in and are valid until the connection is used again.
type Value struct {
	kind byte
	num  float64
	y    float64
	raw  []byte // a string, or the encoded strings, doubles or compound members
	n    int    // members
}

// Integer makes an integer to set.
func Integer(i int) Value { return Value{kind: typeInteger, num: float64(i)} }

// Double makes a number to set.
func Double(f float64) Value { return Value{kind: typeDouble, num: f} }

// String makes a text to set.
func String(s string) Value { return Value{kind: typeString, raw: []byte(s)} }

// Int returns a number as an integer.
func (v Value) Int() int { return int(v.num) }

// Float returns a number.
func (v Value) Float() float64 { return v.num }

// Text returns the bytes of a string.
func (v Value) Text() []byte {
	if v.kind != typeString {
		return nil
	}
	return v.raw
}

// XY returns a position in metres.
func (v Value) XY() (x, y float64) { return v.num, v.y }

// Len returns the number of members of a list.
func (v Value) Len() int { return v.n }

// Strings calls f with each member of a list of strings.
func (v Value) Strings(f func([]byte)) {
	if v.kind != typeStrings {
		return
	}
	d := decoder{b: v.raw}
	for range v.n {
		f(d.bytes())
	}
}

// First returns the first member of a list of strings; nil when there is none.
func (v Value) First() []byte {
	if v.kind != typeStrings || v.n == 0 {
		return nil
	}
	d := decoder{b: v.raw}
	return d.bytes()
}

// StringList returns a copy of a list of strings.
func (v Value) StringList() []string {
	list := make([]string, 0, v.n)
	v.Strings(func(s []byte) { list = append(list, string(s)) })
	return list
}

var errShort = errors.New("message is shorter than it says")

// decoder reads big-endian values; the first failure sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail(errShort)
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) ubyte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) int() int {
	if b := d.take(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// count reads how many members a list has; each takes at least one byte.
func (d *decoder) count() int {
	n := d.int()
	if n < 0 || n > len(d.b) {
		d.fail(errShort)
		return 0
	}
	return n
}

func (d *decoder) double() float64 {
	if b := d.take(8); b != nil {
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) bytes() []byte {
	n := d.int()
	if n > maxStringLength {
		d.fail(fmt.Errorf("a string of %d bytes", n))
		return nil
	}
	return d.take(n)
}

// value reads a type and a value of it.
func (d *decoder) value() Value { return d.typed(d.ubyte(), 0) }

func (d *decoder) typed(kind byte, depth int) Value {
	v := Value{kind: kind}
	switch kind {
	case typeUbyte:
		v.num = float64(d.ubyte())
	case typeByte:
		v.num = float64(int8(d.ubyte()))
	case typeInteger:
		v.num = float64(d.int())
	case typeDouble:
		v.num = d.double()
	case typeString:
		v.raw = d.bytes()
	case typePosition2D, 0x00:
		v.num, v.y = d.double(), d.double()
	case typePosition3D, 0x02:
		v.num, v.y = d.double(), d.double()
		d.double()
	case typeColor:
		d.take(4)
	case typePolygon:
		n := int(d.ubyte())
		if n == 0 {
			n = d.count()
		}
		v.n, v.raw = n, d.take(16*n)
	case typeDoubles:
		v.n = d.count()
		v.raw = d.take(8 * v.n)
	case typeStrings:
		v.n = d.count()
		start := d.b
		for range v.n {
			if d.bytes(); d.err != nil {
				break
			}
		}
		v.raw = start[:len(start)-len(d.b)]
	case typeCompound:
		if depth > 8 {
			d.fail(errors.New("compound values nested too deeply"))
			return v
		}
		v.n = d.count()
		start := d.b
		for range v.n {
			if d.typed(d.ubyte(), depth+1); d.err != nil {
				break
			}
		}
		v.raw = start[:len(start)-len(d.b)]
	default:
		d.fail(fmt.Errorf("a value of unknown type 0x%02x", kind))
	}
	if d.err != nil {
		return Value{}
	}
	return v
}

func appendInt(b []byte, i int) []byte { return binary.BigEndian.AppendUint32(b, uint32(int32(i))) }

func appendDouble(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

func appendString(b []byte, s string) []byte { return append(appendInt(b, len(s)), s...) }

func appendValue(b []byte, v Value) []byte {
	b = append(b, v.kind)
	switch v.kind {
	case typeInteger:
		return appendInt(b, int(v.num))
	case typeDouble:
		return appendDouble(b, v.num)
	default:
		return append(appendInt(b, len(v.raw)), v.raw...)
	}
}
