package importer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/tfevents"
	"github.com/greenwave-traffic/greenwave/record"
)

// Event files of TensorBoard hold numbers by tag and step. All numbers of one step become
// one record: of the tags step/… a step of episode 0, of all others an episode, whose
// number is the step.

func isBoard(head []byte, name string) bool {
	if !strings.Contains(name, "tfevents") {
		return false
	}
	e, err := tfevents.NewReader(bytes.NewReader(head)).Next()
	return err == nil && strings.HasPrefix(e.Version, "brain.Event:")
}

// boardName is the folder of the file, which TensorBoard takes for the run's name.
func boardName(path string, head []byte) string { return folderName(path, head) }

// boardColumns are the names of common writers for our columns, without groups.
var boardColumns = map[string]string{
	"ep_rew_mean": "total_reward", "episodic_return": "total_reward", "episode_reward": "total_reward", "reward": "total_reward", "return": "total_reward",
	"loss": "avg_loss", "td_loss": "avg_loss", "epsilon": "epsilon_value", "exploration_rate": "epsilon_value",
}

// moment is what one step says.
type moment struct {
	values map[string]float64 // by tag
	at     float64            // latest wall time
	where  int64              // first byte of its first event
}

type momentKey struct {
	step int64
	fine bool // of the tags step/…
}

func readBoard(f *foreign) error {
	r := tfevents.NewReader(bytes.NewReader(f.data))
	moments := map[momentKey]*moment{}
	others := map[string]bool{}
	var faults []foreignRecord
	for {
		at := r.Offset()
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var frame *tfevents.FrameError
			faults = append(faults, foreignRecord{kind: record.KindEpisode, where: fmt.Sprintf("%s:byte %d", f.found.Path, at), err: err})
			if errors.As(err, &frame) && !frame.Fatal {
				continue
			}
			break
		}
		for _, s := range e.Scalars {
			tag, fine := strings.CutPrefix(s.Tag, "step/")
			key := momentKey{e.Step, fine}
			m := moments[key]
			if m == nil {
				m = &moment{values: map[string]float64{}, where: at}
				moments[key] = m
			}
			m.values[tag] = s.Value // of two the later one counts, as in TensorBoard
			m.at = max(m.at, e.WallTime)
		}
		for _, t := range e.Texts {
			others[t.Tag] = true
		}
		for _, tag := range e.Others {
			others[tag] = true
		}
	}
	f.dated = true
	keys := slices.SortedFunc(maps.Keys(moments), func(a, b momentKey) int {
		switch {
		case a.fine == b.fine:
			return cmp.Compare(a.step, b.step)
		case a.fine:
			return 1
		}
		return -1
	})
	for _, k := range keys {
		m := moments[k]
		where := fmt.Sprintf("%s:byte %d", f.found.Path, m.where)
		if k.step < 0 || k.step > math.MaxInt32 {
			f.refuse(record.KindEpisode, where, fmt.Errorf("the step is %d, must be between 0 and %d", k.step, math.MaxInt32))
		} else {
			kind, fields := k.fields(m.values)
			f.add(kind, where, fields)
		}
		f.records[len(f.records)-1].at = wall(m.at)
	}
	f.records = append(f.records, faults...)
	if len(others) > 0 && len(f.records) > 0 {
		// Said once, in the experiment: images, histograms and texts are not rows.
		names := make([]any, 0, len(others))
		for _, tag := range slices.Sorted(maps.Keys(others)) {
			names = append(names, tag)
		}
		f.add(record.KindExperiment, f.found.Path, map[string]any{"metadata": map[string]any{"tensorboard_not_imported": map[string]any{filepath.Base(f.found.Path): names}}})
	}
	return nil
}

// fields are the record of a step.
func (k momentKey) fields(values map[string]float64) (record.Kind, map[string]any) {
	if k.fine {
		fields := map[string]any{"episode_number": 0, "step_number": k.step}
		for _, tag := range slices.Sorted(maps.Keys(values)) {
			put(fields, record.Steps, tag, tag, values[tag])
		}
		return record.KindStep, fields
	}
	fields := map[string]any{"episode_number": k.step, "total_reward": math.NaN()}
	set := map[string]bool{}
	for _, exact := range []bool{true, false} { // a column's own name wins over others
		for _, tag := range slices.Sorted(maps.Keys(values)) {
			name := tag[strings.LastIndexByte(tag, '/')+1:]
			path := strings.TrimPrefix(tag, "episode/")
			if !exact {
				if set[tag] {
					continue
				}
				if column, ok := boardColumns[strings.ToLower(name)]; ok && !set[column] {
					fields[column], set[column], set[tag] = values[tag], true, true
					if path != column {
						fields[tag] = values[tag]
					}
					continue
				}
				put(fields, record.Episodes, path, tag, values[tag])
				continue
			}
			i := record.Episodes.Index(path)
			if i > 0 && (record.Episodes.Fields[i].Type == record.Float || record.Episodes.Fields[i].Type == record.Int) {
				fields[path], set[path], set[tag] = values[tag], true, true
			}
		}
	}
	return record.KindEpisode, fields
}

// put sets a number under a path of names: a column of numbers, a member of a column of
// objects, or else a further field with the whole tag as its name.
func put(fields map[string]any, schema *record.Schema, path, tag string, v float64) {
	parts := strings.Split(path, "/")
	i := schema.Index(parts[0])
	switch {
	case i >= schema.Key && len(parts) == 1 && (schema.Fields[i].Type == record.Float || schema.Fields[i].Type == record.Int):
		fields[parts[0]] = v
	case i >= schema.Key && len(parts) > 1 && schema.Fields[i].Type == record.JSON:
		m := fields
		for _, p := range parts[:len(parts)-1] {
			m = into(m, p)
		}
		m[parts[len(parts)-1]] = v
	default:
		if schema.Index(tag) >= 0 {
			tag = "tensorboard/" + tag
		}
		fields[tag] = v
	}
}

// wall turns a wall time into a time; zero when it is none.
func wall(s float64) time.Time {
	if !(s > 0) || s > 253402300799 { // the year 9999
		return time.Time{}
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC()
}
