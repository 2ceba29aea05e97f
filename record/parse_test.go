package record

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// key begins a step that has what is required.
const key = `{"episode_number":1,"step_number":60`

func parse(t *testing.T, kind Kind, data string) Row {
	t.Helper()
	r, err := Parse(kind, []byte(data), nil)
	if err != nil {
		t.Fatalf("Parse(%s): %v", data, err)
	}
	return r
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing but the key", key + `}`, key + `}`},
		{"white space and order", " {\n \"step_number\" : 60 ,\r\n\t\"episode_number\":1 } \n", key + `}`},
		{"null is left out", key + `,"active_vehicles":null,"speeds":null,"state_vector":null,"real_timestamp":null}`, key + `}`},
		{"unknown fields stay as written", key + `,"b":{"x": 1.50},"a":"\u00e9","n":null}`, key + `,"b":{"x": 1.50},"a":"\u00e9","n":null}`},
		{"names with escapes", `{"episode\u005fnumber":1,"step_number":60,"a\u0062":1,"q\"":2}`, key + `,"ab":1,"q\"":2}`},
		{"whole numbers", `{"episode_number":1.0,"step_number":6e1,"active_vehicles":4500e-2,"action_taken":-3}`, key + `,"active_vehicles":45,"action_taken":-3}`},
		{"many digits", key + `,"active_vehicles":45.00000000000000000000000000000}`, key + `,"active_vehicles":45}`},
		{"largest integers", key + `,"active_vehicles":9223372036854775807,"action_taken":-9223372036854775808}`, key + `,"active_vehicles":9223372036854775807,"action_taken":-9223372036854775808}`},
		{"numbers in their shortest form", key + `,"immediate_reward":2.340,"simulation_time":3.6e2}`, key + `,"immediate_reward":2.34,"simulation_time":360}`},
		{"negative zero", key + `,"immediate_reward":-0.0}`, key + `,"immediate_reward":-0}`},
		{"tiny and large", key + `,"immediate_reward":-1e-9,"simulation_time":1e300}`, key + `,"immediate_reward":-1e-9,"simulation_time":1e+300}`},

		{"bare NaN", key + `,"immediate_reward":NaN,"simulation_time":Infinity}`, key + `,"non_finite":["immediate_reward","simulation_time"]}`},
		{"minus infinity", key + `,"immediate_reward":-Infinity,"active_vehicles":NaN}`, key + `,"non_finite":["immediate_reward","active_vehicles"]}`},
		{"NaN as a text", key + `,"immediate_reward":"NaN","simulation_time":"-inf"}`, key + `,"non_finite":["immediate_reward","simulation_time"]}`},
		{"NaN in maps of numbers", key + `,"queue_lengths":{"A":{"n":NaN,"s":3}},"speeds":{"5th.Ave":"Infinity"}}`,
			key + `,"queue_lengths":{"A":{"n":null,"s":3}},"speeds":{"5th.Ave":null},"non_finite":["queue_lengths.A.n","speeds[\"5th.Ave\"]"]}`},
		{"NaN in any JSON", key + `,"intersection_metrics":{"q":[1,NaN]},"more":[-Infinity]}`,
			key + `,"intersection_metrics":{"q":[1,null]},"more":[null],"non_finite":["intersection_metrics.q[1]","more[0]"]}`},
		{"a text NaN in any JSON is a text", key + `,"intersection_metrics":{"q":"NaN"},"more":"Infinity"}`,
			key + `,"intersection_metrics":{"q":"NaN"},"more":"Infinity"}`},
		{"unless the record lists it", key + `,"intersection_metrics":{"q":"NaN","r":"NaN"},"more":"Infinity","non_finite":["intersection_metrics.q","more","elsewhere"]}`,
			key + `,"intersection_metrics":{"q":null,"r":"NaN"},"more":null,"non_finite":["intersection_metrics.q","more","elsewhere"]}`},
		{"lists are merged", key + `,"non_finite":["speeds.A","x","x"],"speeds":{"A":NaN,"B":NaN}}`,
			key + `,"speeds":{"A":null,"B":null},"non_finite":["speeds.A","speeds.B","x"]}`},
		{"an empty list goes", key + `,"non_finite":[]}`, key + `}`},

		{"vector", key + `,"state_vector":[0.15, 0.23,-1,1e-3, 16777217]}`, key + `,"state_vector":[0.15,0.23,-1,0.001,16777216]}`},
		{"empty vector", key + `,"state_vector":[ ]}`, key + `,"state_vector":[]}`},
		{"vector with null", key + `,"state_vector":[1,null]}`, key + `,"state_vector":[1,null]}`},
		{"vector with NaN", key + `,"state_vector":[1,NaN,"NaN",-Infinity,2]}`,
			key + `,"state_vector":[1,null,null,null,2],"non_finite":["state_vector[1]","state_vector[2]","state_vector[3]"]}`},
		{"vector beyond single precision", key + `,"state_vector":[1e39,1e-60]}`, key + `,"state_vector":[null,0],"non_finite":["state_vector[0]"]}`},

		{"line breaks go, inner spaces stay", key + ",\"speeds\":{\n  \"A\": 1},\"more\":[1, 2]}", key + `,"speeds":{"A":1},"more":[1, 2]}`},
		{"RFC 3339", key + `,"real_timestamp":"2025-07-08T09:30:00.123456789+08:00"}`, key + `,"real_timestamp":"2025-07-08T01:30:00.123456Z"}`},
		{"isoformat", key + `,"real_timestamp":"2025-09-21T08:13:54.932658"}`, key + `,"real_timestamp":"2025-09-21T08:13:54.932658Z"}`},
		{"str of a datetime", key + `,"real_timestamp":"2024-02-29 23:59:59"}`, key + `,"real_timestamp":"2024-02-29T23:59:59Z"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parse(t, KindStep, c.in)
			got := AppendRow(nil, &r)
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !json.Valid(got) {
				t.Errorf("not valid JSON: %s", got)
			}
			again := parse(t, KindStep, string(got))
			if got2 := AppendRow(nil, &again); !bytes.Equal(got, got2) {
				t.Errorf("read back: %s\nwant       %s", got2, got)
			}
		})
	}
}

// A diverged run goes on being recorded: the reward may be NaN, the key may not.
func TestRequiredNumberMayBeNaN(t *testing.T) {
	r := parse(t, KindEpisode, `{"episode_number":7,"total_reward":NaN}`)
	if !r.Get("total_reward").IsNull() || string(r.Extra) != `{"non_finite":["total_reward"]}` {
		t.Errorf("total_reward %v, extra %s", r.Get("total_reward"), r.Extra)
	}
	parse(t, KindEpisode, string(AppendRow(nil, &r)))
	if _, err := Parse(KindEpisode, []byte(`{"episode_number":NaN,"total_reward":1,"non_finite":["episode_number"]}`), nil); err == nil {
		t.Error("an episode without a number was taken")
	}
}

func TestGuideRecords(t *testing.T) {
	r := parse(t, KindEpisode, guideEpisode)
	if v := r.Get("pt_service_efficiency"); v.Float() != 0.87 {
		t.Errorf("pt_service_efficiency is %v", v.Float())
	}
	if r.Extra != nil {
		t.Errorf("extra %s", r.Extra)
	}
	r = parse(t, KindStep, guideStep)
	if v := r.Get("state_vector"); v.Len() != 3 || v.At(1) != 0.23 {
		t.Errorf("state_vector has %d elements", v.Len())
	}
	if v := r.Get("queue_lengths"); !json.Valid(v.Bytes()) {
		t.Errorf("queue_lengths is %s", v.Bytes())
	}
}

// Parsing again into the same row leaves nothing of the row before.
func TestParseInto(t *testing.T) {
	var r Row
	first := key + `,"state_vector":[1,2,NaN],"real_timestamp":"2025-07-08T09:30:00Z","a":1,"intersection_metrics":{"t":"\u00e9"}}`
	for _, in := range []string{first, key + `}`, first, guideStep, key + `,"b\u0062":[NaN]}`} {
		want := parse(t, KindStep, in)
		var err error
		if r, err = Parse(KindStep, []byte(in), &r); err != nil {
			t.Fatal(err)
		}
		if got, want := AppendRow(nil, &r), AppendRow(nil, &want); !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	in := []byte(guideStep)
	if n := testing.AllocsPerRun(100, func() { r, _ = Parse(KindStep, in, &r) }); n != 0 {
		t.Errorf("%v allocations for a step", n)
	}
}

func TestZone(t *testing.T) {
	manila := time.FixedZone("Asia/Manila", 8*3600)
	r, err := ParseOptions{Zone: manila}.Parse(KindStep, []byte(key+`,"real_timestamp":"2025-07-08T09:30:00.5"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Get("real_timestamp").Time(), time.Date(2025, 7, 8, 1, 30, 0, 5e8, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDefault(t *testing.T) {
	now := time.Date(2025, 7, 8, 9, 30, 0, 123456789, time.UTC)
	r := parse(t, KindStep, key+`}`)
	r.Default(now)
	if got := r.Get("real_timestamp").Time(); !got.Equal(now.Truncate(time.Microsecond)) {
		t.Errorf("got %v", got)
	}
	r.Default(now.Add(time.Hour))
	if got := r.Get("real_timestamp").Time(); !got.Equal(now.Truncate(time.Microsecond)) {
		t.Errorf("a time that was there became %v", got)
	}
	r = parse(t, KindEnd, `{"status":"completed"}`)
	r.Default(now)
	if got := AppendRow(nil, &r); string(got) != `{"status":"completed"}` {
		t.Errorf("an end has no time of its own, got %s", got)
	}
}

func TestManyUnknownFields(t *testing.T) {
	var b strings.Builder
	b.WriteString(key)
	for i := range 100 {
		b.WriteString(`,"x` + strings.Repeat("y", i) + `":1`)
	}
	parse(t, KindStep, b.String()+`}`)
	if _, err := Parse(KindStep, []byte(b.String()+`,"xyyy":2}`), nil); err == nil {
		t.Error("a field that was there twice was taken")
	}
}

func TestUUIDIsLowered(t *testing.T) {
	r := parse(t, KindValidation, `{"checkpoint_id":"3F1E2D4C-0000-4000-8000-00000000000A"}`)
	if got := string(r.Get("checkpoint_id").Bytes()); got != "3f1e2d4c-0000-4000-8000-00000000000a" {
		t.Errorf("got %s", got)
	}
}

func TestInstants(t *testing.T) {
	for _, s := range []string{
		"1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2000-02-29T12:00:00+05:30", "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999Z", "1900-03-01T00:00:00-11:45", "2024-12-31t23:59:59z", "1600-02-29T00:00:00Z",
	} {
		got, ok := parseInstant([]byte(s), nil)
		want, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
		if err != nil {
			t.Fatal(err)
		}
		if !ok || got != want.UnixMicro() {
			t.Errorf("%s: got %d %v, want %d", s, got, ok, want.UnixMicro())
		}
	}
	for day := firstInstant; day < endInstant; day += 86400_000_000 * 13 {
		s := time.UnixMicro(day + 1).UTC().Format(time.RFC3339Nano)
		if got, ok := parseInstant([]byte(s), nil); !ok || got != day+1 {
			t.Fatalf("%s: got %d, want %d", s, got, day+1)
		}
	}
	for _, s := range []string{
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01", "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z",
		"2025-04-31T00:00:00Z", "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:60Z", "2025-01-01T00:00:00.Z",
		"2025-01-01T00:00:00+0800", "2025-01-01T00:00:00 UTC", "2025-01-01T00:00Z", "20250101T000000Z", "2025-1-1T00:00:00Z", "",
	} {
		if got, ok := parseInstant([]byte(s), nil); ok {
			t.Errorf("%s was read as %v", s, time.UnixMicro(got).UTC())
		}
	}
}

func TestRoundTripKeepsNaN(t *testing.T) {
	in := &Step{
		EpisodeNumber: 1, StepNumber: 2,
		WaitingTimes:        map[string]float64{"A": math.NaN(), "B": 3},
		QueueLengths:        map[string]map[string]float64{"A": {"north": math.Inf(1)}},
		StateVector:         []float32{1, float32(math.NaN()), float32(math.Inf(-1))},
		ImmediateReward:     new(math.Inf(-1)),
		IntersectionMetrics: map[string]any{"x.y": []any{1.5, math.NaN()}},
		Extra:               Extra{"more": math.NaN(), "non_finite": []string{"before"}},
	}
	got, err := in.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"episode_number":1,"step_number":2,"queue_lengths":{"A":{"north":"Infinity"}},"waiting_times":{"A":"NaN","B":3},` +
		`"state_vector":[1,"NaN","-Infinity"],"immediate_reward":"-Infinity","intersection_metrics":{"x.y":[1.5,"NaN"]},"more":"NaN",` +
		`"non_finite":["queue_lengths.A.north","waiting_times.A","state_vector[1]","state_vector[2]","immediate_reward","intersection_metrics[\"x.y\"][1]","more","before"]}`
	if string(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	r := parse(t, KindStep, string(got))
	for _, f := range []string{"immediate_reward"} {
		if !r.Get(f).IsNull() {
			t.Errorf("%s is not null", f)
		}
	}
	if want := `{"x.y":[1.5,null]}`; string(r.Get("intersection_metrics").Bytes()) != want {
		t.Errorf("intersection_metrics is %s", r.Get("intersection_metrics").Bytes())
	}
	var back Step
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(back.WaitingTimes["A"]) || back.WaitingTimes["B"] != 3 || !math.IsNaN(float64(back.StateVector[2])) || !math.IsNaN(*back.ImmediateReward) {
		t.Errorf("read back: %+v", back)
	}
	if want := `["intersection_metrics[\"x.y\"][1]","more","before"]`; string(back.Extra["non_finite"].(json.RawMessage)) != want {
		t.Errorf("non_finite is %s", back.Extra["non_finite"])
	}
}
