// Package tfevents writes and reads the event files of TensorBoard.
//
// A file is a sequence of frames: the length of the data (8 bytes, little-endian), the
// masked CRC-32C of these 8 bytes, the data, the masked CRC-32C of the data. The mask
// turns the sum right by 15 bits and adds 0xa282ead8. The data of each frame is a
// protocol buffer of type tensorflow.Event; the first one says "brain.Event:2". Of the
// events this package knows what scalars need and passes over the rest.
package tfevents

import "hash/crc32"

// Version is the file_version of the first event.
const Version = "brain.Event:2"

// MaxEvent is the largest event that is read, in bytes. Event files of images and
// graphs have larger ones; they are passed over and counted.
const MaxEvent = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// Event is what one event says.
type Event struct {
	WallTime float64 // seconds since 1970
	Step     int64
	Version  string   // of the file; only in the first event
	Scalars  []Scalar // numbers by tag
	Texts    []Text   // texts by tag
	Others   []string // tags of values that are neither: images, histograms, graphs
}

// Scalar is a number with its name.
type Scalar struct {
	Tag   string
	Value float64 // written in single precision, as TensorBoard has it
}

// Text is a text with its name. TensorBoard shows it as Markdown.
type Text struct{ Tag, Value string }
