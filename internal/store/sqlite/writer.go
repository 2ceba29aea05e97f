package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"

	driversqlite "modernc.org/sqlite"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// writeCache is large enough for the pages that a batch of 10,000 steps changes;
// with SQLite's 2 MB they go to the file several times (measured: 0.6 of the rate).
const writeCache = "cache_size(-32000)"

// writer is the one connection that writes. It talks to the driver itself: the
// checks and conversions of database/sql for each row cost as much as SQLite's work
// on it, and here every value is already of a type that the driver takes.
type writer struct {
	conn  driver.Conn
	file  os.FileInfo // the file that conn has open
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

func (w *writer) close() {
	for _, stmt := range w.stmts {
		_ = stmt.Close()
	}
	if w.conn != nil {
		_ = w.conn.Close()
	}
	*w = writer{}
}

// open makes sure that the connection is there and that it has the file open that
// is at the path now: SQLite would go on writing to a file that was deleted.
func (w *writer) open(s *Store) error {
	info, err := os.Stat(s.path)
	if w.conn != nil {
		if err == nil && os.SameFile(info, w.file) {
			return nil
		}
		w.close()
	}
	if err := s.mustExist(); err != nil {
		return err
	}
	conn, err := new(driversqlite.Driver).Open(s.uri("rw", "_synchronous", "FULL", "_pragma", writeCache))
	if err != nil {
		return s.wrap(err)
	}
	if info, err = os.Stat(s.path); err != nil {
		_ = conn.Close()
		return s.wrap(err)
	}
	w.conn, w.file, w.stmts = conn, info, map[string]driver.Stmt{}
	return nil
}

// tx is a transaction of the writer. Its statements are prepared once for the
// connection.
type tx struct {
	ctx context.Context
	s   *Store
	w   *writer
	n   int
}

// update runs fn in a transaction that takes the write lock at once. What fn
// returned as an error is rolled back; nil is committed and on disk.
func (s *Store) update(ctx context.Context, fn func(*tx) error) (err error) {
	var w *writer
	select {
	case w = <-s.write:
		defer func() { s.write <- w }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w: %w", s.name, store.ErrTemporary, ctx.Err())
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	if err := w.open(s); err != nil {
		return err
	}
	t := &tx{ctx: ctx, s: s, w: w}
	if err := t.run(ctx, "BEGIN IMMEDIATE"); err != nil {
		w.close()
		return s.wrap(err)
	}
	done := false
	defer func() {
		if !done {
			// A connection that cannot even roll back is of no use; closing
			// it rolls back as well.
			if t.run(context.WithoutCancel(ctx), "ROLLBACK") != nil {
				w.close()
			}
		}
	}()
	if err := s.checkVersion(ctx, t.version); err != nil {
		return err
	}
	if err := fn(t); err != nil {
		return s.wrap(err)
	}
	if err := ctx.Err(); err != nil {
		return s.wrap(err)
	}
	// From here on the outcome must be known: the commit is not interrupted.
	if err := t.run(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return s.wrap(err)
	}
	done = true
	return nil
}

func (t *tx) run(ctx context.Context, sql string) error {
	_, err := t.w.conn.(driver.ExecerContext).ExecContext(ctx, sql, nil)
	return err
}

func (t *tx) prepare(sql string) (driver.Stmt, error) {
	if stmt := t.w.stmts[sql]; stmt != nil {
		return stmt, nil
	}
	stmt, err := t.w.conn.Prepare(sql)
	if err != nil {
		return nil, err
	}
	t.w.stmts[sql] = stmt
	return stmt, nil
}

// bind numbers the arguments; the slice is reused.
func (t *tx) bind(args []driver.Value) []driver.NamedValue {
	for len(t.w.args) < len(args) {
		t.w.args = append(t.w.args, driver.NamedValue{Ordinal: len(t.w.args) + 1})
	}
	for i, v := range args {
		t.w.args[i].Value = v
	}
	return t.w.args[:len(args)]
}

// exec runs a statement and returns how many rows it changed. The driver starts a
// goroutine for each call whose context can end; rows are many and short, so the
// context is looked at here instead.
func (t *tx) exec(sql string, args ...driver.Value) (int64, error) {
	stmt, err := t.prepare(sql)
	if err != nil {
		return 0, err
	}
	return t.execStmt(stmt, args)
}

func (t *tx) execStmt(stmt driver.Stmt, args []driver.Value) (int64, error) {
	if t.n++; t.n%64 == 0 {
		if err := t.ctx.Err(); err != nil {
			return 0, err
		}
	}
	res, err := stmt.(driver.StmtExecContext).ExecContext(context.Background(), t.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row runs a query and returns its first row, or nil when it has none.
func (t *tx) row(sql string, args ...driver.Value) ([]driver.Value, error) {
	stmt, err := t.prepare(sql)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(context.Background(), t.bind(args))
	if err != nil {
		return nil, err
	}
	values := make([]driver.Value, len(rows.Columns()))
	err = rows.Next(values)
	if closeErr := rows.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, errNoRow) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return values, nil
}
