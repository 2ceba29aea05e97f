//go:build unix

package server

import "syscall"

// openFiles is how many files, connections among them, this process may have open; Go
// has raised it as far as it goes. 0: not known.
func openFiles() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int64(min(uint64(limit.Cur), 1<<30))
}
