// Package servetest runs "greenwave serve" in a process of its own, for the tests of what
// talks to it.
package servetest

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to say where it listens.
const patience = time.Minute

// Server is a server on a free port of this machine. It is killed when the test ends.
type Server struct {
	Addr string // host and port, the same after each Start
	Cmd  *exec.Cmd
	Said *Output // what it wrote since the last Start, without its first line

	t       testing.TB
	program string
	args    []string
	env     []string
}

// Start starts a program as a server; args are those behind "serve --listen ADDRESS".
func Start(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	return StartWith(t, nil, program, args...)
}

// StartWith is Start with variables that are added to the environment.
func StartWith(t testing.TB, env []string, program string, args ...string) *Server {
	t.Helper()
	var free net.ListenConfig
	l, err := free.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: l.Addr().String(), t: t, program: program, env: env}
	l.Close()
	s.args = append([]string{"serve", "--listen", s.Addr}, args...)
	s.Start()
	t.Cleanup(func() { s.Stop(syscall.SIGKILL) })
	return s
}

// URL is its address.
func (s *Server) URL() string { return "http://" + s.Addr }

// Start starts it again, after Stop. It returns when the server says that it listens.
func (s *Server) Start() {
	s.t.Helper()
	s.Said = &Output{}
	s.Cmd = exec.Command(s.program, s.args...) //nolint:noctx // its life is Stop's
	s.Cmd.Dir = s.t.TempDir()
	// What is set outside must not decide which database is meant.
	s.Cmd.Env = append(os.Environ(), "DATABASE_URL=", "GREENWAVE_DB=", "GREENWAVE_TOKEN=")
	s.Cmd.Env = append(s.Cmd.Env, s.env...)
	s.Cmd.Stderr = s.Said
	out, err := s.Cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	first := make(chan string, 1)
	go func() {
		in := bufio.NewReader(out)
		line, _ := in.ReadString('\n')
		first <- line
		_, _ = io.Copy(s.Said, in)
	}()
	select {
	case line := <-first:
		if !strings.HasPrefix(line, "http://") {
			s.t.Fatalf("greenwave serve said %q: %s", line, s.Said)
		}
	case <-time.After(patience):
		s.t.Fatalf("greenwave serve does not say where it listens: %s", s.Said)
	}
}

// Stop sends a signal and waits for the end. A server that has ended stays so.
func (s *Server) Stop(how os.Signal) error {
	if s.Cmd.ProcessState != nil {
		return nil
	}
	_ = s.Cmd.Process.Signal(how)
	return s.Cmd.Wait()
}

// Output collects what several goroutines write.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
