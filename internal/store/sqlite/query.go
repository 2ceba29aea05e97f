package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Query runs one statement that reads; see [store.Reader]. Columns that are declared
// as timestamps come as time.Time, those declared as JSON as json.RawMessage; the
// function state_json shows a state_vector as a JSON array. The rows must be read,
// or the context cancelled, to free the connection.
func (s *Store) Query(ctx context.Context, query string) (*store.Table, error) {
	if rest := afterStatement(query); rest != "" {
		return nil, fmt.Errorf("%s: one statement at a time: there is more after the first semicolon: %.40q", s.name, rest)
	}
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, query) //nolint:rowserrcheck // table.Rows checks it
	if err != nil {
		return nil, s.wrapQuery(err)
	}
	table := &store.Table{}
	types, err := rows.ColumnTypes()
	if err == nil {
		table.Columns, err = rows.Columns()
	}
	if err != nil {
		_ = rows.Close()
		return nil, s.wrapQuery(err)
	}
	table.Rows = func(yield func([]any, error) bool) {
		defer rows.Close()
		values := make([]any, len(types))
		into := make([]any, len(types))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				yield(nil, s.wrapQuery(err))
				return
			}
			for i, t := range types {
				values[i] = typed(t, values[i])
			}
			if !yield(values, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, s.wrapQuery(err))
		}
	}
	return table, nil
}

// typed gives a text the type that its column is declared with.
func typed(t *sql.ColumnType, v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	switch t.DatabaseTypeName() {
	case "TIMESTAMP TEXT":
		if at, err := parseTime(text); err == nil {
			return at
		}
	case "JSON TEXT":
		if json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
	}
	return v
}

// wrapQuery is wrap for a statement that somebody typed: a refusal is about the
// statement, not about the file.
func (s *Store) wrapQuery(err error) error {
	var failure *driversqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case lib.SQLITE_AUTH, lib.SQLITE_READONLY:
			return fmt.Errorf("%s: a query may only read: %w", s.name, err)
		}
	}
	return s.wrap(err)
}

// afterStatement returns what follows the first statement of the text, comments and
// white space aside.
func afterStatement(text string) string {
	end := -1
	for i := 0; i < len(text); {
		rest := text[i:]
		skip := 1
		switch c := text[i]; {
		case strings.HasPrefix(rest, "--"):
			if skip = strings.IndexByte(rest, '\n') + 1; skip == 0 {
				skip = len(rest)
			}
		case strings.HasPrefix(rest, "/*"):
			if skip = strings.Index(rest[2:], "*/") + 4; skip == 3 {
				skip = len(rest)
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
		case end >= 0 && c != ';':
			return strings.TrimSpace(rest)
		case c == ';':
			end = i
		case c == '\'' || c == '"' || c == '`' || c == '[':
			closing := c
			if c == '[' {
				closing = ']'
			}
			// A doubled quote closes and opens again, which comes to the same.
			if skip = strings.IndexByte(rest[1:], closing) + 2; skip == 1 {
				skip = len(rest)
			}
		}
		i += skip
	}
	return ""
}
