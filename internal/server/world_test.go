package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

// world is a server over a database of its own.
type world struct {
	testing.TB
	st  store.Store
	s   *server.Server
	web *httptest.Server
}

// databases runs a test on SQLite and on PostgreSQL.
func databases(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newSQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		st, err := postgres.Open(t.Context(), pgtest.Database(t), postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(st.Close)
		migrate(t, st)
		test(t, st)
	})
}

func newSQLite(t testing.TB) *sqlite.Store {
	t.Helper()
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "greenwave.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	migrate(t, st)
	return st
}

func migrate(t testing.TB, st store.Store) {
	t.Helper()
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
}

func serve(t testing.TB, st store.Store, opt server.Options) *world {
	t.Helper()
	opt.Store, opt.Version = st, "v0"
	w := &world{TB: t, st: st, s: server.New(opt)}
	w.web = httptest.NewServer(w.s)
	t.Cleanup(w.web.Close)
	return w
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request; head are names and values of its header.
func (w *world) ask(method, path string, body []byte, head ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.web.URL+path, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		if head[i] == "Host" {
			req.Host = head[i+1]
			continue
		}
		req.Header.Set(head[i], head[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{res.StatusCode, res.Header, text}
}

// get reads an answer that must be 200 into out.
func (w *world) get(path string, out any) answer {
	w.Helper()
	a := w.ask("GET", path, nil)
	if a.status != 200 {
		w.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	if out != nil {
		reflect.ValueOf(out).Elem().SetZero()
		if err := json.Unmarshal(a.body, out); err != nil {
			w.Fatalf("GET %s: %v", path, err)
		}
	}
	return a
}

// failure demands a status and a code, and returns the message.
func (a answer) failure(t testing.TB, status int, code string) string {
	t.Helper()
	var f wire.Failure
	if err := json.Unmarshal(a.body, &f); err != nil || a.status != status || f.Error.Code != code {
		t.Errorf("the answer is %d %s, want %d %s", a.status, a.body, status, code)
	}
	return f.Error.Message
}

// sender writes the records of a run.
type sender struct {
	w          *world
	run        string
	experiment string
	seq        uint64
	at         time.Time
	body       bytes.Buffer
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (w *world) sender(experiment string) *sender {
	return &sender{w: w, run: uuid.NewString(), experiment: experiment, at: noon}
}

// header makes the first line the run's header.
func (s *sender) header(config string) *sender {
	fmt.Fprintf(&s.body, `{"kind":"header","data":{"run_id":%q,"experiment":%q,"config":%s,"metadata":{"group":"d3qn","tags":["a","b"]},"started_at":%q,"host":"h","pid":7}}`+"\n",
		s.run, s.experiment, config, s.at.Format(time.RFC3339Nano))
	return s
}

func (s *sender) log(kind, format string, args ...any) *sender {
	s.seq++
	s.at = s.at.Add(time.Second)
	fmt.Fprintf(&s.body, `{"seq":%d,"time":%q,"kind":%q,"data":%s}`+"\n", s.seq, s.at.Format(time.RFC3339Nano), kind, fmt.Sprintf(format, args...))
	return s
}

// take returns the body and begins a new one. A record is a line, however it is laid
// out in a test.
func (s *sender) take() []byte {
	body := bytes.Clone(bytes.ReplaceAll(s.body.Bytes(), []byte("\n\t\t\t"), nil))
	s.body.Reset()
	return body
}

func (s *sender) path(more string) string {
	return "/api/v1/records?run=" + s.run + "&experiment=" + url.QueryEscape(s.experiment) + more
}

const ndjson = "application/x-ndjson"

// send sends what was logged, which must be taken.
func (s *sender) send() wire.Receipt {
	s.w.Helper()
	a := s.w.ask("POST", s.path(""), s.take(), "Content-Type", ndjson)
	return s.w.receipt(a)
}

func (w *world) receipt(a answer) wire.Receipt {
	w.Helper()
	var r wire.Receipt
	if err := json.Unmarshal(a.body, &r); err != nil || a.status != 200 {
		w.Fatalf("the answer is %d %s", a.status, a.body)
	}
	return r
}

// fill records an experiment with something of everything.
func (w *world) fill(experiment string, episodes, steps int) *sender {
	w.Helper()
	s := w.sender(experiment).header(`{"episodes":500,"seed":7,"net":"corridor.net.xml"}`)
	for e := range episodes {
		for i := range steps {
			s.log("step", `{"episode_number":%d,"step_number":%d,"active_vehicles":%d,"queue_lengths":{"ECOLAND":{"north":3,"south":7}},"waiting_times":{"ECOLAND":15.2},
				"state_vector":[0.5,null,1],"action_taken":%d,"immediate_reward":2.34,"simulation_time":%d,"intersection_metrics":{"ECOLAND":{"phase":%d}}}`, e, i, 10+i, i%4, 5*i, i%4)
		}
		s.log("episode", `{"episode_number":%d,"total_reward":%d,"avg_loss":0.5,"epsilon_value":%v,"avg_waiting_time":17.5,"passenger_throughput":6512.73,"completed_trips":398,
			"steps_completed":%d,"reward_components":{"delay":-1.5},"weather":"rain"}`, e, e%7, 1-float64(e)/1000, steps)
	}
	s.log("checkpoint", `{"episode_number":3,"checkpoint_type":"best","model_path":"m.bin"}`)
	s.log("validation", `{"validation_episode":3,"total_reward":-3.5,"traffic_metrics":{"delay":12}}`)
	s.log("baseline", `{"baseline_type":"webster","improvement_percentages":{"delay":12.5}}`)
	s.log("resource", `{"process_cpu_percent":50,"host_memory_used_mb":800}`)
	s.log("heartbeat", `{}`)
	s.log("episode", `{"episode_number":-1}`) // refused
	// Without the experiment in the address: the header says it.
	r := w.receipt(w.ask("POST", "/api/v1/records", s.take(), "Content-Type", ndjson))
	if r.Applied.Refused != 1 || r.Dead != 1 || r.Cursor != s.seq {
		w.Fatalf("the receipt is %+v", r)
	}
	return s
}
