package export

import (
	"bytes"
	"io"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// csvEncoder writes RFC 4180: comma, CRLF, quotes where needed. encoding/csv would
// not tell an empty text from a null.
type csvEncoder struct {
	out         io.Writer
	columns     []Column
	spreadsheet bool
	header      bool // has been written
	buf, cell   []byte
}

func newCSV(out io.Writer, t table, spreadsheet bool) *csvEncoder {
	return &csvEncoder{out: out, columns: t.columns, spreadsheet: spreadsheet}
}

func (e *csvEncoder) write(values []record.Value, _ *record.Row) error {
	e.begin()
	for i, v := range values {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		switch v.Type {
		case record.Null:
		case record.Int, record.Float, record.UUID:
			e.buf = appendPlain(e.buf, v)
		case record.Time:
			e.buf = v.Time().AppendFormat(e.buf, time.RFC3339Nano)
		case record.Text:
			e.text(v.Bytes())
		default:
			e.cell = v.AppendJSON(e.cell[:0])
			e.buf = appendCell(e.buf, e.cell)
		}
	}
	e.buf = append(e.buf, '\r', '\n')
	if len(e.buf) < 1<<16 {
		return nil
	}
	return e.flush()
}

// begin writes the names of the columns once.
func (e *csvEncoder) begin() {
	if e.header {
		return
	}
	e.header = true
	for i, c := range e.columns {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, c.Name...)
	}
	e.buf = append(e.buf, '\r', '\n')
}

func (e *csvEncoder) text(b []byte) {
	if e.spreadsheet && len(b) > 0 && bytes.IndexByte([]byte("=+-@\t\r"), b[0]) >= 0 {
		e.cell = append(append(e.cell[:0], '\''), b...)
		b = e.cell
	}
	e.buf = appendCell(e.buf, b)
}

// appendPlain appends a number, or null when it is not finite, or a UUID.
func appendPlain(dst []byte, v record.Value) []byte {
	switch v.Type {
	case record.UUID:
		return append(dst, v.Bytes()...)
	case record.Float:
		if f := v.Float(); f-f != 0 {
			return dst
		}
	}
	return v.AppendJSON(dst)
}

// appendCell appends a text, with quotes where it is empty or has a character that
// needs them.
func appendCell(dst, b []byte) []byte {
	if len(b) > 0 && !bytes.ContainsAny(b, "\",\r\n") && b[0] != ' ' && b[len(b)-1] != ' ' {
		return append(dst, b...)
	}
	dst = append(dst, '"')
	for _, c := range b {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func (e *csvEncoder) flush() error {
	_, err := e.out.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

func (e *csvEncoder) close() error {
	e.begin()
	return e.flush()
}
