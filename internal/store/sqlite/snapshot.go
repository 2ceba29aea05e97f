package sqlite

import (
	"context"
	"database/sql"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Snapshot returns a reader that sees the file as it is now; see [store.Snapshotter]. It
// is a read transaction, which in WAL mode nobody waits for.
func (s *Store) Snapshot(ctx context.Context) (store.Snapshot, error) {
	db, err := s.readers(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, s.wrap(err)
	}
	// BEGIN alone fixes nothing: the first statement that reads does.
	var n int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+versionTable).Scan(&n); err != nil {
		_ = tx.Rollback()
		return nil, s.wrap(err)
	}
	return &snapshot{Store: &Store{path: s.path, name: s.name, now: s.now, busy: s.busy, snapshot: tx}}, nil
}

// snapshot is a store of which only the reading side is used.
type snapshot struct{ *Store }

// Close ends the transaction.
func (s *snapshot) Close() { _ = s.snapshot.Rollback() }
