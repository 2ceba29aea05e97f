package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Reader reads an event file from its beginning.
type Reader struct {
	r      io.Reader
	offset int64 // of the next frame
	buf    []byte
}

// NewReader reads from r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// FrameError is a frame that cannot be used. Behind a damaged length nothing can be
// found; behind damaged data reading goes on.
type FrameError struct {
	Offset int64
	Err    error
	Fatal  bool // reading cannot go on behind it
}

func (e *FrameError) Error() string { return fmt.Sprintf("frame at byte %d: %v", e.Offset, e.Err) }
func (e *FrameError) Unwrap() error { return e.Err }

// ErrTorn is a frame whose end is not there yet: it is being written, or its writer was
// killed.
var ErrTorn = errors.New("the file ends in the middle of it")

// Offset is where the next frame begins.
func (r *Reader) Offset() int64 { return r.offset }

// Next returns the next event; io.EOF behind the last whole one.
func (r *Reader) Next() (Event, error) {
	at := r.offset
	var head [12]byte
	if n, err := io.ReadFull(r.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) && n == 0 {
			return Event{}, io.EOF
		}
		return Event{}, r.torn(at, err)
	}
	size := binary.LittleEndian.Uint64(head[:8])
	if sum := masked(head[:8]); sum != binary.LittleEndian.Uint32(head[8:]) {
		return Event{}, &FrameError{at, errors.New("the checksum of its length is wrong: the file is damaged from here on, or is no event file"), true}
	}
	if size > MaxEvent {
		n, err := io.CopyN(io.Discard, r.r, int64(min(size, math.MaxInt64-16))+4)
		if err != nil {
			return Event{}, r.torn(at, err)
		}
		r.offset += 12 + n
		return Event{}, &FrameError{at, fmt.Errorf("it has %d bytes; the largest that is read is %d", size, MaxEvent), false}
	}
	if err := r.fill(int(size) + 4); err != nil {
		return Event{}, r.torn(at, err)
	}
	r.offset += 12 + int64(size) + 4
	data := r.buf[:size]
	if masked(data) != binary.LittleEndian.Uint32(r.buf[size:]) {
		return Event{}, &FrameError{at, errors.New("the checksum of its data is wrong"), false}
	}
	e, err := parse(data)
	if err != nil {
		return Event{}, &FrameError{at, fmt.Errorf("it is no event: %w", err), false}
	}
	return e, nil
}

// fill reads n bytes. The buffer grows with what is there, so that a length that
// promises too much costs no memory.
func (r *Reader) fill(n int) error {
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		r.buf = append(r.buf, make([]byte, min(n-have, 1<<16))...)
		if _, err := io.ReadFull(r.r, r.buf[have:]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) torn(at int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FrameError{at, ErrTorn, true}
	}
	return err
}

// fields calls each with every field of a message.
func fields(b []byte, each func(n protowire.Number, t protowire.Type, v []byte, x uint64) error) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v []byte
		var x uint64
		switch t {
		case protowire.VarintType:
			x, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			x, size = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var y uint32
			y, size = protowire.ConsumeFixed32(b)
			x = uint64(y)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, t, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := each(n, t, v, x); err != nil {
			return err
		}
	}
	return nil
}

func parse(b []byte) (Event, error) {
	var e Event
	err := fields(b, func(n protowire.Number, t protowire.Type, v []byte, x uint64) error {
		switch {
		case n == eventWallTime && t == protowire.Fixed64Type:
			e.WallTime = math.Float64frombits(x)
		case n == eventStep && t == protowire.VarintType:
			e.Step = int64(x)
		case n == eventVersion && t == protowire.BytesType:
			e.Version = string(v)
		case n == eventSummary && t == protowire.BytesType:
			return fields(v, func(n protowire.Number, t protowire.Type, v []byte, _ uint64) error {
				if n != summaryValue || t != protowire.BytesType {
					return nil
				}
				return e.value(v)
			})
		}
		return nil
	})
	return e, err
}

// value takes in a Summary.Value.
func (e *Event) value(b []byte) error {
	tag, found := "", false
	var scalar float64
	var tensor []byte
	err := fields(b, func(n protowire.Number, t protowire.Type, v []byte, x uint64) error {
		switch {
		case n == valueTag && t == protowire.BytesType:
			tag = string(v)
		case n == valueSimple && t == protowire.Fixed32Type:
			scalar, found = single(uint32(x)), true
		case n == valueTensor && t == protowire.BytesType:
			tensor = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !found && tensor != nil {
		var text string
		var isText bool
		if scalar, found, text, isText, err = tensorValue(tensor); err != nil {
			return err
		}
		if isText {
			e.Texts = append(e.Texts, Text{tag, text})
			return nil
		}
	}
	if found {
		e.Scalars = append(e.Scalars, Scalar{tag, scalar})
	} else {
		e.Others = append(e.Others, tag)
	}
	return nil
}

// single is a number of single precision as its shortest decimal, so that 0.1 stays 0.1.
func single(bits uint32) float64 {
	f := math.Float32frombits(bits)
	if v, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64); err == nil {
		return v
	}
	return float64(f)
}

// tensorValue reads a tensor of one element.
func tensorValue(b []byte) (number float64, isNumber bool, text string, isText bool, err error) {
	kind, elements := uint64(0), 0
	var packed []byte
	var content []byte
	err = fields(b, func(n protowire.Number, t protowire.Type, v []byte, x uint64) error {
		switch n {
		case tensorType:
			kind = x
		case tensorContent:
			content = v
		case tensorFloat, tensorDouble, tensorInt, tensorInt64:
			if t == protowire.BytesType {
				packed = v
				return nil
			}
			elements++
			switch n {
			case tensorFloat:
				number = single(uint32(x))
			case tensorDouble:
				number = math.Float64frombits(x)
			default:
				number = float64(int64(x))
			}
		case tensorString:
			elements++
			text = string(v)
		}
		return nil
	})
	if err != nil {
		return 0, false, "", false, err
	}
	switch {
	case kind == typeString:
		return 0, false, text, elements == 1, nil
	case kind == typeFloat && len(packed)+len(content) == 4:
		number, elements = single(binary.LittleEndian.Uint32(append(packed, content...))), 1
	case kind == typeDouble && len(packed)+len(content) == 8:
		number, elements = math.Float64frombits(binary.LittleEndian.Uint64(append(packed, content...))), 1
	case kind == typeInt32 && len(content) == 4:
		number, elements = float64(int32(binary.LittleEndian.Uint32(content))), 1
	case kind == typeInt64 && len(content) == 8:
		number, elements = float64(int64(binary.LittleEndian.Uint64(content))), 1
	case kind == typeInt32 || kind == typeInt64:
		if x, size := protowire.ConsumeVarint(packed); size > 0 && size == len(packed) {
			number, elements = float64(int64(x)), 1
		}
	}
	known := kind == typeFloat || kind == typeDouble || kind == typeInt32 || kind == typeInt64
	return number, known && elements == 1, "", false, nil
}
