package pgtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// Oldest and Newest are the major versions of PostgreSQL that Greenwave supports.
const (
	Oldest = 14
	Newest = 18
)

// Embedded starts a server of a major version with the programs that scripts/fetch-postgres
// fetched from npm. It ends with the test.
func Embedded(t testing.TB, major int) *Server {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	bin := filepath.Join(filepath.Dir(file), "..", "..", "..", "build", "postgres-"+strconv.Itoa(major), "bin")
	if _, err := os.Stat(filepath.Join(bin, "postgres")); err != nil {
		t.Fatalf("PostgreSQL %d is missing: run scripts/need test (%v)", major, err)
	}
	return Start(t, Options{Bin: bin})
}

// reachable returns the folder of programs, or a copy of their installation in dir where
// the user that is to run them may not go to it.
func reachable(t testing.TB, bin, dir string, cred *syscall.Credential) string {
	t.Helper()
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	if command(cred, dir, filepath.Join(bin, "initdb"), "--version").Run() == nil {
		return bin
	}
	there := filepath.Join(dir, "installation")
	// The watchdog removes it with the rest of dir.
	if out, err := exec.CommandContext(t.Context(), "cp", "-R", filepath.Dir(bin), there).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(there, "bin")
}
