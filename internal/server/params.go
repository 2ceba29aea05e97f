package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// numbers are written as JSON with null for what is not finite.
type numbers []float64

// MarshalJSON writes as many digits as the values have.
func (n numbers) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 8*len(n)+2)
	b = append(b, '[')
	for i, v := range n {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			b = append(b, "null"...)
		case v == math.Trunc(v) && math.Abs(v) < 1e15:
			b = strconv.AppendInt(b, int64(v), 10)
		default:
			b = strconv.AppendFloat(b, v, 'g', -1, 64)
		}
	}
	return append(b, ']'), nil
}

// check refuses a parameter that the route does not have, because what was misspelt
// would be left out without a word, and a value that a parameter cannot have, where it
// is one of a few.
func (rt *Route) check(q url.Values) error {
	if !rt.AnyQuery {
		for _, name := range slices.Sorted(maps.Keys(q)) {
			if !slices.ContainsFunc(rt.Params, func(p Param) bool { return p.Name == name }) {
				return badRequest("unknown_parameter", fmt.Sprintf("%s has no parameter %q: %s", rt.Path, name, rt.has()))
			}
		}
	}
	for _, p := range rt.Params {
		if v := q.Get(p.Name); v != "" && p.OneOf != nil && !slices.Contains(p.OneOf, v) {
			return badRequest("bad_"+p.Name, fmt.Sprintf("%s is %q: must be one of %s", p.Name, v, strings.Join(p.OneOf, ", ")))
		}
	}
	return nil
}

// has says which parameters there are.
func (rt *Route) has() string {
	if len(rt.Params) == 0 {
		return "it has none"
	}
	names := make([]string, len(rt.Params))
	for i, p := range rt.Params {
		names[i] = p.Name
	}
	return "it has " + strings.Join(names, ", ")
}

// limitOf is how many rows a page has.
func limitOf(q url.Values, usual, most int) (int, error) {
	return intOf(q, "limit", usual, 1, most)
}

func intOf(q url.Values, name string, usual, least, most int) (int, error) {
	raw := q.Get(name)
	if raw == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < least || n > most {
		return 0, badRequest("bad_"+name, fmt.Sprintf("%s is %q: must be a whole number from %d to %d", name, raw, least, most))
	}
	return n, nil
}

// boolOf reads a parameter that is true or false; false without it.
func boolOf(q url.Values, name string) (bool, error) {
	text := q.Get(name)
	if text == "" {
		return false, nil
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		return false, badRequest("bad_"+name, fmt.Sprintf("%s is %q: must be true or false", name, text))
	}
	return is, nil
}

// listOf splits a parameter that may be repeated or hold several values with commas.
func listOf(q url.Values, name string) []string {
	var list []string
	for _, v := range q[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

// token is what a cursor holds: where to go on, and of which question.
type token struct {
	Of uint64          `json:"q"`
	At json.RawMessage `json:"at"`
}

// question is what a cursor belongs to: the path and all parameters but those of the
// page itself.
func question(r *http.Request) uint64 {
	q := r.URL.Query()
	q.Del("cursor")
	q.Del("limit")
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.URL.Path + "?" + q.Encode())) // never fails
	return h.Sum64()
}

func writeCursor(r *http.Request, at any) string {
	raw, err := json.Marshal(at)
	if err == nil {
		raw, err = json.Marshal(token{question(r), raw})
	}
	if err != nil {
		panic(err) // plain numbers and texts
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// readCursor reads the request's cursor into at; without one at stays as it is.
func readCursor(r *http.Request, at any) error {
	given := r.URL.Query().Get("cursor")
	if given == "" {
		return nil
	}
	var t token
	raw, err := base64.RawURLEncoding.DecodeString(given)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err == nil && t.Of != question(r) {
		return badRequest("foreign_cursor", "the cursor belongs to another query: begin again without cursor, and keep the other parameters as they are from page to page")
	}
	if err == nil {
		err = json.Unmarshal(t.At, at)
	}
	if err != nil {
		return badRequest("bad_cursor", "the cursor is not one of this server: take it from next of the page before")
	}
	return nil
}
