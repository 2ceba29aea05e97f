package journal

import (
	"os"
	"syscall"
)

// datasync flushes the content of f and what is needed to read it back. Unlike an
// error, an interrupted call says nothing about the data and is made again.
func datasync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := c.Control(func(fd uintptr) {
		for {
			if serr = syscall.Fdatasync(int(fd)); serr != syscall.EINTR {
				return
			}
		}
	}); err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", serr)
}

func syncDir(d *os.File) error { return d.Sync() }
