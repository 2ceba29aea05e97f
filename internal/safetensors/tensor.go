package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type is a tensor's element type, by its name in the format.
type Type string

// The types that are written. Files with others can be read apart from those tensors.
const (
	F32 Type = "F32"
	F64 Type = "F64"
	I64 Type = "I64"
	U8  Type = "U8"
)

// size is the bytes of an element; 0 for a type that is not known here.
func (t Type) size() int {
	switch t {
	case F32, "I32", "U32":
		return 4
	case F64, I64, "U64":
		return 8
	case U8, "BOOL", "I8", "F8_E4M3", "F8_E5M2":
		return 1
	case "F16", "BF16", "I16", "U16":
		return 2
	}
	return 0
}

// Tensor is a named block of numbers. Its data is one of []float32, []float64,
// []int64 and []byte, shared with whoever made it.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int
	data  any
}

// Float32 returns a tensor of data in row-major order.
func Float32(name string, data []float32, shape ...int) Tensor {
	return Tensor{Name: name, Type: F32, Shape: shape, data: data}
}

// Float64 returns a tensor of data in row-major order.
func Float64(name string, data []float64, shape ...int) Tensor {
	return Tensor{Name: name, Type: F64, Shape: shape, data: data}
}

// Int64 returns a tensor of data in row-major order.
func Int64(name string, data []int64, shape ...int) Tensor {
	return Tensor{Name: name, Type: I64, Shape: shape, data: data}
}

// Bytes returns a tensor of data in row-major order.
func Bytes(name string, data []byte, shape ...int) Tensor {
	return Tensor{Name: name, Type: U8, Shape: shape, data: data}
}

// elements is the product of a shape; 1 for a scalar. ok is false when it is
// negative or too large.
func elements(shape []int) (n int, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt/8/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// length is the number of elements of the data.
func (t Tensor) length() int {
	switch d := t.data.(type) {
	case []float32:
		return len(d)
	case []float64:
		return len(d)
	case []int64:
		return len(d)
	case []byte:
		return len(d)
	}
	return -1
}

// check says whether the data fits the shape.
func (t Tensor) check() error {
	n, ok := elements(t.Shape)
	if !ok || n != t.length() {
		return fmt.Errorf("tensor %s: %d elements do not have the shape %v", t.Name, t.length(), t.Shape)
	}
	return nil
}

// append appends elements from to to in little-endian order.
func (t Tensor) append(dst []byte, from, to int) []byte {
	switch d := t.data.(type) {
	case []float32:
		for _, v := range d[from:to] {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		}
	case []float64:
		for _, v := range d[from:to] {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
		}
	case []int64:
		for _, v := range d[from:to] {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
		}
	case []byte:
		dst = append(dst, d[from:to]...)
	}
	return dst
}

// take fills elements from from on with what src holds.
func (t Tensor) take(src []byte, from int) {
	switch d := t.data.(type) {
	case []float32:
		for i := range len(src) / 4 {
			d[from+i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case []float64:
		for i := range len(src) / 8 {
			d[from+i] = math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:]))
		}
	case []int64:
		for i := range len(src) / 8 {
			d[from+i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
		}
	case []byte:
		copy(d[from:], src)
	}
}
