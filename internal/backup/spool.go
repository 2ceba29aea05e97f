package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// spool is a folder for what is on its way, that nobody else can read.
type spool struct{ dir string }

const spoolPrefix = "greenwave-backup-"

// newSpool makes one below a folder (empty: the system's for temporary files), and
// deletes those of processes of this machine that were killed.
func newSpool(below string) (*spool, error) {
	if below == "" {
		below = os.TempDir()
	}
	host := spoolHost()
	sweepSpools(below, host)
	dir, err := os.MkdirTemp(below, fmt.Sprintf("%s%s-%d-*", spoolPrefix, host, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("folder for temporary files: %w", err)
	}
	return &spool{dir}, nil
}

func (s *spool) path(name string) string { return filepath.Join(s.dir, name) }

func (s *spool) remove() { _ = os.RemoveAll(s.dir) }

var notPlain = regexp.MustCompile(`[^A-Za-z0-9]+`)

// spoolHost keeps machines apart that share a folder.
func spoolHost() string {
	name, err := os.Hostname()
	if err != nil {
		return "host"
	}
	return notPlain.ReplaceAllString(name, "_")
}

func sweepSpools(below, host string) {
	found, _ := filepath.Glob(filepath.Join(below, spoolPrefix+host+"-*")) // the host has no special letters
	for _, dir := range found {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), spoolPrefix+host+"-"), "-")
		if n, err := strconv.Atoi(pid); err == nil && n != os.Getpid() && !alive(n) {
			_ = os.RemoveAll(dir) // it may be another user's
		}
	}
}
