package importer

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// asNobody runs fn without root's right to read everything.
func asNobody(t *testing.T, fn func()) {
	if os.Geteuid() != 0 {
		fn()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := syscall.Setfsuid(65534)
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestNoPermission(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "importer") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := write(t, dir, "a_episodes.jsonl", `{"episode_number":1,"total_reward":2}`+"\n")
	write(t, dir, "b_episodes.jsonl", `{"episode_number":1,"total_reward":2}`+"\n")
	if os.Geteuid() != 0 {
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(closed, 0o700) })
		if err := os.Chmod(secret, 0); err != nil {
			t.Fatal(err)
		}
	} else if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	var sources []Source
	var errs []error
	asNobody(t, func() { sources, errs = NewWatcher([]string{dir, closed}, Options{}).Scan() })
	wantDenied(t, errs, closed, secret)
	if len(sources) != 1 {
		t.Fatalf("%d sources, want the one that may be read", len(sources))
	}
	sources[0].Close()
}
