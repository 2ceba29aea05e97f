package traci

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("TRACI_TEST_PARENT") != "" {
		parent()
		return
	}
	goleak.VerifyTestMain(m)
}

func sumo(t *testing.T, args ...string) *Process {
	t.Helper()
	p, err := Start(t.Context(), Options{Args: append([]string{
		"-n", "../../scenarios/single/single.net.xml", "-r", "../../scenarios/single/single.rou.xml",
		"--no-step-log", "--xml-validation", "never", "--seed", "7",
	}, args...), Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestStepsDriveTheSimulation(t *testing.T) {
	ctx, p := t.Context(), sumo(t)
	api, software, err := p.Version(ctx)
	if err != nil || api < 20 || !strings.HasPrefix(software, "SUMO ") {
		t.Fatalf("version %d %q: %v", api, software, err)
	}
	halting, seen := map[string]int{}, map[string]bool{}
	var now float64
	note := func(d Domain, around, id []byte, variable byte, v Value) {
		switch {
		case d == Simulation && variable == Time:
			now = v.Float()
		case d == Lane && variable == LaneHalting:
			halting[string(id)] = v.Int()
		case d == Vehicle && variable == TypeID:
			seen[string(v.Text())] = true
			if string(around) != "J" {
				t.Errorf("vehicle %s was found around %q", id, around)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Subscribe(ctx, Simulation, "", []byte{Time, Departed}, note))
	v, err := p.Get(ctx, Lane, IDList, "")
	must(err)
	lanes := 0
	for _, lane := range v.StringList() {
		if strings.Contains(lane, "_in_") {
			must(p.Subscribe(ctx, Lane, lane, []byte{LaneHalting, LaneMeanSpeed, LaneWaiting}, note))
			lanes++
		}
	}
	if lanes != 12 || len(halting) != 12 {
		t.Fatalf("%d approach lanes, %d reported at once", lanes, len(halting))
	}
	must(p.SubscribeContext(ctx, Junction, "J", Vehicle, 150, []byte{Speed, TypeID, LaneID, LanePosition}, note))
	for range 60 {
		// All links red: queues must grow and the state must be what was set.
		p.QueueSet(TrafficLight, SignalState, "J", String(strings.Repeat("r", 16)))
		must(p.Step(ctx, 0, note))
	}
	if now != 60 {
		t.Fatalf("60 steps ended at %g s", now)
	}
	v, err = p.Get(ctx, TrafficLight, SignalState, "J")
	must(err)
	if got := string(v.Text()); got != strings.Repeat("r", 16) {
		t.Fatalf("signal state %q", got)
	}
	queue := 0
	for _, n := range halting {
		queue += n
	}
	if queue < 10 || !seen["car"] || !seen["jeepney"] {
		t.Fatalf("%d vehicles halt after a minute of red; types seen: %v", queue, seen)
	}
	p.QueueSet(TrafficLight, SignalState, "J", String(strings.Repeat("G", 16)))
	must(p.Step(ctx, 100, note))
	if now != 100 {
		t.Fatalf("a step until 100 s ended at %g s", now)
	}
	must(p.Quit(ctx))
}

func TestARefusalCarriesSUMOsWordsAndTheConnectionGoesOn(t *testing.T) {
	ctx, p := t.Context(), sumo(t)
	var refused *Error
	err := p.Set(ctx, TrafficLight, SetPhase, "nowhere", Integer(0))
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), `traffic light "nowhere"`) || !strings.Contains(refused.Text, "not known") {
		t.Fatalf("got %v", err)
	}
	p.QueueSet(TrafficLight, SetPhase, "J", Integer(99))
	if err := p.Step(ctx, 0, nil); !errors.As(err, &refused) {
		t.Fatalf("phase 99 of 8: got %v", err)
	}
	if _, err := p.Get(ctx, Lane, LaneHalting, "north_in_0"); err != nil {
		t.Fatalf("after two refusals: %v", err)
	}
	p.QueueSet(TrafficLight, SetPhase, "J", Integer(2))
	if v, err := p.Get(ctx, TrafficLight, SignalPhase, "J"); err != nil || v.Int() != 2 {
		t.Fatalf("a question behind a queued change: phase %d, %v", v.Int(), err)
	}
	if err := p.Subscribe(ctx, Lane, "nowhere_0", []byte{LaneHalting}, nil); !errors.As(err, &refused) {
		t.Fatalf("subscription to an unknown lane: got %v", err)
	}
}

func TestManyQuestionsAreOneMessage(t *testing.T) {
	ctx, p := t.Context(), sumo(t)
	if err := p.Step(ctx, 60, nil); err != nil {
		t.Fatal(err)
	}
	vehicles, err := p.Get(ctx, Vehicle, IDList, "")
	if err != nil {
		t.Fatal(err)
	}
	ids := vehicles.StringList()
	values := map[string]int{}
	note := func(_ Domain, around, id []byte, variable byte, _ Value) {
		values[fmt.Sprintf("%s %s %02x", around, id, variable)]++
	}
	p.QueueSet(TrafficLight, SetPhase, "J", Integer(2))
	p.QueueGet(TrafficLight, SignalPhase, "J")
	p.QueueGet(Vehicle, TypeID, "nobody")
	p.QueueGet(Vehicle, TypeID, ids[0])
	p.QueueLook(Junction, "J", Vehicle, 1e6, 60, []byte{Speed, LaneID})
	var refused *Error
	err = p.Ask(ctx, note)
	if !errors.As(err, &refused) || errors.Is(err, ErrBroken) || !strings.Contains(refused.Text, "nobody") || !strings.Contains(err.Error(), "get variable 0x4f of vehicle \"nobody\"") {
		t.Fatalf("got %v", err)
	}
	if len(ids) < 10 || len(values) != 2+2*len(ids) || values[" J 28"] != 1 || values[" "+ids[0]+" 4f"] != 1 || values["J "+ids[1]+" 40"] != 1 {
		t.Fatalf("%d vehicles, answers %v", len(ids), values)
	}
	// The look was for once, and a question behind which a step comes is answered.
	clear(values)
	p.QueueGet(TrafficLight, SignalPhase, "J")
	if err := p.Step(ctx, 0, note); err != nil || len(values) != 0 {
		t.Fatalf("%v, values %v with the next step", err, values)
	}
	if v, err := p.Get(ctx, TrafficLight, SignalPhase, "J"); err != nil || v.Int() != 2 {
		t.Fatalf("phase %d, %v", v.Int(), err)
	}
}

// The answers behind a refused subscription cannot be told apart.
func TestARefusedLookBreaksTheConnectionForWhatIsBehindIt(t *testing.T) {
	for _, behind := range []bool{false, true} {
		c := serve(t, []byte{0, 0, 0, 13, 9, 0x89, 0xff, 0, 0, 0, 2, 'n', 'o'})
		c.QueueLook(Junction, "J", Vehicle, 1, 0, []byte{Speed})
		if behind {
			c.QueueGet(Vehicle, TypeID, "a")
		}
		var refused *Error
		err := c.Ask(t.Context(), nil)
		if !errors.As(err, &refused) || refused.Text != "no" || errors.Is(err, ErrBroken) != behind {
			t.Fatalf("a question behind it: %v; got %v", behind, err)
		}
	}
}

func TestLoadStartsAnew(t *testing.T) {
	ctx, p := t.Context(), sumo(t)
	for range 2 {
		if err := p.Step(ctx, 30, nil); err != nil {
			t.Fatal(err)
		}
		v, err := p.Get(ctx, Simulation, Time, "")
		if err != nil || v.Float() != 30 {
			t.Fatalf("time %g: %v", v.Float(), err)
		}
		if err := p.Load(ctx, []string{"-n", "../../scenarios/single/single.net.xml", "-r", "../../scenarios/single/single.rou.xml", "--xml-validation", "never", "--no-step-log"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADeadSUMOIsExplained(t *testing.T) {
	ctx, p := t.Context(), sumo(t)
	if err := p.Step(ctx, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		err = p.Step(ctx, 0, nil)
	}
	if !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v", err)
	}
	var dead *ProcessError
	if err = p.Explain(err); !errors.As(err, &dead) || dead.Exit != "signal: killed" {
		t.Fatalf("got %v", err)
	}
	if err := p.Step(ctx, 0, nil); !errors.Is(err, ErrBroken) {
		t.Fatalf("a broken connection answered: %v", err)
	}
}

func TestAHangingSUMOMeetsTheDeadline(t *testing.T) {
	p := sumo(t)
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Step(ctx, 0, nil); !errors.Is(err, ErrBroken) || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	p.Stop()
	p.Stop()
}

// Somebody else listens on the port before SUMO does, and breaks off: another port is
// tried. A port that is reserved for another SUMO is left alone.
func TestATakenPortIsLeft(t *testing.T) {
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if c, err := stranger.Accept(); err == nil {
			_ = c.Close()
		}
	}()
	theirs := stranger.Addr().(*net.TCPAddr).Port
	reserved, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held, err := reserve(reserved)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	// On the stranger's port SUMO takes its time.
	slow := filepath.Join(t.TempDir(), "sumo")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$2\" = %d ] && exec tail -f /dev/null\nexec sumo \"$@\"\n", theirs)
	if err := os.WriteFile(slow, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ports := []int{theirs, reserved}
	p, err := Start(t.Context(), Options{Program: slow, Timeout: 20 * time.Second, Args: []string{
		"-n", "../../scenarios/single/single.net.xml", "-r", "../../scenarios/single/single.rou.xml", "--no-step-log", "--xml-validation", "never",
	}, port: func(ctx context.Context) (int, error) {
		if len(ports) == 0 {
			return freePort(ctx)
		}
		port := ports[0]
		ports = ports[1:]
		return port, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	<-answered
	if len(ports) != 0 {
		t.Errorf("%d of the ports were not tried", len(ports))
	}
	if err := p.Step(t.Context(), 0, nil); err != nil {
		t.Error(err)
	}
}

func TestWrongInputIsToldInSUMOsWords(t *testing.T) {
	_, err := Start(t.Context(), Options{Args: []string{"-n", "no-such.net.xml", "--xml-validation", "never"}})
	var failed *ProcessError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "no-such.net.xml") {
		t.Fatalf("got %v", err)
	}
	if _, err := Start(t.Context(), Options{Program: "no-such-sumo"}); !errors.Is(err, ErrNoProgram) || !strings.Contains(err.Error(), "apt-get install sumo") {
		t.Fatalf("got %v", err)
	}
}

// parent is a process that starts SUMO, tells its process id and waits to be killed.
func parent() {
	p, err := Start(context.Background(), Options{Args: []string{"-n", "../../scenarios/single/single.net.xml", "--xml-validation", "never", "--no-step-log"}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	io.Copy(io.Discard, os.Stdin)
}

func TestSUMODiesWithItsParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TRACI_TEST_PARENT=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(stdout, &pid); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	// The child is not ours to wait for: it is gone when its standard error, which
	// nobody holds any more, cannot be seen in /proc.
	deadline := time.Now().Add(10 * time.Second)
	for {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(b, []byte(") Z ")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("sumo (%d) outlived its parent", pid)
		}
	}
}

// serve answers one connection with the given bytes and closes it.
func serve(t *testing.T, answer []byte) *Conn {
	client, server := net.Pipe()
	go func() {
		io.ReadFull(server, make([]byte, 4))
		go io.Copy(io.Discard, server)
		server.Write(answer)
		server.Close()
	}()
	c := NewConn(client, 5*time.Second)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestBrokenAnswersBreakTheConnection(t *testing.T) {
	for name, answer := range map[string][]byte{
		"nothing":           {},
		"half a length":     {0, 0},
		"negative length":   {0xff, 0xff, 0xff, 0xff},
		"length 2":          {0, 0, 0, 2},
		"huge":              {0x7f, 0xff, 0xff, 0xff},
		"cut":               {0, 0, 0, 20, 7, 2},
		"status too short":  {0, 0, 0, 6, 2, 2},
		"string too long":   {0, 0, 0, 11, 7, 2, 0, 0x7f, 0xff, 0xff, 0xff},
		"no subscriptions":  {0, 0, 0, 11, 7, 2, 0, 0, 0, 0, 0},
		"subscription gone": {0, 0, 0, 15, 7, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if err := serve(t, answer).Step(t.Context(), 0, nil); !errors.Is(err, ErrBroken) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// FuzzAnswer feeds foreign bytes to the decoder of a step's answer: it must end
// with an error or with values, never with a panic or endless work.
func FuzzAnswer(f *testing.F) {
	ok := []byte{7, 2, 0, 0, 0, 0, 0}
	sub := append(append([]byte{}, ok...), 0, 0, 0, 1)
	body := appendString([]byte{0xe3}, "lane")
	body = appendValue(append(body, 1, LaneHalting, 0), Integer(3))
	sub = append(append(sub, byte(len(body)+1)), body...)
	f.Add(ok)
	f.Add(sub)
	f.Add(append(append([]byte{}, ok...), 0, 0, 0, 1, 9, 0x92, 0, 0, 0, 0, 0xa4, 1, 0))
	f.Add(append(append([]byte{}, ok...), 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{b: b}
		c := &Conn{asked: []asked{{cmd: cmdStep}}}
		if err := c.status(&d); err != nil {
			return
		}
		calls := 0
		for range d.int() {
			if d.subscription(func(_ Domain, _, _ []byte, _ byte, v Value) {
				calls++
				v.StringList()
			}) != nil {
				break
			}
		}
		if calls > len(b) {
			t.Fatalf("%d values from %d bytes", calls, len(b))
		}
	})
}

func TestMessagesAreFramedAsTheProtocolSays(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	c := NewConn(client, time.Second)
	defer c.Close()
	c.QueueSet(TrafficLight, SetPhase, "J", Integer(2))
	done := make(chan error, 1)
	go func() { done <- c.Step(t.Context(), 0, nil) }()
	head := make([]byte, 4)
	if _, err := io.ReadFull(server, head); err != nil {
		t.Fatal(err)
	}
	msg := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(server, msg); err != nil {
		t.Fatal(err)
	}
	want := []byte{
		0, 0, 0, 0, 17, 0xc2, 0x22, 0, 0, 0, 1, 'J', 0x09, 0, 0, 0, 2, // set traffic light
		0, 0, 0, 0, 14, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, // step
	}
	if !bytes.Equal(msg, want) {
		t.Fatalf("message\n% x, want\n% x", msg, want)
	}
	answer := []byte{7, 0xc2, 0, 0, 0, 0, 0, 7, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	server.Write(append(appendInt(nil, len(answer)+4), answer...))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
