package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// assume makes what follows in the transaction the doing of the caller: it has the
// caller's role and claims until the transaction ends, and so the caller's policies.
const assume = `SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`

// queueAssume puts assume into a batch behind its BEGIN.
func queueAssume(ctx context.Context, b *pgx.Batch) {
	if id, ok := store.IdentityOf(ctx); ok {
		b.Queue(assume, id.Role, id.Claims)
	}
}

// reading gives a connection for one statement that reads as the caller; end gives it
// back.
func (s *Store) reading(ctx context.Context) (q querier, end func(), err error) {
	if s.snapshot != nil {
		return s.snapshot.tx, func() {}, nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := store.IdentityOf(ctx); !ok {
		return conn, conn.Release, nil
	}
	end = func() {
		if !conn.Conn().IsClosed() {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			conn.Conn().PgConn().Exec(undo, "ROLLBACK").Close()
		}
		conn.Release()
	}
	b := &pgx.Batch{}
	b.Queue("BEGIN READ ONLY")
	queueAssume(ctx, b)
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		end()
		return nil, nil, err
	}
	return conn, end, nil
}

// notYours is the error for what a caller may not write to, or may not even see.
func notYours(ctx context.Context, what string) error {
	if _, ok := store.IdentityOf(ctx); !ok {
		return nil
	}
	return fmt.Errorf("%s: %w, or %w: it belongs to somebody else, who has not shared it for writing", what, store.ErrNotFound, store.ErrForbidden)
}

// unwanted ends a statement whose further rows nobody wants. That costs the connection,
// so a snapshot reads them instead.
func (s *Store) unwanted(cancel context.CancelCauseFunc) {
	if s.snapshot == nil {
		cancel(nil)
	}
}
