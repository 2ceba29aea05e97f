package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/words"
)

// Client asks a greenwave server over HTTP.
type Client struct {
	URL   string // http://127.0.0.1:8080, without a secret
	Token string
}

// askTime is how long a server may take to answer.
const askTime = 10 * time.Second

// get reads a path of the server's API.
func (c *Client) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path, nil)
	if err != nil {
		return errors.New("the address of the server cannot be read: it is http://HOST:PORT or https://HOST")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: %w", path, errToken)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: what answers there is no greenwave server", path)
	}
	return nil
}

var errToken = errors.New("the server wants a token that may read everything")

const startServer = "start it with greenwave serve, and give its address with --server http://127.0.0.1:8080"

// health is what the server says of itself and its database.
type health struct {
	Status, Version, Database, Reason string
	Since                             *time.Time
}

// dashboardAlive asks a server whether it and its database answer.
func dashboardAlive(ctx context.Context, s *Subject) Finding {
	if s.OnServer {
		return ok("this server", "it answers: this page came from it")
	}
	if s.Server == nil {
		return notChecked("no server", "no server was named", startServer)
	}
	looked := s.Server.URL + "/api/v1/health"
	began := time.Now()
	var h health
	if err := s.Server.get(ctx, "/api/v1/health", &h); err != nil {
		return failed(looked, "the dashboard does not answer: "+oneLine(err.Error()), startServer)
	}
	took := time.Since(began)
	details := []string{"version " + h.Version, "its database is " + h.Database}
	switch {
	case h.Status != "ok":
		found := "the server lives, its database does not answer: " + h.Reason
		if h.Since != nil {
			found += fmt.Sprintf(" (since %s)", words.Clock(*h.Since))
		}
		return failed(looked, found, "mend the server's database; recording goes on in the journals", details...)
	case s.Store != nil && h.Database != s.Database.Name:
		return warning(looked, fmt.Sprintf("it answers, and shows %s, not %s", h.Database, s.Database.Name), "start it on the database that the training records into, or examine that one with --db", details...)
	}
	return ok(looked, "it answers in "+brief(took)+", and so does its database", details...)
}

// alerting asks whether rules are evaluated, and whether somebody is told.
func alerting(ctx context.Context, s *Subject) Finding {
	var state *alert.State
	looked := "the rules and channels of this server"
	switch {
	case s.Alerting != nil:
		state = new(s.Alerting())
	case s.Server == nil:
		return notChecked("no server", "no server was named", startServer)
	default:
		looked = "the rules and channels of " + s.Server.URL
		var system struct {
			Alerting *alert.State `json:"alerting"`
		}
		err := s.Server.get(ctx, "/api/v1/system", &system)
		if errors.Is(err, errToken) {
			return notChecked(looked, oneLine(err.Error()), "set GREENWAVE_TOKEN: greenwave token create makes one")
		}
		if err != nil {
			return failed(looked, "the server does not say: "+oneLine(err.Error()), startServer)
		}
		state = system.Alerting
	}
	if state == nil {
		return failed(looked, "the server evaluates no rules", "run greenwave serve of this version")
	}
	return judgeAlerting(state, looked, s.Now())
}

// lookStale is how many looks an engine may miss.
const lookStale = 12

func judgeAlerting(state *alert.State, looked string, now time.Time) Finding {
	var details, down []string
	for _, c := range state.Channels {
		line := fmt.Sprintf("channel %s (%s): ", c.Name, c.Service)
		switch {
		case c.Error != "":
			down = append(down, c.Name)
			line += "takes no messages: " + c.Error
			if c.FailedSince != nil {
				line += ", for " + words.Duration(now.Sub(*c.FailedSince))
			}
		case c.SentAt != nil:
			line += "took its last message " + words.Ago(now, *c.SentAt)
		default:
			line += "has had nothing to send since the start; greenwave alerts test " + c.Name + " tries it"
		}
		if c.Waiting > 0 {
			line += fmt.Sprintf(" (%d waiting)", c.Waiting)
		}
		details = append(details, line)
	}
	if state.EvaluatedAt == nil {
		return failed(looked, "the rules have never been evaluated"+because(state.Error), "see what the server writes to its log", details...)
	}
	age := max(0, now.Sub(*state.EvaluatedAt))
	found := fmt.Sprintf("the rules were evaluated %s ago, as every %s", brief(age), brief(time.Duration(state.EverySeconds*float64(time.Second))))
	switch {
	case state.Error != "" || age.Seconds() > lookStale*state.EverySeconds:
		return failed(looked, fmt.Sprintf("the rules were last evaluated %s ago%s", brief(age), because(state.Error)), "see what the server writes to its log; greenwave_database_up of /metrics says whether its database answers", details...)
	case len(down) > 0:
		return failed(looked, found+"; these channels take no messages: "+strings.Join(down, ", "), "greenwave alerts test NAME says why; docs/alerts.md has the addresses", details...)
	case len(state.Channels) == 0:
		return warning(looked, found+", and nobody is told: there is no channel", "name one in alerts.json: docs/alerts.md", details...)
	}
	return ok(looked, found+"; "+words.Of(len(state.Channels), "channel")+" with no fault", details...)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + oneLine(reason)
}
