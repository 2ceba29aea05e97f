package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Content says what the database holds at this moment: see store.Dumper. A file that is
// not there holds nothing.
func (s *Store) Content(ctx context.Context) (store.Content, error) {
	if err := s.mustExist(); err != nil {
		if errors.Is(err, store.ErrAuth) && !s.there() {
			return store.Content{}, nil
		}
		return store.Content{}, err
	}
	db := sql.OpenDB(readConnector{s})
	defer db.Close()
	c, err := contentOf(ctx, db)
	return c, s.wrap(err)
}

// contentOf sums the rows of every table, all in one transaction.
func contentOf(ctx context.Context, db *sql.DB) (store.Content, error) {
	c := store.Content{Tables: map[string]map[string]store.Digest{}, Objects: map[string]string{}}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return c, err
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	rows, err := tx.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return c, err
		}
		sum := sha256.Sum256([]byte(text))
		c.Objects[kind+" "+name] = hex.EncodeToString(sum[:])
		if kind == "table" {
			tables = append(tables, name)
		}
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	for _, table := range tables {
		if c.Tables[table], err = digests(ctx, tx, table); err != nil {
			return c, fmt.Errorf("table %s: %w", table, err)
		}
	}
	return c, nil
}

// digests sums the rows of a table for each value of the column that names their
// experiment.
func digests(ctx context.Context, tx *sql.Tx, table string) (map[string]store.Digest, error) {
	columns, err := columnsOf(ctx, tx, table)
	if err != nil {
		return nil, err
	}
	key, names := -1, make([]string, len(columns))
	for i, c := range columns {
		names[i] = "+" + identifier(c) // a value of no declared type is given as it is stored
		if c == "experiment_id" || c == "id" && strings.HasPrefix(table, "experiments") && key < 0 {
			key = i
		}
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+identifier(table)) //nolint:gosec // names of its own
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	sums := map[string]store.Digest{}
	var buf []byte
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		buf = buf[:0]
		for _, v := range values {
			buf = appendValue(buf, v)
		}
		experiment := ""
		if key >= 0 {
			experiment = textOf(values[key])
		}
		d := sums[experiment]
		d.Add(sha256.Sum256(buf))
		sums[experiment] = d
	}
	return sums, rows.Err()
}

func columnsOf(ctx context.Context, tx *sql.Tx, table string) (names []string, err error) {
	rows, err := tx.QueryContext(ctx, "PRAGMA table_xinfo("+identifier(table)+")") //nolint:gosec // a name of its own
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var skip any
		if err := rows.Scan(&skip, &name, &skip, &skip, &skip, &skip, &skip); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return hex.EncodeToString(v)
	}
	return fmt.Sprint(v)
}

// appendValue writes a value so that no two rows of different values have the same bytes.
func appendValue(buf []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(buf, 'n')
	case int64:
		return binary.BigEndian.AppendUint64(append(buf, 'i'), uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(buf, 'f'), math.Float64bits(v))
	case string:
		return append(binary.AppendUvarint(append(buf, 's'), uint64(len(v))), v...)
	case []byte:
		return append(binary.AppendUvarint(append(buf, 'b'), uint64(len(v))), v...)
	case bool:
		if v {
			return append(buf, 't')
		}
		return append(buf, 'u')
	case time.Time:
		return binary.BigEndian.AppendUint64(append(buf, 'd'), uint64(v.UnixNano()))
	}
	return fmt.Appendf(append(buf, '?'), "%T %v", v, v)
}

// readOnlyFile opens a file that nobody writes to.
type readOnlyFile struct{ uri string }

func (c readOnlyFile) Driver() driver.Driver { return readDriver }

func (c readOnlyFile) Connect(context.Context) (driver.Conn, error) { return readDriver.Open(c.uri) }
