package pgtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// findBin returns the folder of PostgreSQL's programs.
func findBin(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(BinEnv); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			t.Fatalf("%s=%s: %v", BinEnv, dir, err)
		}
		return dir
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Fatalf("PostgreSQL is missing: apt-get install postgresql pgbouncer, or set %s", BinEnv)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest)
}

// privateDir makes a temporary folder and says whom the server runs as: root is
// refused by PostgreSQL, so the folder belongs to postgres or nobody then.
func privateDir(t testing.TB) (string, *syscall.Credential) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gwpg")
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return dir, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatal("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
	return "", nil
}

// command is a child in a process group of its own, so that an interrupt from the
// keyboard reaches the tests first, with nothing that keeps the tests' output open.
func command(cred *syscall.Credential, dir, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), path, args...) // ends with the server, not with a test
	cmd.Dir = dir
	ours := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	cmd.Env = append(ours, "LC_ALL=C", "TZ=UTC", "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
	return cmd
}

// watchdog ends whatever runs in dir and removes it, as soon as the returned pipe
// is closed: by the tests, or by the kernel when they are killed.
func watchdog(t testing.TB, dir string, cred *syscall.Credential) io.Closer {
	t.Helper()
	const script = `
cat >/dev/null
for pidfile in "$1"/data/postmaster.pid "$1"/*.pid; do
	[ -f "$pidfile" ] || continue
	pid=$(head -n 1 "$pidfile")
	kill -QUIT "$pid" 2>/dev/null
	for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
	kill -KILL "$pid" 2>/dev/null
done
cd / && rm -rf "$1"`
	cmd := command(cred, "/", "/bin/sh", "-c", script, "watchdog", dir)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return pipe
}

func listen(t testing.TB) (net.Listener, error) {
	return new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := listen(t)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// answers waits until a process that was started takes connections. One that ends,
// or does not answer in time and is killed, is an error.
func answers(cmd *exec.Cmd, address string, within time.Duration) error {
	deadline := time.Now().Add(within)
	for time.Now().Before(deadline) {
		var status syscall.WaitStatus
		if pid, _ := syscall.Wait4(cmd.Process.Pid, &status, syscall.WNOHANG, nil); pid == cmd.Process.Pid {
			return fmt.Errorf("it ended at once with status %d", status.ExitStatus())
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, address)
		cancel()
		if err == nil {
			conn.Close(context.Background())
			return nil
		}
		pause()
	}
	cmd.Process.Kill()
	cmd.Process.Wait()
	return fmt.Errorf("it does not answer within %s", within)
}

// pause waits before looking again whether another process is ready.
func pause() { time.Sleep(20 * time.Millisecond) }
