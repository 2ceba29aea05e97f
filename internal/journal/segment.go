package journal

import (
	"encoding/json"
	"fmt"
)

// segmentHeader is the data of a segment's first line.
type segmentHeader struct {
	Header
	Segment  int    `json:"segment"`
	FirstSeq uint64 `json:"first_seq"`
	// PrevSHA256 is the SHA-256 of all uncompressed bytes of the segment before,
	// its seal included; empty in the first segment.
	PrevSHA256 string `json:"prev_sha256"`
}

// seal is the data of a sealed segment's last line.
type seal struct {
	Records uint64 `json:"records"`
	LastSeq uint64 `json:"last_seq"`
	SHA256  string `json:"sha256"` // of all bytes of the segment before this line
	// Final is set in the run's last segment. Recovered says that Recover wrote the
	// seal, because the writer had not lived to do so.
	Final     bool `json:"final,omitempty"`
	Recovered bool `json:"recovered,omitempty"`
}

// index is the data of the line behind the compressed data of a segment: the
// seal again, so that it is known without decompressing, and where the frames are.
type index struct {
	seal
	Bytes  int64      `json:"bytes"`  // uncompressed
	Frames [][3]int64 `json:"frames"` // [offset, uncompressed offset, first sequence number]
}

func parseSegmentHeader(l Line) (segmentHeader, error) {
	var h segmentHeader
	if l.Kind != kindHeader {
		return h, fmt.Errorf("first line is of kind %s, not %s", l.Kind, kindHeader)
	}
	// The format first: a newer one may hold anything else.
	var v struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(l.Data, &v); err != nil {
		return h, fmt.Errorf("decode the header: %w", err)
	}
	if v.Format > Format {
		return h, fmt.Errorf("%w: it has format %d and this program reads up to %d: use a newer greenwave", ErrFormat, v.Format, Format)
	}
	if err := json.Unmarshal(l.Data, &h); err != nil {
		return h, fmt.Errorf("decode the header: %w", err)
	}
	if h.Format < 1 || h.RunID == "" || h.Segment < 1 || h.FirstSeq < 1 {
		return h, fmt.Errorf("header lacks its format, run id, segment or first sequence number")
	}
	return h, nil
}

func parseSeal(l Line) (seal, error) {
	var s seal
	if err := json.Unmarshal(l.Data, &s); err != nil {
		return s, fmt.Errorf("decode the seal: %w", err)
	}
	return s, nil
}

// unmarshalIndex decodes an index and checks that its frames follow each other.
func unmarshalIndex(data []byte, ix *index) error {
	if err := json.Unmarshal(data, ix); err != nil {
		return err
	}
	if len(ix.Frames) == 0 || ix.Frames[0][0] != 0 || ix.Frames[0][1] != 0 {
		return fmt.Errorf("the index has no frame at the beginning")
	}
	for i := 1; i < len(ix.Frames); i++ {
		a, b := ix.Frames[i-1], ix.Frames[i]
		if b[0] <= a[0] || b[1] <= a[1] || b[2] < a[2] || b[1] > ix.Bytes {
			return fmt.Errorf("the frames of the index do not follow each other")
		}
	}
	return nil
}
