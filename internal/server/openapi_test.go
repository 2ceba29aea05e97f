package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// document is the OpenAPI document as a client reads it.
type document struct {
	OpenAPI string
	Paths   map[string]map[string]operation
	schemas *jsonschema.Compiler
}

type operation struct {
	OperationID string
	Parameters  []parameter
	RequestBody *struct {
		Content map[string]any
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema any }
	}
}

type parameter struct {
	Name, In string
	Required bool
	Schema   struct {
		Type string
		Enum []string
	}
}

func readDocument(w *world) *document {
	w.Helper()
	a := w.get("/api/v1/openapi.json", nil)
	d := &document{schemas: jsonschema.NewCompiler()}
	if err := json.Unmarshal(a.body, d); err != nil {
		w.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
	if err != nil {
		w.Fatal(err)
	}
	d.schemas.DefaultDraft(jsonschema.Draft2020)
	d.schemas.AssertFormat()
	if err := d.schemas.AddResource("openapi.json", whole); err != nil {
		w.Fatal(err)
	}
	return d
}

// check holds an answer against the schema of its status.
func (d *document) check(t testing.TB, method, path string, a answer) {
	t.Helper()
	responses := d.Paths[path][strings.ToLower(method)].Responses
	status := fmt.Sprint(a.status)
	if _, ok := responses[status]; !ok {
		status = "default"
		if a.status < 400 {
			t.Errorf("%s %s answers %d, which the document does not have", method, path, a.status)
			return
		}
	}
	if len(responses[status].Content) == 0 {
		if len(a.body) > 0 {
			t.Errorf("%s %s: %d has a body: %s", method, path, a.status, a.body)
		}
		return
	}
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if _, ok := responses[status].Content[kind]; !ok {
		t.Errorf("%s %s: %d is %q, which the document does not have", method, path, a.status, kind)
		return
	}
	if kind != "application/json" || responses[status].Content[kind].Schema == nil {
		return
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	at := fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%s/content/application~1json/schema", escape.Replace(path), strings.ToLower(method), status)
	schema, err := d.schemas.Compile(at)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s %s: the answer is not what the document says: %v\n%.600s", method, path, err, a.body)
	}
}

// TestOpenAPI asks everything that the document has, with every parameter, and holds
// every answer against it.
func TestOpenAPI(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		net := &server.Networks{File: filepath.Join("..", "..", "scenarios", "davao-corridor", "corridor.net.xml")}
		w := serve(t, st, server.Options{Networks: net, Now: func() time.Time { return noon.Add(time.Hour) }})
		s := w.fill("corridor", 12, 3)
		w.fill("empty of episodes", 0, 0)
		for i := range 6 {
			s.log("validation", `{"validation_episode":3,"total_reward":-3.5,"test_scenario":{"split":"test","scenario":"d","sumo_seed":%d},"traffic_metrics":{"full_delay":%d},"comparison_metrics":{"webster":{"full_delay":%d}}}`, i, 40+i*i%7, 45+i*i%5)
		}
		s.send()
		var e server.Experiment
		w.get("/api/v1/experiments/corridor", &e)
		alert := store.Alert{
			ID: uuid.NewString(), Rule: "bad_loss", Severity: "critical", ExperimentID: e.ID, State: store.Firing, OpenedAt: noon, LastSeenAt: noon,
			Message: "m", WhatToDo: "do", Value: new(1.5), Episode: new(int64(3)),
		}
		if err := st.PutAlert(t.Context(), alert); err != nil {
			t.Fatal(err)
		}
		d := readDocument(w)
		if d.OpenAPI != "3.1.0" || len(d.Paths) < 25 {
			t.Fatalf("the document is of %s with %d paths", d.OpenAPI, len(d.Paths))
		}
		place := map[string]string{"experiment": "corridor", "episode": "3", "alert": alert.ID, "run": s.run}
		good := map[string][]string{ // values that must work; with them something must be found
			"limit": {"1"}, "columns": {"total_reward"}, "newest": {"true"}, "reverse": {"true"}, "after": {"1"}, "points": {"10"}, "until": {"5"}, "digits": {"4"}, "metrics": {"full_delay"}, "baseline": {"webster"}, "force": {"true"}, "smooth": {"3"},
			"q": {"corr"}, "status": {"running"}, "group": {"d3qn"}, "tag": {"b"}, "experiment": {"corridor"}, "experiments": {"corridor"},
			"metric": {"avg_loss"}, "last": {"2"}, "open": {"true"}, "runs": {s.run}, "runs_": {s.run},
		}
		for path, operations := range d.Paths {
			for method, op := range operations {
				t.Run(op.OperationID, func(t *testing.T) {
					method := strings.ToUpper(method)
					address := path
					q := url.Values{}
					for _, p := range op.Parameters {
						switch {
						case p.In == "path":
							address = strings.Replace(address, "{"+p.Name+"}", url.PathEscape(place[p.Name]), 1)
						case p.Required:
							q.Set(p.Name, good[p.Name][0])
						}
					}
					if method == "POST" {
						askPost(t, w, d, path, address, s)
						return
					}
					if strings.HasSuffix(path, "/events") {
						return // it does not end: TestEvents
					}
					plain := w.ask(method, address+"?"+q.Encode(), nil)
					if plain.status != 200 {
						t.Errorf("GET %s?%s: %d %s", address, q.Encode(), plain.status, plain.body)
					}
					d.check(t, method, path, plain)
					for _, p := range op.Parameters {
						if p.In == "query" {
							askWith(t, w, d, path, address, q, p, good[p.Name])
						}
					}
				})
			}
		}
	})
}

// askWith asks with one parameter more: with values that are right and one that is not.
func askWith(t *testing.T, w *world, d *document, path, address string, base url.Values, p parameter, values []string) {
	t.Helper()
	wrong := "\x01 nothing is called so"
	switch {
	case p.Schema.Enum != nil:
		values = p.Schema.Enum
	case p.Schema.Type == "integer":
		wrong = "many"
	case p.Schema.Type == "boolean":
		wrong = "perhaps"
	case p.Name == "columns" && !strings.HasSuffix(path, "/series"):
		values = []string{"extra"}
	case p.Name == "cursor":
		cursor(t, w, d, path, address, base)
		return
	}
	if len(values) == 0 {
		t.Fatalf("the test knows no value for %s of %s", p.Name, path)
	}
	q := maps.Clone(base)
	for _, value := range values {
		q.Set(p.Name, value)
		a := w.ask("GET", address+"?"+q.Encode(), nil)
		if a.status != 200 {
			t.Errorf("%s=%s of %s: %d %s", p.Name, value, path, a.status, a.body)
		}
		d.check(t, "GET", path, a)
	}
	q.Set(p.Name, wrong)
	a := w.ask("GET", address+"?"+q.Encode(), nil)
	switch p.Name {
	case "q", "group", "tag": // any text; nothing is found
		if !bytes.Contains(a.body, []byte(`"items":[]`)) {
			t.Errorf("%s of %s does not filter: %s", p.Name, path, a.body)
		}
	default:
		if a.status != 400 && a.status != 404 {
			t.Errorf("a wrong %s of %s: %d %s", p.Name, path, a.status, a.body)
		}
	}
	d.check(t, "GET", path, a)
}

// cursor reads a list in pages of one and whole: it must be the same.
func cursor(t *testing.T, w *world, d *document, path, address string, base url.Values) {
	t.Helper()
	type page struct {
		Items []json.RawMessage
		Next  string
	}
	read := func(q url.Values) (p page) {
		a := w.ask("GET", address+"?"+q.Encode(), nil)
		d.check(t, "GET", path, a)
		if err := json.Unmarshal(a.body, &p); err != nil || a.status != 200 {
			t.Fatalf("%s?%s: %d %s", address, q.Encode(), a.status, a.body)
		}
		return p
	}
	whole := read(base)
	if len(whole.Items) == 0 {
		t.Errorf("%s has nothing to page through", path)
	}
	var all []json.RawMessage
	q := maps.Clone(base)
	q.Set("limit", "1")
	for {
		p := read(q)
		all = append(all, p.Items...)
		if p.Next == "" || len(all) > 100 {
			break
		}
		q.Set("cursor", p.Next)
	}
	if len(all) != len(whole.Items) {
		t.Fatalf("%s: %d in pages, %d in one", path, len(all), len(whole.Items))
	}
	for i := range all {
		if !bytes.Equal(all[i], whole.Items[i]) {
			t.Errorf("%s: item %d is %s in pages, %s in one", path, i, all[i], whole.Items[i])
		}
	}
	for _, given := range []string{"x", "e30", "%%"} {
		q.Set("cursor", given)
		a := w.ask("GET", address+"?"+q.Encode(), nil)
		if a.status != 400 {
			t.Errorf("%s takes the cursor %q: %d", path, given, a.status)
		}
		d.check(t, "GET", path, a)
	}
}

// askPost sends the bodies that a path takes, and one that it does not.
func askPost(t *testing.T, w *world, d *document, path, address string, s *sender) {
	t.Helper()
	kind, body := "application/json", "{}"
	switch {
	case strings.HasSuffix(path, "/records"):
		kind, body = ndjson, string(s.log("episode", `{"episode_number":90,"total_reward":1}`).take())
		address += "?run=" + s.run + "&experiment=corridor"
	case strings.HasSuffix(path, "/silence"):
		body = `{"hours":2}`
	case strings.HasSuffix(path, "/interrupted"):
		body = `{"since":"2026-03-01T00:00:00Z"}`
	case strings.HasSuffix(path, "/login"):
		body = `{"token":"x"}`
	}
	a := w.ask("POST", address, []byte(body), "Content-Type", kind)
	if a.status >= 300 {
		t.Errorf("POST %s: %d %s", path, a.status, a.body)
	}
	d.check(t, "POST", path, a)
	if strings.HasSuffix(path, "/logout") {
		return
	}
	a = w.ask("POST", address, []byte("{"), "Content-Type", kind)
	if a.status != 400 {
		t.Errorf("POST %s with a broken body: %d %s", path, a.status, a.body)
	}
	d.check(t, "POST", path, a)
}

// TestParametersAreDocumented: what the handlers read of a query stands in the table
// that the document is made of, and nothing else does.
func TestParametersAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	w := serve(t, newSQLite(t), server.Options{})
	for _, operations := range readDocument(w).Paths {
		for _, op := range operations {
			for _, p := range op.Parameters {
				if p.In == "query" {
					documented[p.Name] = true
				}
			}
		}
	}
	read := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	reads := regexp.MustCompile(`(?:q\.Get|Query\(\)\.Get|listOf|intOf|boolOf|limitOf)\((?:(?:q|r\.URL\.Query\(\)), )?"(\w+)"`)
	lists := regexp.MustCompile(`\[\]string\{("(?:from|brief)"[^}]*)\} \{`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reads.FindAllSubmatch(text, -1) {
			read[string(m[1])] = true
		}
		for _, m := range lists.FindAllSubmatch(text, -1) {
			for name := range strings.SplitSeq(string(m[1]), ", ") {
				read[strings.Trim(name, `"`)] = true
			}
		}
	}
	read["limit"] = true // limitOf
	if a, b := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(read)); !slices.Equal(a, b) {
		t.Errorf("documented are %q\nread are %q", a, b)
	}
}
