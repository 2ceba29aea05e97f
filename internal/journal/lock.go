package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// holder is what the lock file says about who holds the lock. It is for people;
// the lock itself is the operating system's.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// errBusy is what the operating system's lock calls return when it is held.
var errBusy = errors.New("lock is held")

// lockRun takes the run's lock. The file stays when the lock is released: removing
// it would let two processes hold locks on two files of the same name.
func lockRun(dir string) (*os.File, error) {
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the run's lock: %w", err)
	}
	// A reader's glance at the lock (see held) takes it shared for an instant.
	// While sharing it is possible, no writer holds it: try again.
	for range 1000 {
		if err = lockFile(f, true); !errors.Is(err, errBusy) || lockFile(f, false) != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if errors.Is(err, errBusy) {
		err = fmt.Errorf("%s: %w%s: end it first, or log to a new run", dir, ErrLocked, describeHolder(f))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	host, _ := os.Hostname()
	if text, err := marshal(holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second)}); err == nil {
		if f.Truncate(0) == nil {
			f.WriteAt(append(text, '\n'), 0) //nolint:errcheck // a full disk only costs the name in a message
		}
	}
	return f, nil
}

func describeHolder(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	var h holder
	if err != nil || json.Unmarshal(text, &h) != nil || h.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d on %s since %s)", h.PID, h.Host, h.Since.Format(time.RFC3339))
}

// held reports whether a process holds the run's lock, without disturbing it.
func held(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the run's lock: %w", err)
	}
	err = lockFile(f, false)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, errBusy) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the run's lock: %w", err)
	}
	return false, nil
}
