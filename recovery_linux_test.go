package greenwave

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
)

// A file system of 8 MiB that fills up, as a quota or a full disk does.
func TestAFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Log("only root may mount a small file system: TestADiskThatRefusesWrites stands in for it")
		return
	}
	must(t, err)
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	filler := filepath.Join(dir, "filler")
	synctest.Test(t, func(t *testing.T) {
		cfg := quiet(t)
		cfg.Dir = filepath.Join(dir, "runs")
		survive(t, cfg, syscall.ENOSPC,
			func() { must(t, os.WriteFile(filler, make([]byte, 7<<20), 0o600)) },
			func() { must(t, os.Remove(filler)) })
	})
}
