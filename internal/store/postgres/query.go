package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// textFormat asks for all columns as text, which every type has.
var textFormat = pgx.QueryResultFormats{0}

// Query runs one statement that reads: see store.Reader. The transaction is read
// only, the protocol takes one statement only, and what reads must begin like it:
// COPY … TO PROGRAM changes no table but is not reading.
//
// The transaction lasts until the rows are read or the reader stops; Rows must be
// called, once.
func (s *Store) Query(ctx context.Context, sql string) (*store.Table, error) {
	if word := firstWord(sql); !reads[word] {
		return nil, fmt.Errorf("%w: a query begins with SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN, not %q", store.ErrRefused, word)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(s.timeout, func() { cancel(errNoAnswer) })
	fail := func(err error) (*store.Table, error) {
		err = noAnswer(ctx, err)
		timer.Stop()
		cancel(nil)
		return nil, s.wrapQuery(err)
	}
	tx, end, err := s.queryTx(ctx)
	if err != nil {
		return fail(err)
	}
	if id, ok := store.IdentityOf(ctx); ok && s.snapshot == nil {
		if _, err := tx.Exec(ctx, assume, id.Role, id.Claims); err != nil {
			end()
			return fail(err)
		}
	}
	rows, err := tx.Query(ctx, sql, pgx.QueryExecModeDescribeExec, textFormat)
	if err != nil {
		end()
		return fail(err)
	}
	// The server's verdict comes with the first row, not before.
	more := rows.Next()
	timer.Stop()
	if !more && rows.Err() != nil {
		err := rows.Err()
		end()
		return fail(err)
	}
	fields := rows.FieldDescriptions()
	table := &store.Table{Columns: make([]string, len(fields))}
	for i, f := range fields {
		table.Columns[i] = f.Name
	}
	values := make([]any, len(fields))
	table.Rows = func(yield func([]any, error) bool) {
		defer cancel(nil)
		defer end()
		defer rows.Close()
		for ; more; more = rows.Next() {
			for i, raw := range rows.RawValues() {
				values[i] = fromText(fields[i].DataTypeOID, raw)
			}
			if !yield(values, nil) {
				s.unwanted(cancel) // the rest
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, s.wrapQuery(err))
		}
	}
	return table, nil
}

// queryTx begins the transaction of a query; end undoes it.
func (s *Store) queryTx(ctx context.Context) (tx pgx.Tx, end func(), err error) {
	if s.snapshot != nil {
		return s.snapshot.tx, func() {}, nil
	}
	tx, err = s.pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	return tx, func() {
		undo, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		tx.Rollback(undo)
	}, err
}

// wrapQuery leaves what the author of the query did wrong without a class.
func (s *Store) wrapQuery(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch class := pg.Code[:2]; {
		case pg.Code == "25006":
			return fmt.Errorf("%w: a query must only read: %s", store.ErrRefused, pg.Message)
		case class == "42", class == "22", class == "21", class == "0A", class == "23":
			at := ""
			if pg.Position > 0 {
				at = fmt.Sprintf(" at character %d", pg.Position)
			}
			hint := ""
			if pg.Hint != "" {
				hint = " (" + pg.Hint + ")"
			}
			return fmt.Errorf("query: %s%s%s [%s]", pg.Message, at, hint, pg.Code)
		}
	}
	return s.wrap("query", err)
}

var reads = map[string]bool{"SELECT": true, "WITH": true, "VALUES": true, "TABLE": true, "SHOW": true, "EXPLAIN": true, "(": true}

// firstWord returns the first word of a statement in capitals, behind blanks and
// comments.
func firstWord(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f;")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			sql = afterComment(sql)
		case strings.HasPrefix(sql, "("):
			return "("
		default:
			end := strings.IndexFunc(sql, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
			if end < 0 {
				end = len(sql)
			}
			return strings.ToUpper(sql[:end])
		}
	}
}

// afterComment cuts a leading comment, which may hold others.
func afterComment(sql string) string {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return sql[i+1:]
			}
		}
	}
	return ""
}

// fromText turns a column's text into a Go value as store.Table promises. A text that
// is not as expected stays a string.
func fromText(oid uint32, raw []byte) any {
	if raw == nil {
		return nil
	}
	text := string(raw)
	switch oid {
	case pgtype.BoolOID:
		return text == "t"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return v
		}
	case pgtype.NumericOID:
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return v
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v
		}
	case pgtype.ByteaOID:
		if v, err := hex.DecodeString(strings.TrimPrefix(text, `\x`)); err == nil {
			return v
		}
	case pgtype.JSONOID, pgtype.JSONBOID:
		return json.RawMessage(text)
	case pgtype.TimestamptzOID:
		for _, layout := range []string{"2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00"} {
			if v, err := time.Parse(layout, text); err == nil {
				return v.UTC()
			}
		}
	case pgtype.TimestampOID:
		if v, err := time.Parse("2006-01-02 15:04:05.999999999", text); err == nil {
			return v
		}
	case pgtype.DateOID:
		if v, err := time.Parse(time.DateOnly, text); err == nil {
			return v
		}
	case pgtype.Float4ArrayOID, pgtype.Float8ArrayOID, pgtype.Int2ArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID:
		return jsonArray(text)
	}
	return text
}

// jsonArray turns {1,NULL,0.5} into [1,null,0.5].
func jsonArray(text string) any {
	out := strings.NewReplacer("{", "[", "}", "]", "NULL", "null", "NaN", "null", "-Infinity", "null", "Infinity", "null").Replace(text)
	if !json.Valid([]byte(out)) {
		return text
	}
	return json.RawMessage(out)
}
