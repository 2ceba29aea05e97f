package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

type rows struct {
	Items []map[string]any
	Next  string
}

func TestCursorsBelongToTheirQuery(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		w.fill("corridor", 5, 4)
		w.fill("other", 5, 1)
		const base = "/api/v1/experiments/corridor/steps?limit=3"
		var p rows
		w.get(base, &p)
		if len(p.Items) != 3 || p.Next == "" {
			t.Fatalf("the page is %+v", p)
		}
		for what, path := range map[string]string{
			"another experiment": "/api/v1/experiments/other/steps?limit=3",
			"another list":       "/api/v1/experiments/corridor/episodes?limit=3",
			"another order":      base + "&newest=true",
			"other columns":      base + "&columns=action_taken",
			"another beginning":  base + "&after=2",
		} {
			a := w.ask("GET", path+"&cursor="+p.Next, nil)
			if text := a.failure(t, 400, "foreign_cursor"); !strings.Contains(text, "begin again without cursor") {
				t.Errorf("%s: the message is %q", what, text)
			}
		}
		w.ask("GET", base+"&cursor=nonsense", nil).failure(t, 400, "bad_cursor")
		// A larger page may go on where a small one ended.
		w.get(strings.Replace(base, "limit=3", "limit=100", 1)+"&cursor="+p.Next, &p)
		if len(p.Items) != 17 || p.Next != "" {
			t.Errorf("%d rows and next %q", len(p.Items), p.Next)
		}
		// Rows that come between two pages are seen, and none twice.
		w.get("/api/v1/experiments/corridor/episodes?limit=4", &p)
		more := w.sender("corridor").log("episode", `{"episode_number":70,"total_reward":1}`)
		more.send()
		w.get("/api/v1/experiments/corridor/episodes?limit=4&cursor="+p.Next, &p)
		if len(p.Items) != 2 || p.Items[1]["episode_number"] != 70.0 {
			t.Errorf("the last page is %v", p.Items)
		}
	})
}

func TestColumns(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		w.fill("corridor", 2, 2)
		keys := func(path string) string {
			var p rows
			w.get(path, &p)
			var names []string
			for _, name := range []string{"episode_number", "step_number", "total_reward", "avg_loss", "weather", "model_path", "created_at", "_row"} {
				if _, ok := p.Items[0][name]; ok {
					names = append(names, name)
				}
			}
			return strings.Join(names, " ")
		}
		for path, want := range map[string]string{
			"episodes?columns=avg_loss":                      "episode_number avg_loss _row",
			"episodes?columns=avg_loss,total_reward":         "episode_number total_reward avg_loss _row",
			"episodes?columns=avg_loss&columns=total_reward": "episode_number total_reward avg_loss _row",
			"episodes?columns=extra":                         "episode_number weather _row",
			"episodes":                                       "episode_number total_reward avg_loss weather _row",
			"steps?columns=action_taken":                     "episode_number step_number _row",
			"checkpoints?columns=model_path":                 "model_path _row",
		} {
			if got := keys("/api/v1/experiments/corridor/" + path); got != want {
				t.Errorf("%s has %s, want %s", path, got, want)
			}
		}
		a := w.ask("GET", "/api/v1/experiments/corridor/episodes?columns=avg_los", nil)
		if text := a.failure(t, 400, "unknown_column"); !strings.Contains(text, `no column "avg_los"`) || !strings.Contains(text, "avg_loss") {
			t.Errorf("the message is %q", text)
		}
	})
}

func TestConditionalAndCompressed(t *testing.T) {
	w := serve(t, newSQLite(t), server.Options{})
	w.fill("corridor", 30, 5)
	const path = "/api/v1/experiments/corridor/steps?limit=1000"
	plain := w.ask("GET", path, nil, "Accept-Encoding", "identity")
	packed := w.ask("GET", path, nil, "Accept-Encoding", "gzip")
	if packed.header.Get("Content-Encoding") != "gzip" || len(packed.body)*4 > len(plain.body) || !strings.Contains(packed.header.Get("Vary"), "Accept-Encoding") {
		t.Fatalf("%d bytes as %q, %d plain", len(packed.body), packed.header.Get("Content-Encoding"), len(plain.body))
	}
	z, err := gzip.NewReader(bytes.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, plain.body) {
		t.Errorf("unpacked it is another text: %v", err)
	}
	for _, first := range []answer{plain, packed} {
		tag := first.header.Get("ETag")
		for _, encoding := range []string{"identity", "gzip"} {
			for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
				again := w.ask("GET", path, nil, "If-None-Match", known, "Accept-Encoding", encoding)
				if again.status != 304 || len(again.body) > 0 || again.header.Get("ETag") == "" {
					t.Errorf("If-None-Match %s (%s): %d with %d bytes", known, encoding, again.status, len(again.body))
				}
			}
		}
	}
	more := w.sender("corridor").log("step", `{"episode_number":99,"step_number":0}`)
	more.send()
	if again := w.ask("GET", path, nil, "If-None-Match", plain.header.Get("ETag")); again.status != 200 {
		t.Errorf("after a change: %d", again.status)
	}
}

func TestUnknownExperiment(t *testing.T) {
	w := serve(t, newSQLite(t), server.Options{})
	if text := w.ask("GET", "/api/v1/experiments/x", nil).failure(t, 404, "unknown_experiment"); !strings.Contains(text, "there are none yet") {
		t.Errorf("without experiments: %q", text)
	}
	for _, name := range []string{"corridor-seed-1", "corridor-seed-2", "thesis_final_run", "baseline"} {
		w.fill(name, 1, 0)
	}
	for path, near := range map[string]string{
		"/experiments/corridor-sed-2":            `"corridor-seed-2", "corridor-seed-1"`,
		"/experiments/Thesis_Final_Runn/series":  `"thesis_final_run"`,
		"/events?experiment=basline":             `"baseline"`,
		"/compare?experiments=baseline,corridor": `"corridor-seed-1"`,
	} {
		if text := w.ask("GET", "/api/v1"+path, nil).failure(t, 404, "unknown_experiment"); !strings.Contains(text, near) {
			t.Errorf("%s: %q does not name %s", path, text, near)
		}
	}
	w.ask("GET", "/api/v2/x", nil).failure(t, 404, "no_such_path")
	for path, has := range map[string]string{"/experiments?staus=running": "status, group", "/experiments/baseline?columns=id": "has none", "/experiments/baseline/steps?x=time": "newest"} {
		if text := w.ask("GET", "/api/v1"+path, nil).failure(t, 400, "unknown_parameter"); !strings.Contains(text, has) {
			t.Errorf("%s: %q does not name %q", path, text, has)
		}
	}
	if a := w.ask("GET", "/api/v1/health?from=balancer", nil); a.status != 200 {
		t.Errorf("health with a parameter: %d", a.status)
	}
	if a := w.ask("DELETE", "/api/v1/experiments/baseline", nil); a.header.Get("Allow") != "GET" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	} else {
		a.failure(t, 405, "wrong_method")
	}
}

// TestNames: an experiment may be called anything that can be printed.
func TestNames(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		names := []string{
			`<script>alert("1")</script>`, `"><img src=x onerror=alert(1)>`, "🚦👩‍👩‍👧 路口", "مرحبا שלום", "\u202egnp.exe", "../../etc/passwd", "a/b/c", "..", ".",
			"100% + ?#&=;", "it's", `back\slash`, " spaces ", "{{7*7}}", "null", "0",
		}
		for _, name := range names {
			s := w.sender(name).log("episode", `{"episode_number":1,"total_reward":2}`)
			id := s.send().ExperimentID
			for _, ref := range []string{url.PathEscape(name), id} {
				if ref == "." || ref == ".." {
					continue // an address cannot end so: by id
				}
				var e server.Detail
				w.get("/api/v1/experiments/"+ref, &e)
				if e.Name != name || e.ID != id {
					t.Errorf("%q by %s is %q", name, ref, e.Name)
				}
				var p rows
				if w.get("/api/v1/experiments/"+ref+"/episodes", &p); len(p.Items) != 1 {
					t.Errorf("%q has %d episodes", name, len(p.Items))
				}
			}
			var c server.Curves
			if w.get("/api/v1/compare?experiments="+url.QueryEscape(id), &c); len(c.Series) != 1 || c.Series[0].Experiment != name {
				t.Errorf("%q compares as %+v", name, c)
			}
			a := w.ask("GET", "/api/v1/experiments?q="+url.QueryEscape(name), nil)
			if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%q could be taken for a page: %v", name, a.header)
			}
			var list server.Listing
			if err := json.Unmarshal(a.body, &list); err != nil || list.Total < 1 {
				t.Errorf("%q is not found by its text: %s", name, a.body)
			}
		}
	})
}

// TestStrangers: pages of other sites, other names for this address, no token.
func TestStrangers(t *testing.T) {
	st := newSQLite(t)
	open := serve(t, st, server.Options{})
	for host, ok := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "127.0.0.1:8080": true, "[::1]:8080": true, "127.9.9.9": true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "192.168.1.4:8080": false, "0.0.0.0": false, "": false,
	} {
		if host == "" {
			continue // Go's client cannot leave it out
		}
		a := open.ask("GET", "/api/v1/experiments", nil, "Host", host)
		if ok != (a.status == 200) {
			t.Errorf("Host %q: %d", host, a.status)
		}
		if !ok {
			a.failure(t, 421, "foreign_host")
		}
	}
	own := open.web.URL
	for _, c := range []struct {
		method, path string
		head         []string
		refused      bool
	}{
		{"GET", "/api/v1/experiments", []string{"Origin", own}, false},
		{"GET", "/api/v1/experiments", []string{"Origin", "https://evil.example"}, true},
		{"GET", "/api/v1/events", []string{"Origin", "null"}, true},
		{"GET", "/api/v1/experiments", []string{"Sec-Fetch-Site", "cross-site"}, false}, // a link
		{"POST", "/api/v1/records", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"POST", "/api/v1/records", []string{"Origin", "http://localhost:1"}, true},
		{"POST", "/api/v1/login", []string{"Origin", "https://evil.example"}, true},
	} {
		a := open.ask(c.method, c.path, nil, c.head...)
		if c.refused {
			a.failure(t, 403, "foreign_origin")
		} else if a.status != 200 {
			t.Errorf("%s %s with %q: %d", c.method, c.path, c.head, a.status)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s with %q: pages of others may read it", c.method, c.path, c.head)
		}
	}

	locked := serve(t, st, server.Options{Tokens: []string{token}, Hosts: []string{"*"}})
	for _, path := range []string{"/api/v1/experiments", "/api/v1/events", "/api/v1/system", "/metrics", "/api/v1/states?runs=x", "/api/v1/nothing"} {
		for _, head := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", token}, {"Cookie", "greenwave_token=wrong"}} {
			a := locked.ask("GET", path, nil, head...)
			a.failure(t, 401, "token_missing")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s does not say how to prove oneself", path)
			}
		}
	}
	for _, path := range []string{"/", "/api/v1/health", "/api/v1/ready", "/api/v1/openapi.json"} {
		if a := locked.ask("GET", path, nil, "Host", "any.example"); a.status != 200 {
			t.Errorf("%s needs a token: %d", path, a.status)
		}
	}
	locked.ask("POST", "/api/v1/records", nil, "Content-Type", ndjson).failure(t, 401, "token_missing")
	locked.ask("POST", "/api/v1/login", []byte(`{"token":"wrong"}`)).failure(t, 401, "token_wrong")
	a := locked.ask("POST", "/api/v1/login", []byte(fmt.Sprintf(`{"token":%q}`, token)))
	res := http.Response{Header: a.header}
	cookies := res.Cookies()
	if a.status != 204 || len(cookies) != 2 || cookies[0].Name != "greenwave_token" || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("the cookie is %v", cookies)
	}
	if past := cookies[1]; past.Name != "greenwave_refresh" || past.Value != "" || past.MaxAge >= 0 {
		t.Errorf("beside the token's cookie: %v, want an earlier session's taken away", past)
	}
	for _, head := range [][]string{{"Cookie", cookies[0].Name + "=" + cookies[0].Value}, {"Authorization", "Bearer " + token}} {
		if a := locked.ask("GET", "/api/v1/experiments", nil, head...); a.status != 200 {
			t.Errorf("with %q: %d", head[0], a.status)
		}
	}
}

// TestTwoServers on one database see what the other has taken.
func TestTwoServers(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		a, b := serve(t, st, server.Options{}), serve(t, st, server.Options{})
		s := a.sender("corridor")
		body := s.log("episode", `{"episode_number":1,"total_reward":2}`).log("episode", `{"episode_number":2,"total_reward":2}`).take()
		// The same body to both at the same time, again and again.
		done := make(chan answer)
		for i := range 10 {
			w := []*world{a, b}[i%2]
			go func() { done <- w.ask("POST", s.path(""), body, "Content-Type", ndjson) }()
		}
		stored := 0
		for range 10 {
			r := a.receipt(<-done)
			stored += r.Applied.Stored
			if r.Cursor != 2 || r.Dead != 0 {
				t.Errorf("the receipt is %+v", r)
			}
		}
		if stored != 2 {
			t.Errorf("%d records were stored", stored)
		}
		var p rows
		if b.get("/api/v1/experiments/corridor/episodes", &p); len(p.Items) != 2 {
			t.Errorf("%d episodes", len(p.Items))
		}
	})
}

// TestWrongClock: a trainer whose clock is years off is recorded like any other.
func TestWrongClock(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		for name, at := range map[string]time.Time{"past": time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC), "future": time.Date(2160, 1, 1, 0, 0, 0, 0, time.UTC)} {
			s := w.sender(name)
			s.at = at
			s.header(`{}`).log("heartbeat", `{}`).log("episode", `{"episode_number":1,"total_reward":2}`)
			if r := s.send(); r.Applied.Stored != 2 {
				t.Errorf("%s: %+v", name, r)
			}
			var e server.Detail
			w.get("/api/v1/experiments/"+name, &e)
			if e.Episodes != 1 || len(e.Runs) != 1 || e.LastRecord == nil || e.LastRecord.Year() != at.Year() {
				t.Errorf("%s: %+v", name, e)
			}
			for _, path := range []string{"/series?x=time", "/episodes"} {
				w.get("/api/v1/experiments/"+name+path, nil)
			}
		}
	})
}

// TestDatabaseGoesAway: while it is away everything says so, and when it is back
// nobody has to do anything.
func TestDatabaseGoesAway(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		st := newSQLite(t)
		path := strings.TrimPrefix(st.Name(), "sqlite:")
		aside := filepath.Join(t.TempDir(), "aside.db")
		move := func(from, to string) {
			t.Helper()
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Rename(from+suffix, to+suffix); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		}
		goesAway(t, st, func() { move(path, aside) }, func() { move(aside, path) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pg := pgtest.Start(t, pgtest.Options{})
		st, err := postgres.Open(t.Context(), pg.Database(t), postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(st.Close)
		migrate(t, st)
		goesAway(t, st, func() { pg.Kill(t) }, func() { pg.Start(t) })
	})
}

func goesAway(t *testing.T, st store.Store, away, back func()) {
	w := serve(t, st, server.Options{})
	s := w.fill("corridor", 2, 1)
	events := listen(t, w, "", "")
	events.want(t, "the first event", func(e event) bool { return e.All })
	away()
	// Another experiment than any in memory.
	body := s.log("episode", `{"episode_number":50,"total_reward":1}`).take()
	a := w.ask("POST", s.path(""), body, "Content-Type", ndjson)
	if a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("records while it is away: %d %s", a.status, a.body)
	}
	a = w.ask("GET", "/api/v1/experiments/corridor/episodes", nil)
	_, file := st.(*sqlite.Store) // one that was moved can be read on by who has it open
	if (!file || a.status != 200) && (a.status != 503 || !bytes.Contains(a.body, []byte("the database does not answer"))) {
		t.Errorf("rows while it is away: %d %s", a.status, a.body)
	}
	var h server.Health
	w.get("/api/v1/health", &h)
	if h.Status != "away" || h.Since == nil || h.Reason == "" {
		t.Errorf("health while it is away: %+v", h)
	}
	if a := w.ask("GET", "/api/v1/ready", nil); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("ready while it is away: %d %s", a.status, a.body)
	}
	back()
	r := w.receipt(w.ask("POST", s.path(""), body, "Content-Type", ndjson))
	if r.Applied.Stored != 1 {
		t.Errorf("the receipt is %+v", r)
	}
	w.get("/api/v1/ready", &h)
	if h.Status != "ok" || h.Since != nil {
		t.Errorf("health when it is back: %+v", h)
	}
	events.want(t, "an event about the record that came then", func(e event) bool { return e.All || len(e.Experiments) > 0 })
	w.get("/api/v1/experiments/corridor/episodes", nil)
}
