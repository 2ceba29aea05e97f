package browsertest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/figures"
	"github.com/greenwave-traffic/greenwave/internal/servetest"
)

// patience is how long anything may take before a test fails.
const patience = 60 * time.Second

// program builds greenwave once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "greenwave-browsertest-*")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "greenwave")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/greenwave").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var built string

var output = flag.String("table", "", "write the table of figures between the markers of this file")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && *output != "" {
		if err := figures.Write(*output); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// served is a greenwave serve of its own process.
type served struct {
	*servetest.Server
	t   testing.TB
	url string
}

// serve starts a server on a free port and waits until it answers.
func serve(t testing.TB, dir string, args ...string) *served {
	t.Helper()
	return serveFrom(t, "sqlite:"+filepath.Join(dir, "serve.db"), args...)
}

// serveFrom starts a server on a database.
func serveFrom(t testing.TB, db string, args ...string) *served {
	t.Helper()
	return serveWith(t, db, nil, args...)
}

// serveWith starts a server with an environment of its own.
func serveWith(t testing.TB, db string, env []string, args ...string) *served {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := servetest.StartWith(t, env, path, append([]string{"--db", db}, args...)...)
	return &served{Server: s, t: t, url: s.URL()}
}

// get waits until the API answers a path with 200, and returns the body.
func (s *served) get(path string) string {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		answer, err := http.Get(s.url + path)
		if err == nil {
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return string(body)
			}
		}
		time.Sleep(20 * time.Millisecond) // until the deadline above
	}
	s.t.Fatalf("%s does not answer", path)
	return ""
}

// waitFor waits until an answer holds a text.
func (s *served) waitFor(path, text string) {
	s.t.Helper()
	var body string
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if body = s.get(path); strings.Contains(body, text) {
			return
		}
		time.Sleep(20 * time.Millisecond) // until the deadline above
	}
	s.t.Fatalf("%s has no %s: %.500s", path, text, body)
}

// record starts a run that logs into dir.
func record(t testing.TB, dir, experiment string, config map[string]any) *greenwave.Run {
	t.Helper()
	run, err := greenwave.Start(t.Context(), greenwave.Config{
		Experiment: experiment, Dir: dir, Hyperparameters: config, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Finish() })
	return run
}

// episode logs an episode with numbers that move.
func episode(t testing.TB, run *greenwave.Run, n int) {
	t.Helper()
	f := float64(n)
	err := run.LogEpisode(greenwave.Episode{
		EpisodeNumber: n, TotalReward: -1000 + 10*f - 40*float64(n%7), EpsilonValue: new(max(0.02, 1-f/40)), AvgLoss: new(1 / (1 + f)),
		StepsCompleted: new(60), CompletedTrips: new(300 + n), PassengerThroughput: new(9000 + 20*f), AvgWaitingTime: new(max(5, 30-f/10)), AvgSpeed: new(20 + f/20), AvgQueueLength: new(max(5, 60-f/5)),
		MaxQueueLength: new(max(9, 120-f/5)), BusesProcessed: new(2 + n%3), JeepneysProcessed: new(20 + n%5), PTAvgWaiting: new(25.5), PTPassengerThroughput: new(4000.5),
		RewardComponents: map[string]float64{"delay_penalty": -900 + 9*f, "speed_reward": 12 + f/10, "queue_penalty": -80}, ScenarioInfo: map[string]any{"scenario": "morning-1", "sumo_seed": n},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// steps logs steps of an episode at two intersections.
func steps(t testing.TB, run *greenwave.Run, n, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		queue := func(k int) float64 { return float64((i*k + n) % 23) }
		metrics := func(phase int) map[string]any {
			return map[string]any{"action": phase, "phase": phase, "phase_age": 5 * (i % 4), "shown": "GGrr", "vehicles": 12, "buses": i % 2, "jeepneys": i % 3, "q_values": []float64{0.1, 0.4, -0.2},
				"approaches": map[string]any{"north": map[string]any{"vehicles": 8, "waiting": 3.5, "speed": 21.5, "buses": i % 2, "jeepneys": 1, "green": []string{"sr", "l", ""}[phase]}, "east": map[string]any{"green": []string{"", "", "srl"}[phase]}}}
		}
		err := run.LogStep(greenwave.Step{
			EpisodeNumber: n, StepNumber: i, ActionTaken: new(i % 3), ImmediateReward: new(-5.5), ActiveVehicles: new(100 + i), SimulationTime: new(float64(30 + 5*i)),
			QueueLengths:        map[string]map[string]float64{"ECOLAND": {"north": queue(3), "south": queue(5), "east": queue(7), "west": queue(2)}, "SANDAWA": {"north": queue(4), "east": queue(6), "west": queue(1)}},
			WaitingTimes:        map[string]float64{"ECOLAND": 12.5, "SANDAWA": 3},
			Speeds:              map[string]float64{"ECOLAND": 20.5, "SANDAWA": 31},
			IntersectionMetrics: map[string]any{"ECOLAND": metrics(i / 3 % 3), "SANDAWA": metrics(i / 5 % 2)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// browser is a page in Chromium that remembers what went wrong in it.
type browser struct {
	t   testing.TB
	ctx context.Context
	url string

	mu     sync.Mutex
	errors []string
}

// look is how a page is looked at.
type look struct {
	name          string
	width, height int64
}

var (
	desktop = look{"desktop", 1360, 900}
	phone   = look{"phone", 390, 844}
)

// open starts Chromium.
func open(t testing.TB, s *served, l look) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the dashboard is tested in Chromium: install it (apt-get install chromium): %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, url: s.url}
	// Nothing may leave the machine: every request goes to the server's own origin.
	if err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*network.EventRequestWillBeSent); ok && e.Request != nil {
			address := e.Request.URL
			if !strings.HasPrefix(address, s.url+"/") && !strings.HasPrefix(address, "data:image/svg+xml") && !strings.HasPrefix(address, "blob:"+s.url) && address != "about:blank" {
				b.complain("a request leaves the machine: " + address)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" {
				b.complain(m.String() + " " + m.URL)
			}
		}
	})
	t.Cleanup(func() { cancel(); reading.Wait() })
	b.run(chromedp.EmulateViewport(l.width, l.height))
	b.scheme("light")
	return b
}

// scheme is what the system prefers: light or dark.
func (b *browser) scheme(name string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, text)
}

// quiet fails the test when something went wrong in the page.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.t.Errorf("in the browser: %s", e)
	}
	b.errors = nil
}

// before runs a script in every page before its own scripts.
func (b *browser) before(script string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
}

// cold makes the browser ask for everything anew.
func (b *browser) cold() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		b.t.Fatal(err)
	}
}

// forget drops what is expected, such as requests to a server that is away.
func (b *browser) forget() {
	b.mu.Lock()
	b.errors = nil
	b.mu.Unlock()
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) visit(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.url + path))
}

// until waits for a script to be true.
func (b *browser) until(what, script string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		// Between two pages there may be nothing to look at, or nobody who looks.
		there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("(() => { try { return Boolean("+script+") } catch { return false } })()"))
		if there && err == nil {
			return
		}
		if b.ctx.Err() != nil {
			b.t.Fatalf("%s: the browser is gone: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond) // until the deadline above
	}
	b.t.Fatalf("%s: not in time; the page says:\n%s", what, value[string](b, `document.body.innerText.slice(0, 1500)`))
}

// value evaluates a script.
func value[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%.200s: %v", script, err)
	}
	return v
}

// picture keeps a screenshot where a person asked for them.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("GREENWAVE_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
