package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// demoDashboard is a server that shows the demo's runs while they are recorded.
type demoDashboard struct {
	url   string
	stop  context.CancelFunc
	ended chan struct{} // closed when the server has ended
	err   error         // why it ended by itself, once it has
}

// dashboard serves the demo's database on c.Listen, or on a free port where that is
// taken, and says where.
func (c *demoCmd) dashboard(ctx context.Context, a *app) (*demoDashboard, error) {
	// The alerts of this demo must not reach the channels that alerts.json in the
	// working folder names.
	rules := filepath.Join(c.Dir, "alerts.json")
	if err := os.WriteFile(rules, []byte("{}\n"), 0o644); err != nil {
		return nil, err
	}
	serve := serveCmd{Listen: c.Listen, Watch: []string{c.runs()}, Rules: rules}
	d, err := startDashboard(ctx, a, serve, c.database())
	if errors.Is(err, syscall.EADDRINUSE) {
		serve.Listen = "127.0.0.1:0"
		d, err = startDashboard(ctx, a, serve, c.database())
	}
	if err != nil {
		return nil, fmt.Errorf("dashboard of the demo: %w", err)
	}
	a.printf("Dashboard: %s\n\n", a.paint(strong, d.url))
	browse(ctx, a, d.url)
	return d, nil
}

// startDashboard returns when the server listens, or why it does not.
func startDashboard(ctx context.Context, a *app, serve serveCmd, db string) (*demoDashboard, error) {
	ctx, stop := context.WithCancel(ctx)
	d := &demoDashboard{stop: stop, ended: make(chan struct{})}
	said := &firstLine{is: make(chan string, 1)}
	b := *a
	b.cli, b.out = cli{DB: db}, said
	b.env = func(name string) (string, bool) {
		switch name {
		case "GREENWAVE_TOKEN", "GREENWAVE_MODELS":
			return "", false // they are for the user's own server
		}
		return a.env(name)
	}
	go func() {
		defer close(d.ended)
		d.err = serve.Run(ctx, &b)
	}()
	select {
	case line := <-said.is:
		d.url, _, _ = strings.Cut(line, " ")
		return d, nil
	case <-d.ended:
		stop()
		return nil, d.err
	}
}

// close ends the server, waits for it, and returns why it had ended before, if so.
func (d *demoDashboard) close() error {
	d.stop()
	<-d.ended
	return d.err
}

// stay keeps the dashboard open until a signal where a person can give one.
func (d *demoDashboard) stay(ctx context.Context, a *app) {
	if _, watched := terminal(a.out); !watched || !term.IsTerminal(int(os.Stdin.Fd())) {
		return
	}
	a.printf("The dashboard stays open at %s until Ctrl-C.\n", a.paint(strong, d.url))
	select {
	case <-ctx.Done():
	case <-d.ended:
	}
}

// firstLine passes the first line on that is written to it, and drops the rest.
type firstLine struct {
	is   chan string
	once sync.Once
}

func (f *firstLine) Write(b []byte) (int, error) {
	f.once.Do(func() { f.is <- strings.TrimSpace(string(b)) })
	return len(b), nil
}

// browse opens a browser where there is a screen. The address has been printed, so
// whatever goes wrong here is no error.
func browse(ctx context.Context, a *app, url string) {
	if a.getenv("DISPLAY") == "" && a.getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	for _, opener := range []string{"xdg-open", "open"} {
		// It outlives the demo, and the Ctrl-C that ends it.
		cmd := exec.CommandContext(context.WithoutCancel(ctx), opener, url)
		ownGroup(cmd)
		if cmd.Start() == nil {
			go func() { _ = cmd.Wait() }()
			return
		}
	}
}
