package record

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzParse holds for any bytes: Parse does not panic; what it takes is written
// back as the same row; everything in a row is something that PostgreSQL and SQLite
// can store.
func FuzzParse(f *testing.F) {
	kinds := []Kind{KindEpisode, KindStep, KindCheckpoint, KindValidation, KindBaseline, KindResource, KindExperiment, KindHeartbeat, KindEnd}
	add := func(kind Kind, data string) {
		for i, k := range kinds {
			if k == kind {
				f.Add(uint8(i), []byte(data))
			}
		}
	}
	for _, r := range refusals {
		add(r.kind, r.data)
	}
	add(KindEpisode, guideEpisode)
	add(KindStep, guideStep)
	add(KindStep, key+`,"state_vector":[1,NaN,-Infinity,"nan",null,1e39],"speeds":{"a.b":NaN},"\u00e9":["NaN"],"non_finite":["é[0]"]}`)
	add(KindValidation, `{"checkpoint_id":"3F1E2D4C-0000-4000-8000-00000000000A","confidence_interval":[NaN,1e-400],"timestamp":"2025-01-01 00:00:00"}`)
	add(KindHeartbeat, `{"NON_FINITE":3,"non_finite":["a"]}`)
	add(KindBaseline, `{"baseline_type":"\ud83d\ude00","test_scenarios":NaN}`)
	var row Row
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		k := kinds[int(kind)%len(kinds)]
		before := bytes.Clone(data)
		fresh, err := Parse(k, data, nil)
		if !bytes.Equal(data, before) {
			t.Fatal("Parse has changed its input")
		}
		reused, err2 := Parse(k, data, &row)
		row = reused
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("%v at first, %v with memory used again", err, err2)
		}
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Fatalf("the message is not UTF-8: %q", err)
			}
			return
		}
		if a, b := AppendRow(nil, &fresh), AppendRow(nil, &reused); !bytes.Equal(a, b) {
			t.Fatalf("%s\nwith memory used again: %s", a, b)
		}
		for i, v := range fresh.Values {
			switch v.Type {
			case JSON:
				storable(t, v.Bytes())
			case Text, UUID:
				if !utf8.Valid(v.Bytes()) || bytes.IndexByte(v.Bytes(), 0) >= 0 {
					t.Fatalf("%s holds %q", fresh.Schema.Fields[i].Name, v.Bytes())
				}
			}
		}
		if fresh.Extra != nil {
			storable(t, fresh.Extra)
		}
		sameAgain(t, &fresh)

		typed, err := fresh.Record()
		if err != nil {
			return // a map of numbers that is nested in another way
		}
		if err := typed.Check(); err != nil {
			t.Fatalf("as a typed record: %v", err)
		}
		again, err := typed.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(k, again, nil); err != nil {
			t.Fatalf("as a typed record: %v\n%s", err, again)
		}
	})
}

func storable(t *testing.T, raw []byte) {
	t.Helper()
	if !json.Valid(raw) || !utf8.Valid(raw) || bytes.ContainsAny(raw, "\n\r\x00") {
		t.Fatalf("not valid JSON on one line: %q", raw)
	}
	if bytes.Contains(raw, []byte(`\u0000`)) && !bytes.Contains(raw, []byte(`\\u0000`)) {
		t.Fatalf("has U+0000: %q", raw)
	}
}
