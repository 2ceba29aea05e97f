package backup_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// fullDisk is a folder on a file system of 64 kB, or "" for whoever may not mount one.
func fullDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
	if errors.Is(err, os.ErrPermission) {
		t.Log("only root may mount a small file system")
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
