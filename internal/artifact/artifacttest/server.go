package artifacttest

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The keys of the server.
const (
	Key    = "greenwave-test"
	Secret = "not-a-secret-of-anybody"
)

// Server is a real S3 server (versitygw) on a folder.
type Server struct {
	Address string // host:port
	dir     string
	t       testing.TB
	process *exec.Cmd
	done    chan struct{}
}

// program is where scripts/need puts the server.
func program(t testing.TB) string {
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "../../../bin/tools/versitygw")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the store of models is tested on versitygw, a real S3 server: run scripts/need test: %v", err)
	}
	return path
}

// NewServer starts a server with one bucket, "models".
func NewServer(t testing.TB) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: l.Addr().String(), dir: t.TempDir(), t: t}
	_ = l.Close()
	if err := os.Mkdir(filepath.Join(s.dir, "models"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// URL is the store's URL.
func (s *Server) URL(prefix string) string {
	return "s3://models/" + prefix + "?endpoint=" + url.QueryEscape("http://"+s.Address)
}

// Env has the keys.
func Env(name string) (string, bool) {
	v, ok := map[string]string{"AWS_ACCESS_KEY_ID": Key, "AWS_SECRET_ACCESS_KEY": Secret}[name]
	return v, ok
}

// Bucket is the folder in which the server keeps the bucket.
func (s *Server) Bucket() string { return filepath.Join(s.dir, "models") }

// Start starts the server, again after Stop.
func (s *Server) Start() {
	s.t.Helper()
	var log bytes.Buffer
	s.process = exec.Command(program(s.t), "--port", s.Address, "--quiet", "posix", s.dir)
	s.process.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+Key, "ROOT_SECRET_KEY="+Secret)
	s.process.Stdout, s.process.Stderr = &log, &log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(p *exec.Cmd, done chan struct{}) {
		_ = p.Wait() // it is killed
		close(done)
	}(s.process, s.done)
	for end := time.Now().Add(time.Minute); ; {
		res, err := http.Get("http://" + s.Address + "/")
		if err == nil {
			_ = res.Body.Close()
			return
		}
		select {
		case <-s.done:
			s.t.Fatalf("versitygw ended: %s", log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			s.t.Fatal(errors.Join(errors.New("versitygw does not answer"), err))
		}
	}
}

var stopping sync.Mutex

// Stop kills the server.
func (s *Server) Stop() {
	stopping.Lock()
	defer stopping.Unlock()
	_ = s.process.Process.Kill()
	<-s.done
}
