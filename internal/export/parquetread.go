package export

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// readRows is how many rows are taken from the library at a time.
const readRows = 256

// ReadParquet streams the rows of a file that Export wrote for a table of records. A row
// is valid until the next.
func ReadParquet(path string, schema *record.Schema) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		if err := readParquet(path, schema, func(row *store.Stored) bool { return yield(row, nil) }); err != nil {
			yield(nil, fmt.Errorf("%s: %w", path, err))
		}
	}
}

func readParquet(path string, schema *record.Schema, fn func(*store.Stored) bool) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(in, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return err
	}
	columns := columnsOf(schema)
	fields := file.Schema().Fields()
	if len(fields) != len(columns) {
		return fmt.Errorf("has %d columns, the table %s has %d: use the greenwave that wrote it", len(fields), schema.Table, len(columns))
	}
	for i, f := range fields {
		if f.Name() != columns[i].Name {
			return fmt.Errorf("column %d is %s, not %s: use the greenwave that wrote it", i+1, f.Name(), columns[i].Name)
		}
	}
	a := assembler{schema: schema, columns: columns, row: store.Stored{Row: record.Row{Schema: schema, Values: make([]record.Value, len(schema.Fields))}}}
	for _, group := range file.RowGroups() {
		goOn, err := a.group(group, fn)
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// assembler makes rows of the values of columns, reusing its memory.
type assembler struct {
	schema  *record.Schema
	columns []Column
	row     store.Stored
	vector  []byte
}

func (a *assembler) group(group parquet.RowGroup, fn func(*store.Stored) bool) (goOn bool, err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, readRows)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			if err := a.assemble(row); err != nil {
				return false, err
			}
			if !fn(&a.row) {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// assemble fills the row. Columns stand in the order of columnsOf.
func (a *assembler) assemble(row parquet.Row) error {
	a.row.ID, a.row.RunID, a.row.Seq, a.row.Time, a.row.Row.Extra = "", "", 0, time.Time{}, nil
	first := 1 // behind experiment_id
	if a.schema.Key == 0 {
		first = 2
	}
	for at := 0; at < len(row); {
		i, end := row[at].Column(), at+1
		for end < len(row) && row[end].Column() == i {
			end++
		}
		values := row[at:end]
		at = end
		if i < 0 || i >= len(a.columns) {
			return fmt.Errorf("a value of column %d, of %d", i, len(a.columns))
		}
		v := values[0]
		switch field := i - first; {
		case i == 0: // experiment_id
		case field < 0:
			a.row.ID = string(bytesOf(v))
		case field < len(a.schema.Fields):
			a.row.Row.Values[field] = a.value(a.schema.Fields[field].Type, values)
		default:
			switch field - len(a.schema.Fields) {
			case 0:
				a.row.Row.Extra = bytesOf(v)
			case 1:
				if b := bytesOf(v); string(b) != a.row.RunID {
					a.row.RunID = string(b)
				}
			case 2:
				if !v.IsNull() {
					a.row.Seq = uint64(v.Int64())
				}
			case 3:
				if !v.IsNull() {
					a.row.Time = time.UnixMicro(v.Int64()).UTC()
				}
			}
		}
	}
	return nil
}

func bytesOf(v parquet.Value) []byte {
	if v.IsNull() {
		return nil
	}
	return v.ByteArray()
}

func (a *assembler) value(t record.Type, values []parquet.Value) record.Value {
	v := values[0]
	if t == record.Vector {
		return a.list(values)
	}
	if v.IsNull() {
		return record.Value{}
	}
	switch t {
	case record.Int:
		return record.IntValue(v.Int64())
	case record.Float:
		return record.FloatValue(v.Double())
	case record.Time:
		return record.TimeValue(time.UnixMicro(v.Int64()))
	case record.JSON:
		return record.JSONValue(v.ByteArray())
	case record.UUID:
		return record.UUIDValue(v.ByteArray())
	}
	return record.TextValue(v.ByteArray())
}

// list is the inverse of parquetEncoder.list.
func (a *assembler) list(values []parquet.Value) record.Value {
	switch values[0].DefinitionLevel() {
	case 0:
		return record.Value{}
	case 1:
		return record.VectorValue([]byte{})
	}
	a.vector = a.vector[:0]
	for _, v := range values {
		bits := math.Float32bits(float32(math.NaN()))
		if v.DefinitionLevel() == 3 {
			bits = math.Float32bits(v.Float())
		}
		a.vector = binary.LittleEndian.AppendUint32(a.vector, bits)
	}
	return record.VectorValue(a.vector)
}
