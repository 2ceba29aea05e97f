package server

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

type object = map[string]any

var inPath = regexp.MustCompile(`\{(\w+)\}`)

// openAPI makes the document from the table of routes and the types that the handlers
// answer with: https://spec.openapis.org/oas/v3.1.0
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	schemas := object{
		"Error": object{"type": "object", "required": []string{"error"}, "properties": object{"error": object{
			"type": "object", "required": []string{"code", "message"},
			"properties": object{
				"code":    object{"type": "string", "description": "Stable, for programs."},
				"message": object{"type": "string", "description": "What, where and what to do next."},
				"details": object{},
			}}}},
	}
	schemaOf(reflect.TypeFor[Origin](), schemas)
	for _, schema := range record.Tabled() {
		schemas[schema.Table] = recordSchema(schema)
	}
	paths := object{}
	for _, rt := range s.routes() {
		operation := object{
			"summary": rt.Summary, "operationId": operationID(rt),
			"responses": object{
				"default": object{"description": "It failed.", "content": jsonContent(object{"$ref": "#/components/schemas/Error"})},
			},
		}
		var params []object
		for _, m := range inPath.FindAllStringSubmatch(rt.Path, -1) {
			params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		for _, p := range rt.Params {
			schema := object{"type": p.Type}
			if p.OneOf != nil {
				schema["enum"] = p.OneOf
			}
			params = append(params, object{"name": p.Name, "in": "query", "description": p.Doc, "required": p.Required, "schema": schema})
		}
		if params != nil {
			operation["parameters"] = params
		}
		if rt.Body != nil {
			content := rt.BodyType
			if content == "" {
				content = "application/json"
			}
			operation["requestBody"] = object{"required": true, "content": object{content: object{"schema": schemaOf(reflect.TypeOf(rt.Body), schemas)}}}
		}
		responses := operation["responses"].(object)
		switch {
		case rt.Rows != "":
			table := record.SchemaOf(rt.Rows).Table
			responses["200"] = object{"description": "A page of rows.", "content": jsonContent(object{
				"type": "object", "required": []string{"items"}, "properties": object{
					"items": object{"type": "array", "items": object{"$ref": "#/components/schemas/" + table}},
					"next":  object{"type": "string", "description": "Cursor of the next page; absent on the last."},
				}})}
		case rt.Result != nil:
			responses["200"] = object{"description": "Done.", "content": jsonContent(schemaOf(reflect.TypeOf(rt.Result), schemas))}
		case rt.ResultType != "":
			responses["200"] = object{"description": "Done.", "content": object{rt.ResultType: object{}}}
		default:
			responses["204"] = object{"description": "Done."}
		}
		at, _ := paths[rt.Path].(object)
		if at == nil {
			at = object{}
			paths[rt.Path] = at
		}
		at[strings.ToLower(rt.Method)] = operation
	}
	doc := object{
		"openapi": "3.1.0",
		"info":    object{"title": "Greenwave", "version": s.opt.Version, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":   paths,
		"components": object{"schemas": schemas, "securitySchemes": object{
			"token":  object{"type": "http", "scheme": "bearer"},
			"cookie": object{"type": "apiKey", "in": "cookie", "name": cookie},
		}},
	}
	if len(s.opt.Tokens) > 0 {
		doc["security"] = []object{{"token": []string{}}, {"cookie": []string{}}}
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return s.raw(w, r, body)
}

func jsonContent(schema any) object { return object{"application/json": object{"schema": schema}} }

func operationID(rt Route) string {
	words := strings.FieldsFunc(strings.TrimPrefix(rt.Path, "/api/v1"), func(r rune) bool { return strings.ContainsRune("/{}-.", r) })
	id := strings.ToLower(rt.Method)
	for _, w := range words {
		id += strings.ToUpper(w[:1]) + w[1:]
	}
	return id
}

var raw = reflect.TypeFor[json.RawMessage]()

// schemaOf describes a Go type as encoding/json writes it; named structs go to named.
func schemaOf(t reflect.Type, named object) any {
	switch {
	case t == raw:
		return object{}
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[numbers]():
		return object{"type": "array", "items": object{"type": []string{"number", "null"}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := schemaOf(t.Elem(), named)
		if o, ok := inner.(object); ok && o["type"] != nil {
			if one, ok := o["type"].(string); ok {
				o["type"] = []string{one, "null"}
			}
		}
		return inner
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64, reflect.Uint32:
		return object{"type": "integer"}
	case reflect.Float64, reflect.Float32:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": schemaOf(t.Elem(), named)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), named)}
	case reflect.Struct:
		if _, known := named[t.Name()]; !known || named[t.Name()] == nil {
			named[t.Name()] = object{} // against types that hold themselves
			properties, required := object{}, []string{}
			fields(t, named, properties, &required)
			named[t.Name()] = object{"type": "object", "properties": properties, "required": required}
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	return object{}
}

func fields(t reflect.Type, named, properties object, required *[]string) {
	for f := range t.Fields() {
		if f.Anonymous {
			fields(f.Type, named, properties, required)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		properties[name] = schemaOf(f.Type, named)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}

// recordSchema describes a row from the table of fields that everything else uses.
func recordSchema(schema *record.Schema) object {
	properties := object{"_row": object{"$ref": "#/components/schemas/Origin"}}
	required := []string{"_row"}
	for i, f := range schema.Fields {
		p := object{"description": f.Doc}
		if f.Unit != "" {
			p["description"] = f.Doc + " [" + f.Unit + "]"
		}
		switch f.Type {
		case record.Int:
			p["type"] = "integer"
		case record.Float:
			p["type"] = "number"
		case record.Text:
			p["type"] = "string"
		case record.Time:
			p["type"], p["format"] = "string", "date-time"
		case record.UUID:
			p["type"], p["format"] = "string", "uuid"
		case record.Vector:
			p["type"], p["items"] = "array", object{"type": []string{"number", "null"}}
		}
		if f.OneOf != nil {
			p["enum"] = f.OneOf
		}
		properties[f.Name] = p
		if i < schema.Key {
			required = append(required, f.Name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": true}
}
