package pythontest

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/greenwave-traffic/greenwave/record"
)

var update = flag.Bool("update", false, "write clients/python/greenwave/schema.json anew")

// TestSchema holds the Python client's rules to those of the record package.
func TestSchema(t *testing.T) {
	path := filepath.Join(client(t), "greenwave", "schema.json")
	want := schemaJSON(t)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("schema.json is not what the record package says: go test ./internal/pythontest -run Schema -update")
	}
}

type field struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
	OneOf    []string `json:"one_of,omitempty"`
	Object   bool     `json:"object,omitempty"`
	Numbers  bool     `json:"numbers,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Doc      string   `json:"doc"`
	Rule     string   `json:"rule"`
}

func schemaJSON(t *testing.T) []byte {
	t.Helper()
	types := map[record.Type]string{
		record.Int: "int", record.Float: "float", record.Text: "text", record.JSON: "json",
		record.Vector: "vector", record.Time: "time", record.UUID: "uuid",
	}
	kinds := map[string][]field{}
	for _, k := range []record.Kind{
		record.KindEpisode, record.KindStep, record.KindCheckpoint, record.KindValidation, record.KindBaseline,
		record.KindResource, record.KindExperiment, record.KindHeartbeat, record.KindEnd,
	} {
		fields := []field{}
		for _, f := range record.SchemaOf(k).Fields {
			fields = append(fields, field{
				Name: f.Name, Type: types[f.Type], Required: f.Required, Min: finite(f.Min), Max: finite(f.Max),
				OneOf: f.OneOf, Object: f.Object, Numbers: f.Numbers, Unit: f.Unit, Doc: f.Doc, Rule: f.Rule(),
			})
		}
		kinds[string(k)] = fields
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(kinds); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func finite(v float64) *float64 {
	if math.IsInf(v, 0) {
		return nil
	}
	return &v
}
