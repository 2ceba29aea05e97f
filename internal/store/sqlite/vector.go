package sqlite

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// A state vector is stored as one tag byte and
//
//	tag 0 (dense):  the elements, little-endian float32
//	tag 1 (sparse): the number of elements, a little-endian uint32; a bitmap of
//	                those that are not zero, least significant bit first; their
//	                values, little-endian float32
//
// whichever is shorter. NaN is an element that is null. In Python:
//
//	n = len(b)//4 if b[0] == 0 else int.from_bytes(b[1:5], "little")
//	on = np.ones(n, bool) if b[0] == 0 else np.unpackbits(np.frombuffer(b, "u1", (n+7)//8, 5), bitorder="little")[:n].astype(bool)
//	v = np.zeros(n, "<f4"); v[on] = np.frombuffer(b[len(b)-4*on.sum():], "<f4")
const (
	dense  = 0
	sparse = 1
)

// appendVector appends the stored form of little-endian float32 values.
func appendVector(dst, values []byte) []byte {
	n, start := len(values)/4, len(dst)
	dst = append(dst, sparse)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	bitmap := len(dst)
	for range (n + 7) / 8 {
		dst = append(dst, 0)
	}
	for i := 0; i < n; i++ {
		v := values[4*i : 4*i+4 : 4*i+4]
		if binary.LittleEndian.Uint32(v) == 0 {
			continue
		}
		dst[bitmap+i/8] |= 1 << (i % 8)
		if dst = append(dst, v...); len(dst)-start > len(values) {
			break
		}
	}
	if len(dst)-start <= len(values) {
		return dst
	}
	dst = append(dst[:start], dense)
	return append(dst, values...)
}

// parseVector is the inverse of appendVector.
func parseVector(b []byte) ([]byte, error) {
	switch {
	case len(b) > 0 && b[0] == dense && len(b)%4 == 1:
		return b[1:], nil
	case len(b) >= 5 && b[0] == sparse:
		n := int(binary.LittleEndian.Uint32(b[1:]))
		if (n+7)/8 > len(b)-5 {
			break
		}
		bitmap, packed := b[5:5+(n+7)/8], b[5+(n+7)/8:]
		set := 0
		for _, x := range bitmap {
			set += bits.OnesCount8(x)
		}
		if 4*set != len(packed) || n%8 != 0 && bitmap[n/8]>>(n%8) != 0 {
			break
		}
		values := make([]byte, 4*n)
		for i := range n {
			if bitmap[i/8]&(1<<(i%8)) != 0 {
				copy(values[4*i:], packed[:4])
				packed = packed[4:]
			}
		}
		return values, nil
	}
	return nil, fmt.Errorf("state_vector of %d bytes is not in the stored form", len(b))
}

// appendVectorJSON appends little-endian float32 values as a JSON array.
func appendVectorJSON(dst, values []byte) []byte {
	dst = append(dst, '[')
	for i := 0; i+4 <= len(values); i += 4 {
		if i > 0 {
			dst = append(dst, ',')
		}
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(values[i:])))
		if math.IsNaN(x) || math.IsInf(x, 0) {
			dst = append(dst, "null"...)
			continue
		}
		dst = strconv.AppendFloat(dst, x, 'g', -1, 32)
	}
	return append(dst, ']')
}
