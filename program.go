package greenwave

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// program sends with the greenwave program, for trainers without a database driver.
// It runs in a session of its own and reads the journal like any other reader, so it
// finishes the work when the trainer is killed, and then ends by itself.
type program struct {
	path, url, name string
	ctx             context.Context
	log             *slog.Logger
	notice          func()
}

// SyncLog is the file in a run's folder that holds the output of the greenwave
// program that was started beside the training.
const SyncLog = "sync.log"

// findProgram looks for the program where Config.Program says, beside the executable
// and in PATH.
func findProgram(configured string) (string, error) {
	if configured != "" {
		path, err := exec.LookPath(configured)
		if err != nil {
			return "", fmt.Errorf("Config.Program cannot be run: %w", err)
		}
		return path, nil
	}
	name := "greenwave"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if exe, err := os.Executable(); err == nil {
		// A trainer that is called greenwave itself is not the program.
		if beside := filepath.Join(filepath.Dir(exe), name); beside != exe {
			if path, err := exec.LookPath(beside); err == nil {
				return path, nil
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("the greenwave program is neither beside the executable nor in PATH")
	}
	return path, nil
}

// programSender watches over the program that sends one part.
type programSender struct {
	program
	runDir string
	ended  chan struct{}

	mu  sync.Mutex
	err error // of the program itself
}

func (p program) start(runDir string) sender {
	s := &programSender{program: p, runDir: runDir, ended: make(chan struct{})}
	go s.run()
	return s
}

func (s *programSender) done() <-chan struct{} { return s.ended }

// run starts the program, and again when it was killed or could not go on. When the
// context ends the program stays: it sends what is left and ends by itself.
func (s *programSender) run() {
	defer close(s.ended)
	const first, longest = time.Second, time.Minute
	for pause := first; ; pause = min(2*pause, longest) {
		again, err := s.once()
		s.fail(err)
		if !again || s.ctx.Err() != nil {
			return
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// once runs the program to its end. It reports whether another try makes sense.
func (s *programSender) once() (again bool, err error) {
	out, err := os.OpenFile(filepath.Join(s.runDir, SyncLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return true, fmt.Errorf("%s: %w", s.path, err)
	}
	// Its end is not tied to a context: it outlives the run where it must.
	cmd := exec.Command(s.path, "sync", s.runDir, "--follow", "--until-ended", "--json") //nolint:noctx // see above
	// The password stays out of the arguments, which everybody on the machine can read.
	cmd.Env = append(os.Environ(), "GREENWAVE_DB="+s.url)
	// A file, not a pipe: a pipe would break when the trainer dies.
	cmd.Stdout, cmd.Stderr = out, out
	detach(cmd)
	err = cmd.Start()
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return true, fmt.Errorf("start %s: %w", s.path, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case err = <-exited:
	case <-s.ctx.Done():
		// The goroutine above ends with the program.
		return false, nil
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &exit) && exit.ExitCode() == 3: // done, something was refused
		return false, nil
	case errors.As(err, &exit) && exit.ExitCode() == 2:
		return false, fmt.Errorf("%s does not understand what it was asked (see %s): use the one of this version", s.path, filepath.Join(s.runDir, SyncLog))
	}
	return true, fmt.Errorf("%s: %w (see %s)", s.path, err, filepath.Join(s.runDir, SyncLog))
}

func (s *programSender) fail(err error) {
	s.mu.Lock()
	turned := (s.err == nil) != (err == nil)
	s.err = err
	s.mu.Unlock()
	if err != nil && turned {
		s.log.Warn("the program that sends the records has ended; recording goes on", "destination", s.name, "error", err)
	}
	if turned {
		s.notice()
	}
}

// sent is what the program last said in its output.
func (s *programSender) sent() sent {
	s.mu.Lock()
	last := sent{err: s.err}
	s.mu.Unlock()
	r, ok := lastReport(filepath.Join(s.runDir, SyncLog))
	if !ok {
		return last
	}
	last.synced, last.dead = r.Synced, r.Dead
	if last.err == nil {
		last.err = reported(r)
	}
	return last
}

// lastReport finds the last report of a run in the program's output.
func lastReport(path string) (syncer.Report, bool) {
	f, err := os.Open(path)
	if err != nil {
		return syncer.Report{}, false
	}
	defer f.Close()
	const tail = 16 << 10
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return syncer.Report{}, false
	}
	b := make([]byte, min(size, tail))
	n, _ := f.ReadAt(b, size-int64(len(b))) // it only grows
	b = b[:n]
	for len(b) > 0 {
		line := b
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			line, b = b[i+1:], b[:i]
		} else {
			b = nil
		}
		var r syncer.Report
		if bytes.HasPrefix(line, []byte("{")) && json.Unmarshal(line, &r) == nil && r.RunID != "" {
			return r, true
		}
	}
	return syncer.Report{}, false
}
