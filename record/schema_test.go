package record

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
)

func records() []Record {
	return []Record{&Episode{}, &Step{}, &Checkpoint{}, &Validation{}, &Baseline{}, &Resource{}, &Experiment{}, &Heartbeat{}, &End{}}
}

// snake turns a Go name into a JSON name: PTAvgWaiting, ModelSizeMB, CheckpointID.
func snake(name string) string {
	for _, short := range []string{"D3QN", "PT", "MB", "ID", "CPU", "GPU"} {
		if i := strings.Index(name, short); i >= 0 {
			name = name[:i] + string(short[0]) + strings.ToLower(short[1:]) + name[i+len(short):]
		}
	}
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// goTypes says which types a typed record may use for a field's type.
var goTypes = map[Type][]reflect.Type{
	Int:    {reflect.TypeFor[int](), reflect.TypeFor[*int]()},
	Float:  {reflect.TypeFor[float64](), reflect.TypeFor[*float64]()},
	Text:   {reflect.TypeFor[string](), reflect.TypeFor[*string]()},
	UUID:   {reflect.TypeFor[string]()},
	Vector: {reflect.TypeFor[[]float32]()},
	Time:   {reflect.TypeFor[time.Time]()},
	JSON: {reflect.TypeFor[any](), reflect.TypeFor[map[string]any](), reflect.TypeFor[map[string]float64](),
		reflect.TypeFor[map[string]map[string]float64]()},
}

// The typed records and the schemas name the same fields in the same order, with
// types that fit.
func TestRecordsFollowSchemas(t *testing.T) {
	for _, r := range records() {
		s := SchemaOf(r.Kind())
		rt := reflect.TypeOf(r).Elem()
		if got := reflect.TypeOf(New(r.Kind())).Elem(); got != rt {
			t.Errorf("New(%s) is a %s", r.Kind(), got)
		}
		if rt.NumField() != len(s.Fields)+1 || rt.Field(rt.NumField()-1).Type != reflect.TypeFor[Extra]() {
			t.Errorf("%s has %d fields, the schema %d and Extra", rt, rt.NumField(), len(s.Fields))
			continue
		}
		for i, f := range s.Fields {
			g := rt.Field(i)
			if snake(g.Name) != f.Name {
				t.Errorf("%s.%s stands where the schema has %s", rt, g.Name, f.Name)
			}
			fits := false
			for _, want := range goTypes[f.Type] {
				fits = fits || g.Type == want
			}
			isObject := g.Type.Kind() == reflect.Map
			isNumbers := isObject && g.Type.Elem() != reflect.TypeFor[any]()
			if !fits || f.Type == JSON && (isObject != f.Object || isNumbers != f.Numbers) {
				t.Errorf("%s.%s is %s, the schema says %s (object %v, numbers %v)", rt, g.Name, g.Type, f.Type, f.Object, f.Numbers)
			}
			if pointer := g.Type.Kind() == reflect.Pointer; pointer && f.Required || (f.Type == Int || f.Type == Float) && pointer == f.Required {
				t.Errorf("%s.%s is %s, required is %v", rt, g.Name, g.Type, f.Required)
			}
		}
	}
}

// dimensionless are the numbers that have no unit: rewards, losses, ratios,
// ordinals.
var dimensionless = map[string]bool{
	"episode_number": true, "step_number": true, "validation_episode": true, "convergence_episode": true, "action_taken": true,
	"total_reward": true, "immediate_reward": true, "validation_reward": true, "avg_loss": true, "epsilon_value": true,
	"travel_time_index": true, "pt_service_efficiency": true,
}

func TestSchemas(t *testing.T) {
	for kind, s := range schemas {
		if s.Kind != kind || len(s.Fields) > 64 {
			t.Errorf("%s: schema of %s with %d fields", kind, s.Kind, len(s.Fields))
		}
		times := 0
		for i, f := range s.Fields {
			if s.Index(f.Name) != i || f.Name != strings.ToLower(f.Name) || strings.ContainsAny(f.Name, `."[]\ `) {
				t.Errorf("%s: field %d is called %q", kind, i, f.Name)
			}
			if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s.%s: the doc is no sentence: %q", kind, f.Name, f.Doc)
			}
			number := f.Type == Int || f.Type == Float
			if number && (f.Unit == "") != dimensionless[f.Name] {
				t.Errorf("%s.%s: unit is %q", kind, f.Name, f.Unit)
			}
			if !number && f.Unit != "" {
				t.Errorf("%s.%s: %s has a unit", kind, f.Name, f.Type)
			}
			if f.Min > f.Max || number && f.Min == f.Max {
				t.Errorf("%s.%s: bounds %v to %v", kind, f.Name, f.Min, f.Max)
			}
			if i < s.Key && (f.Type != Int || !f.Required) {
				t.Errorf("%s.%s is part of the key and must be a required integer", kind, f.Name)
			}
			if f.Type == Time {
				times++
			}
			if f.Name == nonFiniteField {
				t.Errorf("%s has a field %s", kind, f.Name)
			}
		}
		if s.Table != "" && times != 1 {
			t.Errorf("%s has %d fields of type time", kind, times)
		}
	}
}

// Units of the numbers inside of maps stand in the doc.
func TestMapsSayTheirUnit(t *testing.T) {
	for name, unit := range map[string]string{"queue_lengths": "0.1 m/s", "waiting_times": "seconds", "speeds": "km/h"} {
		if doc := Steps.Fields[Steps.Index(name)].Doc; !strings.Contains(doc, unit) {
			t.Errorf("%s: %q does not say %s", name, doc, unit)
		}
	}
}
