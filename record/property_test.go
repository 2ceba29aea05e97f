package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What follows draws typed records with any values that Go lets a trainer set,
// also those that break rules.

func anyFloat() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1), rapid.Float64Range(-1000, 1000),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e21, 1e-7, math.MaxFloat64, math.SmallestNonzeroFloat64}))
}

func anyInt() *rapid.Generator[int] {
	return rapid.OneOf(rapid.IntRange(0, 1000), rapid.Int())
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"best", "completed", "a.b", `q"[]\`, "NaN", "nan", "\x00", "a\u2028\x7f"}))
}

func anyValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), anyFloat().AsAny(), anyInt().AsAny(), anyText().AsAny(), rapid.Float32().AsAny(),
		rapid.Just[any](json.RawMessage(" {\"a\": [1.50, NaN,\n \"NaN\", {}] } ")),
		rapid.Just[any](struct{ A []int }{[]int{1}}), rapid.Just[any](map[int]float32{3: float32(math.NaN()), 20: 1}),
		rapid.Just[any](time.Unix(1, 0).UTC()), rapid.SliceOfN(anyFloat(), 0, 3).AsAny(), rapid.SliceOfN(anyText(), 0, 3).AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds, anyMap(depth-1).AsAny(), rapid.SliceOfN(anyValue(depth-1), 0, 3).AsAny(),
			rapid.MapOfN(anyText(), anyFloat(), 0, 3).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func anyMap(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(anyText(), anyValue(depth), 0, 3)
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		sec := rapid.OneOf(rapid.Int64Range(0, 4e9), rapid.Int64Range(-70e9, 300e9)).Draw(t, "seconds")
		zone := time.FixedZone("", 900*rapid.IntRange(-40, 40).Draw(t, "zone"))
		return time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).In(zone)
	})
}

// fill draws each field of a record by its type; often it leaves it at zero.
func fill(t *rapid.T, r Record) {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if rapid.IntRange(0, 2).Draw(t, name+" is set") == 0 {
			continue
		}
		var x any
		switch f.Interface().(type) {
		case int:
			x = anyInt().Draw(t, name)
		case *int:
			x = new(anyInt().Draw(t, name))
		case float64:
			x = anyFloat().Draw(t, name)
		case *float64:
			x = new(anyFloat().Draw(t, name))
		case string:
			x = rapid.OneOf(anyText(), rapid.Just("3f1e2d4c-0000-4000-8000-00000000000a")).Draw(t, name)
		case *string:
			x = new(anyText().Draw(t, name))
		case time.Time:
			x = anyTime().Draw(t, name)
		case []float32:
			x = rapid.SliceOfN(rapid.OneOf(rapid.Float32(), rapid.Just(float32(math.NaN()))), 0, 5).Draw(t, name)
		case map[string]float64:
			x = rapid.MapOfN(anyText(), anyFloat(), 0, 3).Draw(t, name)
		case map[string]map[string]float64:
			x = rapid.MapOfN(anyText(), rapid.MapOfN(anyText(), anyFloat(), 0, 2), 0, 2).Draw(t, name)
		case map[string]any:
			x = anyMap(2).Draw(t, name)
		case Extra:
			x = Extra(rapid.MapOfN(rapid.OneOf(anyText(), rapid.SampledFrom([]string{"notes", "status", "x"})), anyValue(2), 0, 4).Draw(t, name))
		default: // any
			if x = anyValue(2).Draw(t, name); x == nil {
				continue
			}
		}
		f.Set(reflect.ValueOf(x))
	}
}

func drawRecord(t *rapid.T) Record {
	kinds := []Kind{KindEpisode, KindStep, KindCheckpoint, KindValidation, KindBaseline, KindResource, KindExperiment, KindHeartbeat, KindEnd}
	r := New(rapid.SampledFrom(kinds).Draw(t, "kind"))
	fill(t, r)
	return r
}

// AppendChecked is Check and then AppendJSON, down to the words of the error.
func TestAppendCheckedIsCheckAndAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		want, wantErr := []byte("before"), r.Check()
		if wantErr == nil {
			want, wantErr = r.AppendJSON(want)
		}
		got, err := AppendChecked([]byte("before"), r)
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Fatalf("AppendChecked: %s, %v\nCheck and AppendJSON: %s, %v", got, err, want, wantErr)
		}
	})
}

// Check and Parse hold a record against the same rules.
func TestCheckAgreesWithParse(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		checked := r.Check()
		data, err := r.AppendJSON([]byte("before"))
		if !bytes.HasPrefix(data, []byte("before")) {
			t.Fatalf("AppendJSON has changed what was there: %s", data)
		}
		if data = data[len("before"):]; err != nil {
			if len(data) > 0 {
				t.Fatalf("an error came with data: %s", data)
			}
			if checked == nil {
				t.Fatalf("Check has nothing against it, AppendJSON says %v", err)
			}
			return
		}
		if !json.Valid(data) || bytes.ContainsAny(data, "\n\r") {
			t.Fatalf("not JSON on one line: %s", data)
		}
		row, parsed := Parse(r.Kind(), data, nil)
		if (checked == nil) != (parsed == nil) {
			t.Fatalf("Check: %v\nParse: %v\n%s", checked, parsed, data)
		}
		if parsed != nil {
			var c, p *FieldError
			if !errors.As(checked, &c) || !errors.As(parsed, &p) || c.Rule != p.Rule || c.Kind != p.Kind {
				t.Fatalf("Check: %v\nParse: %v\n%s", checked, parsed, data)
			}
			return
		}
		accepted++
		sameAgain(t, &row)

		back := New(r.Kind())
		if err := back.UnmarshalJSON(data); err != nil {
			t.Fatalf("UnmarshalJSON: %v\n%s", err, data)
		}
		data2, err := back.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		row2, err := Parse(r.Kind(), data2, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, data2)
		}
		a, b := canonical(t, &row), canonical(t, &row2)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("through the typed record:\n%s\nbecame\n%s", data, data2)
		}
	})
	if accepted < 10 {
		t.Errorf("only %d records kept all rules", accepted)
	}
}

// canonical is what a row says, regardless of the order of members and paths.
func canonical(t *rapid.T, r *Row) map[string]any {
	var m map[string]any
	if err := json.Unmarshal(AppendRow(nil, r), &m); err != nil {
		t.Fatal(err)
	}
	if list, ok := m[nonFiniteField].([]any); ok {
		set := map[any]bool{}
		for _, p := range list {
			set[p] = true
		}
		m[nonFiniteField] = set
	}
	return m
}

// sameAgain asserts that Parse reads what AppendRow writes as the same row.
func sameAgain(t interface {
	Fatalf(string, ...any)
	Helper()
}, r *Row) {
	t.Helper()
	data := AppendRow(nil, r)
	if !json.Valid(data) {
		t.Fatalf("not JSON: %s", data)
	}
	again, err := Parse(r.Schema.Kind, data, nil)
	if err != nil {
		t.Fatalf("%v\nwhen reading %s", err, data)
	}
	for i := range r.Values {
		a, b := r.Values[i], again.Values[i]
		if a.Type != b.Type || a.num != b.num || !bytes.Equal(a.raw, b.raw) {
			t.Fatalf("%s: %v became %v\n%s", r.Schema.Fields[i].Name, a, b, data)
		}
	}
	if !bytes.Equal(r.Extra, again.Extra) {
		t.Fatalf("extra %s\nbecame %s", r.Extra, again.Extra)
	}
}

// Whatever else a record holds, no field is lost.
func TestUnknownFieldsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		extra := rapid.MapOfN(rapid.StringMatching(`[a-z_."\[\]é ]{1,8}`), rapid.SampledFrom([]string{
			`1`, `1.50`, `-0.0`, `9007199254740993`, `"é\n"`, `null`, `{"a": [1, 2, {}]}`, `[]`, `true`, `"NaN"`,
		}), 0, 40).Draw(t, "extra")
		data := []byte(key)
		for k, v := range extra {
			if Steps.Index(k) >= 0 || k == nonFiniteField {
				continue
			}
			data = append(append(append(append(data, ','), appendText(nil, k)...), ':'), v...)
		}
		row, err := Parse(KindStep, append(data, '}'), nil)
		if err != nil {
			t.Fatal(err)
		}
		sameAgain(t, &row)
		var s Step
		if err := json.Unmarshal(AppendRow(nil, &row), &s); err != nil {
			t.Fatal(err)
		}
		for k, v := range extra {
			if raw, _ := s.Extra[k].(json.RawMessage); string(raw) != v {
				t.Fatalf("%q was %s and is %s", k, v, raw)
			}
		}
		if len(s.Extra) != len(extra) {
			t.Fatalf("%d fields became %d", len(extra), len(s.Extra))
		}
	})
}
