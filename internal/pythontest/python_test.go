package pythontest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// client is the folder of the Python client.
func client(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "clients", "python"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// interpreter is Debian's Python; GREENWAVE_PYTHON names another one. Without one the
// tests fail.
func interpreter(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("GREENWAVE_PYTHON"); p != "" {
		return p
	}
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		return "/usr/bin/python3"
	}
	p, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("Python 3 is needed, and neither /usr/bin/python3 nor python3 in PATH is there: apt-get install python3")
	}
	return p
}

// python prepares the interpreter with the client in its path. It inherits no
// destination from the environment of the tests.
func python(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), interpreter(t), args...)
	cmd.Dir = client(t)
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "GREENWAVE_") || strings.HasPrefix(name, "SUPABASE_") || strings.HasPrefix(name, "PYTHON") || name == "DATABASE_URL" {
			continue
		}
		cmd.Env = append(cmd.Env, kv)
	}
	cmd.Env = append(cmd.Env, "PYTHONPATH="+client(t), "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=error::ResourceWarning", "GREENWAVE_BIN="+program(t))
	return cmd
}

var built struct {
	sync.Once
	path string
	err  error
}

// program builds the real program, once.
func program(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "greenwave-python-*"); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "greenwave")
		var out []byte
		if out, built.err = exec.Command("go", "build", "-o", built.path, "../../cmd/greenwave").CombinedOutput(); built.err != nil {
			_, _ = os.Stderr.Write(out)
		}
	})
	if built.err != nil {
		t.Fatal("the greenwave program cannot be built: ", built.err)
	}
	return built.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// TestUnits runs the client's own tests and its doctests. Each must have run some.
func TestUnits(t *testing.T) {
	t.Parallel()
	out, err := python(t, "-m", "unittest", "discover", "-s", "tests", "-t", ".").CombinedOutput()
	m := regexp.MustCompile(`Ran (\d+) tests`).FindSubmatch(out)
	if err != nil || m == nil || string(m[1]) == "0" {
		t.Fatalf("unittest: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "skipped=") {
		t.Errorf("a test was skipped:\n%s", out)
	}
	t.Logf("%s tests", m[1])
}
