package sqlite

import (
	"context"
	"database/sql"
	"errors"
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
	db, err := s.reader(ctx)
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
	since := timeText(s.now())
	for first := true; ; first = false {
		var now int64
		if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&now); err != nil {
			return err
		}
		switch {
		case first:
			changed(nil)
		case now != version:
			ids, latest, err := changedSince(ctx, conn, since)
			if err != nil {
				return err
			}
			since = latest
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

// changedSince lists the experiments of the runs whose cursor moved at or after the
// time, and the latest such time.
func changedSince(ctx context.Context, conn *sql.Conn, since string) (ids []string, latest string, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT experiment_id, max(updated_at) FROM training_runs
		WHERE updated_at >= ? AND experiment_id IS NOT NULL GROUP BY experiment_id`, since)
	if err != nil {
		return nil, since, err
	}
	defer rows.Close()
	latest = since
	for rows.Next() {
		var id string
		var at any
		if err := rows.Scan(&id, &at); err != nil {
			return nil, since, err
		}
		ids = append(ids, id)
		if t, err := asTime(at); err == nil {
			latest = max(latest, timeText(t))
		}
	}
	return ids, latest, rows.Err()
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
