package browsertest

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// wire is a connection between browser and server that can go silent, as it does for a
// machine that sleeps, and be cut.
type wire struct {
	url string
	to  string

	mu      sync.Mutex
	silent  chan struct{} // closed: traffic flows
	stuck   []chan struct{}
	conns   map[net.Conn]bool
	resumed []string // Last-Event-ID of requests for events
}

func newWire(t testing.TB, s *served) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	close(open)
	w := &wire{url: "http://" + l.Addr().String(), to: s.Addr, silent: open, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.flow()
		for _, gate := range w.stuck {
			close(gate)
		}
		w.cut()
		wg.Wait()
	})
	return w
}

// carry copies both ways.
func (w *wire) carry(c net.Conn) {
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = c.Close()
		return
	}
	w.mu.Lock()
	w.conns[c], w.conns[server] = true, true
	w.mu.Unlock()
	var wg sync.WaitGroup
	pipe := func(to, from net.Conn) {
		defer func() { _, _ = to.Close(), from.Close() }()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			w.mu.Lock()
			gate := w.silent
			w.mu.Unlock()
			<-gate
			if from == c {
				w.note(string(buf[:n]))
			}
			if _, bad := to.Write(buf[:n]); bad != nil || err != nil && !errors.Is(err, io.ErrShortBuffer) {
				return
			}
		}
	}
	wg.Go(func() { pipe(server, c) })
	wg.Go(func() { pipe(c, server) })
	wg.Wait()
	w.mu.Lock()
	delete(w.conns, c)
	delete(w.conns, server)
	w.mu.Unlock()
}

func (w *wire) note(request string) {
	if !strings.HasPrefix(request, "GET /api/v1/events") {
		return
	}
	id := ""
	for line := range strings.Lines(request) {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Last-Event-ID") {
			id = strings.TrimSpace(value)
		}
	}
	w.mu.Lock()
	w.resumed = append(w.resumed, id)
	w.mu.Unlock()
}

// freeze lets nothing through.
func (w *wire) freeze() {
	w.mu.Lock()
	w.silent = make(chan struct{})
	w.mu.Unlock()
}

// flow lets everything through again.
func (w *wire) flow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.silent:
	default:
		close(w.silent)
	}
}

// cut ends the connections that there are.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
	}
}

// TestSleepingBrowser: a machine sleeps for an hour in which much happens. Its stream
// goes on by the number of the last event, and nothing is missing on the page.
func TestSleepingBrowser(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	run := record(t, runs, "night", map[string]any{"episodes": 3000})
	for n := range 10 {
		episode(t, run, n)
	}
	s := serve(t, dir, "--watch", runs)
	w := newWire(t, s)
	b := open(t, &served{url: w.url}, desktop)
	b.visit("/experiments/night")
	b.until("the charts", `document.querySelector(".plot")?.dataset.last === "9" && document.getElementById("live").innerText === "live"`)

	w.freeze()
	for n := 10; n < 900; n++ { // more than the page is given at once
		if n != 500 {
			episode(t, run, n)
		}
	}
	s.waitFor("/api/v1/experiments/night", `"episodes":899`)
	w.cut()
	w.flow()
	b.until("everything that was missed", `document.querySelector(".plot").dataset.last === "899" && document.getElementById("live").innerText === "live" && document.body.innerText.includes("899/3,000")`)
	last := w.last()
	if last == "" {
		t.Error("the stream began anew: no Last-Event-ID was sent")
	}
	into := b.downloads()
	b.save("Reward", "csv")
	if n := strings.Count(string(b.file(into, "night-reward.csv")), "\r\n"); n != 901 { // the head, 899 episodes, and a row for the gap
		t.Errorf("the chart's file has %d rows", n)
	}
	b.forget() // requests that were cut off
}

func (w *wire) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resumed[len(w.resumed)-1]
}

// TestDeadConnection: the connection dies without a word, and nobody tells the browser. It
// notices that an hour has passed in silence, and reads everything anew.
func TestDeadConnection(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	run := record(t, runs, "night", map[string]any{"episodes": 100})
	for n := range 10 {
		episode(t, run, n)
	}
	s := serve(t, dir, "--watch", runs)
	w := newWire(t, s)
	b := open(t, &served{url: w.url}, desktop)
	// The page's own stream, whose clock the test can set.
	b.before(`delete window.SharedWorker; { const now = Date.now; window.slept = 0; Date.now = () => now() + window.slept; }`)
	b.visit("/experiments/night?zoom=2,6")
	b.until("the charts", `document.querySelector(".plot")?.dataset.last === "9" && document.getElementById("live").innerText === "live"`)
	w.freeze()
	for n := 10; n < 60; n++ {
		episode(t, run, n)
	}
	s.waitFor("/api/v1/experiments/night", `"episodes":60`)
	w.forgetConnections()
	value[bool](b, `window.slept = 3600e3, true`)
	b.until("everything that was missed", `document.querySelector(".plot").dataset.last === "59" && document.getElementById("live").innerText === "live"`)
	if at := value[string](b, `location.search`); !strings.Contains(at, "zoom=") {
		t.Errorf("the address is %q: the zoom is lost", at)
	}
	b.forget()
}

// forgetConnections leaves the connections that there are silent for ever; new ones work.
func (w *wire) forgetConnections() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = append(w.stuck, w.silent)
	w.silent = make(chan struct{})
	close(w.silent)
}
