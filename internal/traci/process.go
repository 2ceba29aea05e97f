package traci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options says how to run SUMO.
type Options struct {
	Program string        // default "sumo", sought in PATH
	Args    []string      // SUMO's options: network, routes, seed, …
	Dir     string        // working folder; default the caller's
	Timeout time.Duration // for the start and for each exchange; default one minute

	port func(context.Context) (int, error) // instead of freePort, for tests
}

// ErrNoProgram means that SUMO is not installed.
var ErrNoProgram = errors.New("sumo was not found")

// ErrNotStarted means that SUMO ended before it listened: mostly it refused its input.
var ErrNotStarted = errors.New("it ended before it listened")

// Process is a SUMO that runs as a child and the connection to it. It dies with
// its parent.
type Process struct {
	*Conn
	cmd    *exec.Cmd
	stderr *tail
	done   chan struct{} // closed when the process has been reaped
	exit   error         // valid after done
	stop   sync.Once
}

// ProcessError is a SUMO that ended or could not be reached, with what it said.
type ProcessError struct {
	Err    error
	Exit   string // "exit status 1", "signal: killed"; empty while it runs
	Stderr string // the end of what it wrote to its standard error
}

// Error returns what happened, how SUMO ended and what it said.
func (e *ProcessError) Error() string {
	var b strings.Builder
	b.WriteString("sumo: " + e.Err.Error())
	if e.Exit != "" {
		b.WriteString(" (" + e.Exit + ")")
	}
	if e.Stderr != "" {
		b.WriteString(": " + e.Stderr)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *ProcessError) Unwrap() error { return e.Err }

// startAttempts is how often another port is tried when somebody took the free one
// before SUMO did.
const startAttempts = 4

// Start runs SUMO on a free port of the loopback interface and connects to it.
// SUMO prepares the simulation before it answers, so an error in its input comes
// from here, with SUMO's own words.
func Start(ctx context.Context, opt Options) (*Process, error) {
	if opt.Program == "" {
		opt.Program = "sumo"
	}
	if opt.Timeout <= 0 {
		opt.Timeout = time.Minute
	}
	program, err := exec.LookPath(opt.Program)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: install it (Debian: apt-get install sumo) or name it in the configuration", ErrNoProgram, err)
	}
	for attempt := 1; ; attempt++ {
		p, err := start(ctx, program, opt)
		if err == nil || !taken(err) || attempt == startAttempts {
			return p, err
		}
	}
}

// taken reports whether somebody else has the port: SUMO says so, or whoever answered
// broke the connection off while SUMO had not even come to listen.
func taken(err error) bool {
	failed, ok := errors.AsType[*ProcessError](err)
	if !ok {
		return false
	}
	stranger := failed.Exit == "" && errors.Is(err, ErrBroken) && !errors.Is(err, os.ErrDeadlineExceeded)
	return stranger || strings.Contains(failed.Stderr, "Address already in use")
}

func start(ctx context.Context, program string, opt Options) (*Process, error) {
	choose := opt.port
	if choose == nil {
		choose = freePort
	}
	port, err := choose(ctx)
	if err != nil {
		return nil, err
	}
	held, err := reserve(port)
	if err != nil {
		return nil, &ProcessError{Err: ErrNotStarted, Stderr: "Address already in use"}
	}
	args := append([]string{"--remote-port", strconv.Itoa(port), "--num-clients", "1"}, opt.Args...)
	p := &Process{stderr: &tail{limit: 16 << 10}, done: make(chan struct{})}
	p.cmd = exec.Command(program, args...) //nolint:noctx // its life is Stop's, not the context's that starts it
	p.cmd.Dir = opt.Dir
	p.cmd.Stderr = p.stderr
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		_ = held.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		p.exit = p.cmd.Wait()
		_ = held.Close()
		close(p.done)
	}()
	conn, err := p.connect(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), opt.Timeout)
	if err == nil {
		p.Conn = NewConn(conn, opt.Timeout)
		_, _, err = p.Version(ctx)
	}
	if err != nil {
		err = p.Explain(err)
		p.Stop()
		return nil, err
	}
	return p, nil
}

// connect tries until SUMO listens, ends, or the time is over.
func (p *Process) connect(ctx context.Context, addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did not listen within %s", timeout))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn, nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return nil, ErrNotStarted
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Explain adds to an error of the connection what SUMO said and how it ended.
// Other errors and nil are returned as they are.
func (p *Process) Explain(err error) error {
	var refused *Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	e := &ProcessError{Err: err}
	if errors.Is(err, ErrBroken) || p.Conn == nil {
		// A broken connection mostly means that SUMO is ending: wait a moment
		// for its last words.
		select {
		case <-p.done:
			e.Exit = "exit status 0"
			if p.exit != nil {
				e.Exit = p.exit.Error()
			}
		case <-time.After(time.Second):
		}
	}
	e.Stderr = p.stderr.String()
	return e
}

// Wait waits until SUMO has ended by itself, after Quit, as long as for an exchange.
func (p *Process) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("it did not end within %s", p.timeout))
	defer cancel()
	select {
	case <-p.done:
		return p.exit
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends SUMO and waits until it is gone. Calling it twice is safe.
func (p *Process) Stop() {
	p.stop.Do(func() {
		if p.Conn != nil {
			p.Close()
		}
		p.cmd.Process.Kill()
	})
	<-p.done
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port for sumo: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	b     []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - t.limit; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// String returns the lines that say something, joined by "; ".
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(string(t.b)) {
		if line = strings.TrimSpace(line); line != "" && line != "Quitting (on error)." {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
