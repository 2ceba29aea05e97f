package archive_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/archive"
	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// childEnv makes the test binary an archiver: "archive STAGE" or "restore".
const childEnv = "GREENWAVE_TEST_ARCHIVER"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what, os.Args[1], os.Args[2]); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child archives all experiments that are over. At the stage it says so and waits to be
// killed.
func child(what, url, dir string) error {
	ctx := context.Background()
	db, err := openStore(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	shelf, err := artifact.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer shelf.Close()
	a := &archive.Archive{DB: db, Shelf: shelf, Version: "test", Stage: func(name string) {
		fmt.Println("stage", name)
		if "archive "+name == what {
			_, _ = io.Copy(io.Discard, os.Stdin) // until the end
		}
	}}
	if what == "restore" {
		list, err := db.Archives(ctx, "")
		if err != nil {
			return err
		}
		for _, r := range list {
			if !r.RestoredAt.IsZero() {
				continue
			}
			fmt.Println("restoring")
			if _, _, err := a.Restore(ctx, r.ID); err != nil {
				return err
			}
		}
		return nil
	}
	items, err := archive.Plan(ctx, db, archive.Rules{Rules: []archive.Rule{{What: "experiments"}}}, time.Now(), nil)
	if err != nil {
		return err
	}
	for _, item := range items {
		if _, _, err := a.Run(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// process starts a child. lines yields what it says; its standard input stays open.
func process(t *testing.T, what, url, dir string) (cmd *exec.Cmd, lines <-chan string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), binary, url, dir)
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	go func() {
		defer close(said)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			said <- scanner.Text()
		}
	}()
	return cmd, said
}

// both runs a test with each database.
func both(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, pgtest.Database(t))
	})
}

// TestKilledAtEachStage: an archiver is killed at each stage. Every row is in the
// database or in a whole archive, never in neither; the next one finishes the work, and
// all comes back as it was.
func TestKilledAtEachStage(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, url string) {
		db := migrated(t, url)
		before := fill(t, db, 2, 150)
		dir := t.TempDir()
		for _, stage := range []string{"exported", "stored", "noted", "checked", "removed"} {
			cmd, lines := process(t, "archive "+stage, url, dir)
			reached := false
			for line := range lines {
				if strings.HasPrefix(line, "error") {
					t.Errorf("at %s: %s", stage, line)
				}
				if line == "stage "+stage {
					reached = true
					break
				}
			}
			_ = cmd.Process.Kill()
			for range lines {
			}
			_ = cmd.Wait()
			if !reached {
				t.Fatalf("the stage %s is never reached", stage)
			}
			everywhere(t, db, dir, before)
		}
		finish(t, db, url, dir, before)
	})
}

// TestKilledAnywhere kills archivers and restorers that work beside each other.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, url string) {
		db := migrated(t, url)
		before := fill(t, db, 3, 800)
		dir := t.TempDir()
		random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
		kills := 0
		for round := 0; kills < 8; round++ {
			var wg sync.WaitGroup
			killed := make([]bool, 2)
			for i, what := range []string{"archive", []string{"archive", "restore"}[round%2]} {
				lives := time.Duration(random.IntN(60)) * time.Millisecond
				wg.Go(func() {
					cmd, lines := process(t, what, url, dir)
					_, alive := <-lines // it works now
					if alive {
						<-time.After(lives)
					}
					killed[i] = cmd.Process.Kill() == nil && alive
					for range lines {
					}
					_ = cmd.Wait()
				})
			}
			wg.Wait()
			for _, k := range killed {
				if k {
					kills++
				}
			}
			everywhere(t, db, dir, before)
			if round > 40 {
				t.Fatalf("only %d processes were killed in %d rounds", kills, round)
			}
		}
		finish(t, db, url, dir, before)
	})
}

// finish archives what is left, with two at once, counts, restores and counts again.
func finish(t *testing.T, db store.Store, url, dir string, before contents) {
	t.Helper()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			cmd, lines := process(t, "archive", url, dir)
			for line := range lines {
				if strings.HasPrefix(line, "error") && !strings.Contains(line, "changed meanwhile") {
					t.Error(line)
				}
			}
			_ = cmd.Wait()
		})
	}
	wg.Wait()
	cmd, lines := process(t, "archive", url, dir) // an archiver stops where another was faster
	for line := range lines {
		if strings.HasPrefix(line, "error") {
			t.Error(line)
		}
	}
	_ = cmd.Wait()
	everywhere(t, db, dir, before)
	for name := range before {
		e, err := db.Experiment(t.Context(), name)
		if err != nil || e.Steps != 0 || e.ArchivedAt.IsZero() {
			t.Errorf("%s is not archived: %d steps, %v", name, e.Steps, err)
		}
	}
	cmd, lines = process(t, "restore", url, dir)
	for line := range lines {
		if strings.HasPrefix(line, "error") {
			t.Error(line)
		}
	}
	_ = cmd.Wait()
	if got := digests(t, db); !equalContents(got, before) {
		t.Errorf("came back as %v, was %v", got, before)
	}
}
