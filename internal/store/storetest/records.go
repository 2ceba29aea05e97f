package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// parse makes a row from JSON; what the tests write is right.
func parse(kind record.Kind, format string, args ...any) record.Row {
	row, err := record.Parse(kind, fmt.Appendf(nil, format, args...), nil)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", fmt.Sprintf(format, args...), err))
	}
	return row
}

func step(episode, number int) record.Row {
	return parse(record.KindStep, `{"episode_number":%d,"step_number":%d,"active_vehicles":%d,"queue_lengths":{"ECOLAND":{"north":3,"south":7}},
		"waiting_times":{"ECOLAND":15.2},"speeds":{"ECOLAND":18.5},"state_vector":[0.15,0,0.45],"action_taken":3,"immediate_reward":2.34,
		"simulation_time":%d,"real_timestamp":"2026-03-01T08:00:00Z"}`, episode, number, 10*episode+number, 10*number)
}

func episode(number int, reward float64) record.Row {
	return parse(record.KindEpisode, `{"episode_number":%d,"total_reward":%v,"passenger_throughput":6512.73,"avg_waiting_time":17.18,"completed_trips":398,
		"timestamp":"2026-03-01T08:%02d:00Z"}`, number, reward, number%60)
}

func checkpoint() record.Row {
	return parse(record.KindCheckpoint, `{"checkpoint_type":"best","model_path":"m.bin","created_at":"2026-03-01T08:00:00Z"}`)
}

func heartbeat() record.Row { return parse(record.KindHeartbeat, `{}`) }

func end(status string) record.Row {
	return parse(record.KindEnd, `{"status":%q,"reason":"said so"}`, status)
}

// clone copies a row that is only valid until the next.
func clone(s *store.Stored) store.Stored {
	c := *s
	c.Row.Extra = bytes.Clone(s.Row.Extra)
	c.Row.Values = slices.Clone(s.Row.Values)
	for i, v := range c.Row.Values {
		switch b := bytes.Clone(v.Bytes()); v.Type {
		case record.Text:
			c.Row.Values[i] = record.TextValue(b)
		case record.JSON:
			c.Row.Values[i] = record.JSONValue(b)
		case record.Vector:
			c.Row.Values[i] = record.VectorValue(b)
		case record.UUID:
			c.Row.Values[i] = record.UUIDValue(b)
		}
	}
	return c
}

// sameRow reports every field in which two rows differ: numbers exactly, JSON by
// its meaning, times to the microsecond.
func sameRow(t testing.TB, what string, got, want *record.Row) {
	t.Helper()
	if got.Schema != want.Schema || len(got.Values) != len(want.Values) {
		t.Errorf("%s: is a %v with %d values, want a %v with %d", what, got.Schema.Kind, len(got.Values), want.Schema.Kind, len(want.Values))
		return
	}
	for i, f := range want.Schema.Fields {
		if g, w := got.Values[i], want.Values[i]; !sameValue(g, w) {
			t.Errorf("%s: %s is %s, want %s", what, f.Name, show(g), show(w))
		}
	}
	if len(got.Extra) == 0 && len(want.Extra) == 0 {
		return
	}
	if !sameJSON(got.Extra, want.Extra) {
		t.Errorf("%s: extra is %s, want %s", what, got.Extra, want.Extra)
	}
}

func sameValue(a, b record.Value) bool {
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case record.Int:
		return a.Int() == b.Int()
	case record.Float:
		// Bit for bit, but for the sign of zero, which SQLite does not keep.
		return a.Float() == b.Float()
	case record.JSON:
		return sameJSON(a.Bytes(), b.Bytes())
	case record.Time:
		return a.Time().Equal(b.Time())
	case record.Vector:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			x, y := a.At(i), b.At(i)
			if math.Float32bits(x) != math.Float32bits(y) && (x == x || y == y) {
				return false
			}
		}
		return true
	default:
		return bytes.Equal(a.Bytes(), b.Bytes())
	}
}

func show(v record.Value) string {
	switch v.Type {
	case record.Null:
		return "null"
	case record.Int:
		return fmt.Sprint(v.Int())
	case record.Float:
		return fmt.Sprint(v.Float())
	case record.Time:
		return v.Time().Format(time.RFC3339Nano)
	case record.Vector:
		return fmt.Sprintf("vector of %d: % x", v.Len(), v.Bytes())
	default:
		return fmt.Sprintf("%q", v.Bytes())
	}
}

func sameJSON(a, b []byte) bool {
	x, errX := decode(a)
	y, errY := decode(b)
	return errX == nil && errY == nil && sameAny(x, y)
}

func decode(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func sameAny(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !sameAny(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameAny)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, okX := new(big.Rat).SetString(a.String())
		y, okY := new(big.Rat).SetString(b.String())
		return okX && okY && x.Cmp(y) == 0
	default:
		return a == b
	}
}
