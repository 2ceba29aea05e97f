package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave"
	_ "github.com/greenwave-traffic/greenwave/destination/https"
	"github.com/greenwave-traffic/greenwave/internal/servetest"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

const testToken = "a-token-for-the-tests"

// served is greenwave serve in a process of its own.
type served struct {
	*servetest.Server
	t testing.TB
}

// program makes the test binary run as greenwave.
func testProgram(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "greenwave") // TestMain becomes the program by its name
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts a server on a free port of this machine.
func serve(t testing.TB, db string, args ...string) *served {
	t.Helper()
	return serveIn(t, nil, db, args...)
}

// serveIn does so with more in its environment.
func serveIn(t testing.TB, env []string, db string, args ...string) *served {
	t.Helper()
	return &served{Server: servetest.StartWith(t, env, testProgram(t), append([]string{"--db", db}, args...)...), t: t}
}

// get reads a path of the API into out and returns the status; 0 when nobody answers.
func (s *served) get(path string, out any) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if out != nil && answer.StatusCode == http.StatusOK {
		if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
			s.t.Errorf("%s: %v", path, err)
		}
	}
	return answer.StatusCode
}

// until waits for something to become true.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(90 * time.Second)
	for !is() {
		select {
		case <-late:
			t.Fatalf("it never came to this: %s", what)
		case <-again.C:
		}
	}
}

// tokenFile writes the token where serve reads it.
func tokenFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("# for tests\n"+testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, run func(t *testing.T, db string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		run(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		run(t, pgtest.Database(t))
	})
}

// TestRecordThroughAServer: a trainer that only knows https://… loses nothing when the
// server is killed while it records, and everything is in the database once.
func TestRecordThroughAServer(t *testing.T) {
	onBoth(t, func(t *testing.T, db string) {
		s := serve(t, db, "--token-file", tokenFile(t))
		address := "http://token:" + testToken + "@" + s.Addr
		dir := t.TempDir()
		run, err := greenwave.Start(t.Context(), greenwave.Config{
			Experiment: "far/corridor 🚦", Dir: dir, Destination: address, FinishTimeout: time.Minute,
			Hyperparameters: map[string]any{"lr": 0.1}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		const episodes, steps, kills = 40, 50, 4
		for e := range episodes {
			for i := range steps {
				if err := run.LogStep(greenwave.Step{EpisodeNumber: e, StepNumber: i, ImmediateReward: new(float64(i)), StateVector: []float32{0.5, 0, 1}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: e, TotalReward: float64(e)}); err != nil {
				t.Fatal(err)
			}
			if e%(episodes/kills) == 3 {
				sent := run.Report().Synced
				until(t, "something more is synced", func() bool { return run.Report().Synced > sent })
				s.Stop(syscall.SIGKILL)
				s.Start()
			}
		}
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
		rep := run.Report()
		if rep.Synced != rep.Logged || rep.Dead > 0 || rep.Sync != greenwave.SyncInProcess || strings.Contains(rep.Destination, testToken) {
			t.Errorf("the report is %+v", rep)
		}

		// The database itself, row by row.
		st := verified(t, db, run.Dir())
		exp, err := st.Experiment(t.Context(), "far/corridor 🚦")
		if err != nil || exp.TotalEpisodes != episodes || exp.Steps != episodes*steps || exp.Status != "completed" {
			t.Errorf("the experiment is %+v, %v", exp, err)
		}

		// The commands that need no more than what a server says.
		for _, c := range []struct {
			args []string
			want string
			code int
		}{
			{[]string{"sync", dir}, "nothing new", 0},
			{[]string{"status", dir}, "durable and synced; 0 dead, 0 missing", 0},
			{[]string{"deadletter", "list", dir}, "0 dead letters", 0},
			{[]string{"deadletter", "retry", dir}, "0 dead letters tried again", 0},
			{[]string{"query", "SELECT 1"}, "is a server that takes records, and this command reads the database itself", 1},
			{[]string{"status", dir, "--db", "http://" + s.Addr}, "token", 1},
		} {
			args := c.args
			if args[len(args)-2] != "--db" {
				args = append(args, "--db", "http://"+s.Addr)
			} else {
				args = args[:len(args)-2]
			}
			var out servetest.Output
			env := map[string]string{"GREENWAVE_TOKEN": testToken, "GREENWAVE_DB": "http://" + s.Addr}
			if c.code == 1 && c.want == "token" {
				delete(env, "GREENWAVE_TOKEN")
			}
			code := runOnce(t.Context(), args, &out, env)
			if code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("greenwave %s ended with %d and said %s", strings.Join(args, " "), code, out.String())
			}
		}
	})
}

// runOnce runs a command in this process.
func runOnce(ctx context.Context, args []string, out io.Writer, env map[string]string) int {
	return run(ctx, args, newApp(out, out, func(name string) (string, bool) { v, ok := env[name]; return v, ok }))
}

// TestServeRefuses: what cannot be right is said before anything is served.
func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("secret-12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want string
		code int
	}{
		{"beyond loopback without a token", []string{"--listen", "0.0.0.0:0"}, nil, "can be reached from other machines, and no token is set", 2},
		{"every address without a token", []string{"--listen", ":0"}, nil, "can be reached from other machines", 2},
		{"IPv6 without a token", []string{"--listen", "[::]:0"}, nil, "can be reached from other machines", 2},
		{"a token that is too short", []string{"--token-file", short}, nil, "fewer than 16 characters", 2},
		{"a token in the environment that is too short", nil, map[string]string{"GREENWAVE_TOKEN": "secret-12"}, "fewer than 16 characters", 2},
		{"a folder that is not there", []string{"--watch", filepath.Join(dir, "nowhere")}, nil, "no such file", 1},
		{"a port that is taken", []string{"--listen", busy.Addr().String()}, nil, "another server may be there", 1},
		{"a time zone that is none", []string{"--timezone", "Manila"}, nil, "is not a time zone", 2},
		{"a server as the database", []string{"--db", "https://gw.example"}, nil, "is a server that takes records", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out servetest.Output
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--db", "sqlite:" + filepath.Join(dir, "greenwave.db")}, c.args...)
			code := runOnce(t.Context(), args, &out, c.env)
			if code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("it ended with %d and said %q", code, out.String())
			}
			if strings.Contains(out.String(), "secret-12") {
				t.Errorf("it shows the token: %q", out.String())
			}
		})
	}
}

// TestServeStops: at a signal requests end, and so does the program, with its sum.
func TestServeStops(t *testing.T) {
	runs := t.TempDir()
	if err := train([]string{runs, "corridor", "3", "finish"}); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"), "--watch", runs)
	until(t, "the run is there", func() bool { return s.get("/api/v1/experiments/corridor", nil) == 200 })
	events, err := http.Get(s.URL() + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	began := time.Now()
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Errorf("it ended with %v: %s", err, s.Said)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if !strings.Contains(s.Said.String(), "stopped: 1 run watched") {
		t.Errorf("it said %q", s.Said)
	}
	if _, err := io.Copy(io.Discard, events.Body); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Logf("the stream ended with %v", err)
	}
}

// TestServeLogsJSON: with --log-format json each line of the error output is an object.
func TestServeLogsJSON(t *testing.T) {
	logs := t.TempDir()
	if err := os.WriteFile(filepath.Join(logs, "odd_training.jsonl"), []byte("this is no line of a log\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"), "--log-format", "json", "--watch", logs)
	s.get("/api/v1/experiments?cursor=x", nil) // refused
	until(t, "something is logged", func() bool { return strings.Contains(s.Said.String(), "\n") })
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Fatalf("%v: %s", err, s.Said)
	}
	said, _, _ := strings.Cut(s.Said.String(), "stopped: ") // on the other output
	lines := 0
	for line := range strings.Lines(said) {
		var entry struct {
			Time  time.Time
			Level string
			Msg   string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "" {
			t.Errorf("%q is no entry of a log: %v", line, err)
		}
		lines++
	}
	if lines == 0 {
		t.Error("nothing was logged")
	}
}

// TestTenThousandConnections: listeners that do nothing cost little, all of them are told
// of a change, others are answered meanwhile, and one too many is told so. Half of the
// file descriptors of a connection are in each of the two processes.
func TestTenThousandConnections(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := min(10_000, (int(files.Cur)-256)*3/4-100) // what the server leaves for listeners
	t.Logf("%d listeners (at most %d open files in a process)", n, files.Cur)
	s := serve(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"), "--listeners", fmt.Sprint(n))
	before := s.memory()
	conns := make([]net.Conn, n)
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	each := func(do func(i int) error) {
		t.Helper()
		var wg sync.WaitGroup
		failed := make(chan error, 64)
		for w := range 64 {
			wg.Go(func() {
				for i := w; i < n; i += 64 {
					if err := do(i); err != nil {
						failed <- fmt.Errorf("listener %d: %w", i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
	}
	event := func(i int) error {
		_ = conns[i].SetReadDeadline(time.Now().Add(time.Minute))
		var got []byte
		buffer := make([]byte, 2048)
		for !strings.Contains(string(got), "data: ") {
			n, err := conns[i].Read(buffer)
			if got = append(got, buffer[:n]...); err != nil {
				return fmt.Errorf("%w after %q", err, got)
			}
		}
		return nil
	}
	began := time.Now()
	each(func(i int) (err error) {
		if conns[i], err = net.Dial("tcp", s.Addr); err != nil {
			return err
		}
		if _, err := fmt.Fprint(conns[i], "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return err
		}
		return event(i)
	})
	took, after := time.Since(began), s.memory()
	t.Logf("all connected after %v; %.1f kB for each", took.Round(time.Millisecond), float64(after-before)/float64(n)/1000)
	if each := (after - before) / int64(n); each > 60_000*memoryFactor {
		t.Errorf("a listener takes %d bytes", each)
	}

	for range 20 {
		at := time.Now()
		if status := s.get("/api/v1/experiments", nil); status != http.StatusOK {
			t.Fatalf("the server answers %d", status)
		}
		if took := time.Since(at); took > 2*time.Second {
			t.Errorf("the server takes %v to answer", took)
		}
	}
	one, err := http.Get(s.URL() + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(one.Body)
	one.Body.Close()
	if one.StatusCode != http.StatusServiceUnavailable || one.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "too_many_listeners") {
		t.Errorf("one too many gets %d %s", one.StatusCode, body)
	}

	began = time.Now()
	line := `{"kind":"header","data":{"run_id":"0198aaaa-0000-7000-8000-000000000001","experiment":"corridor"}}`
	answer, err := http.Post(s.URL()+"/api/v1/records", "application/x-ndjson", strings.NewReader(line))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("records: %v, %v", answer, err)
	}
	answer.Body.Close()
	each(event)
	t.Logf("all were told of a change within %v", time.Since(began).Round(time.Millisecond))
}

// memory is what the process has in memory, in bytes.
func (s *served) memory() int64 {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		s.t.Fatal(err)
	}
	return kb * 1024
}

// TestExamplesOfTheAPI runs what docs/api.md shows, with the address of a server here.
func TestExamplesOfTheAPI(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	runs := t.TempDir()
	if err := train([]string{runs, "corridor", "3", "finish"}); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "sqlite:"+filepath.Join(t.TempDir(), "greenwave.db"), "--watch", runs)
	until(t, "the run is there", func() bool { return s.get("/api/v1/experiments/corridor", nil) == http.StatusOK })
	wants := []string{`"name":"corridor"`, "data: {", "changed: anything", `"applied":{"stored":3,`}
	ran := 0
	for _, m := range regexp.MustCompile("(?s)```(bash|python)\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		program := map[string]string{"bash": "bash", "python": "python3"}[m[1]]
		script := strings.ReplaceAll(m[2], "http://127.0.0.1:8080", s.URL())
		if script == m[2] || ran >= len(wants) {
			t.Fatalf("an example that the test does not know: %s", script)
		}
		out, err := exec.CommandContext(t.Context(), program, "-c", script).CombinedOutput()
		if err != nil || !strings.Contains(string(out), wants[ran]) || strings.Contains(string(out), `"error"`) {
			t.Errorf("%s\nsays %s (%v), want %s in it", script, out, err, wants[ran])
		}
		ran++
	}
	if ran != len(wants) {
		t.Errorf("%d examples", ran)
	}
}

// verified compares the journal of a run with a database, row by row, and returns the
// database.
func verified(t *testing.T, db, journal string) store.Store {
	t.Helper()
	a := newApp(io.Discard, os.Stderr, func(string) (string, bool) { return "", false })
	a.cli.DB = db
	st, err := a.openReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	src, err := syncer.Journal(journal)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if check, err := syncer.Verify(t.Context(), src, st, syncer.VerifyConfig{}); err != nil || !check.Verified() {
		t.Errorf("verify: %+v, %v", check, err)
	}
	return st
}
