package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// txn is a transaction whose begin and commit travel with other statements, so that
// they cost no round trip of their own.
type txn struct {
	s     *Store
	conn  *pgxpool.Conn
	begun bool
	over  bool
}

// begin takes a connection; the caller closes the transaction.
func (s *Store) begin(ctx context.Context) (*txn, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &txn{s: s, conn: conn}, nil
}

// batch returns an empty batch of statements, preceded by BEGIN if need be.
func (t *txn) batch(ctx context.Context) *pgx.Batch {
	b := &pgx.Batch{}
	if !t.begun {
		t.begun = true
		b.Queue("BEGIN")
		// Local to the transaction: a setting of the session would stay with the
		// pooler's connection, and as a startup parameter poolers refuse it.
		b.Queue(fmt.Sprintf("SET LOCAL statement_timeout = %d", t.s.timeout.Milliseconds()))
		queueAssume(ctx, b)
	}
	return b
}

// send runs a batch in one round trip.
func (t *txn) send(ctx context.Context, b *pgx.Batch) error {
	ctx, cancel := t.s.command(ctx)
	defer cancel()
	return noAnswer(ctx, t.conn.SendBatch(ctx, b).Close())
}

// copyIn runs a COPY … FROM STDIN.
func (t *txn) copyIn(ctx context.Context, r io.Reader, sql string) (pgconn.CommandTag, error) {
	ctx, cancel := t.s.command(ctx)
	defer cancel()
	tag, err := t.conn.Conn().PgConn().CopyFrom(ctx, r, sql)
	return tag, noAnswer(ctx, err)
}

// commit runs a last batch and commits.
func (t *txn) commit(ctx context.Context, b *pgx.Batch) error {
	var tag pgconn.CommandTag
	b.Queue("COMMIT").Exec(func(c pgconn.CommandTag) error { tag = c; return nil })
	if err := t.send(ctx, b); err != nil {
		return err
	}
	t.over = true
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit ended in %s", tag)
	}
	return nil
}

// close gives the connection back, undoing what was not committed. A connection that
// cannot be brought in order is thrown away by the pool.
func (t *txn) close(ctx context.Context) {
	if t.begun && !t.over && !t.conn.Conn().IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		t.conn.Conn().PgConn().Exec(ctx, "ROLLBACK").Close()
	}
	t.conn.Release()
}

// command bounds the time of one round trip.
func (s *Store) command(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.timeout, errNoAnswer)
}

// noAnswer tells our own time-out from the caller's.
func noAnswer(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return err
}
