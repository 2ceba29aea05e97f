package postgres

import (
	"context"
	"database/sql/driver"
	"io"

	"github.com/jackc/pgx/v5"
)

// txConnector lets database/sql, which goose speaks, work inside a transaction of
// ours: its transactions become savepoints.
type txConnector struct{ tx pgx.Tx }

func (c *txConnector) Connect(context.Context) (driver.Conn, error) { return &txConn{tx: c.tx}, nil }
func (c *txConnector) Driver() driver.Driver                        { return nil }

type txConn struct{ tx pgx.Tx }

func (c *txConn) Prepare(string) (driver.Stmt, error) { return nil, errUnsupported }
func (c *txConn) Close() error                        { return nil }
func (c *txConn) Begin() (driver.Tx, error)           { return nil, errUnsupported }

func (c *txConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	inner, err := c.tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	outer := c.tx
	c.tx = inner
	return &savepoint{ctx: ctx, conn: c, outer: outer}, nil
}

func (c *txConn) ExecContext(ctx context.Context, sql string, args []driver.NamedValue) (driver.Result, error) {
	tag, err := c.tx.Exec(ctx, sql, values(args)...)
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(tag.RowsAffected()), nil
}

func (c *txConn) QueryContext(ctx context.Context, sql string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.tx.Query(ctx, sql, values(args)...)
	if err != nil {
		return nil, err
	}
	return &txRows{rows}, nil
}

func values(args []driver.NamedValue) []any {
	v := make([]any, len(args))
	for i, a := range args {
		v[i] = a.Value
	}
	return v
}

type savepoint struct {
	ctx   context.Context // database/sql commits without one
	conn  *txConn
	outer pgx.Tx
}

func (s *savepoint) Commit() error {
	inner := s.conn.tx
	s.conn.tx = s.outer
	return inner.Commit(s.ctx)
}

func (s *savepoint) Rollback() error {
	inner := s.conn.tx
	s.conn.tx = s.outer
	return inner.Rollback(s.ctx)
}

type txRows struct{ rows pgx.Rows }

func (r *txRows) Columns() []string {
	fields := r.rows.FieldDescriptions()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

func (r *txRows) Close() error { r.rows.Close(); return r.rows.Err() }

func (r *txRows) Next(dest []driver.Value) error {
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	found, err := r.rows.Values()
	for i, v := range found {
		dest[i] = v
	}
	return err
}
