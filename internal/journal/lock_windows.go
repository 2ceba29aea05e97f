package journal

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes f's lock without waiting; errBusy when another holds it. The
// locked byte lies far behind the text, so that others can read who holds it.
func lockFile(f *os.File, exclusive bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return errBusy
	}
	return os.NewSyscallError("LockFileEx", err)
}
