package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// channel is what every batch notifies, with the experiment's id.
const channel = "greenwave_changes"

const (
	pollEvery = 100 * time.Millisecond // where notifications do not arrive; each is a look at an index
	overlap   = 10 * time.Second       // in which a transaction that has begun is seen to have committed
	proofTime = 3 * time.Second        // in which a notification of our own must arrive
)

// errNoNotifications is a connection through a pooler that hands each transaction to
// another session: LISTEN succeeds there and nothing ever comes.
var errNoNotifications = errors.New("notifications do not arrive on this connection")

// Watch tells of changes, whoever makes them; see [store.Watcher]. It listens where
// that works, which it tries with a notification of its own, and asks again and again
// otherwise.
func (s *Store) Watch(ctx context.Context, changed func(experimentIDs []string)) error {
	for ctx.Err() == nil {
		err := s.listen(ctx, changed)
		if errors.Is(err, errNoNotifications) {
			err = s.poll(ctx, changed)
		}
		if ctx.Err() != nil || errors.Is(s.wrap("watch", err), store.ErrSchema) {
			break
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *Store) listen(ctx context.Context, changed func([]string)) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // a session of its own: it listens from now on
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	nonce := "proof " + uuid.NewString()
	if _, err := s.pool.Exec(ctx, "SELECT pg_notify($1, $2)", channel, nonce); err != nil {
		return err
	}
	proof, cancel := context.WithTimeoutCause(ctx, proofTime, errNoNotifications)
	defer cancel()
	waiting := proof
	for {
		n, err := conn.WaitForNotification(waiting)
		switch {
		case err != nil && errors.Is(context.Cause(waiting), errNoNotifications):
			return errNoNotifications
		case err != nil:
			return err
		case n.Payload == nonce:
			waiting = ctx
			changed(nil) // what was committed before the session listened
		default:
			if id, ok := canonical(n.Payload); ok {
				changed([]string{id})
			}
		}
	}
}

// poll asks which runs have moved.
func (s *Store) poll(ctx context.Context, changed func([]string)) error {
	var latest time.Time
	if err := s.pool.QueryRow(ctx, "SELECT coalesce(max(updated_at), 'epoch') FROM training_runs").Scan(&latest); err != nil {
		return err
	}
	seen := map[string]time.Time{} // run → when it had moved, of those that are looked at again
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for first := true; ; first = false {
		// A run's time is that of the beginning of its transaction: one that commits
		// late appears behind others.
		rows, err := s.pool.Query(ctx, `SELECT id::text, experiment_id::text, updated_at FROM training_runs
			WHERE updated_at > $1 AND experiment_id IS NOT NULL`, latest.Add(-overlap))
		if err != nil {
			return err
		}
		var ids []string
		var run, id string
		var at time.Time
		now := map[string]time.Time{}
		if _, err := pgx.ForEachRow(rows, []any{&run, &id, &at}, func() error {
			if now[run] = at; !seen[run].Equal(at) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
			if at.After(latest) {
				latest = at
			}
			return nil
		}); err != nil {
			return err
		}
		seen = now
		switch {
		case first:
			changed(nil)
		case len(ids) > 0:
			changed(ids)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Size is what PostgreSQL says the database takes on its disk; see [store.Watcher].
func (s *Store) Size(ctx context.Context) (size int64, err error) {
	err = s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&size)
	})
	return size, s.wrap("measure the database", err)
}
