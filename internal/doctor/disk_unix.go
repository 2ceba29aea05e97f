//go:build unix

package doctor

import (
	"os"
	"syscall"
)

// sameDisk reports whether two paths are on one file system.
func sameDisk(a, b string) bool {
	device := func(path string) (uint64, bool) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return 0, false
		}
		return uint64(st.Dev), true //nolint:unconvert // its type differs by system
	}
	x, okX := device(a)
	y, okY := device(b)
	return okX && okY && x == y
}
