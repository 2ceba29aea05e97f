package greenwave

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v (apt-get install git): %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestTheCommitOfTheWorkingFolder(t *testing.T) {
	repo, nowhere := t.TempDir(), t.TempDir()
	git(t, repo, "init", "-q", "-b", "main")
	if got := folderCommit(repo); got != "" {
		t.Errorf("a repository without commits has %q", got)
	}
	git(t, repo, "commit", "-q", "--allow-empty", "-m", "one")
	want := git(t, repo, "rev-parse", "HEAD")
	below := filepath.Join(repo, "a", "b")
	must(t, os.MkdirAll(below, 0o755))
	if got := folderCommit(below); got != want {
		t.Errorf("below a repository: %q, want %q", got, want)
	}
	git(t, repo, "pack-refs", "--all")
	if got := folderCommit(repo); got != want {
		t.Errorf("with packed refs: %q, want %q", got, want)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	git(t, repo, "worktree", "add", "-q", "-b", "other", tree)
	if got := folderCommit(tree); got != want {
		t.Errorf("in a worktree: %q, want %q", got, want)
	}
	git(t, repo, "checkout", "-q", "--detach")
	if got := folderCommit(repo); got != want {
		t.Errorf("with a detached HEAD: %q, want %q", got, want)
	}
	if got := folderCommit(nowhere); got != "" {
		t.Errorf("outside of a repository: %q", got)
	}
}

// The header says who and where, but nothing that may hold a secret.
func TestTheHeaderHoldsNoSecrets(t *testing.T) {
	t.Setenv("GREENWAVE_TEST_TOKEN", "s3cret-in-the-environment")
	t.Setenv("PATH", "")
	cfg := quiet(t)
	cfg.Destination = "postgres://u:s3cret-password@db.example.org/x"
	run := begin(t, cfg)
	must(t, run.Finish())
	info, err := journal.Stat(run.Dir())
	must(t, err)
	b, err := json.Marshal(info.Header)
	must(t, err)
	for _, secret := range []string{"s3cret", "db.example.org", "test.run", "-test."} {
		if strings.Contains(string(b), secret) {
			t.Errorf("the header holds %q: %s", secret, b)
		}
	}
	if info.Header.Host == "" || info.Header.Program == "" || info.Header.OS == "" || info.Header.Versions["go"] == "" {
		t.Errorf("the header does not say who and where: %s", b)
	}
}

// A trainer that records carries no database, no web server and no test library.
func TestWhatATrainerLinks(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, no := range []string{"net/http", "testing", "database/sql", "github.com/jackc/pgx", "modernc.org/", "github.com/pressly/goose",
			"go.uber.org/goleak", "pgregory.net/rapid", "github.com/parquet-go", "github.com/alecthomas/kong"} {
			// database/sql/driver is a few interfaces that google/uuid names.
			if (dep == no || strings.HasPrefix(dep, no)) && dep != "database/sql/driver" {
				t.Errorf("a trainer links %s", dep)
			}
		}
	}
}
