package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
	"github.com/greenwave-traffic/greenwave/internal/servetest"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
)

// slowTools makes a folder of PostgreSQL's programs of which one stops half way: it
// passes on so many bytes of its input or output, makes the file "reached", and waits
// until the program that called it is gone. Each notes its arguments and environment.
func slowTools(t *testing.T, slow string, bytes int) (dir, reached string) {
	t.Helper()
	dir = t.TempDir()
	reached = filepath.Join(dir, "reached")
	for _, name := range []string{"pg_dump", "pg_restore", "psql"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("%s is missing: apt-get install postgresql-client", name)
		}
		script := "#!/bin/bash\n{ printf '%s\\n' \"$0 $*\"; tr '\\0' ' ' </proc/$$/cmdline; } >>" + dir + "/arguments\nenv >>" + dir + "/environment\n"
		wait := "touch " + reached + "; while kill -0 $PPID 2>/dev/null; do sleep 0.05; done"
		switch {
		case name != slow || bytes == 0:
			script += "exec " + path + " \"$@\"\n"
		case name == "pg_dump":
			script += "[ \"$1\" = --version ] && exec " + path + " --version\n" + path + " \"$@\" | { head -c " + strconv.Itoa(bytes) + "; " + wait + "; }\n"
		default:
			script += "[ \"$1\" = --version ] && exec " + path + " --version\n{ head -c " + strconv.Itoa(bytes) + "; " + wait + "; } | " + path + " \"$@\"\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, reached
}

// greenwaveWith is the program with a database, a store and an environment.
func greenwaveWith(t *testing.T, dir, db string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("greenwave", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GREENWAVE_DB="+db, "TMPDIR="+dir, "DATABASE_URL=", "SUPABASE_URL=", "SUPABASE_HOST=")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// killAt starts the program and kills it, with SIGKILL, when a condition holds.
func killAt(t *testing.T, cmd *exec.Cmd, reached func() bool) {
	t.Helper()
	out := &servetest.Output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	late := time.After(2 * time.Minute)
	for !reached() {
		select {
		case err := <-done:
			t.Fatalf("%v ended before it could be killed: %v\n%s", cmd.Args, err, out)
		case <-late:
			_ = cmd.Process.Kill()
			t.Fatalf("%v never came to the stage\n%s", cmd.Args, out)
		case <-again.C:
		}
	}
	_ = cmd.Process.Signal(syscall.SIGKILL)
	if err := <-done; err == nil {
		t.Fatalf("%v ended well although it was killed\n%s", cmd.Args, out)
	}
}

func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

func fileIsThere(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

func contentOfPostgres(t *testing.T, url string) store.Content {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Content(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A backup killed while it dumps, while it sends, and a restore killed at each of its
// programs: afterwards everything is counted, and the next one does as if nothing had
// happened.
func TestBackupIsKilled(t *testing.T) {
	dir := t.TempDir()
	db := pgtest.Shared(t).Database(t)
	env := []string{"GREENWAVE_BACKUPS=" + filepath.Join(dir, "store")}
	run := func(args ...string) string { t.Helper(); return must(t, greenwaveWith(t, dir, db, env, args...)) }
	trainer := exec.Command("trainer", filepath.Join(dir, "runs"), "corridor", "20", "finish")
	must(t, trainer)
	run("sync", "runs")
	before := contentOfPostgres(t, db)
	if before.Table("training_steps").Rows != 60 {
		t.Fatalf("the database holds %v", before.Table("training_steps"))
	}
	left := func() []string {
		found, _ := filepath.Glob(filepath.Join(dir, "greenwave-backup-*"))
		return found
	}

	tools, reached := slowTools(t, "pg_dump", 4000)
	killAt(t, greenwaveWith(t, dir, db, append(env, "GREENWAVE_PG_BIN="+tools), "backup"), fileIsThere(reached))
	if len(left()) != 1 {
		t.Errorf("a killed dump leaves %v", left())
	}
	if out := run("backup", "list"); !strings.Contains(out, "no backups") {
		t.Errorf("after a killed dump there is a backup: %s", out)
	}
	run("backup", "--verify")
	if len(left()) != 0 {
		t.Errorf("the next backup leaves what the killed one did: %v", left())
	}
	if diff := before.Compare(contentOfPostgres(t, db), false); len(diff) != 0 {
		t.Errorf("taking backups changed the database: %v", diff)
	}

	must(t, exec.Command("trainer", filepath.Join(dir, "runs"), "later", "3", "finish"))
	run("sync", "runs")
	changed := contentOfPostgres(t, db)
	for _, stage := range []struct {
		program string
		bytes   int
	}{{"psql", 30}, {"psql", 20_000}, {"psql", 100_000}, {"pg_restore", 60_000}} {
		tools, reached := slowTools(t, stage.program, stage.bytes)
		killAt(t, greenwaveWith(t, dir, db, append(env, "GREENWAVE_PG_BIN="+tools), "backup", "restore", "latest", "--replace"), fileIsThere(reached))
		if diff := changed.Compare(contentOfPostgres(t, db), false); len(diff) != 0 {
			t.Fatalf("a restore that was killed at %d bytes of %s changed the database: %v", stage.bytes, stage.program, diff)
		}
	}
	run("backup", "restore", "latest", "--replace")
	if diff := before.Compare(contentOfPostgres(t, db), false); len(diff) != 0 {
		t.Errorf("restored: %v", diff)
	}
}

// A backup is killed while its file is on the way to a bucket.
func TestBackupIsKilledWhileItSends(t *testing.T) {
	server := artifacttest.NewServer(t)
	target, err := url.Parse("http://" + server.Address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var once sync.Once
	sending, gone := make(chan struct{}), make(chan struct{})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stalling := true
	var mu sync.Mutex
	front := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		stall := stalling && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/sha256/")
		mu.Unlock()
		if stall {
			once.Do(func() { close(sending) })
			<-gone
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = front.Serve(l) }()
	t.Cleanup(func() { _ = front.Close() })

	dir := t.TempDir()
	db := "sqlite:" + filepath.Join(dir, "test.db")
	env := []string{
		"AWS_ACCESS_KEY_ID=" + artifacttest.Key, "AWS_SECRET_ACCESS_KEY=" + artifacttest.Secret,
		"GREENWAVE_BACKUPS=s3://models/backups?endpoint=" + url.QueryEscape("http://"+l.Addr().String()),
	}
	run := func(args ...string) string { t.Helper(); return must(t, greenwaveWith(t, dir, db, env, args...)) }
	must(t, exec.Command("trainer", filepath.Join(dir, "runs"), "corridor", "5", "finish"))
	run("sync", "runs")
	killAt(t, greenwaveWith(t, dir, db, env, "backup"), func() bool {
		select {
		case <-sending:
			return true
		default:
			return false
		}
	})
	mu.Lock()
	stalling = false
	mu.Unlock()
	close(gone)
	if out := run("backup", "list"); !strings.Contains(out, "no backups") {
		t.Errorf("after a killed upload there is a backup: %s", out)
	}
	if out := run("backup", "--verify", "--keep", "3"); strings.Contains(out, "deleted") {
		t.Errorf("what was begun a moment ago is deleted: %s", out)
	}
}

// A SQLite database that is overwritten is the old one or the new one, whenever the
// program is killed.
func TestRestoreOfSQLiteIsKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	db, env := "sqlite:"+path, []string{"GREENWAVE_BACKUPS=" + filepath.Join(dir, "store")}
	run := func(args ...string) string { t.Helper(); return must(t, greenwaveWith(t, dir, db, env, args...)) }
	must(t, exec.Command("trainer", filepath.Join(dir, "runs"), "corridor", "5", "finish"))
	run("sync", "runs")
	if err := fill(path, 12_000); err != nil { // 24 MB, so that there is time to be killed
		t.Fatal(err)
	}
	run("backup", "--compress", "none")
	if err := deleteExperiment(db, "corridor"); err != nil {
		t.Fatal(err)
	}
	if out := run("experiments"); strings.Contains(out, "corridor") {
		t.Fatal("it is still there")
	}
	for _, size := range []int64{1, 2 << 20, 12 << 20} {
		killAt(t, greenwaveWith(t, dir, db, env, "backup", "restore", "latest", "--replace"), func() bool {
			st, err := os.Stat(path + "-wal")
			return err == nil && st.Size() >= size
		})
		// It was killed before the end, or just at it: one or the other, and whole.
		out := run("query", "SELECT count(*) AS n FROM training_steps")
		if strings.Contains(out, "12015") {
			return // it was done in this moment
		}
		if check := run("query", "SELECT * FROM pragma_quick_check"); !strings.Contains(check, "ok") {
			t.Fatalf("killed at %d bytes: %s", size, check)
		}
		if out := run("experiments"); strings.Contains(out, "corridor") {
			t.Fatalf("killed at %d bytes: half of the backup is there: %s", size, out)
		}
	}
	run("backup", "restore", "latest", "--replace")
	if out := run("query", "SELECT count(*) AS n FROM training_steps"); !strings.Contains(out, "12,015") && !strings.Contains(out, "12015") {
		t.Errorf("restored: %s", out)
	}
}

// The password of the database reaches PostgreSQL's programs in their environment and
// stands on no command line, in no message and in no file.
func TestBackupKeepsThePassword(t *testing.T) {
	dir := t.TempDir()
	server := pgtest.Shared(t)
	for _, sql := range []string{"CREATE DATABASE held OWNER locked", "CREATE DATABASE scratch OWNER locked"} {
		if out, err := server.Psql(t, server.URL("postgres"), nil, "--command", sql); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Cleanup(func() {
		for _, name := range []string{"held", "scratch"} {
			_, _ = server.Psql(t, server.URL("postgres"), nil, "--command", "DROP DATABASE "+name+" WITH (FORCE)")
		}
	})
	address := func(name string) string {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(pgtest.LockedUser, pgtest.LockedPassword), Host: server.Addr(), Path: "/" + name, RawQuery: "sslmode=disable"}
		return u.String()
	}
	tools, _ := slowTools(t, "", 0)
	db, env := address("held"), []string{"GREENWAVE_BACKUPS=" + filepath.Join(dir, "store"), "GREENWAVE_PG_BIN=" + tools}
	must(t, exec.Command("trainer", filepath.Join(dir, "runs"), "corridor", "2", "finish"))
	var all strings.Builder
	run := func(ok bool, env []string, args ...string) string {
		t.Helper()
		out, err := greenwaveWith(t, dir, db, env, args...).CombinedOutput()
		if ok != (err == nil) {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		all.Write(out)
		return string(out)
	}
	run(true, env, "sync", "runs")
	run(true, env, "backup")
	if out := run(false, env, "backup", "verify"); !strings.Contains(out, "--scratch") {
		t.Errorf("a user who may not make a database is told: %s", out)
	}
	run(true, append(env, "GREENWAVE_SCRATCH="+address("scratch")), "backup", "verify")
	run(true, append(env, "GREENWAVE_SCRATCH="+address("scratch")), "backup", "verify") // it was emptied again
	run(false, append(env, "GREENWAVE_SCRATCH="+db), "backup", "verify")                // which is not empty
	run(false, env, "backup", "verify", "--scratch", address("scratch"))
	run(true, env, "backup", "restore", "latest", "--replace")
	if environment, err := os.ReadFile(filepath.Join(tools, "environment")); err != nil || !strings.Contains(string(environment), "PGPASSWORD="+pgtest.LockedPassword) || strings.Contains(string(environment), "GREENWAVE_DB=") {
		t.Errorf("the programs' environment: %v", err)
	}
	arguments, err := os.ReadFile(filepath.Join(tools, "arguments"))
	if err != nil || len(arguments) == 0 {
		t.Fatal(err)
	}
	all.Write(arguments)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, readErr := os.ReadFile(path)
			all.Write(data)
			err = readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{pgtest.LockedPassword, url.QueryEscape(pgtest.LockedPassword), url.PathEscape(pgtest.LockedPassword)} {
		if i := strings.Index(all.String(), secret); i >= 0 {
			t.Errorf("the password stands in: …%s…", all.String()[max(0, i-100):min(all.Len(), i+50)])
		}
	}
}

// fill puts steps into a SQLite database.
func fill(path string, n int) error {
	c, err := openSQL(path)
	if err != nil {
		return err
	}
	_, err = c.ExecContext(context.Background(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO training_steps (experiment_id, episode_number, step_number, extra, real_timestamp, logged_at)
		SELECT e.experiment_id, 1000, i, json_object('filler', hex(randomblob(1000))), e.real_timestamp, e.logged_at FROM n, (SELECT * FROM training_steps LIMIT 1) e`, n)
	return errors.Join(err, c.Close())
}
