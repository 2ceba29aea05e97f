package traci

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// Error is SUMO's refusal of one command. The connection goes on.
type Error struct {
	Command byte   // as on the wire
	What    string // what was asked: "set traffic light J3 variable 0x22"
	Text    string // SUMO's own words
}

// Error returns what was asked and SUMO's words.
func (e *Error) Error() string { return fmt.Sprintf("sumo refused to %s: %s", e.What, e.Text) }

// ErrBroken means that the connection cannot be used any more; the error that
// wraps it says why.
var ErrBroken = errors.New("traci connection is broken")

// Handler receives the subscribed values of a step. For a context subscription
// context is the object around which objects were sought, otherwise it is nil. id
// and strings in v are valid during the call only.
type Handler func(domain Domain, context, id []byte, variable byte, v Value)

// Conn is a TraCI connection. It is for one goroutine.
type Conn struct {
	conn    net.Conn
	timeout time.Duration
	out     []byte // message under construction, behind its four bytes of length
	in      []byte
	asked   []asked
	sent    bool // out has been sent: the next command begins a new message
	broken  error
}

// asked is a command whose status is awaited. Its description is built only when
// it fails.
type asked struct {
	cmd      byte
	variable byte
	id       string
}

// NewConn wraps an established connection. timeout bounds each exchange; 0 means
// one minute.
func NewConn(c net.Conn, timeout time.Duration) *Conn {
	if timeout <= 0 {
		timeout = time.Minute
	}
	return &Conn{conn: c, timeout: timeout, out: make([]byte, 4, 4096)}
}

// Close closes the connection without a word to SUMO. Use Quit to end SUMO.
func (c *Conn) Close() error { return c.conn.Close() }

// Version returns the API version and SUMO's name and version.
func (c *Conn) Version(ctx context.Context) (api int, software string, err error) {
	if err := c.flush(ctx); err != nil {
		return 0, "", err
	}
	c.command(asked{cmd: cmdVersion}, nil)
	d, err := c.exchange(ctx)
	if err != nil {
		return 0, "", err
	}
	if err := c.status(&d); err != nil {
		return 0, "", err
	}
	body := d.command(cmdVersion)
	api, software = body.int(), string(body.bytes())
	return api, software, c.finish(&d, body.err)
}

// Load starts the simulation anew with SUMO's command-line options.
func (c *Conn) Load(ctx context.Context, options []string) error {
	c.command(asked{cmd: cmdLoad}, func(b []byte) []byte {
		b = appendInt(append(b, typeStrings), len(options))
		for _, o := range options {
			b = appendString(b, o)
		}
		return b
	})
	return c.answers(ctx, nil)
}

// SetOrder is this client's place among several.
func (c *Conn) SetOrder(ctx context.Context, order int) error {
	c.command(asked{cmd: cmdSetOrder}, func(b []byte) []byte { return appendInt(b, order) })
	return c.answers(ctx, nil)
}

// Quit asks SUMO to close the simulation and end.
func (c *Conn) Quit(ctx context.Context) error {
	c.command(asked{cmd: cmdClose}, nil)
	return c.answers(ctx, nil)
}

// QueueSet puts a change into the next message; its refusal is that message's error.
func (c *Conn) QueueSet(d Domain, variable byte, id string, v Value) {
	c.command(asked{cmd: cmdSet + byte(d), variable: variable, id: id}, func(b []byte) []byte {
		return appendValue(appendString(append(b, variable), id), v)
	})
}

// QueueGet puts a question into the next message, which Ask sends.
func (c *Conn) QueueGet(d Domain, variable byte, id string) {
	c.command(asked{cmd: cmdGet + byte(d), variable: variable, id: id}, func(b []byte) []byte {
		return appendString(append(b, variable), id)
	})
}

// QueueLook puts into the next message, which Ask sends, the question for variables
// of all objects of the domain of within the range in metres around an object. now
// must be the simulation's time in seconds: it is a context subscription that ends
// as it begins. A subscription that goes on costs SUMO its work at every simulation
// step, however seldom the client steps.
func (c *Conn) QueueLook(d Domain, id string, of Domain, metres, now float64, variables []byte) {
	c.askContext(d, id, of, metres, now, now, variables)
}

// Ask sends what was queued in one message. Answers go to h. A refused change or
// question is the error, the first one if there are several, and the others are
// answered all the same.
func (c *Conn) Ask(ctx context.Context, h Handler) error {
	if c.sent || len(c.asked) == 0 {
		return nil
	}
	return c.answers(ctx, h)
}

// flush sends what was queued, before a question that is answered by itself.
func (c *Conn) flush(ctx context.Context) error { return c.Ask(ctx, nil) }

// Set changes a variable of an object, with whatever was queued before.
func (c *Conn) Set(ctx context.Context, d Domain, variable byte, id string, v Value) error {
	c.QueueSet(d, variable, id, v)
	return c.answers(ctx, nil)
}

// Get reads a variable of an object. The value is valid until the connection is
// used again.
func (c *Conn) Get(ctx context.Context, d Domain, variable byte, id string) (v Value, err error) {
	if err := c.flush(ctx); err != nil {
		return Value{}, err
	}
	c.QueueGet(d, variable, id)
	err = c.answers(ctx, func(_ Domain, _, _ []byte, _ byte, answer Value) { v = answer })
	return v, err
}

// Subscribe asks for variables of an object with every step until the simulation
// is loaded anew. The first values come at once.
func (c *Conn) Subscribe(ctx context.Context, d Domain, id string, variables []byte, h Handler) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.command(asked{cmd: cmdSubscribe + byte(d), id: id}, func(b []byte) []byte {
		b = appendString(appendDouble(appendDouble(b, invalidDouble), -invalidDouble), id)
		return append(append(b, byte(len(variables))), variables...)
	})
	return c.answers(ctx, h)
}

// SubscribeContext asks, with every step, for variables of all objects of the
// domain of within the range in metres around an object.
func (c *Conn) SubscribeContext(ctx context.Context, d Domain, id string, of Domain, metres float64, variables []byte, h Handler) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.askContext(d, id, of, metres, invalidDouble, -invalidDouble, variables)
	return c.answers(ctx, h)
}

func (c *Conn) askContext(d Domain, id string, of Domain, metres, begin, end float64, variables []byte) {
	c.command(asked{cmd: cmdContext + byte(d), id: id}, func(b []byte) []byte {
		b = appendString(appendDouble(appendDouble(b, begin), end), id)
		b = appendDouble(append(b, cmdGet+byte(of)), metres)
		return append(append(b, byte(len(variables))), variables...)
	})
}

// Step carries out what was queued and simulates until the given time in seconds;
// 0 is one step, and only then what was queued travels in the same message: SUMO
// forgets its answers to it over several steps. Subscribed values go to h.
func (c *Conn) Step(ctx context.Context, until float64, h Handler) error {
	question := func(a asked) bool { return a.cmd&0xf0 != cmdSet }
	if until != 0 || !c.sent && slices.ContainsFunc(c.asked, question) {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	c.command(asked{cmd: cmdStep}, func(b []byte) []byte { return appendDouble(b, until) })
	d, err := c.exchange(ctx)
	if err != nil {
		return err
	}
	for range c.asked {
		if serr := c.status(&d); serr != nil && err == nil {
			err = serr
		}
	}
	if err != nil {
		return err
	}
	for range d.int() {
		if serr := d.subscription(h); serr != nil {
			return c.finish(&d, serr)
		}
	}
	return c.finish(&d, d.err)
}

// command appends a command to the message under construction.
func (c *Conn) command(a asked, body func([]byte) []byte) {
	if c.sent {
		c.asked, c.out, c.sent = c.asked[:0], c.out[:4], false
	}
	start := len(c.out)
	c.out = append(c.out, 0, 0, 0, 0, 0, a.cmd) // long form: 0, int32 length, id
	if body != nil {
		c.out = body(c.out)
	}
	binary.BigEndian.PutUint32(c.out[start+1:], uint32(len(c.out)-start))
	c.asked = append(c.asked, a)
}

// exchange sends the message and reads the answer.
func (c *Conn) exchange(ctx context.Context) (decoder, error) {
	if c.broken != nil {
		return decoder{}, c.broken
	}
	deadline := time.Now().Add(c.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return decoder{}, c.breakWith(err)
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	binary.BigEndian.PutUint32(c.out, uint32(len(c.out)))
	c.sent = true
	fail := func(err error) (decoder, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return decoder{}, c.breakWith(err)
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return fail(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return fail(err)
	}
	n := int(int32(binary.BigEndian.Uint32(head[:]))) - 4
	if n < 0 || n > maxMessage {
		return fail(fmt.Errorf("a message of %d bytes", n))
	}
	if cap(c.in) < n {
		c.in = make([]byte, n)
	}
	c.in = c.in[:n]
	if _, err := io.ReadFull(c.conn, c.in); err != nil {
		return fail(err)
	}
	return decoder{b: c.in}, nil
}

func (c *Conn) breakWith(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	c.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	return c.broken
}

// answers exchanges and reads a status for each command, and what comes with it.
func (c *Conn) answers(ctx context.Context, h Handler) error {
	d, err := c.exchange(ctx)
	if err != nil {
		return err
	}
	var refused error
	for i, a := range c.asked {
		kind := a.cmd & 0xf0
		subscription := kind == cmdSubscribe || kind == cmdContext
		if err := c.status(&d); err != nil {
			switch {
			case c.broken != nil:
				return c.broken
			case subscription && i < len(c.asked)-1:
				return c.breakWith(err) // the answers behind a refused subscription are in disorder
			case refused == nil:
				refused = err
			}
			if subscription {
				return refused
			}
			continue
		}
		switch {
		case subscription:
			err = d.subscription(h)
		case kind == cmdGet:
			err = d.answer(a.cmd, h)
		}
		if err != nil {
			return c.breakWith(err)
		}
	}
	if err := c.finish(&d, nil); err != nil {
		return err
	}
	return refused
}

// status reads the next status; refusals are *Error.
func (c *Conn) status(d *decoder) error {
	cmd, body := d.header()
	result := body.ubyte()
	text := body.bytes()
	if body.err != nil {
		d.fail(body.err)
	}
	if d.err != nil {
		return c.breakWith(d.err)
	}
	if result == resultOK {
		return nil
	}
	e := &Error{Command: cmd, Text: string(text), What: fmt.Sprintf("answer command 0x%02x", cmd)}
	for _, a := range c.asked {
		if a.cmd == cmd {
			e.What = a.String()
			break
		}
	}
	return e
}

// finish reports a message that could not be decoded.
func (c *Conn) finish(d *decoder, err error) error {
	if err == nil {
		err = d.err
	}
	if err != nil {
		return c.breakWith(err)
	}
	return nil
}

// String says what was asked, for an error.
func (a asked) String() string {
	domain := Domain(a.cmd & 0x0f)
	switch {
	case a.cmd == cmdVersion:
		return "tell its version"
	case a.cmd == cmdLoad:
		return "load the simulation"
	case a.cmd == cmdStep:
		return "simulate a step"
	case a.cmd == cmdSetOrder:
		return "set the client's order"
	case a.cmd == cmdClose:
		return "close"
	case a.cmd >= cmdSubscribe && a.cmd < cmdSubscribe+0x10:
		return fmt.Sprintf("subscribe to %s %q", domain, a.id)
	case a.cmd >= cmdSet && a.cmd < cmdSet+0x10:
		return fmt.Sprintf("set variable 0x%02x of %s %q", a.variable, domain, a.id)
	case a.cmd >= cmdGet && a.cmd < cmdGet+0x10:
		return fmt.Sprintf("get variable 0x%02x of %s %q", a.variable, domain, a.id)
	case a.cmd >= cmdContext && a.cmd < cmdContext+0x10:
		return fmt.Sprintf("subscribe around %s %q", domain, a.id)
	}
	return fmt.Sprintf("answer command 0x%02x", a.cmd)
}
