package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

var _ store.Examiner = (*Store)(nil)

// Connection opens the file as a new process would: see [store.Examiner]. Its clock is
// this machine's.
func (s *Store) Connection(ctx context.Context, _ func() time.Time) (store.Connection, error) {
	c := store.Connection{Way: "as a file", SameHost: true}
	db := sql.OpenDB(readConnector{s})
	defer db.Close()
	var version string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return c, s.wrap(err)
	}
	c.Server = "SQLite " + version
	var took []time.Duration
	for range 7 {
		began := time.Now()
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n); err != nil {
			return c, s.wrap(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	c.Latency = took[len(took)/2]
	if err := writable(s.path); err != nil {
		c.ReadOnly = err.Error()
	}
	return c, nil
}

// writable says why a file or the folder beside it, in which SQLite keeps its log, cannot
// be written to.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".greenwave-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Protection lists the files of the database: see [store.Examiner]. Who may read them
// sees every row.
func (s *Store) Protection(context.Context) (p store.Protection, err error) {
	if err := s.mustExist(); err != nil {
		return p, err
	}
	for _, path := range s.files() {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return p, s.wrap(err)
		}
		p.Files = append(p.Files, store.FileMode{Path: path, Mode: info.Mode()})
	}
	return p, nil
}

// files are the database, its log and the log's index. SQLite makes the two with the
// mode of the first.
func (s *Store) files() []string { return []string{s.path, s.path + "-wal", s.path + "-shm"} }

// Protect takes the files away from other users: see [store.Examiner].
func (s *Store) Protect(context.Context) error {
	if err := s.mustExist(); err != nil {
		return err
	}
	for _, path := range s.files() {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.Chmod(path, info.Mode().Perm()&^0o077)
		}
		if err != nil {
			return s.wrap(err)
		}
	}
	return nil
}

// Recount makes statistics agree with the episodes: see [store.Examiner].
func (s *Store) Recount(ctx context.Context) (n int64, err error) {
	err = s.update(ctx, func(t *tx) error {
		n, err = t.exec(`UPDATE experiments SET total_episodes = r.n, best_reward = r.best
			FROM (SELECT x.id, count(e.episode_number) AS n, max(e.total_reward) AS best
			        FROM experiments x LEFT JOIN training_episodes e ON e.experiment_id = x.id GROUP BY x.id) r
			WHERE experiments.id = r.id AND (total_episodes IS NOT r.n OR best_reward IS NOT r.best)`)
		return err
	})
	return n, err
}
