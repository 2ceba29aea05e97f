package server

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// narrow is a listener whose first connection has small buffers, so that a reader that
// does not read is noticed soon.
type narrow struct {
	net.Listener
	accepted int
}

func (n *narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && n.accepted == 0 {
		_ = tcp.SetWriteBuffer(4096)
	}
	n.accepted++
	return c, err
}

// follow opens a stream by hand; nothing reads it but the test.
func follow(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprint(conn, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSlowListener: one that does not read is disconnected, and meanwhile the others
// get every event in time.
func TestSlowListener(t *testing.T) {
	s, _ := measured(t, Options{})
	s.writeTime = 500 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: s}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(&narrow{Listener: l}) }()
	t.Cleanup(func() { hs.Close(); <-served })

	slow := follow(t, l.Addr().String())
	_ = slow.(*net.TCPConn).SetReadBuffer(4096)
	quick := follow(t, l.Addr().String())
	lines := bufio.NewScanner(quick)
	lines.Buffer(nil, 1<<20)
	next := func() string {
		_ = quick.SetReadDeadline(time.Now().Add(30 * time.Second))
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				return lines.Text()
			}
		}
		t.Fatalf("the quick listener got no event: %v", lines.Err())
		return ""
	}
	next()
	for end := time.Now().Add(30 * time.Second); s.hub.listeners() != 2; time.Sleep(time.Millisecond) { // until the deadline
		if time.Now().After(end) {
			t.Fatal("the slow one does not listen")
		}
	}
	topics := make([]string, 3000)
	worst := time.Duration(0)
	began := time.Now()
	for round := 0; s.hub.listeners() == 2 || round < 20; round++ {
		for i := range topics {
			topics[i] = fmt.Sprintf("%08d-%027d", round, i)
		}
		at := time.Now()
		s.Changed(topics)
		for told := ""; !strings.Contains(told, topics[0]); {
			told = next()
		}
		worst = max(worst, time.Since(at))
		if time.Since(began) > 30*time.Second {
			t.Fatal("the slow listener is still there")
		}
	}
	if worst > 2*time.Second {
		t.Errorf("the quick listener waited %v for an event", worst)
	}
	t.Logf("slowest event for the quick listener: %v; the slow one was borne for %v", worst, time.Since(began))
	_ = slow.SetReadDeadline(time.Now().Add(30 * time.Second))
	buffer := make([]byte, 64<<10)
	for {
		if _, err := slow.Read(buffer); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the slow listener is still connected")
			}
			break
		}
	}
}

// TestListenersAreBounded: one stream too many gets an answer that says so.
func TestListenersAreBounded(t *testing.T) {
	s, _ := measured(t, Options{Listeners: 1})
	if !s.hub.join(1) {
		t.Fatal("the first one is one too many")
	}
	defer s.hub.leave()
	status, body := get(t, s, "/api/v1/events")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "too_many_listeners") || !strings.Contains(body, "1 streams of events are open") {
		t.Errorf("the answer is %d %s", status, body)
	}
	if n := s.hub.listeners(); n != 1 {
		t.Errorf("%d listeners are counted", n)
	}
}
