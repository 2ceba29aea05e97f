package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// balancer sends each request, on a connection of its own, to the next server, as a load
// balancer without sticky sessions does. A server that does not answer is passed over.
type balancer struct {
	l     net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	turn  int
	sent  []int
	to    []string
	conns map[net.Conn]bool
}

func newBalancer(t *testing.T, servers ...*served) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{l: l, sent: make([]int, len(servers)), conns: map[net.Conn]bool{}}
	for _, s := range servers {
		b.to = append(b.to, s.Addr)
	}
	b.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.pass(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for c := range b.conns {
			c.Close()
		}
		b.mu.Unlock()
		b.wg.Wait()
	})
	return b
}

// pass answers the requests of a client's connection, each from the next server.
func (b *balancer) pass(client net.Conn) {
	b.mu.Lock()
	b.conns[client] = true
	b.mu.Unlock()
	defer func() {
		client.Close()
		b.mu.Lock()
		delete(b.conns, client)
		b.mu.Unlock()
	}()
	in := bufio.NewReader(client)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		server := b.next()
		if server == nil {
			return
		}
		err = r.Write(server)
		if err == nil {
			var answer *http.Response
			if answer, err = http.ReadResponse(bufio.NewReader(server), r); err == nil {
				err = answer.Write(client)
				answer.Body.Close()
			}
		}
		server.Close()
		if err != nil {
			return // the client sees a connection that was cut
		}
	}
}

func (b *balancer) next() net.Conn {
	for range b.to {
		b.mu.Lock()
		n := b.turn % len(b.to)
		b.turn++
		b.mu.Unlock()
		if c, err := net.Dial("tcp", b.to[n]); err == nil {
			b.mu.Lock()
			b.sent[n]++
			b.mu.Unlock()
			return c
		}
	}
	return nil
}

// TestBehindALoadBalancer: two servers that know nothing of each other share a database
// behind a balancer. A trainer's requests go to both by turns, the same records of a run
// go to both at once, listeners of both are told, one server is killed in the middle:
// everything is in the database once.
func TestBehindALoadBalancer(t *testing.T) {
	db := pgtest.Database(t)
	tokens := tokenFile(t)
	a := serve(t, db, "--token-file", tokens)
	b := serve(t, db, "--token-file", tokens)
	front := newBalancer(t, a, b)

	// The same records of one run to both servers, at the same time, again and again.
	runID, logged := uuid.NewString(), time.Now().UTC()
	var body strings.Builder
	for n := range 50 {
		fmt.Fprintf(&body, `{"seq":%d,"time":%q,"kind":"episode","data":{"episode_number":%[1]d,"total_reward":1}}`+"\n", n+1, logged.Add(time.Duration(n)*time.Millisecond).Format(time.RFC3339Nano))
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			url := []string{a.URL(), b.URL()}[i%2]
			for {
				code, text := post(t, url+"/api/v1/records?brief=true&experiment=twice&run="+runID, body.String())
				switch code {
				case http.StatusOK:
					return
				case http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
					continue // another had the turn: as a sender does it
				}
				t.Errorf("%d %s", code, text)
				return
			}
		})
	}
	wg.Wait()

	heardA, heardB := listen(t, a), listen(t, b)
	run, err := greenwave.Start(t.Context(), greenwave.Config{
		Experiment: "balanced", Dir: t.TempDir(), Destination: "http://token:" + testToken + "@" + front.l.Addr().String(), FinishTimeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	const episodes, steps = 30, 40
	for e := range episodes {
		for i := range steps {
			if err := run.LogStep(greenwave.Step{EpisodeNumber: e, StepNumber: i, ImmediateReward: new(float64(i))}); err != nil {
				t.Fatal(err)
			}
		}
		if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: e, TotalReward: float64(e)}); err != nil {
			t.Fatal(err)
		}
		switch e {
		case 5:
			until(t, "listeners of both servers are told", func() bool { return heardA() && heardB() })
		case 15:
			sent := run.Report().Synced
			until(t, "something more is synced", func() bool { return run.Report().Synced > sent })
			b.Stop(syscall.SIGKILL)
		}
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	if rep := run.Report(); rep.Synced != rep.Logged || rep.Dead > 0 {
		t.Errorf("the report is %+v", rep)
	}
	front.mu.Lock()
	if front.sent[0] == 0 || front.sent[1] == 0 {
		t.Errorf("the servers had %v requests", front.sent)
	}
	front.mu.Unlock()

	st := verified(t, db, run.Dir())
	for name, want := range map[string]int64{"balanced": episodes, "twice": 50} {
		e, err := st.Experiment(t.Context(), name)
		if err != nil || e.TotalEpisodes != want || name == "balanced" && e.Steps != episodes*steps {
			t.Errorf("the experiment is %+v, %v", e, err)
		}
		for _, r := range e.Runs {
			if r.Dead != 0 || r.Superseded != 0 {
				t.Errorf("a run of %s has %d dead and %d superseded records", name, r.Dead, r.Superseded)
			}
		}
	}
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Authorization", "Bearer "+testToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// listen hears a server's events; the function says whether one named an experiment.
func listen(t *testing.T, s *served) func() bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	named := make(chan struct{})
	wg.Go(func() {
		defer answer.Body.Close()
		told := false
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			if text := lines.Text(); !told && strings.Contains(text, `"experiments":["`) {
				told = true
				close(named)
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return func() bool {
		select {
		case <-named:
			return true
		default:
			return false
		}
	}
}
