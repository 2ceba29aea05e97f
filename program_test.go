package greenwave

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// programDir holds the real program while the tests run.
var programDir string

// companion builds the real program, once.
var companion = sync.OnceValues(func() (string, error) {
	var err error
	if programDir, err = os.MkdirTemp("", "greenwave-program-*"); err != nil {
		return "", err
	}
	path := filepath.Join(programDir, "greenwave")
	out, err := exec.Command("go", "build", "-o", path, "./cmd/greenwave").CombinedOutput()
	if err != nil {
		_, _ = os.Stderr.Write(out)
	}
	return path, err
})

func buildCompanion(t *testing.T) string {
	t.Helper()
	path, err := companion()
	if err != nil {
		t.Fatal("the greenwave program cannot be built: ", err)
	}
	return path
}

// verified reports what the program itself finds in the database.
func verified(t *testing.T, path, dir, db string) (out string, err error) {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), path, "verify", dir, "--db", db).CombinedOutput()
	return string(b), err
}

func TestTheProgramSyncsBesideTheTraining(t *testing.T) {
	t.Parallel()
	path := buildCompanion(t)
	db := "sqlite:" + filepath.Join(t.TempDir(), "program.db")
	cfg := quiet(t)
	cfg.Destination, cfg.Program, cfg.FinishTimeout = db, path, time.Minute
	synced := make(chan struct{})
	var once sync.Once
	cfg.OnReport = func(r Report) {
		if r.Synced >= 5 && r.Status == "running" {
			once.Do(func() { close(synced) })
		}
	}
	run := begin(t, cfg)
	for e := range 5 {
		must(t, run.LogEpisode(Episode{EpisodeNumber: e}))
	}
	select {
	case <-synced:
	case <-time.After(time.Minute):
		t.Fatalf("nothing was synced during the run: %+v", run.Report())
	}
	must(t, run.Finish())
	if rep := run.Report(); rep.Synced != rep.Logged || rep.Logged < 6 || rep.Sync != SyncProgram || rep.LastError != "" {
		t.Errorf("the report is %+v", rep)
	}
	if out, err := verified(t, path, cfg.Dir, db); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// The trainer is killed while the program syncs: the program sends what is left and
// ends by itself. No argument of it holds the destination, which may hold a password.
func TestTheProgramOutlivesAKilledTrainer(t *testing.T) {
	t.Parallel()
	path := buildCompanion(t)
	db := "sqlite:" + filepath.Join(t.TempDir(), "program.db")
	dir := t.TempDir()
	p := startTrainer(t, "start", dir, "GREENWAVE_TEST_DESTINATION="+db, "GREENWAVE_TEST_PROGRAM="+path)
	p.read(300)
	if runtime.GOOS == "linux" {
		var args string
		eventually(t, "the program runs", func() bool { args = arguments(t, p.dir); return args != "" })
		if strings.Contains(args, "program.db") || !strings.Contains(args, "--until-ended") {
			t.Errorf("the arguments of the program are %q", args)
		}
	}
	must(t, p.cmd.Process.Kill())
	p.read(-1)
	_ = p.cmd.Wait()
	// It says in the end what it has done.
	var last struct{ Pending, Logged, Synced uint64 }
	eventually(t, "the program has sent everything", func() bool {
		b, err := os.ReadFile(filepath.Join(p.dir, SyncLog))
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(b)) {
			_ = json.Unmarshal([]byte(line), &last)
		}
		return last.Logged > 0 && last.Pending == 0 && strings.Contains(string(b), `"runs":1`)
	})
	if runtime.GOOS == "linux" {
		eventually(t, "the program has ended", func() bool { return arguments(t, p.dir) == "" })
	}
	if out, err := verified(t, path, dir, db); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

func TestAProgramThatIsMissingOrUseless(t *testing.T) {
	t.Parallel()
	useless := filepath.Join(t.TempDir(), "greenwave")
	must(t, os.WriteFile(useless, []byte("#!/bin/sh\necho 'greenwave: unknown flag' >&2\nexit 2\n"), 0o700))
	for name, c := range map[string]struct{ program, want string }{
		"missing": {filepath.Join(t.TempDir(), "nothing"), "Config.Program cannot be run"},
		"useless": {useless, "does not understand what it was asked"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quiet(t)
			cfg.Destination, cfg.Program = "sqlite:"+filepath.Join(t.TempDir(), "db"), c.program
			run := begin(t, cfg)
			must(t, run.LogEpisode(Episode{EpisodeNumber: 1}))
			eventually(t, "the report says so", func() bool { return strings.Contains(run.Report().LastError, c.want) })
			must(t, run.Finish())
			if rep := run.Report(); rep.Durable != 2 || rep.Synced != 0 {
				t.Errorf("the report is %+v", rep)
			}
		})
	}
}

func TestTheProgramIsFoundBesideTheExecutableOrInPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "greenwave")
	t.Setenv("PATH", dir)
	if _, err := findProgram(""); err == nil || !strings.Contains(err.Error(), "neither beside the executable nor in PATH") {
		t.Errorf("without a program: %v", err)
	}
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700))
	if got, err := findProgram(""); err != nil || got != path {
		t.Errorf("found %q, %v", got, err)
	}
}

// The environment names a destination only for those who ask for it.
func TestDestinationFromEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "")
	t.Setenv("DATABASE_URL", "postgres://greenwave:s3cret@db.example.org/train")
	for _, asked := range []bool{false, true} {
		cfg := quiet(t)
		cfg.DestinationFromEnv = asked
		run := begin(t, cfg)
		must(t, run.Finish())
		rep := run.Report()
		if named := strings.Contains(rep.Destination, "db.example.org"); named != asked || strings.Contains(rep.Destination+rep.LastError, "s3cret") {
			t.Errorf("asked %v: the report is %+v", asked, rep)
		}
		if asked && !strings.Contains(rep.LastError, "run greenwave sync "+cfg.Dir) {
			t.Errorf("the report does not say what to do: %q", rep.LastError)
		}
	}
	t.Setenv("DATABASE_URL", "")
	cfg := quiet(t)
	cfg.DestinationFromEnv = true
	run := begin(t, cfg)
	must(t, run.Finish())
	if rep := run.Report(); rep.Destination != "" || rep.LastError != "" {
		t.Errorf("with nothing in the environment the report is %+v", rep)
	}
}

// eventually looks until something in another process has happened.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for !happened() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("within a minute it was not seen that %s", what)
		}
	}
}

// arguments finds the command line of the program that syncs a run, empty when it has
// ended.
func arguments(t *testing.T, runDir string) string {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, p := range processes {
		b, err := os.ReadFile(p)
		if args := strings.ReplaceAll(string(b), "\x00", " "); err == nil && strings.Contains(args, " sync "+runDir) {
			return args
		}
	}
	return ""
}
