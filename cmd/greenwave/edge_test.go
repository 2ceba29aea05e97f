package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

const (
	ana = "a0000000-0000-4000-8000-000000000001"
	ben = "b0000000-0000-4000-8000-000000000002"
)

// issuer is a local Supabase Auth.
type issuer struct {
	web *httptest.Server
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	i := &issuer{key: key}
	i.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kid":"k","kty":"EC","alg":"ES256","use":"sig","crv":"P-256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	}))
	t.Cleanup(i.web.Close)
	return i
}

// token is a user's, changed as wanted.
func (i *issuer) token(t *testing.T, user string, change func(jwt.MapClaims)) string {
	t.Helper()
	return i.signed(t, jwt.SigningMethodES256, i.key, user, change)
}

func (i *issuer) signed(t *testing.T, method jwt.SigningMethod, key any, user string, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": i.web.URL + "/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = "k"
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// edge is a running greenwave serve --auth, with what its own document says that it has.
type edge struct {
	*testing.T
	s          *served
	db         string
	client     *http.Client
	operations []operation
}

type operation struct {
	method, path string
	params       []string // of the query
	placeholders []string // of the path
	stream, open bool
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

func newEdge(t *testing.T, i *issuer) *edge {
	t.Helper()
	e := &edge{T: t, db: pgtest.Database(t), client: &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	e.s = serveIn(t, []string{"SUPABASE_URL=" + i.web.URL, "SUPABASE_JWT_SECRET="}, e.db, "--auth")
	_, text, _ := e.ask("GET", "/api/v1/openapi.json", "", "")
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
			Responses  map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for method, said := range document.Paths[path] {
			o := operation{method: strings.ToUpper(method), path: path}
			for _, p := range said.Parameters {
				if p.In == "query" {
					o.params = append(o.params, p.Name)
				}
			}
			for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
				o.placeholders = append(o.placeholders, m[1])
			}
			_, o.stream = said.Responses["200"].Content["text/event-stream"]
			o.open = slices.ContainsFunc([]string{"/login", "/logout", "/session", "/health", "/ready", "/openapi.json"}, func(end string) bool { return strings.HasSuffix(path, end) })
			e.operations = append(e.operations, o)
		}
	}
	if len(e.operations) < 30 {
		t.Fatalf("the document has %d operations", len(e.operations))
	}
	return e
}

// ask sends a request. Of a stream only the head is read.
func (e *edge) ask(method, path, token, body string) (int, string, http.Header) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, e.s.URL()+path, strings.NewReader(body))
	if err != nil {
		e.Fatalf("%q: %v", path, err)
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/api/v1/records") {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := e.client.Do(r)
	if err != nil {
		e.Fatalf("%s %q: %v\n%s", method, path, err, e.s.Said)
	}
	defer answer.Body.Close()
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return answer.StatusCode, "", answer.Header
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		e.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// record sends the first record of a run, an episode.
func (e *edge) record(token, experiment, run string) {
	e.Helper()
	body := fmt.Sprintf(`{"seq":1,"time":%q,"kind":"episode","data":{"episode_number":1,"total_reward":1}}`, time.Now().UTC().Format(time.RFC3339Nano))
	if code, text, _ := e.ask("POST", "/api/v1/records?run="+run+"&experiment="+experiment, token, body); code != 200 {
		e.Fatalf("%d %s", code, text)
	}
}

// apiToken makes a token by command.
func (e *edge) apiToken(args ...string) string {
	e.Helper()
	var out bytes.Buffer
	if code := runOnce(e.Context(), append([]string{"token", "create", "test", "--scope", "read,record", "--db", e.db}, args...), &out, nil); code != 0 {
		e.Fatalf("token create: %d %s", code, &out)
	}
	secret := regexp.MustCompile(`gwt_[\w-]+`).FindString(out.String())
	if secret == "" {
		e.Fatalf("no token in %s", &out)
	}
	return secret
}

// contents is everything of an experiment, as the owner of the tables sees it.
func (e *edge) contents(name string) (text string) {
	e.Helper()
	conn, err := pgx.Connect(e.Context(), e.db)
	if err != nil {
		e.Fatal(err)
	}
	defer conn.Close(e.Context())
	if err := conn.QueryRow(e.Context(), `SELECT jsonb_build_array(to_jsonb(x),
		(SELECT jsonb_agg(to_jsonb(t) ORDER BY t.episode_number) FROM training_episodes t WHERE t.experiment_id = x.id),
		(SELECT jsonb_agg(to_jsonb(r) ORDER BY r.id) FROM training_runs r WHERE r.experiment_id = x.id),
		(SELECT jsonb_agg(to_jsonb(a) ORDER BY a.id) FROM alerts a WHERE a.experiment_id = x.id))::text
		FROM experiments x WHERE x.experiment_name = $1`, name).Scan(&text); err != nil {
		e.Fatal(err)
	}
	return text
}

// TestAtTheEdge asks a running server everything that its OpenAPI document has: with
// tokens that let nobody in, with the ids of another tenant, and with each parameter full
// of what tries to be something else. A route that is added later is asked too.
func TestAtTheEdge(t *testing.T) {
	i := newIssuer(t)
	e := newEdge(t, i)
	hers, his := i.token(t, ana, nil), i.token(t, ben, nil)
	herRun, alert := uuid.NewString(), uuid.NewString()
	e.record(hers, "hers-secret", herRun)
	e.record(his, "his-own", uuid.NewString())
	conn, err := pgx.Connect(t.Context(), e.db)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var id string
	if err := conn.QueryRow(t.Context(), `INSERT INTO alerts (experiment_id, id, rule, severity, state, opened_at, last_seen_at, message, what_to_do)
		SELECT id, $1, 'r', 'info', 'firing', now(), now(), 'm', 'w' FROM experiments WHERE experiment_name = 'hers-secret' RETURNING experiment_id::text`, alert).Scan(&id); err != nil {
		t.Fatal(err)
	}
	before := e.contents("hers-secret")

	t.Run("tokens that let nobody in", func(t *testing.T) { e.in(t).strangers(i) })
	t.Run("another tenant", func(t *testing.T) {
		e := e.in(t)
		for who, token := range map[string]string{"user": his, "token of a user": e.apiToken("--user", ben), "token with a pattern": e.apiToken("--experiments", "his-*")} {
			e.anotherTenant(who, token, id, herRun, alert)
			e.hearsNothing(who, token, hers, id, herRun)
			before = e.contents("hers-secret") // she went on
		}
	})
	t.Run("injection", func(t *testing.T) { e.in(t).inject(hers, id, herRun, alert) })
	if after := e.contents("hers-secret"); after != before {
		t.Errorf("her experiment is changed:\n%s\nwas\n%s", after, before)
	}
	if said := e.s.Said.String(); strings.Contains(said, "panic") || strings.Contains(said, "goroutine ") {
		t.Errorf("the server said %s", said)
	}
}

func (e *edge) in(t *testing.T) *edge { c := *e; c.T = t; return &c }

// strangers: every route that needs a token refuses those that are none.
func (e *edge) strangers(i *issuer) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.Fatal(err)
	}
	good := i.token(e.T, ana, nil)
	parts := strings.Split(good, ".")
	forged := map[string]string{
		"no token":       "",
		"forged":         i.signed(e.T, jwt.SigningMethodES256, stranger, ana, nil),
		"alg none":       i.signed(e.T, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ana, nil),
		"no signature":   parts[0] + "." + parts[1] + ".",
		"expired":        i.token(e.T, ana, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"wrong audience": i.token(e.T, ana, func(c jwt.MapClaims) { c["aud"] = "anon" }),
		"wrong issuer":   i.token(e.T, ana, func(c jwt.MapClaims) { c["iss"] = "https://other.supabase.co/auth/v1" }),
		"server's role":  i.token(e.T, ana, func(c jwt.MapClaims) { c["role"] = "service_role" }),
		"SQL":            "' OR true --",
		"unknown":        "gwt_" + strings.Repeat("A", 43),
	}
	for _, o := range e.operations {
		if o.open {
			continue
		}
		for what, token := range forged {
			code, text, _ := e.ask(o.method, placeholder.ReplaceAllString(o.path, "1"), token, "{}")
			if code != http.StatusUnauthorized || token != "" && strings.Contains(text, token) {
				e.Errorf("%s %s, %s: %d %s", o.method, o.path, what, code, text)
			}
		}
	}
}

// values is what a parameter is given when it is to be about an experiment of hers.
func values(name, id, run, alert string) []string {
	switch name {
	case "experiment":
		return []string{"hers-secret", id}
	case "experiments":
		return []string{"hers-secret", id, "his-own,hers-secret"}
	case "experiment_id":
		return []string{id}
	case "run", "runs":
		return []string{run}
	case "alert":
		return []string{alert}
	case "episode":
		return []string{"1"}
	}
	return nil
}

// anotherTenant: nothing of hers is told to him or changed by him.
func (e *edge) anotherTenant(who, token, id, herRun, alert string) {
	e.Helper()
	before, asked := e.contents("hers-secret"), 0
	for _, o := range e.operations {
		paths := []string{o.path}
		for _, name := range o.placeholders {
			var more []string
			for _, v := range values(name, id, herRun, alert) {
				for _, p := range paths {
					more = append(more, strings.ReplaceAll(p, "{"+name+"}", v))
				}
			}
			if paths = more; more == nil {
				e.Errorf("%s has {%s}, for which this test has no value of another tenant: add one", o.path, name)
			}
		}
		queries := []url.Values{{}}
		for _, name := range o.params {
			for _, v := range values(name, id, herRun, alert) {
				q := url.Values{name: {v}}
				if name != "run" && slices.Contains(o.params, "run") {
					q.Set("run", herRun)
				} else if name == "run" {
					q.Set("experiment", "his-own")
				}
				queries = append(queries, q)
			}
		}
		for _, path := range paths {
			for _, q := range queries {
				body := `{"hours": 1, "since": "2030-01-01T00:00:00Z"}`
				if strings.HasSuffix(path, "/records") {
					body = fmt.Sprintf(`{"seq":2,"time":%q,"kind":"episode","data":{"episode_number":9}}`, time.Now().UTC().Format(time.RFC3339Nano))
				}
				asked++
				code, text, _ := e.ask(o.method, path+"?"+q.Encode(), token, body)
				told := text
				for _, said := range []string{"hers-secret", id, herRun, alert} { // what he has said himself
					for _, quote := range []string{`\"` + said + `\"`, `"` + said + `"`, "run " + said, "alert " + said, "experiment " + said, said + " has no test results"} {
						told = strings.ReplaceAll(told, quote, "")
					}
				}
				leaks := strings.Contains(told, "hers-secret") || strings.Contains(told, id) || strings.Contains(told, herRun) || strings.Contains(told, alert)
				// He may name an experiment of his own like her id. That is not hers: its own id is another.
				leaks = leaks || code < 300 && strings.Contains(path, "hers-secret")
				if leaks || code >= 500 {
					e.Errorf("%s: %s %s?%s: %d %s", who, o.method, path, q.Encode(), code, text)
				}
			}
		}
	}
	if asked < 60 {
		e.Errorf("asked only %d times", asked)
	}
	if after := e.contents("hers-secret"); after != before {
		e.Errorf("%s: her experiment is changed:\n%s\nwas\n%s", who, after, before)
	}
}

// hearsNothing listens with his token while she records, until an event of his own comes.
func (e *edge) hearsNothing(who, token, hers, id, herRun string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", e.s.URL()+"/api/v1/events", nil)
	if err != nil {
		e.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := e.client.Do(r)
	if err != nil {
		e.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		e.Fatalf("%s: events: %d", who, answer.StatusCode)
	}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		switch text := lines.Text(); {
		case strings.Contains(text, id) || strings.Contains(text, herRun) || strings.Contains(text, "hers-secret"):
			e.Errorf("%s hears %s", who, text)
			return
		case strings.Contains(text, `"all":true`):
			e.record(hers, "hers-secret", uuid.NewString())
			e.record(token, "his-own", uuid.NewString())
		case strings.HasPrefix(text, "data:"):
			return // of his own, behind hers
		}
	}
	e.Errorf("%s: the stream ended", who)
}

// evil is what each parameter is given.
var evil = []string{
	`' OR '1'='1`, `'; DROP TABLE experiments; --`, `x' UNION SELECT token_hash FROM api_tokens --`, `1; SELECT pg_sleep(9)`, `" OR ""="`, `\'; --`, `$$;--`,
	`../../../../etc/passwd`, `..\..\windows`, `/etc/passwd`, "a\r\nSet-Cookie: evil=1", "a\nevil: 1", "a\x00b", "\xff\xfe", `<script>alert(1)</script>`,
	`{{7*7}}`, `$(id)`, "`id`", `%s%s%n`, `99999999999999999999999`, `-1`, `NaN`, `1e400`, `[]`, `{"$ne":1}`, strings.Repeat("A", 6000),
}

// betrayal is what an answer to one of them would hold if it had become something else.
var betrayal = regexp.MustCompile(`(?i)\bselect\b.+\bfrom\b|SQLSTATE|syntax error|goroutine |\.go:\d|pgx|root:x:|token_hash [0-9a-f]|/internal/`)

// inject: no value of a parameter makes the server fail, tell how it is built, or write a
// head of somebody's choice.
func (e *edge) inject(token, id, run, alert string) {
	asked := 0
	good := func(name string) string {
		if v := values(name, id, run, alert); v != nil {
			return v[0]
		}
		return "1"
	}
	for _, o := range e.operations {
		for _, bad := range append(slices.Clone(o.placeholders), o.params...) {
			for _, value := range evil {
				path, q := o.path, url.Values{}
				for _, name := range o.placeholders {
					v := good(name)
					if name == bad {
						v = value
					}
					path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(v))
				}
				for _, name := range o.params {
					if name == bad {
						q.Set(name, value)
					} else if name == "experiments" || strings.HasSuffix(o.path, "/records") && (name == "run" || name == "experiment") {
						q.Set(name, good(name))
					}
				}
				if bad == "experiment" && strings.HasSuffix(o.path, "/records") {
					q.Set("run", uuid.NewString()) // a name may be any text
				}
				asked++
				code, text, head := e.ask(o.method, path+"?"+q.Encode(), token, `{"seq":1}`)
				told := strings.ReplaceAll(text, value, "")
				if quoted, err := json.Marshal(value); err == nil {
					told = strings.ReplaceAll(told, strings.Trim(string(quoted), `"`), "")
				}
				if code >= 500 || code >= 400 && betrayal.MatchString(told) || head.Get("Set-Cookie") != "" || head.Get("Evil") != "" {
					e.Errorf("%s %s with %s=%.60q: %d %.400s", o.method, o.path, bad, value, code, text)
				}
				if kind := head.Get("Content-Type"); code >= 400 && !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "text/plain") {
					e.Errorf("%s %s with %s=%.60q: an error of type %q", o.method, o.path, bad, value, kind)
				}
			}
		}
	}
	if asked < 1000 {
		e.Errorf("asked only %d times", asked)
	}
	// In heads, and in bodies.
	for _, value := range evil {
		if code, text, _ := e.ask("POST", "/api/v1/login", "", fmt.Sprintf(`{"token":%q}`, value)); code >= 500 || code < 400 {
			e.Errorf("login with %.60q: %d %s", value, code, text)
		}
		if code, text, _ := e.ask("POST", "/api/v1/alerts/"+alert+"/silence", token, fmt.Sprintf(`{"hours":%q}`, value)); code >= 500 || code < 400 {
			e.Errorf("silence with %.60q: %d %s", value, code, text)
		}
	}
}
