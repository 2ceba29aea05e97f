package tfevents

import (
	"encoding/binary"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields in tensorflow.Event, Summary, Summary.Value, SummaryMetadata,
// its PluginData, TensorProto and TensorShapeProto.
const (
	eventWallTime = 1
	eventStep     = 2
	eventVersion  = 3
	eventSummary  = 5

	summaryValue = 1

	valueTag      = 1
	valueSimple   = 2
	valueTensor   = 8
	valueMetadata = 9

	metadataPlugin = 1
	pluginName     = 1

	tensorType    = 1
	tensorShape   = 2
	tensorContent = 4
	tensorFloat   = 5
	tensorDouble  = 6
	tensorInt     = 7
	tensorString  = 8
	tensorInt64   = 10

	typeFloat  = 1
	typeDouble = 2
	typeInt32  = 3
	typeString = 7
	typeInt64  = 9
)

// Writer writes an event file.
type Writer struct {
	w          io.Writer
	event, sum []byte // of the event under way: the event, its summary
	value      []byte
	frame      []byte
	Events     int64 // that were written, with the first
}

// NewWriter begins a file with the event that names its version.
func NewWriter(w io.Writer, wallTime float64) (*Writer, error) {
	t := &Writer{w: w}
	t.event = protowire.AppendTag(t.event, eventWallTime, protowire.Fixed64Type)
	t.event = protowire.AppendFixed64(t.event, math.Float64bits(wallTime))
	t.event = protowire.AppendTag(t.event, eventVersion, protowire.BytesType)
	t.event = protowire.AppendString(t.event, Version)
	return t, t.send()
}

// Write appends an event. Scalars that are not finite are written as they are: they
// show as gaps.
func (t *Writer) Write(e *Event) error {
	t.sum = t.sum[:0]
	for _, s := range e.Scalars {
		v := t.tag(s.Tag)
		v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
		v = protowire.AppendFixed32(v, math.Float32bits(float32(s.Value)))
		t.add(v)
	}
	for _, s := range e.Texts {
		// A scalar string tensor whose plugin is text.
		v := t.tag(s.Tag)
		var tensor []byte
		tensor = protowire.AppendTag(tensor, tensorType, protowire.VarintType)
		tensor = protowire.AppendVarint(tensor, typeString)
		tensor = protowire.AppendTag(tensor, tensorShape, protowire.BytesType)
		tensor = protowire.AppendBytes(tensor, nil)
		tensor = protowire.AppendTag(tensor, tensorString, protowire.BytesType)
		tensor = protowire.AppendString(tensor, s.Value)
		v = protowire.AppendTag(v, valueTensor, protowire.BytesType)
		v = protowire.AppendBytes(v, tensor)
		plugin := protowire.AppendString(protowire.AppendTag(nil, pluginName, protowire.BytesType), "text")
		metadata := protowire.AppendBytes(protowire.AppendTag(nil, metadataPlugin, protowire.BytesType), plugin)
		v = protowire.AppendTag(v, valueMetadata, protowire.BytesType)
		v = protowire.AppendBytes(v, metadata)
		t.add(v)
	}
	t.event = protowire.AppendTag(t.event[:0], eventWallTime, protowire.Fixed64Type)
	t.event = protowire.AppendFixed64(t.event, math.Float64bits(e.WallTime))
	t.event = protowire.AppendTag(t.event, eventStep, protowire.VarintType)
	t.event = protowire.AppendVarint(t.event, uint64(e.Step))
	t.event = protowire.AppendTag(t.event, eventSummary, protowire.BytesType)
	t.event = protowire.AppendBytes(t.event, t.sum)
	return t.send()
}

func (t *Writer) tag(tag string) []byte {
	return protowire.AppendString(protowire.AppendTag(t.value[:0], valueTag, protowire.BytesType), tag)
}

func (t *Writer) add(value []byte) {
	t.value = value
	t.sum = protowire.AppendBytes(protowire.AppendTag(t.sum, summaryValue, protowire.BytesType), value)
}

// send writes the event as a frame.
func (t *Writer) send() error {
	f := binary.LittleEndian.AppendUint64(t.frame[:0], uint64(len(t.event)))
	f = binary.LittleEndian.AppendUint32(f, masked(f[:8]))
	f = append(f, t.event...)
	f = binary.LittleEndian.AppendUint32(f, masked(t.event))
	t.frame = f
	t.Events++
	_, err := t.w.Write(f)
	return err
}
