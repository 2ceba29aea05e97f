package pythontest

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestExample runs the example, goes on with it, and compares the database with its
// journals.
func TestExample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs, db := filepath.Join(dir, "runs"), "sqlite:"+filepath.Join(dir, "example.db")
	script := filepath.Join("..", "..", "examples", "python", "corridor.py")
	for _, episodes := range []string{"3", "6"} {
		out, err := python(t, script, "--dir", runs, "--db", db, "--episodes", episodes).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "completed: ") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := run(t, "verify", runs, "--db", db); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := run(t, "query", "SELECT total_episodes, status FROM experiments", "--csv", "--db", db)
	if err != nil || !strings.Contains(out, "6,completed") {
		t.Errorf("%v\n%s", err, out)
	}
}
