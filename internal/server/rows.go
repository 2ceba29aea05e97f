package server

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// pages of rows: as the records were logged, with where each came from in "_row".

// rowsHandler answers with a page of an experiment's rows of a kind.
func (s *Server) rowsHandler(kind record.Kind) func(http.ResponseWriter, *http.Request) error {
	schema := record.SchemaOf(kind)
	return func(w http.ResponseWriter, r *http.Request) error {
		e, err := s.find(r.Context(), r.PathValue("experiment"))
		if err != nil {
			return err
		}
		q := r.URL.Query()
		limit, err := limitOf(q, 100, 10_000)
		if err != nil {
			return err
		}
		columns, err := chosen(schema, listOf(q, "columns"))
		if err != nil {
			return err
		}
		newest, err := boolOf(q, "newest")
		if err != nil {
			return err
		}
		stretch := store.Range{Limit: limit + 1, Columns: columns, Newest: newest}
		if text := r.PathValue("episode"); text != "" {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil || n < 0 {
				return badRequest("bad_episode", fmt.Sprintf("episode %q: must be a whole number from 0", text))
			}
			if schema.Key == 1 {
				stretch.After, stretch.Until = &store.Key{Episode: n - 1}, &store.Key{Episode: n}
			} else {
				stretch.After, stretch.Until = &store.Key{Episode: n, Step: -1}, &store.Key{Episode: n, Step: math.MaxInt32}
			}
		}
		if text := q.Get("after"); text != "" {
			if stretch.After, err = keyOf(schema, text, stretch.After); err != nil {
				return err
			}
		}
		var from store.Key
		switch err := readCursor(r, &from); {
		case err != nil:
			return err
		case q.Get("cursor") == "":
		case stretch.Newest:
			stretch.Until = &from
		default:
			stretch.After = &from
		}
		return s.page(w, r, schema, e, stretch, limit)
	}
}

// keyOf reads "12" or "12.3" (episode and step) as a position. In one episode "3" is
// the step.
func keyOf(schema *record.Schema, text string, within *store.Key) (*store.Key, error) {
	first, second, both := strings.Cut(text, ".")
	a, err := strconv.ParseInt(first, 10, 32)
	b := int64(0)
	if err == nil && both {
		b, err = strconv.ParseInt(second, 10, 32)
	}
	switch {
	case err != nil || both && schema.Key == 1:
		return nil, badRequest("bad_after", fmt.Sprintf("after is %q: must be an episode's number, for steps with the step's behind a point (12.3)", text))
	case schema.Key == 2 && !both && within != nil:
		return &store.Key{Episode: within.Episode, Step: a}, nil
	case schema.Key == 2 && !both:
		return &store.Key{Episode: a, Step: math.MaxInt32}, nil
	}
	return &store.Key{Episode: a, Step: b}, nil
}

// chosen checks a choice of columns; nil is all.
func chosen(schema *record.Schema, columns []string) ([]string, error) {
	for _, c := range columns {
		if c != "extra" && schema.Index(c) < 0 {
			var names []string
			for _, f := range schema.Fields {
				names = append(names, f.Name)
			}
			return nil, badRequest("unknown_column", fmt.Sprintf("%s has no column %q: there are %s and extra", schema.Table, c, strings.Join(names, ", ")))
		}
	}
	return columns, nil
}

// page streams rows as {"items": […], "next": "…"}.
func (s *Server) page(w http.ResponseWriter, r *http.Request, schema *record.Schema, e Experiment, stretch store.Range, limit int) error {
	body := []byte(`{"items":[`)
	n, next := 0, ""
	var last store.Key
	for row, err := range s.opt.Store.Page(r.Context(), e.ID, schema.Kind, stretch) {
		if err != nil {
			return err
		}
		if n == limit {
			if stretch.Newest {
				last = store.Key{Episode: row.Row.Values[0].Int()}
				if schema.Key == 2 {
					last.Step = row.Row.Values[1].Int()
				}
			}
			next = writeCursor(r, last)
			break
		}
		if n > 0 {
			body = append(body, ',')
		}
		n++
		body = appendStored(body, row)
		last = store.Key{Episode: row.Row.Values[0].Int()}
		if schema.Key == 2 {
			last.Step = row.Row.Values[1].Int()
		}
	}
	s.here()
	body = append(body, ']')
	if next != "" {
		body = append(append(append(body, `,"next":"`...), next...), '"')
	}
	return s.raw(w, r, append(body, "}\n"...))
}

// appendStored writes a row as its record with where it came from.
func appendStored(body []byte, row *store.Stored) []byte {
	body = record.AppendRow(body, &row.Row)
	body = body[:len(body)-1]
	if body[len(body)-1] != '{' {
		body = append(body, ',')
	}
	origin, err := json.Marshal(Origin{RunID: row.RunID, Seq: row.Seq, LoggedAt: row.Time.UTC().Format("2006-01-02T15:04:05.000000Z")})
	if err != nil {
		panic(err) // plain texts and numbers
	}
	body = append(append(body, `"_row":`...), origin...)
	return append(body, '}')
}

// Origin says where a row came from.
type Origin struct {
	ID       string `json:"id,omitempty"` // of rows without a key of their own
	RunID    string `json:"run_id,omitempty"`
	Seq      uint64 `json:"seq,omitempty"`
	LoggedAt string `json:"logged_at"`
}

// allHandler answers with all rows of a kind without a key: there are few.
func (s *Server) allHandler(kind record.Kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		e, err := s.find(r.Context(), r.PathValue("experiment"))
		if err != nil {
			return err
		}
		q := r.URL.Query()
		limit, err := limitOf(q, 1000, 10_000)
		if err != nil {
			return err
		}
		schema := record.SchemaOf(kind)
		columns, err := chosen(schema, listOf(q, "columns"))
		if err != nil {
			return err
		}
		var from struct{ Skip int }
		if err := readCursor(r, &from); err != nil {
			return err
		}
		body := []byte(`{"items":[`)
		n, next := 0, ""
		for row, err := range s.opt.Store.Rows(r.Context(), e.ID, kind) {
			if err != nil {
				return err
			}
			if n++; n <= from.Skip {
				continue
			}
			if n > from.Skip+limit {
				next = writeCursor(r, struct{ Skip int }{from.Skip + limit})
				break
			}
			if n > from.Skip+1 {
				body = append(body, ',')
			}
			if columns != nil {
				drop(row, columns)
			}
			body = appendStored(body, row)
		}
		s.here()
		body = append(body, ']')
		if next != "" {
			body = append(append(append(body, `,"next":"`...), next...), '"')
		}
		return s.raw(w, r, append(body, "}\n"...))
	}
}

// drop makes what was not asked for null.
func drop(row *store.Stored, columns []string) {
	for i, f := range row.Row.Schema.Fields {
		if !slices.Contains(columns, f.Name) {
			row.Row.Values[i] = record.Value{}
		}
	}
	if !slices.Contains(columns, "extra") {
		row.Row.Extra = nil
	}
}
