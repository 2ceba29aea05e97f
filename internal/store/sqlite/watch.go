package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// watchEvery is how often the file is asked whether another connection has changed
// it: one read of a counter in shared memory.
const watchEvery = 50 * time.Millisecond

// Watch tells of changes, whoever makes them; see [store.Watcher]. SQLite has no
// messages between processes, but counts its commits.
func (s *Store) Watch(ctx context.Context, changed func(experimentIDs []string)) error {
	for ctx.Err() == nil {
		err := s.watch(ctx, changed)
		if ctx.Err() != nil || errors.Is(err, errClosed) {
			return nil
		}
		// Locked, moved or not there: it may come back, with anything in it.
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *Store) watch(ctx context.Context, changed func([]string)) error {
	db, err := s.readers(ctx)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var version int64
	moved := moves{latest: s.now()}
	for first := true; ; first = false {
		var now int64
		if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&now); err != nil {
			return err
		}
		switch {
		case first:
			changed(nil)
		case now != version:
			ids, err := moved.since(ctx, conn)
			if err != nil {
				return err
			}
			changed(ids) // nil when rows were written by hand
		}
		version = now
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// moves remembers which runs have moved lately. A run's time is taken before its
// transaction has waited for its turn, so it may appear behind others.
type moves struct {
	latest time.Time
	seen   map[string]string // run → when it had moved, of those that are looked at again
}

const overlap = 30 * time.Second

// since lists the experiments of the runs whose cursor has moved since the last call.
func (m *moves) since(ctx context.Context, conn *sql.Conn) (ids []string, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT id, experiment_id, updated_at FROM training_runs
		WHERE updated_at >= ? AND experiment_id IS NOT NULL`, timeText(m.latest.Add(-overlap)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now := map[string]string{}
	for rows.Next() {
		var run, id string
		var value any
		if err := rows.Scan(&run, &id, &value); err != nil {
			return nil, err
		}
		at, err := asTime(value)
		if err != nil {
			return nil, err
		}
		if now[run] = timeText(at); m.seen[run] != now[run] && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if at.After(m.latest) {
			m.latest = at
		}
	}
	m.seen = now
	return ids, rows.Err()
}

// Size is the size of the database's pages in bytes; see [store.Watcher].
func (s *Store) Size(ctx context.Context) (int64, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return 0, err
	}
	var size int64
	err = db.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&size)
	return size, s.wrap(err)
}
