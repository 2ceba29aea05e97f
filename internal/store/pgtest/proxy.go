package pgtest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
)

// Cut is where a Proxy cuts a connection.
type Cut int

const (
	// CutNothing lets everything pass.
	CutNothing Cut = iota
	// CutBeforeCommit cuts when the client sends COMMIT; the server never sees it.
	CutBeforeCommit
	// CutAfterCommit cuts when the server has committed; the client never hears
	// of it.
	CutAfterCommit
)

// Proxy is a TCP connection to a server that is cut at a chosen message.
type Proxy struct {
	Port int

	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	cut   Cut
	cuts  int
	conns map[net.Conn]bool
}

// Proxy starts a proxy in front of the server. It ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := listen(t)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Port: l.Addr().(*net.TCPAddr).Port, listener: l, target: s.Addr(), conns: map[net.Conn]bool{}}
	p.wg.Go(func() { p.accept(t.Context()) })
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for c := range p.conns {
			c.Close()
		}
		p.conns = nil
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// Through turns the URL of a database of the server into its URL through the proxy.
func (p *Proxy) Through(t testing.TB, databaseURL string) string {
	t.Helper()
	return withPort(t, databaseURL, p.Port)
}

// CutNext cuts one connection at the next commit that passes.
func (p *Proxy) CutNext(c Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = c
}

// Cuts returns how many connections were cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		if !p.hold(client, server) {
			return
		}
		// The client's COMMIT is the text of a Parse or Query message, the server's
		// is the tag of CommandComplete.
		p.wg.Go(func() { p.pump(server, client, CutBeforeCommit, [][]byte{[]byte("COMMIT\x00"), []byte("commit\x00")}) })
		p.wg.Go(func() { p.pump(client, server, CutAfterCommit, [][]byte{[]byte("COMMIT\x00")}) })
	}
}

func (p *Proxy) hold(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		for _, c := range conns {
			c.Close()
		}
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

func (p *Proxy) pump(dst, src net.Conn, cut Cut, marks [][]byte) {
	defer func() {
		dst.Close()
		src.Close()
		p.mu.Lock()
		delete(p.conns, src)
		p.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	var tail []byte // the end of what passed, for a mark that is split
	for {
		n, err := src.Read(buf)
		if n > 0 {
			seen := append(tail, buf[:n]...)
			if p.cutsHere(cut, seen, marks) {
				return
			}
			tail = bytes.Clone(seen[max(0, len(seen)-6):])
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) cutsHere(cut Cut, seen []byte, marks [][]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut != cut {
		return false
	}
	for _, mark := range marks {
		if bytes.Contains(seen, mark) {
			p.cut = CutNothing
			p.cuts++
			return true
		}
	}
	return false
}
