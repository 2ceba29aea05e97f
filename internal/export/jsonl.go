package export

import (
	"bytes"
	"io"

	"github.com/greenwave-traffic/greenwave/record"
)

// originField is the member of a line that says where its row comes from:
// experiment_id, id, run_id, seq and logged_at.
const originField = "_row"

// jsonLines writes one JSON object per line.
type jsonLines struct {
	out     io.Writer
	columns []Column
	origin  []int // positions of the columns that are not the record's own
	buf     []byte
}

func newJSONLines(out io.Writer, t table) *jsonLines {
	e := &jsonLines{out: out, columns: t.columns}
	if t.schema != nil {
		for i, c := range t.columns {
			if t.schema.Index(c.Name) < 0 && c.Name != "extra" {
				e.origin = append(e.origin, i)
			}
		}
	}
	return e
}

func (e *jsonLines) write(values []record.Value, row *record.Row) error {
	if row == nil {
		e.members(values, nil)
	} else {
		e.buf = record.AppendRow(e.buf, row)
		e.buf = e.buf[:len(e.buf)-1]
		if e.buf[len(e.buf)-1] != '{' {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(append(append(e.buf, '"'), originName(row.Extra)...), '"', ':')
		e.members(values, e.origin)
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, '\n')
	if len(e.buf) < 1<<16 {
		return nil
	}
	return e.close()
}

// members writes the values of some columns, of all when which is nil, as an
// object without its nulls.
func (e *jsonLines) members(values []record.Value, which []int) {
	e.buf = append(e.buf, '{')
	first := true
	for i, v := range values {
		if v.IsNull() || which != nil && !contains(which, i) {
			continue
		}
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.buf = append(append(append(e.buf, '"'), e.columns[i].Name...), '"', ':')
		e.buf = v.AppendJSON(e.buf)
	}
	e.buf = append(e.buf, '}')
}

func contains(list []int, i int) bool {
	for _, x := range list {
		if x == i {
			return true
		}
	}
	return false
}

// originName is a name that the record's own extra does not use, as it does when
// an export was imported again.
func originName(extra []byte) string {
	name := originField
	for bytes.Contains(extra, []byte(`"`+name+`"`)) {
		name = "_" + name
	}
	return name
}

func (e *jsonLines) close() error {
	_, err := e.out.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}
