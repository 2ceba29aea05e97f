package export

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/tfevents"
	"github.com/greenwave-traffic/greenwave/record"
)

// eventKinds are the tables that become scalars, with the first part of their tags and
// what counts their steps: the number of a column, or the rows when it is empty.
var eventKinds = []struct {
	kind   record.Kind
	prefix string
	step   string
}{
	{record.KindEpisode, "episode/", "episode_number"},
	{record.KindStep, "step/", ""},
	{record.KindValidation, "validation/", "validation_episode"},
	{record.KindCheckpoint, "checkpoint/", "episode_number"},
	{record.KindResource, "resources/", ""},
}

// writeEvents writes what the experiment says in numbers as an event file of TensorBoard.
func writeEvents(ctx context.Context, dir *folder, reader store.Reader, x *store.Experiment, opt Options) ([]File, error) {
	// TensorBoard takes a file for an event file by this part of its name.
	out, err := dir.create(fmt.Sprintf("events.out.tfevents.%d.greenwave", x.CreatedAt.Unix()))
	if err != nil {
		return nil, err
	}
	defer out.discard()
	w, err := tfevents.NewWriter(out, wallTime(x.CreatedAt))
	if err != nil {
		return nil, err
	}
	about := tfevents.Event{WallTime: wallTime(x.CreatedAt), Texts: []tfevents.Text{{Tag: "experiment/text_summary", Value: describe(x)}}}
	if err := w.Write(&about); err != nil {
		return nil, err
	}
	counts := map[string]int64{"experiments": 1}
	for _, k := range eventKinds {
		e := events{w: w, prefix: k.prefix, schema: record.SchemaOf(k.kind)}
		e.step = e.schema.Index(k.step)
		rows := int64(0)
		for s, err := range reader.Rows(ctx, x.ID, k.kind) {
			if err == nil {
				err = e.write(s)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("row %d of %s: %w", rows+1, e.schema.Table, err)
			}
			if rows++; rows%progressEvery == 0 && opt.Progress != nil {
				opt.Progress(Progress{Table: e.schema.Table, Rows: rows, Bytes: out.size})
			}
		}
		counts[e.schema.Table] = rows
		if opt.Progress != nil {
			opt.Progress(Progress{Table: e.schema.Table, Rows: rows, Bytes: out.size, Done: true})
		}
	}
	f, err := out.finish()
	if err != nil {
		return nil, err
	}
	f.Rows, f.Tables = w.Events-1, tablesOf(counts)
	return []File{f}, nil
}

func wallTime(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// describe is what TensorBoard shows about the experiment, as Markdown.
func describe(x *store.Experiment) string {
	var config bytes.Buffer
	if json.Indent(&config, x.Config, "    ", "  ") != nil {
		config.Reset()
		config.Write(x.Config)
	}
	text := "**" + x.Name + "**: " + x.Status
	if x.Description != "" {
		text += "\n\n" + x.Description
	}
	return text + "\n\n    " + config.String()
}

// events turns the rows of one table into events.
type events struct {
	w      *tfevents.Writer
	prefix string
	schema *record.Schema
	step   int // the column that counts; -1: the rows do
	n      int64
	event  tfevents.Event
}

func (e *events) write(s *store.Stored) error {
	e.event = tfevents.Event{WallTime: wallTime(s.Time), Step: e.n, Scalars: e.event.Scalars[:0]}
	e.n++
	for i, f := range e.schema.Fields {
		v := s.Row.Values[i]
		switch {
		case v.IsNull():
		case i == e.step:
			e.event.Step = v.Int()
		case f.Type == record.Time:
			e.event.WallTime = wallTime(v.Time())
		case f.Type == record.Int:
			e.add(f.Name, float64(v.Int()))
		case f.Type == record.Float:
			e.add(f.Name, v.Float())
		case f.Type == record.JSON && f.Name != "hyperparameters":
			e.members(f.Name, v.Bytes())
		}
	}
	e.members("", s.Row.Extra)
	if len(e.event.Scalars) == 0 {
		return nil
	}
	return e.w.Write(&e.event)
}

func (e *events) add(name string, v float64) {
	e.event.Scalars = append(e.event.Scalars, tfevents.Scalar{Tag: e.prefix + name, Value: v})
}

// members adds the numbers in a JSON object, and in those in it, under the names of its
// members: waiting_times/ECOLAND, queue_lengths/ECOLAND/north.
func (e *events) members(name string, data []byte) {
	if len(data) == 0 || data[0] != '{' {
		return
	}
	var v map[string]any
	if json.Unmarshal(data, &v) == nil {
		e.tree(name, v)
	}
}

func (e *events) tree(name string, members map[string]any) {
	names := make([]string, 0, len(members))
	for n := range members {
		names = append(names, n)
	}
	slices.SortFunc(names, cmp.Compare[string])
	for _, n := range names {
		path := n
		if name != "" {
			path = name + "/" + n
		}
		switch x := members[n].(type) {
		case float64:
			e.add(path, x)
		case map[string]any:
			e.tree(path, x)
		}
	}
}
