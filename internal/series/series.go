package series

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Series are columns over one axis. A NaN is a value that is not there.
type Series struct {
	// X is the position of each row: the episode number, the step number, or the time
	// in seconds since 1970.
	X []float64
	// Columns are the values, each as long as X, in the order of Names.
	Names   []string
	Columns [][]float64
	// Rows is how many rows were read, before thinning.
	Rows int
	// Thinned says that rows were left out.
	Thinned bool
}

// The axes of Query.
const (
	ByEpisode = "episode" // the number of the episode
	ByTime    = "time"    // when the episode ended, in seconds since 1970
	ByStep    = "step"    // decision steps since the beginning of the training
)

// Query says what to read.
type Query struct {
	// Columns are names of columns that hold numbers, or a member of a column that
	// holds an object: "reward_components.delay", "extra.full_delay".
	Columns []string
	Axis    string     // ByEpisode unless another is given
	After   *store.Key // rows behind this key; nil: from the first
	Until   *store.Key // rows up to and with this key; nil: to the last
	Points  int        // thin to about so many points; 0: keep all
	// Smooth adds, behind each column, its mean over so many episodes up to and with
	// each, as NAME~mean. Episodes without a value do not count. 0 and 1: none.
	Smooth int
}

// column is where a value stands in a row.
type column struct {
	field  int    // position in the schema; -1: extra
	member string // of the object; empty: the field itself
}

// Check returns an error for a column that episodes do not have, with those that
// there are. A member of an object is not looked up: rows differ in what they hold.
func Check(columns []string) error {
	_, err := columnsOf(record.Episodes, columns)
	return err
}

func columnsOf(schema *record.Schema, names []string) ([]column, error) {
	list := make([]column, len(names))
	for i, name := range names {
		base, member, _ := strings.Cut(name, ".")
		if base == "extra" && member != "" {
			list[i] = column{-1, member}
			continue
		}
		at := schema.Index(base)
		if at < 0 {
			return nil, fmt.Errorf("%s has no column %q: there are %s, and members such as extra.full_delay", schema.Table, name, strings.Join(numeric(schema), ", "))
		}
		switch t := schema.Fields[at].Type; {
		case member == "" && (t == record.Int || t == record.Float || t == record.Time):
		case member != "" && t == record.JSON:
		default:
			return nil, fmt.Errorf("column %q of %s is not a number: there are %s, and members such as extra.full_delay", name, schema.Table, strings.Join(numeric(schema), ", "))
		}
		list[i] = column{at, member}
	}
	return list, nil
}

func numeric(schema *record.Schema) []string {
	var names []string
	for _, f := range schema.Fields {
		if f.Type == record.Int || f.Type == record.Float {
			names = append(names, f.Name)
		}
	}
	return names
}

// Episodes reads columns over the episodes of an experiment. Between two episodes
// whose numbers do not follow each other stands a row of NaN, so that a missing episode
// is drawn as a gap.
func Episodes(ctx context.Context, r store.Reader, experimentID string, q Query) (*Series, error) {
	schema := record.Episodes
	columns, err := columnsOf(schema, q.Columns)
	if err != nil {
		return nil, err
	}
	need := make([]string, 0, len(columns)+1)
	for _, c := range columns {
		if c.field < 0 {
			need = append(need, "extra")
		} else {
			need = append(need, schema.Fields[c.field].Name)
		}
	}
	switch q.Axis {
	case "", ByEpisode:
	case ByTime:
		need = append(need, "timestamp")
	case ByStep:
		need = append(need, "steps_completed")
	default:
		return nil, fmt.Errorf("axis %q is not known: there are %s, %s and %s", q.Axis, ByEpisode, ByTime, ByStep)
	}
	s := &Series{Names: slices.Clone(q.Columns), Columns: make([][]float64, len(columns))}
	objects := make(map[int]map[string]json.RawMessage)
	after := q.After
	if after != nil && q.Smooth > 1 {
		after = &store.Key{Episode: max(after.Episode-int64(q.Smooth), -1)} // what the first means need
	}
	steps, last := 0.0, int64(-1)
	var episodes []int64 // of each row, that of a gap too
	for row, err := range r.Page(ctx, experimentID, record.KindEpisode, store.Range{After: after, Until: q.Until, Columns: need}) {
		if err != nil {
			return nil, err
		}
		episode := row.Row.Values[0].Int()
		x := float64(episode)
		switch q.Axis {
		case ByTime:
			x = seconds(row)
		case ByStep:
			if v := row.Row.Get("steps_completed"); !v.IsNull() {
				steps += float64(v.Int())
			}
			x = steps
		}
		if s.Rows > 0 && episode > last+1 {
			gap := float64(last + 1)
			if q.Axis == ByTime || q.Axis == ByStep {
				gap = (s.X[len(s.X)-1] + x) / 2
			}
			s.X = append(s.X, gap)
			episodes = append(episodes, last+1)
			for i := range s.Columns {
				s.Columns[i] = append(s.Columns[i], math.NaN())
			}
		}
		last = episode
		s.Rows++
		s.X = append(s.X, x)
		episodes = append(episodes, episode)
		clear(objects)
		for i, c := range columns {
			s.Columns[i] = append(s.Columns[i], value(row, c, objects))
		}
	}
	if q.Smooth > 1 {
		s.smooth(q.Smooth)
		if q.After != nil {
			s.cut(q.After.Episode, episodes)
		}
	}
	if q.Points > 0 {
		s.thin(q.Points)
	}
	return s, nil
}

func seconds(row *store.Stored) float64 {
	at := row.Time
	if v := row.Row.Get("timestamp"); !v.IsNull() {
		at = v.Time()
	}
	return float64(at.UnixMicro()) / 1e6
}

// value is a number of a row, NaN where there is none. objects holds the objects of
// the row that were read already.
func value(row *store.Stored, c column, objects map[int]map[string]json.RawMessage) float64 {
	if c.member == "" {
		return Number(row.Row.Values[c.field])
	}
	object, read := objects[c.field]
	if !read {
		raw := row.Row.Extra
		if c.field >= 0 {
			raw = nil
			if v := row.Row.Values[c.field]; !v.IsNull() {
				raw = v.Bytes()
			}
		}
		_ = json.Unmarshal(raw, &object) // what is not an object has no members
		objects[c.field] = object
	}
	var number *float64
	if json.Unmarshal(object[c.member], &number) != nil || number == nil {
		return math.NaN()
	}
	return *number
}

// Number is a value of a row as a number; NaN where it is null or not a number.
func Number(v record.Value) float64 {
	switch v.Type {
	case record.Int:
		return float64(v.Int())
	case record.Float:
		return v.Float()
	case record.Time:
		return float64(v.Time().UnixMicro()) / 1e6
	}
	return math.NaN()
}

// smooth adds the moving mean of each column behind all columns.
func (s *Series) smooth(n int) {
	for i, name := range s.Names {
		column := s.Columns[i]
		mean := make([]float64, len(column))
		var window []float64 // the last n values that are there
		sum := 0.0
		for at, v := range column {
			mean[at] = math.NaN()
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			window = append(window, v)
			sum += v
			if len(window) > n {
				sum -= window[0]
				window = window[1:]
			}
			if at%1024 == 0 { // what rounding has added up
				sum = 0
				for _, w := range window {
					sum += w
				}
			}
			mean[at] = sum / float64(len(window))
		}
		s.Names = append(s.Names, name+meanSuffix)
		s.Columns = append(s.Columns, mean)
	}
}

// cut drops the rows up to an episode, which were read for the means behind it.
func (s *Series) cut(episode int64, episodes []int64) {
	from := 0
	for from < len(episodes) && episodes[from] <= episode {
		from++
	}
	s.X = s.X[from:]
	for i := range s.Columns {
		s.Columns[i] = s.Columns[i][from:]
	}
	s.Rows = 0
	for i := range s.X {
		if !s.empty(i) {
			s.Rows++
		}
	}
}
