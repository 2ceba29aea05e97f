package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

func TestOpenRefuses(t *testing.T) {
	for _, path := range []string{"", ":memory:", "file:x.db?mode=ro", "a\x00b"} {
		if _, err := sqlite.Open(path, sqlite.Options{}); err == nil {
			t.Errorf("Open(%q): no error", path)
		}
	}
}

// TestOddNames: characters that mean something in an address are part of the name.
func TestOddNames(t *testing.T) {
	for _, name := range []string{"a b.db", "50%.db", "q?mode=ro&x=#1.db", "ü路🚦.db", "a'b\"c.db", "new\nline.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := open(t, path)
		if _, err := s.Migrate(t.Context(), -1); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if _, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFilesThatAreNoDatabase(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	foreign := func(t *testing.T, path string) {
		if _, err := byHand(t, path).ExecContext(t.Context(), `PRAGMA application_id = 77; CREATE TABLE theirs (a INTEGER)`); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		path    string
		prepare func(*testing.T, string)
		want    error
		hint    string
	}{
		"a folder that does not exist": {"no/such/x.db", nil, store.ErrAuth, "must exist"},
		"a file used as a folder":      {"f/x.db", func(t *testing.T, p string) { write(t, filepath.Dir(p), "") }, store.ErrAuth, "f"},
		"a folder":                     {"d", func(t *testing.T, p string) { _ = os.Mkdir(p, 0o700) }, store.ErrAuth, "d"},
		"a text":                       {"notes.txt", func(t *testing.T, p string) { write(t, p, strings.Repeat("not a database\n", 100)) }, store.ErrAuth, "something else"},
		"another program's database":   {"their.db", foreign, store.ErrSchema, "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.path)
			if c.prepare != nil {
				c.prepare(t, path)
			}
			before, _ := os.ReadFile(path)
			s := open(t, path)
			_, err := s.Migrate(t.Context(), -1)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.hint) {
				t.Errorf("Migrate: %v\nwant %v with the path and %q", err, c.want, c.hint)
			}
			if _, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false); !errors.Is(err, store.ErrAuth) && !errors.Is(err, store.ErrSchema) {
				t.Errorf("Register: %v", err)
			}
			if _, err := s.Experiments(t.Context()); !errors.Is(err, store.ErrAuth) && !errors.Is(err, store.ErrSchema) {
				t.Errorf("Experiments: %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	s := open(t, path)
	_, err := s.Experiments(t.Context())
	if !errors.Is(err, store.ErrAuth) || !strings.Contains(err.Error(), "greenwave migrate up") {
		t.Errorf("Experiments: %v, want ErrAuth with what to do", err)
	}
	if _, err = s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false); !errors.Is(err, store.ErrAuth) {
		t.Errorf("Register: %v, want ErrAuth", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("looking made the file")
	}
	// An empty file is a new database.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Experiments(t.Context()); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "greenwave migrate up") {
		t.Errorf("Experiments: %v, want ErrSchema with what to do", err)
	}
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
}

// TestReplacedFile: when the file is removed under an open store, nothing is
// written to what no longer has a name.
func TestReplacedFile(t *testing.T) {
	s, path, run := prepared(t)
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: 1, Entries: guideSteps(t, 1, 3)}
	if _, err := s.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	batch.From, batch.To = 1, 2
	if _, err := s.Apply(t.Context(), batch); !errors.Is(err, store.ErrAuth) {
		t.Errorf("Apply after the file was removed: %v, want ErrAuth", err)
	}
	if _, err := open(t, path).Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), batch); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Apply to a new file: %v, want ErrNotFound", err)
	}
}

// unprivileged runs f without the rights of root: file permissions are checked
// against the file system's user id of the thread.
func unprivileged(t *testing.T, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if _, err := unix.SetfsuidRetUid(65534); err != nil {
				t.Error(err)
				return
			}
		}
		f()
	}()
	<-done
}

func TestReadOnlyFolder(t *testing.T) {
	base, err := os.MkdirTemp("", "greenwave-ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(base, 0o700); _ = os.RemoveAll(base) })
	path := filepath.Join(base, "x.db")
	s := open(t, path)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for name, mode := range map[string]os.FileMode{path: 0o444, base: 0o555} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	unprivileged(t, func() {
		s := open(t, path)
		defer s.Close()
		_, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "y"}, false)
		if !errors.Is(err, store.ErrTemporary) && !errors.Is(err, store.ErrAuth) || !strings.Contains(err.Error(), path) {
			t.Errorf("Register: %v, want ErrTemporary or ErrAuth with the path", err)
		}
		// What is there can be read all the same.
		if all, err := s.Experiments(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("Experiments: %v, %v", all, err)
		}
		fresh := open(t, filepath.Join(base, "y.db"))
		defer fresh.Close()
		if _, err := fresh.Migrate(t.Context(), -1); !errors.Is(err, store.ErrAuth) || !strings.Contains(err.Error(), base) {
			t.Errorf("Migrate: %v, want ErrAuth with the folder", err)
		}
	})
}

// TestNoRoom: a write that fails in the middle of a commit leaves nothing behind,
// is temporary, and succeeds when there is room again.
func TestNoRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "full.db")
	if out, err := child(t, "fileSize", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func applyWithoutRoom(args []string) error {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ)
	s, err := sqlite.Open(args[0], sqlite.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Migrate(ctx, -1); err != nil {
		return err
	}
	run, err := s.Register(ctx, store.Run{ID: uuid.NewString(), Experiment: "full"}, false)
	if err != nil {
		return err
	}
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: 5000}
	for n := uint64(1); n <= batch.To; n++ {
		batch.Entries = append(batch.Entries, nth(n))
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 400_000, Max: limit.Max}); err != nil {
		return err
	}
	if _, err := s.Apply(ctx, batch); !errors.Is(err, store.ErrTemporary) || !strings.Contains(err.Error(), args[0]) {
		return fmt.Errorf("Apply without room: %w, want ErrTemporary with the path", err)
	}
	states, err := s.States(ctx, []string{run.RunID})
	if err != nil || states[run.RunID].Cursor != 0 {
		return fmt.Errorf("after Apply without room: %+v, %w", states, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	res, err := s.Apply(ctx, batch)
	if err != nil || res.Stored != 5000 {
		return fmt.Errorf("Apply with room again: %+v, %w", res, err)
	}
	return nil
}
