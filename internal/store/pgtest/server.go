// Package pgtest starts real PostgreSQL servers, poolers and broken networks for
// tests. A server lives in a private temporary folder, is run by an unprivileged
// user when the tests run as root, and ends with the process that started it,
// however that one ends.
//
// The programs come from the folder named by GREENWAVE_TEST_PG_BIN, from PATH, or
// from where Debian installs them. A test that finds none fails and says what to
// install.
package pgtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// BinEnv names the environment variable with the folder of PostgreSQL's programs.
const BinEnv = "GREENWAVE_TEST_PG_BIN"

const (
	// User is the superuser of the server; it needs no password.
	User = "greenwave"
	// LockedUser is a user that needs a password.
	LockedUser = "locked"
	// LockedPassword is the password of LockedUser.
	LockedPassword = "correct horse"
)

// Options of a server. The zero value is a fast server for tests that do not pull
// the plug of the machine.
type Options struct {
	// Fsync makes commits durable as in production. Without it a server that is
	// killed still recovers, since the operating system lives on.
	Fsync bool
	// Settings are further lines of postgresql.conf: name to value.
	Settings map[string]string
	// Bin is the folder of the programs; empty: where the package's comment says.
	Bin string
}

// Server is a running PostgreSQL.
type Server struct {
	Bin  string // folder of its programs
	Dir  string // temporary folder: data, socket, log
	Port int

	opt   Options
	cred  *syscall.Credential
	guard io.Closer

	mu   sync.Mutex
	proc *os.Process // nil while it is down
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns the server that all tests of the process share. It is started at
// the first call and ends with the process.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = start(t, Options{})
	}
	return shared.server
}

// Start starts a server of the test's own, for tests that stop it.
func Start(t testing.TB, opt Options) *Server {
	t.Helper()
	s := start(t, opt)
	t.Cleanup(func() {
		s.Kill(t)
		s.guard.Close()
	})
	return s
}

func start(t testing.TB, opt Options) *Server {
	t.Helper()
	dir, cred := privateDir(t)
	bin := opt.Bin
	if bin == "" {
		bin = findBin(t)
	} else {
		bin = reachable(t, bin, dir, cred)
	}
	s := &Server{Bin: bin, Dir: dir, opt: opt, cred: cred}
	s.guard = watchdog(t, dir, cred)
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", User, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.configure(t)
	s.Start(t)
	s.exec(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", LockedUser, LockedPassword))
	return s
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

func (s *Server) configure(t testing.TB) {
	onOff := map[bool]string{true: "on", false: "off"}[s.opt.Fsync]
	conf := []string{
		"listen_addresses = '127.0.0.1'",
		fmt.Sprintf("unix_socket_directories = '%s'", s.Dir),
		"max_connections = 150",
		"shared_buffers = '64MB'",
		"max_wal_size = '1GB'",
		"fsync = " + onOff,
		"full_page_writes = " + onOff,
		"log_min_messages = warning",
		"timezone = 'Asia/Manila'", // not UTC: a query that depends on it shows
	}
	for name, value := range s.opt.Settings {
		conf = append(conf, fmt.Sprintf("%s = '%s'", name, value))
	}
	appendFile(t, filepath.Join(s.data(), "postgresql.conf"), strings.Join(conf, "\n")+"\n")
	hba := filepath.Join(s.data(), "pg_hba.conf")
	rules := fmt.Sprintf("local all all trust\nhost all %s 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n", LockedUser)
	if err := os.WriteFile(hba, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start starts the server after Kill, on the same port when it has one. A server
// that runs is left alone.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		return
	}
	var err error
	for range 20 {
		port := s.Port
		if port == 0 {
			port = freePort(t)
		}
		if err = s.tryStart(port); err == nil {
			s.Port = port
			return
		}
	}
	t.Fatalf("PostgreSQL does not start: %v\n%s", err, s.Log())
}

// tryStart starts the server and waits until it answers. Somebody else may take the
// port first: then the server ends by itself, which is an error here.
func (s *Server) tryStart(port int) error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	// The socket's folder is ours alone, so it is this server that answers.
	if err := answers(cmd, s.socketURL(port, "postgres"), 60*time.Second); err != nil {
		return err
	}
	s.proc = cmd.Process
	return nil
}

// Kill stops the server at once, as a crash would: no checkpoint, connections cut.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return
	}
	s.proc.Signal(syscall.SIGQUIT)
	s.proc.Wait()
	s.proc = nil
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(b)
}

var databases atomic.Int64

// Database makes an empty database and returns its URL. It is dropped when the
// test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("gw%d", databases.Add(1))
	s.exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		s.mu.Lock()
		up := s.proc != nil
		s.mu.Unlock()
		if up {
			s.exec(t, "DROP DATABASE "+name+" WITH (FORCE)")
		}
	})
	return s.URL(name)
}

// Database makes an empty database on the shared server.
func Database(t testing.TB) string {
	t.Helper()
	return Shared(t).Database(t)
}

// URL is the address of a database of the server over TCP.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", User, s.Port, database)
}

// Addr is the host and port of the server.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Psql runs psql with the server's version on a database and returns its output.
func (s *Server) Psql(t testing.TB, url string, stdin io.Reader, args ...string) (string, error) {
	t.Helper()
	bin := filepath.Join(s.Bin, "psql")
	if _, err := os.Stat(bin); err != nil {
		bin, err = exec.LookPath("psql")
		if err != nil {
			t.Fatal("psql is missing: apt-get install postgresql-client")
		}
	}
	cmd := exec.CommandContext(t.Context(), bin, append([]string{"--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", url}, args...)...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *Server) socketURL(port int, database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s", s.Dir, port, User, database)
}

func (s *Server) exec(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.socketURL(s.Port, "postgres"))
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	return command(s.cred, s.Dir, filepath.Join(s.Bin, name), args...)
}

func appendFile(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
