package pgtest

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Bouncer is a PgBouncer in transaction mode in front of a server.
type Bouncer struct {
	Port int

	dir   string
	proc  *os.Process
	guard io.Closer
}

// Bouncer starts a PgBouncer that gives each database at most size connections.
func (s *Server) Bouncer(t testing.TB, size int) *Bouncer {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer"
		if _, err := os.Stat(path); err != nil {
			t.Fatal("PgBouncer is missing: apt-get install pgbouncer")
		}
	}
	dir, cred := privateDir(t)
	b := &Bouncer{dir: dir, guard: watchdog(t, dir, cred)}
	t.Cleanup(func() {
		if b.proc != nil {
			b.proc.Signal(syscall.SIGKILL)
			b.proc.Wait()
		}
		b.guard.Close()
	})
	for range 20 {
		b.Port = freePort(t)
		if err = b.tryStart(s, cred, path, size); err == nil {
			return b
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "bouncer.log"))
	t.Fatalf("PgBouncer does not start: %v\n%s", err, log)
	return nil
}

func (b *Bouncer) tryStart(s *Server, cred *syscall.Credential, path string, size int) error {
	conf := fmt.Sprintf(`[databases]
* = host=%s port=%d user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 500
pidfile = %s/bouncer.pid
logfile = %s/bouncer.log
`, s.Dir, s.Port, User, b.Port, b.dir, size, b.dir, b.dir)
	ini := filepath.Join(b.dir, "bouncer.ini")
	if err := os.WriteFile(ini, []byte(conf), 0o644); err != nil {
		return err
	}
	os.Remove(filepath.Join(b.dir, "bouncer.pid"))
	cmd := command(cred, b.dir, path, "--quiet", ini)
	if err := cmd.Start(); err != nil {
		return err
	}
	socket := fmt.Sprintf("host=%s port=%d user=%s dbname=postgres default_query_exec_mode=exec", b.dir, b.Port, User)
	if err := answers(cmd, socket, 20*time.Second); err != nil {
		return err
	}
	b.proc = cmd.Process
	return nil
}

// Through turns the URL of a database of the server into its URL through the pooler.
func (b *Bouncer) Through(t testing.TB, databaseURL string) string {
	t.Helper()
	return withPort(t, databaseURL, b.Port)
}

func withPort(t testing.TB, databaseURL string, port int) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = strings.TrimSuffix(u.Host, ":"+u.Port()) + ":" + strconv.Itoa(port)
	return u.String()
}
