//go:build !linux

package journal

import (
	"os"
	"runtime"
)

// datasync is F_FULLFSYNC on macOS and FlushFileBuffers on Windows.
func datasync(f *os.File) error { return f.Sync() }

// syncDir does nothing on Windows, where a folder cannot be flushed and NTFS
// journals its names.
func syncDir(d *os.File) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return d.Sync()
}
