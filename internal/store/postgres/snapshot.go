package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// snapshotTx is the transaction of a snapshot and the connection that it is on.
type snapshotTx struct {
	tx   pgx.Tx
	conn *pgxpool.Conn
	once sync.Once
}

// Snapshot returns a reader that sees the database as it is now: see
// [store.Snapshotter]. It is one transaction on one connection, which a pooler in
// transaction mode keeps together. A statement that fails ends it.
func (s *Store) Snapshot(ctx context.Context) (store.Snapshot, error) {
	open := func() (*snapshotTx, error) {
		ctx, cancel := s.command(ctx)
		defer cancel()
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return nil, noAnswer(ctx, err)
		}
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			conn.Release()
			return nil, noAnswer(ctx, err)
		}
		t := &snapshotTx{tx: tx, conn: conn}
		b := &pgx.Batch{}
		b.Queue(fmt.Sprintf("SET LOCAL statement_timeout = %d", s.timeout.Milliseconds()))
		// Whoever reads may be slow: a server that ends idle transactions is to wait.
		b.Queue("SET LOCAL idle_in_transaction_session_timeout = 0")
		queueAssume(ctx, b)
		err = tx.SendBatch(ctx, b).Close()
		if err == nil {
			err = s.checkVersion(ctx, tx) // BEGIN alone fixes nothing: the first statement that reads does
		}
		if err == nil && s.checked.Load() {
			_, err = tx.Exec(ctx, "SELECT 1 FROM experiments LIMIT 1")
		}
		if err != nil {
			t.close(ctx)
			return nil, noAnswer(ctx, err)
		}
		return t, nil
	}
	t, err := open()
	if err != nil {
		return nil, s.wrap("open a snapshot", err)
	}
	shot := &Store{pool: s.pool, name: s.name, secrets: s.secrets, timeout: s.timeout, place: s.place, snapshot: t}
	shot.checked.Store(true)
	return &snapshot{shot}, nil
}

// snapshot is a store of which only the reading side is used.
type snapshot struct{ *Store }

// Close ends the transaction and gives the connection back.
func (s *snapshot) Close() { s.snapshot.close(context.Background()) }

func (t *snapshotTx) close(ctx context.Context) {
	t.once.Do(func() {
		if !t.conn.Conn().IsClosed() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = t.tx.Rollback(ctx) // it has read only
		}
		t.conn.Release()
	})
}
