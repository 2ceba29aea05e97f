package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"
	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// sender sends texts to one address. Its errors do not contain the address.
type sender struct {
	router *router.ServiceRouter
	scheme string
	hidden []string // parts of the address that no message may contain
}

// sendTime is how long a service may take.
const sendTime = 10 * time.Second

func newSender(address string) (*sender, error) {
	scheme, _, ok := strings.Cut(address, "://")
	if !ok || scheme == "" || strings.ContainsFunc(scheme, func(r rune) bool { return !unicode.IsLetter(r) && r != '+' }) {
		return nil, errors.New("the address is not of the form SERVICE://…; the services are listed at https://shoutrrr.nickfedor.com/")
	}
	s := &sender{scheme: strings.ToLower(scheme), hidden: secrets(address)}
	var err error
	if s.router, err = shoutrrr.CreateSender(address); err != nil {
		return nil, fmt.Errorf("the address of the %s channel cannot be read: %s", s.scheme, s.scrub(err))
	}
	s.router.Timeout = sendTime
	return s, nil
}

// plainHosts are the services whose host is a host; with others it may be a key.
var plainHosts = []string{"generic", "smtp", "ntfy", "gotify", "mattermost", "matrix", "rocketchat", "teams", "zulip"}

// secrets are the parts of an address that are long enough to be a key.
func secrets(address string) []string {
	scheme, rest, _ := strings.Cut(address, "://")
	keep := map[string]bool{scheme: true, "hook": true, "webhook": true}
	if u, err := url.Parse(address); err == nil && slices.ContainsFunc(plainHosts, func(h string) bool { return strings.HasPrefix(scheme, h) }) {
		for _, part := range words(u.Hostname()) {
			keep[part] = true
		}
	}
	all := []string{address, rest}
	texts := []string{rest}
	if plain, err := url.PathUnescape(rest); err == nil {
		texts = append(texts, plain)
	}
	for _, text := range texts {
		for _, part := range words(text) {
			if len(part) >= 3 && !keep[part] {
				all = append(all, part, url.PathEscape(part), url.QueryEscape(part))
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/:@?&=#-.,;", r) })
}

// paths are the parts of addresses in which keys stand.
var paths = regexp.MustCompile(`(https?://[^/\s"?]+)[/?][^\s"]*`)

func (s *sender) scrub(err error) string {
	text := paths.ReplaceAllString(err.Error(), "$1/…")
	for _, secret := range s.hidden {
		text = strings.ReplaceAll(text, secret, "****")
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// send returns when the service has taken the text, when it has failed, or when ctx
// ends.
func (s *sender) send(ctx context.Context, text string) error {
	if s.scheme == "telegram" {
		// shoutrrr 0.13 takes a Telegram that cannot be reached for success.
		if err := reachable(ctx, "https://api.telegram.org/"); err != nil {
			return fmt.Errorf("%s: %s", s.scheme, s.scrub(err))
		}
	}
	done := make(chan []error, 1)
	go func() { done <- s.router.Send(text, nil) }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case errs := <-done:
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s: %s", s.scheme, s.scrub(err))
		}
		return nil
	}
}

func reachable(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		err = res.Body.Close()
	}
	return err
}

// ErrNoChannel is a name that the rules file does not have.
var ErrNoChannel = errors.New("there is no channel")

// Test sends a message to a channel now and says what became of it.
func Test(ctx context.Context, rules Rules, channel string) error {
	c, ok := rules.Channels[channel]
	if !ok {
		names := slices.Sorted(maps.Keys(rules.Channels))
		if len(names) == 0 {
			return fmt.Errorf("%w %q, nor any other", ErrNoChannel, channel)
		}
		return fmt.Errorf("%w %q: there are %s", ErrNoChannel, channel, strings.Join(names, ", "))
	}
	s, err := newSender(c.URL)
	if err != nil {
		return err
	}
	return s.send(ctx, "Greenwave: a test of this channel. Alerts will come here.")
}

// message is what is told about an alert.
type message struct {
	alert store.Alert
	state string // firing or resolved
}

// channel has a queue and a goroutine, so that one that is down holds nothing up.
type channel struct {
	name      string
	sender    *sender
	group     time.Duration
	log       *slog.Logger
	delivered chan<- []message // what it has taken

	mu      sync.Mutex
	queue   []message
	dropped int
	sending int       // taken from the queue and under way
	sentAt  time.Time // when it last took a message
	failure string    // why it took none since; empty when it did
	since   time.Time // when it began to fail
	more    chan struct{}
}

// queueSize bounds what waits for a channel that is down; the oldest goes first.
const queueSize = 1000

func newChannel(name string, s *sender, group time.Duration, log *slog.Logger, delivered chan<- []message) *channel {
	return &channel{name: name, sender: s, group: group, log: log.With("channel", name), delivered: delivered, more: make(chan struct{}, 1)}
}

// add queues a message; a later message about the same alert takes the place of one
// that waits. It does not block.
func (c *channel) add(m message) {
	c.mu.Lock()
	c.queue = slices.DeleteFunc(c.queue, func(q message) bool { return q.alert.ID == m.alert.ID })
	c.queue = append(c.queue, m)
	if n := len(c.queue) - queueSize; n > 0 {
		c.dropped += n
		c.queue = slices.Delete(c.queue, 0, n)
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *channel) take() (messages []message, dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages, dropped = c.queue, c.dropped
	c.queue, c.dropped, c.sending = nil, 0, len(messages)
	return messages, dropped
}

// giveBack puts messages that were not sent before those that came since.
func (c *channel) giveBack(messages []message, dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.queue {
		messages = slices.DeleteFunc(messages, func(m message) bool { return m.alert.ID == q.alert.ID })
	}
	c.queue, c.dropped = append(messages, c.queue...), c.dropped+dropped
}

// run sends what is queued until ctx ends. What fails is tried again, at first after
// two seconds, then more seldom, in the end every five minutes, together with what
// has come since.
func (c *channel) run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 2*time.Second, 5*time.Minute
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.more:
		}
		if !sleep(ctx, c.group) {
			return
		}
		for {
			messages, dropped := c.take()
			if len(messages) == 0 {
				break
			}
			err := c.sender.send(ctx, compose(messages, dropped))
			if ctx.Err() != nil {
				return
			}
			c.tried(err)
			if err == nil {
				if failed {
					c.log.Info("the alert channel works again")
				}
				failed = false
				pause.Reset()
				select {
				case c.delivered <- messages:
				case <-ctx.Done():
					return
				}
				continue
			}
			if !failed {
				failed = true
				c.log.Warn("the alert channel does not take messages; they are tried again", "error", err)
			}
			c.giveBack(messages, dropped)
			if !sleep(ctx, pause.NextBackOff()) {
				return
			}
		}
	}
}

// tried remembers what became of a message.
func (c *channel) tried(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending = 0
	switch {
	case err == nil:
		c.sentAt, c.failure, c.since = time.Now(), "", time.Time{}
	case c.failure == "":
		c.failure, c.since = err.Error(), time.Now()
	default:
		c.failure = err.Error()
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// shown is how many alerts a message spells out.
const shown = 10

// compose writes one text for some messages.
func compose(messages []message, dropped int) string {
	var b strings.Builder
	for i, m := range messages {
		if i == shown {
			fmt.Fprintf(&b, "\n… and %d more: greenwave alerts list\n", len(messages)-shown)
			break
		}
		a := m.alert
		if i > 0 {
			b.WriteByte('\n')
		}
		if m.state == store.Resolved {
			fmt.Fprintf(&b, "[resolved] %s: %s\n", a.Experiment, a.Message)
			continue
		}
		fmt.Fprintf(&b, "[%s] %s: %s\n%s\n", a.Severity, a.Experiment, a.Message, sentence(a.WhatToDo))
		if a.Rule != "finished" {
			fmt.Fprintf(&b, "(%s; greenwave alerts silence %.8s)\n", a.Rule, a.ID)
		}
	}
	if dropped > 0 {
		fmt.Fprintf(&b, "\n%d older messages were dropped while this channel was down.\n", dropped)
	}
	return strings.TrimSpace(b.String())
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	r := []rune(text)
	r[0] = unicode.ToUpper(r[0])
	if text = string(r); !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
