package doctor_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
)

// A disk that is full is noticed by writing to it.
func TestJournalOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Log("only root may mount a small file system: TestJournal has the judgement")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	p := &patient{T: t, Subject: &doctor.Subject{Dir: dir}}
	p.is(p.check("journal"), doctor.Failed, "free") // 1 MB is too little, and takes a file
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal("the disk has more room than it was given: ", err)
	}
	p.is(p.check("journal"), doctor.Failed, "takes no writes", "no space left")
}
