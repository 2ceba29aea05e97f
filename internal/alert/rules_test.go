package alert

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

func noEnvironment(string) (string, bool) { return "", false }

func load(t *testing.T, text string) (Rules, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, func(name string) (string, bool) {
		return "ntfy://ntfy.example/topic-from-environment", name == "TEAM_SLACK"
	})
}

// docs/alerts.md shows the defaults as they are, and an example that loads.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(part, "json\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks of JSON", len(blocks))
	}
	example, err := load(t, blocks[0])
	if err != nil {
		t.Fatalf("the example: %v", err)
	}
	if example.NoRecord.Minutes != 30 || !example.NoRecord.On || example.EpsilonStuck.On || example.EpsilonStuck.Episodes != 50 ||
		example.Channels["team"].URL != "ntfy://ntfy.example/topic-from-environment" {
		t.Errorf("the example is read as %+v", example)
	}
	var shown, are map[string]any
	if err := json.Unmarshal([]byte(blocks[1]), &shown); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	data = []byte(strings.ReplaceAll(strings.ReplaceAll(string(data), `"channels":null,"no_record"`, `"channels":{},"no_record"`), `"channels":null`, `"channels":[]`))
	if err := json.Unmarshal(data, &are); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(shown, are) {
		t.Errorf("the page shows\n%v, the defaults are\n%v", shown, are)
	}
	for name := range are {
		if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), `"`+name+`"`) {
			t.Errorf("the page does not mention %s", name)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Chdir(t.TempDir())
	if r, err := Load("", noEnvironment); err != nil || !reflect.DeepEqual(r, Defaults()) {
		t.Errorf("without a file: %+v, %v", r, err)
	}
	if err := os.WriteFile(DefaultFile, []byte(`{"group_seconds": 3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Load("", noEnvironment); err != nil || r.GroupSeconds != 3 {
		t.Errorf("the default file is read as %+v, %v", r, err)
	}
	if _, err := Load("nope.json", noEnvironment); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a named file that is not there: %v", err)
	}
	for text, says := range map[string]string{
		`{"no_records": {}}`:                                        "no_records",
		`{"no_record": {"minutes": "ten"}}`:                         "a string stands where it must be a float64",
		`{"no_record": {"minutes": -1}}`:                            "no_record.minutes is -1: must be more than 0",
		`{"no_record": {"severity": "bad"}}`:                        `no_record.severity is "bad"`,
		`{"no_record": {"channels": ["x"]}}`:                        `there is no channel "x"`,
		`{"reward_fell": {"short": 1}}`:                             "too few episodes",
		`{"recent_hours": 0}`:                                       "recent_hours",
		`{} {}`:                                                     "more after the closing brace",
		`{"channels": {"x": {}}}`:                                   `give either "url" or "url_env"`,
		`{"channels": {"x": {"url_env": "NOT_SET"}}}`:               "NOT_SET is not set",
		`{"channels": {"x": {"url": "k3y-without-service"}}}`:       "not of the form SERVICE://",
		`{"channels": {"x": {"url": "pigeon://k3y-of-a-service"}}}`: "pigeon channel cannot be read",
		`{"channels": {"x": {"url": "discord://k3yk3yk3y"}}}`:       "discord channel cannot be read",
	} {
		_, err := load(t, text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", text, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "k3y") {
			t.Errorf("%s: the error shows the address: %v", text, err)
		}
	}
}

// Errors of services that cannot be reached do not show what the address hides.
func TestErrorsHideKeys(t *testing.T) {
	for _, address := range []string{ // nobody listens on port 1
		"generic+http://127.0.0.1:1/hooks/k3yk3y?token=k3y2&template=json",
		"generic+http://user:k3ypass@127.0.0.1:1/?template=json",
		"smtp://bob:k3yk3yk3y@127.0.0.1:1/?from=a@example.com&to=b@example.com",
	} {
		rules := Defaults()
		rules.Channels = map[string]Channel{"x": {URL: address}}
		ctx, cancel := context.WithTimeout(t.Context(), sendTime)
		err := Test(ctx, rules, "x")
		cancel()
		if err == nil {
			t.Errorf("a message went out to %.8s…", address)
			continue
		}
		t.Log(err)
		if strings.Contains(strings.ToLower(err.Error()), "k3y") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	// Those of services elsewhere, as their errors read.
	for address, says := range map[string]string{
		"slack://hook:TK3YK3YK3-BK3YK3YK3-k3yk3yk3yk3yk3yk3yk3yk3y@webhook":         `failed to invoke webhook: Post "https://hooks.slack.com/services/TK3YK3YK3/BK3YK3YK3/k3yk3yk3yk3yk3yk3yk3yk3y": no such host`,
		"discord://k3yk3yk3y@123456789":                                             "https://discord.com/api/webhooks/123456789/k3yk3yk3y answered 500; token k3yk3yk3y",
		"telegram://123456789:k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3@telegram?chats=1": `Post "https://api.telegram.org/bot123456789:k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3/sendMessage": EOF`,
		"gotify://gotify.example/Ak3y%2Bk3y":                                        "wrong token Ak3y+k3y",
	} {
		s := &sender{hidden: secrets(address)}
		if text := s.scrub(errors.New(says)); strings.Contains(strings.ToLower(text), "k3y") {
			t.Errorf("the error shows the key: %s", text)
		}
	}
	err := Test(t.Context(), Defaults(), "team")
	if !errors.Is(err, ErrNoChannel) {
		t.Errorf("a channel that is not there: %v", err)
	}
}

// A channel that is down for long keeps what is latest, and counts the rest.
func TestQueueIsBounded(t *testing.T) {
	c := newChannel("x", nil, 0, slog.New(slog.DiscardHandler), nil)
	for i := range queueSize + 5 {
		c.add(message{alert: store.Alert{ID: string(rune(i + 0x4e00))}, state: store.Firing})
	}
	c.add(message{alert: store.Alert{ID: string(rune(queueSize + 0x4e00))}, state: store.Resolved})
	messages, dropped := c.take()
	if len(messages) != queueSize || dropped != 5 || messages[len(messages)-1].state != store.Resolved {
		t.Errorf("%d messages, %d dropped, the last is %s", len(messages), dropped, messages[len(messages)-1].state)
	}
	text := compose(messages, dropped)
	if !strings.Contains(text, "… and 990 more: greenwave alerts list") || !strings.Contains(text, "5 older messages were dropped") {
		t.Errorf("the message is\n%s", text)
	}
}
