package export

import (
	"encoding/json"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Bounds of what is held in memory: values are handed to the library in batches,
// and a row group is finished when either bound is reached.
const (
	batchRows     = 1024
	batchBytes    = 4 << 20
	batchElements = 1 << 16 // of vectors
	groupRows     = 500_000
	groupBytes    = 32 << 20 // before compression
)

// parquetEncoder writes column by column, without assembling rows.
type parquetEncoder struct {
	w       *parquet.GenericWriter[any]
	columns []Column
	batch   [][]parquet.Value // for each column
	arena   []byte            // bytes of the batch's values

	rows, elements            int // in the batch
	groupedRows, groupedBytes int // rows and bytes in the row group
}

func newParquet(out *file, t table, x *store.Experiment, opt Options) *parquetEncoder {
	e := &parquetEncoder{columns: t.columns, batch: make([][]parquet.Value, len(t.columns))}
	e.w = parquet.NewGenericWriter[any](out, parquet.NewSchema(t.name, schemaOf(t.columns)),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.CreatedBy("greenwave", opt.Version, ""),
		parquet.WriteBufferSize(0))
	e.w.SetKeyValueMetadata("greenwave.experiment", x.Name)
	if columns, err := json.Marshal(t.columns); err == nil {
		e.w.SetKeyValueMetadata("greenwave.columns", string(columns))
	}
	return e
}

func (e *parquetEncoder) write(values []record.Value, _ *record.Row) error {
	for i, v := range values {
		e.batch[i] = e.append(e.batch[i], i, v)
	}
	if e.rows++; e.rows < batchRows && len(e.arena) < batchBytes && e.elements < batchElements {
		return nil
	}
	return e.flush()
}

// append adds a value with its definition level: 0 is null, the highest is there.
func (e *parquetEncoder) append(batch []parquet.Value, i int, v record.Value) []parquet.Value {
	there := 1
	if e.columns[i].required {
		there = 0
	}
	var p parquet.Value
	switch v.Type {
	case record.Int:
		p = parquet.Int64Value(v.Int())
	case record.Time:
		p = parquet.Int64Value(v.Time().UnixMicro())
	case record.Float:
		p = parquet.DoubleValue(v.Float())
	case record.Text, record.JSON, record.UUID:
		start := len(e.arena)
		e.arena = append(e.arena, v.Bytes()...)
		p = parquet.ByteArrayValue(e.arena[start:len(e.arena):len(e.arena)])
	case record.Vector:
		return e.list(batch, i, v)
	default:
		return append(batch, parquet.NullValue().Level(0, 0, i))
	}
	return append(batch, p.Level(0, there, i))
}

// list adds the elements of a vector: level 1 is an empty list, 2 a null element,
// 3 a number.
func (e *parquetEncoder) list(batch []parquet.Value, i int, v record.Value) []parquet.Value {
	n := v.Len()
	if n == 0 {
		return append(batch, parquet.NullValue().Level(0, 1, i))
	}
	e.elements += n
	repetition := 0
	for k := range n {
		if f := v.At(k); f-f != 0 {
			batch = append(batch, parquet.NullValue().Level(repetition, 2, i))
		} else {
			batch = append(batch, parquet.FloatValue(f).Level(repetition, 3, i))
		}
		repetition = 1
	}
	return batch
}

// flush hands the batch to the library.
func (e *parquetEncoder) flush() error {
	if e.rows == 0 {
		return nil
	}
	writers := e.w.ColumnWriters()
	for i, batch := range e.batch {
		if _, err := writers[i].WriteRowValues(batch); err != nil {
			return fmt.Errorf("column %s: %w", e.columns[i].Name, err)
		}
		e.batch[i] = batch[:0]
	}
	e.groupedRows += e.rows
	e.groupedBytes += len(e.arena) + 4*e.elements + 8*e.rows*len(e.columns)
	e.rows, e.elements, e.arena = 0, 0, e.arena[:0]
	if e.groupedRows < groupRows && e.groupedBytes < groupBytes {
		return nil
	}
	e.groupedRows, e.groupedBytes = 0, 0
	return e.w.Flush()
}

func (e *parquetEncoder) close() error {
	if err := e.flush(); err != nil {
		return err
	}
	return e.w.Close()
}

// schemaOf is the columns as a group. parquet.Group would sort them by name.
func schemaOf(columns []Column) parquet.Node {
	g := ordered{Group: parquet.Group{}}
	for _, c := range columns {
		node := nodeOf(c.typ)
		if !c.required {
			node = parquet.Optional(node)
		}
		g.Group[c.Name] = node
	}
	byName := map[string]parquet.Field{}
	for _, f := range g.Group.Fields() {
		byName[f.Name()] = f
	}
	for _, c := range columns {
		g.fields = append(g.fields, byName[c.Name])
	}
	return g
}

type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (g ordered) Fields() []parquet.Field { return g.fields }

func nodeOf(t record.Type) parquet.Node {
	switch t {
	case record.Int:
		return encoded(parquet.Leaf(parquet.Int64Type), &parquet.DeltaBinaryPacked)
	case record.Float:
		return parquet.Leaf(parquet.DoubleType)
	case record.Time:
		return encoded(parquet.TimestampAdjusted(parquet.Microsecond, true), &parquet.DeltaBinaryPacked)
	case record.JSON:
		return parquet.JSON()
	case record.UUID:
		// As text: that is what the other formats have, so that files can be joined.
		return encoded(parquet.String(), &parquet.RLEDictionary)
	case record.Vector:
		return parquet.List(parquet.Optional(parquet.Leaf(parquet.FloatType)))
	}
	return parquet.String()
}

func encoded(node parquet.Node, e encoding.Encoding) parquet.Node { return parquet.Encoded(node, e) }
