package record

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// decimal is a scanned number: (-1)^neg × mant × 10^exp. With long set the
// mantissa has more than 19 digits and mant is not to be used.
type decimal struct {
	mant uint64
	exp  int
	neg  bool
	long bool
}

// decimal scans a number and takes its value apart.
func (s *scanner) decimal(i int) (n decimal, end int) {
	d, start := s.data, i
	if d[i] == '-' {
		n.neg = true
		i++
	}
	first := i
	i, n.mant = digits(d, i, 0)
	if i == first || d[first] == '0' && i > first+1 {
		return n, s.fail(start, ruleSyntax)
	}
	count := i - first
	if i < len(d) && d[i] == '.' {
		point := i + 1
		i, n.mant = digits(d, point, n.mant)
		if i == point {
			return n, s.fail(start, ruleSyntax)
		}
		n.exp = point - i
		count += i - point
	}
	if count > 19 {
		for j := first; j < i && (d[j] == '0' || d[j] == '.'); j++ {
			if d[j] == '0' {
				count--
			}
		}
		n.long = count > 19
	}
	if i < len(d) && (d[i] == 'e' || d[i] == 'E') {
		i++
		minus := false
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			minus = d[i] == '-'
			i++
		}
		first, e := i, 0
		for ; i < len(d) && d[i]-'0' < 10; i++ {
			e = min(e*10+int(d[i]-'0'), math.MaxInt32)
		}
		if i == first {
			return n, s.fail(start, ruleSyntax)
		}
		if minus {
			e = -e
		}
		n.exp += e
	}
	return n, i
}

// digits adds the decimal digits at i to mant, eight at a time where it can.
func digits(d []byte, i int, mant uint64) (int, uint64) {
	for i+8 <= len(d) {
		v := binary.LittleEndian.Uint64(d[i:])
		if (v&0xF0F0F0F0F0F0F0F0 | (v+0x0606060606060606)&0xF0F0F0F0F0F0F0F0>>4) != 0x3333333333333333 {
			break
		}
		v -= 0x3030303030303030
		v = v*10 + v>>8
		v = (v&0x000000FF000000FF*0x000F424000000064 + v>>16&0x000000FF000000FF*0x0000271000000001) >> 32
		mant = mant*100_000_000 + v
		i += 8
	}
	for ; i < len(d) && d[i]-'0' < 10; i++ {
		mant = mant*10 + uint64(d[i]-'0')
	}
	return i, mant
}

// float returns the number nearest to n, which was written as token; false when
// it is beyond double precision.
func (n decimal) float(token []byte) (float64, bool) {
	if !n.long && n.mant < 1<<53 && n.exp >= -22 && n.exp <= 22 {
		// Both factors are exact, so the result is rounded once.
		f := float64(n.mant)
		if n.exp < 0 {
			f /= pow10[-n.exp]
		} else {
			f *= pow10[n.exp]
		}
		if n.neg {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(string(token), 64)
	return f, err == nil
}

// float32 returns the nearest number in single precision, infinity beyond its
// range; false when it is beyond double precision.
func (n decimal) float32(token []byte) (float32, bool) {
	if !n.long && n.exp >= -45 && n.exp <= 38 {
		if n.mant == 0 {
			if n.neg {
				return float32(math.Copysign(0, -1)), true
			}
			return 0, true
		}
		// Three roundings leave the result within a few units in the last place
		// of double precision. That decides the rounding to single precision
		// unless it is that close to the middle between two of its numbers.
		var f float64
		if n.exp < 0 {
			f = float64(n.mant) / pow10[-n.exp]
		} else {
			f = float64(n.mant) * pow10[n.exp]
		}
		const middle, near = 1 << 28, 8
		low := math.Float64bits(f) & (1<<29 - 1)
		if f > 1e-37 && f < 3e38 && (low < middle-near || low > middle+near) {
			if n.neg {
				f = -f
			}
			return float32(f), true
		}
	}
	if _, err := strconv.ParseFloat(string(token), 64); err != nil {
		return 0, false
	}
	f, _ := strconv.ParseFloat(string(token), 32)
	return float32(f), true
}

// int returns the number when it is whole and in the range of int64.
func (n decimal) int(token []byte) (int64, bool) {
	mant, exp := n.mant, n.exp
	if n.long {
		var ok bool
		if mant, exp, ok = trimmed(token); !ok {
			return 0, false
		}
	}
	if mant == 0 {
		return 0, true
	}
	for ; exp < 0; exp++ {
		if mant%10 != 0 {
			return 0, false
		}
		mant /= 10
	}
	for ; exp > 0; exp-- {
		if mant > math.MaxUint64/10 {
			return 0, false
		}
		mant *= 10
	}
	switch {
	case n.neg && mant <= 1<<63:
		return -int64(mant), true
	case !n.neg && mant < 1<<63:
		return int64(mant), true
	}
	return 0, false
}

// trimmed takes a number apart whose mantissa is long because of its zeros, such
// as 3.000000000000000000000; false when it has more than 19 digits without them.
func trimmed(token []byte) (mant uint64, exp int, ok bool) {
	token = bytes.TrimPrefix(token, []byte("-"))
	if e := bytes.IndexAny(token, "eE"); e >= 0 {
		v, err := strconv.Atoi(string(token[e+1:]))
		if err != nil {
			return 0, 0, false
		}
		token, exp = token[:e], v
	}
	whole, frac, _ := bytes.Cut(token, []byte("."))
	all := append(append(make([]byte, 0, len(token)), whole...), frac...)
	exp -= len(frac)
	short := bytes.TrimRight(all, "0")
	exp += len(all) - len(short)
	short = bytes.TrimLeft(short, "0")
	if len(short) == 0 {
		return 0, 0, true
	}
	mant, err := strconv.ParseUint(string(short), 10, 64)
	return mant, exp, err == nil
}

// extreme returns the rule that a number breaks which PostgreSQL's numeric or
// double precision cannot hold; "" when it breaks none.
func extreme(token []byte) string {
	if _, err := strconv.ParseFloat(string(token), 64); err != nil {
		return ruleRange
	}
	exp := 0
	if e := bytes.IndexAny(token, "eE"); e >= 0 {
		v, err := strconv.Atoi(string(token[e+1:]))
		if err != nil {
			return ruleScale
		}
		token, exp = token[:e], v
	}
	if exp > 400 {
		return ruleRange // a zero with an absurd exponent
	}
	_, frac, _ := bytes.Cut(token, []byte("."))
	if len(frac)-exp > 16383 {
		return ruleScale
	}
	return ""
}

// pow10 holds the powers of ten; those up to 10^22 are exact.
var pow10 = func() (t [46]float64) {
	for i := range t {
		t[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i), 64)
	}
	return t
}()
