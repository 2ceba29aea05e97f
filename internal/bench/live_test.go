package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	greenwave "github.com/greenwave-traffic/greenwave"
	_ "github.com/greenwave-traffic/greenwave/destination/postgres"
	_ "github.com/greenwave-traffic/greenwave/destination/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// program builds greenwave once for all benchmarks.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "greenwave-bench-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "greenwave")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/greenwave").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// serve runs greenwave serve in a process of its own and returns its address.
func serve(b *testing.B, args ...string) string {
	b.Helper()
	path, err := program()
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.Command(path, append([]string{"serve", "--listen", addr}, args...)...)
	cmd.Dir = b.TempDir()
	cmd.Env = append(os.Environ(), "GREENWAVE_DB=", "DATABASE_URL=", "GREENWAVE_TOKEN=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	in := bufio.NewReader(out)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "http://") {
		b.Fatalf("greenwave serve said %q: %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, in) }()
	return addr
}

// listeners are how many streams of events are open while the time is taken.
const listeners = 50

// listen opens a stream and passes on when each event came.
func listen(b *testing.B, addr string, came chan<- time.Time) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/v1/events?experiment=live", nil)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req) //nolint:bodyclose // whoever reads it closes it
	if err != nil || answer.StatusCode != http.StatusOK {
		b.Fatalf("events: %v, %v", answer, err)
	}
	go func() {
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "data: ") {
				select {
				case came <- time.Now():
				default: // nobody waits for it
				}
			}
		}
	}()
}

// BenchmarkLive takes the time from the return of a log call to the event at each of 50
// listeners, on every way that a record can take.
func BenchmarkLive(b *testing.B) {
	sqlite := func(b *testing.B) string { return "sqlite:" + filepath.Join(b.TempDir(), "live.db") }
	server := pgtest.Start(b, pgtest.Options{Fsync: true})
	bouncer := server.Bouncer(b, 10)
	for _, way := range []struct {
		name  string
		setup func(b *testing.B, runs string) (serveArgs []string, destination string)
	}{
		{"SQLite, serve --watch", func(b *testing.B, runs string) ([]string, string) {
			return []string{"--db", sqlite(b), "--watch", runs}, ""
		}},
		{"PostgreSQL, serve --watch", func(b *testing.B, runs string) ([]string, string) {
			return []string{"--db", server.Database(b), "--watch", runs}, ""
		}},
		{"SQLite, the trainer syncs", func(b *testing.B, _ string) ([]string, string) {
			db := sqlite(b)
			return []string{"--db", db}, db
		}},
		{"PostgreSQL, the trainer syncs, LISTEN", func(b *testing.B, _ string) ([]string, string) {
			db := server.Database(b)
			return []string{"--db", db}, db
		}},
		{"PostgreSQL behind PgBouncer (transactions), the trainer syncs, polling", func(b *testing.B, _ string) ([]string, string) {
			db := bouncer.Through(b, server.Database(b))
			return []string{"--db", db}, db
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			runs := filepath.Join(b.TempDir(), "runs")
			if err := os.Mkdir(runs, 0o755); err != nil {
				b.Fatal(err)
			}
			args, destination := way.setup(b, runs)
			addr := serve(b, args...)
			run, err := greenwave.Start(b.Context(), greenwave.Config{
				Experiment: "live", Dir: runs, Destination: destination, ResourcesEvery: -1, HeartbeatEvery: time.Minute, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = run.Finish() }()
			if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: 0, TotalReward: 1}); err != nil {
				b.Fatal(err)
			}
			for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				answer, err := http.Get("http://" + addr + "/api/v1/experiments/live")
				if err == nil {
					answer.Body.Close()
					if answer.StatusCode == http.StatusOK {
						break
					}
				}
				if time.Now().After(end) {
					b.Fatal("the experiment never came")
				}
			}
			came := make([]chan time.Time, listeners)
			for i := range came {
				came[i] = make(chan time.Time, 1)
				listen(b, addr, came[i])
			}
			for i := range came {
				<-came[i] // the first event of a stream
			}
			time.Sleep(4 * time.Second) // until it is known whether notifications arrive
			for _, kind := range []string{"an episode", "a step"} {
				var all []time.Duration
				for n := range 60 {
					time.Sleep(time.Duration(100+rand.IntN(300)) * time.Millisecond)
					for i := range came {
						select {
						case <-came[i]:
						default:
						}
					}
					if kind == "a step" {
						err = run.LogStep(greenwave.Step{EpisodeNumber: 100, StepNumber: n, ImmediateReward: new(1.0)})
					} else {
						err = run.LogEpisode(greenwave.Episode{EpisodeNumber: n + 1, TotalReward: 1})
					}
					if err != nil {
						b.Fatal(err)
					}
					logged := time.Now()
					for i := range came {
						select {
						case at := <-came[i]:
							all = append(all, at.Sub(logged))
						case <-time.After(10 * time.Second):
							b.Fatalf("listener %d was told nothing of %s", i, kind)
						}
					}
				}
				slices.Sort(all)
				middle, late := all[len(all)/2], all[len(all)*95/100]
				record(b, figure{
					name:     fmt.Sprintf("from the log call to the event at %d listeners, %s (%s)", listeners, kind, way.name),
					measured: fmt.Sprintf("median %d ms, 95th percentile %d ms", middle.Milliseconds(), late.Milliseconds()),
					against:  "the clock", ratio: fmt.Sprintf("%d and %d ms", middle.Milliseconds(), late.Milliseconds()),
					limit: "< 300 and < 500 ms", met: middle < 300*time.Millisecond && late < 500*time.Millisecond,
				})
			}
		})
	}
}
