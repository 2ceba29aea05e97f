package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// Remote reads a server.
type Remote struct {
	base   string
	token  string
	client *http.Client
	ids    map[string]string // name → id

	changed chan struct{} // holds one when something has changed
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

const (
	answerTime = 15 * time.Second
	// page is how many experiments the server is asked for at a time, the most that
	// it gives.
	page = 500
	// quiet is how long the stream of events may be silent; the server writes every
	// 15 s.
	quiet = 40 * time.Second
)

// OpenServer prepares to read the server at an address such as http://localhost:8080;
// token may be empty. Its stream of events ends with ctx, or with Close.
func OpenServer(ctx context.Context, address, token string) (*Remote, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("server %q is not an address: it looks like http://localhost:8080", address)
	}
	if u.User != nil {
		return nil, fmt.Errorf("the address of the server %s has a name or password in it: put the token into GREENWAVE_TOKEN", u.Redacted())
	}
	ctx, stop := context.WithCancel(ctx)
	r := &Remote{
		base: strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), token: token, client: &http.Client{},
		ids: map[string]string{}, changed: make(chan struct{}, 1), stop: stop,
	}
	r.ended.Go(func() { r.listen(ctx) })
	return r, nil
}

// Name is the server's address.
func (r *Remote) Name() string { return r.base }

// Close ends the stream of events.
func (r *Remote) Close() error {
	r.stop()
	r.ended.Wait()
	r.client.CloseIdleConnections()
	return nil
}

// Wait returns at the next event, or after some seconds without one.
func (r *Remote) Wait(ctx context.Context) error {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-r.changed:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (r *Remote) request(ctx context.Context, path string, q url.Values) (*http.Response, error) {
	to := r.base + path
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, err
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // without the whole address
		}
		return nil, fmt.Errorf("%s does not answer: %w", r.base, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var answer struct {
		Error struct{ Code, Message string }
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer) // a proxy may answer otherwise
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s wants a token: set GREENWAVE_TOKEN to one that it knows", r.base)
	case resp.StatusCode == http.StatusNotFound && answer.Error.Code != "" && answer.Error.Code != "no_such_path":
		return nil, fmt.Errorf("%w: %s", ErrUnknown, answer.Error.Message)
	case answer.Error.Message != "":
		return nil, fmt.Errorf("%s: %s", r.base, answer.Error.Message)
	}
	return nil, fmt.Errorf("%s answers %s to %s: is this the address of greenwave serve?", r.base, resp.Status, path)
}

func (r *Remote) get(ctx context.Context, path string, q url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	resp, err := r.request(ctx, path, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s: the answer to %s cannot be read: %w: is this the address of greenwave serve?", r.base, path, err)
	}
	return nil
}

// listed is what the server says of an experiment.
type listed struct {
	ID, Name, Status string
	Episodes         int64
	Planned          int64
	CreatedAt        time.Time  `json:"created_at"`
	LastRecord       *time.Time `json:"last_record"`
	Latest           *float64   `json:"latest_reward"`
	Best             *float64   `json:"best_reward"`
	Waiting          *float64   `json:"avg_waiting_time"`
	Spark            []*float64
	Data             struct {
		Settled, Dead, Waiting uint64
		LastError              string `json:"last_error"`
	}
}

func (r *Remote) line(l *listed) Experiment {
	r.ids[l.Name] = l.ID
	e := Experiment{
		Name: l.Name, Status: l.Status, Episodes: l.Episodes, Planned: l.Planned, Latest: l.Latest, Best: l.Best, Waiting: l.Waiting, Spark: l.Spark,
		Data: Data{Synced: l.Data.Settled, Dead: l.Data.Dead, Waiting: l.Data.Waiting, Error: l.Data.LastError}, id: l.ID, started: l.CreatedAt,
	}
	if l.LastRecord != nil {
		e.LastRecord = *l.LastRecord
	}
	return e
}

// Experiments lists all, the newest first.
func (r *Remote) Experiments(ctx context.Context) ([]Experiment, error) {
	var list []Experiment
	for cursor := ""; ; {
		q := url.Values{"limit": {strconv.Itoa(page)}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		var some struct {
			Items []listed
			Next  string
		}
		if err := r.get(ctx, "/api/v1/experiments", q, &some); err != nil {
			return nil, err
		}
		list = slices.Grow(list, len(some.Items))
		for i := range some.Items {
			list = append(list, r.line(&some.Items[i]))
		}
		if some.Next == "" {
			break
		}
		cursor = some.Next
	}
	slices.SortStableFunc(list, newestFirst)
	return list, nil
}

// path is where an experiment is found: by its id, because a name may hold anything.
func (r *Remote) path(name string) string {
	ref := name
	if id := r.ids[name]; id != "" {
		ref = id
	}
	return "/api/v1/experiments/" + url.PathEscape(ref)
}

// Show asks for one experiment.
func (r *Remote) Show(ctx context.Context, name string) (*Detail, error) {
	var whole struct {
		listed
		Runs []struct {
			Reason    string
			StartedAt *time.Time `json:"started_at"`
			Logged    *uint64
		}
	}
	if err := r.get(ctx, r.path(name), nil, &whole); err != nil {
		return nil, err
	}
	d := &Detail{Experiment: r.line(&whole.listed)}
	for _, run := range whole.Runs {
		d.Reason = run.Reason
		if run.StartedAt != nil {
			d.Began = *run.StartedAt
		}
		if run.Logged != nil {
			d.Data.Logged += *run.Logged
		}
	}
	path := r.path(name)
	d.Window = windowOf(d.Episodes)
	var s struct {
		X       []float64
		Columns map[string][]*float64
	}
	const columns = "total_reward,avg_waiting_time,avg_loss"
	err := r.get(ctx, path+"/series", url.Values{"columns": {columns}, "points": {"2000"}, "smooth": {strconv.Itoa(d.Window)}}, &s)
	if err != nil {
		return nil, err
	}
	d.X = s.X
	column := func(name string) []float64 {
		out := make([]float64, len(s.X))
		for i := range out {
			out[i] = math.NaN()
			if from := s.Columns[name]; i < len(from) && from[i] != nil {
				out[i] = *from[i]
			}
		}
		return out
	}
	d.Reward, d.RewardMean = column("total_reward"), column("total_reward~mean")
	d.WaitingTime, d.WaitingMean = column("avg_waiting_time"), column("avg_waiting_time~mean")
	d.Loss, d.LossMean = column("avg_loss"), column("avg_loss~mean")
	recent, err := r.Episodes(ctx, name, -1, 20)
	if err != nil {
		return nil, err
	}
	if n := len(recent); n > 0 {
		d.Epsilon, d.Waiting = recent[n-1].Epsilon, recent[n-1].Waiting
		numbers := make([]int64, n)
		at := map[int64]time.Time{}
		for i, e := range recent {
			numbers[i], at[e.Number] = e.Number, e.At
		}
		d.Pace = pace(numbers, func(n int64) time.Time { return at[n] })
	}
	if d.Step, err = r.step(ctx, path); err != nil {
		return nil, err
	}
	d.Alerts, err = r.alerts(ctx, d.id)
	return d, err
}

// step asks for the latest step.
func (r *Remote) step(ctx context.Context, path string) (*Step, error) {
	var page struct{ Items []json.RawMessage }
	q := url.Values{"newest": {"true"}, "limit": {"1"}, "columns": {"active_vehicles,queue_lengths,waiting_times,immediate_reward,intersection_metrics,simulation_time"}}
	if err := r.get(ctx, path+"/steps", q, &page); err != nil || len(page.Items) == 0 {
		return nil, err
	}
	raw, at, err := withoutOrigin(page.Items[0])
	if err != nil {
		return nil, err
	}
	row, err := record.Parse(record.KindStep, raw, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: a step cannot be read: %w", r.base, err)
	}
	return stepOf(&row, at), nil
}

// withoutOrigin takes what the server adds to a record.
func withoutOrigin(item json.RawMessage) (json.RawMessage, time.Time, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(item, &members); err != nil {
		return nil, time.Time{}, err
	}
	var origin struct {
		LoggedAt time.Time `json:"logged_at"`
	}
	if raw := members["_row"]; raw != nil {
		if err := json.Unmarshal(raw, &origin); err != nil {
			return nil, time.Time{}, err
		}
		delete(members, "_row")
	}
	raw, err := json.Marshal(members)
	return raw, origin.LoggedAt, err
}

// Episodes asks for episodes behind a number.
func (r *Remote) Episodes(ctx context.Context, name string, last int64, limit int) ([]Episode, error) {
	q := url.Values{"newest": {"true"}, "limit": {strconv.Itoa(limit)}, "columns": {"total_reward,avg_waiting_time,avg_loss,epsilon_value"}}
	if last >= 0 {
		q.Set("after", strconv.FormatInt(last, 10))
	}
	var page struct {
		Items []struct {
			Episode
			Row struct {
				LoggedAt time.Time `json:"logged_at"`
			} `json:"_row"`
		}
	}
	if err := r.get(ctx, r.path(name)+"/episodes", q, &page); err != nil {
		return nil, err
	}
	list := make([]Episode, len(page.Items))
	for i, item := range page.Items {
		item.At = item.Row.LoggedAt
		list[len(list)-1-i] = item.Episode
	}
	return list, nil
}

// shownAlerts is how many alerts of an experiment are asked for.
const shownAlerts = 50

func (r *Remote) alerts(ctx context.Context, id string) ([]Alert, error) {
	var page struct {
		Items []struct {
			ID, Rule, Severity, State, Message string
			WhatToDo                           string    `json:"what_to_do"`
			OpenedAt                           time.Time `json:"opened_at"`
		}
	}
	if err := r.get(ctx, "/api/v1/alerts", url.Values{"experiment": {id}, "limit": {strconv.Itoa(shownAlerts)}}, &page); err != nil {
		return nil, err
	}
	var list []Alert
	for _, a := range page.Items {
		list = append(list, Alert{a.ID, a.Rule, a.Severity, a.Message, a.WhatToDo, a.OpenedAt, a.State != "resolved"})
	}
	slices.SortStableFunc(list, func(a, b Alert) int { // what fires first
		switch {
		case a.Open == b.Open:
			return b.Since.Compare(a.Since)
		case a.Open:
			return -1
		}
		return 1
	})
	return list, nil
}

// listen keeps a stream of events open. What it says is only that something has
// changed; while there is none, Wait returns every two seconds.
func (r *Remote) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = r.stream(ctx) // who asks next is told why there is no answer
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (r *Remote) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := r.request(ctx, "/api/v1/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	watchdog := time.AfterFunc(quiet, cancel) // a connection that died without a word
	defer watchdog.Stop()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		watchdog.Reset(quiet)
		if strings.HasPrefix(in.Text(), "data:") {
			select {
			case r.changed <- struct{}{}:
			default:
			}
		}
	}
	return in.Err()
}
