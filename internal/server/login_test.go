package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/access/authtest"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	c.at = c.at.Add(d)
	c.mu.Unlock()
}

// visitor is a browser: it keeps cookies.
type visitor struct {
	t   *testing.T
	url string
	http.Client
}

func (v *visitor) ask(method, path, body string) (int, string, http.Header) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := v.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// newLogin is a server that lets in the users of a project. SQLite holds nobody back,
// which is not the question here.
func newLogin(t *testing.T) (*authtest.Project, *clock, func() *visitor) {
	t.Helper()
	c := &clock{at: time.Now()}
	project := authtest.New(t, authtest.User{ID: ana, Email: "ana@example.com", Password: "correct horse"}, authtest.User{ID: ben, Email: "ben@example.com", Password: "battery staple", Unconfirmed: true})
	project.Now = c.now
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	users, err := access.NewUsers(ctx, access.UsersOptions{Issuer: project.Issuer()})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{
		Store: st, Now: c.now, Desk: &access.Desk{Keeper: store.TokenKeeper(st), Users: users, Now: c.now},
		Sessions: &access.Sessions{Issuer: project.Issuer(), Key: project.Key, Now: c.now},
	})
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return project, c, func() *visitor {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &visitor{t, web.URL, http.Client{Jar: jar}}
	}
}

const right = `{"email":" Ana@example.com","password":"correct horse"}`

// TestPasswordLogin: a session comes as cookies that scripts cannot read; what is wrong is
// not told; who tries too often waits.
func TestPasswordLogin(t *testing.T) {
	project, c, visit := newLogin(t)
	v := visit()
	if code, text, _ := v.ask("GET", "/api/v1/session", ""); code != 200 || !strings.Contains(text, `"password":true`) || !strings.Contains(text, `"name":""`) {
		t.Errorf("before: %d %s", code, text)
	}
	code, text, head := v.ask("POST", "/api/v1/login", right)
	if code != 204 || text != "" {
		t.Fatalf("login: %d %s", code, text)
	}
	set := head.Values("Set-Cookie")
	if len(set) != 2 {
		t.Fatalf("cookies: %q", set)
	}
	for _, cookie := range set {
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
			t.Errorf("a cookie that scripts or other sites can use: %s", strings.SplitN(cookie, "=", 2)[0])
		}
	}
	if code, text, _ := v.ask("GET", "/api/v1/experiments", ""); code != 200 {
		t.Errorf("a page: %d %s", code, text)
	}
	if _, text, _ := v.ask("GET", "/api/v1/session", ""); !strings.Contains(text, ana) {
		t.Errorf("who is logged in: %s", text)
	}

	var said []string
	for _, wrong := range []string{`{"email":"ana@example.com","password":"wrong"}`, `{"email":"nobody@example.com","password":"correct horse"}`} {
		code, text, head := visit().ask("POST", "/api/v1/login", wrong)
		if code != 401 || len(head.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %d", wrong, code)
		}
		said = append(said, text)
	}
	if said[0] != said[1] || !strings.Contains(said[0], "e-mail or password is wrong") {
		t.Errorf("the answers tell them apart: %q", said)
	}
	if code, text, _ := visit().ask("POST", "/api/v1/login", `{"email":"ben@example.com","password":"battery staple"}`); code != 401 || !strings.Contains(text, "not confirmed") {
		t.Errorf("not confirmed: %d %s", code, text)
	}
	if code, _, _ := visit().ask("POST", "/api/v1/login", `{"email":"ana@example.com"}`); code != 400 {
		t.Errorf("without a password: %d", code)
	}
	project.Away(true)
	if code, text, _ := visit().ask("POST", "/api/v1/login", right); code != 502 || !strings.Contains(text, "does not answer") {
		t.Errorf("while the project is away: %d %s", code, text)
	}
	project.Away(false)

	before := project.Asked("password")
	for range 30 {
		code, _, head = visit().ask("POST", "/api/v1/login", `{"email":"ana@example.com","password":"guess"}`)
	}
	if asked := project.Asked("password") - before; code != 429 || head.Get("Retry-After") == "" || asked > 10 {
		t.Errorf("30 guesses: %d, %d of them were asked", code, asked)
	}
	c.pass(time.Minute)
	if code, text, _ := visit().ask("POST", "/api/v1/login", right); code != 204 {
		t.Errorf("a minute later: %d %s", code, text)
	}
}

// TestSessionIsRenewed: a session lasts for as long as it is used, though its token does
// not; requests at the same time share a renewal; logging out ends it.
func TestSessionIsRenewed(t *testing.T) {
	project, c, visit := newLogin(t)
	v := visit()
	if code, text, _ := v.ask("POST", "/api/v1/login", right); code != 204 {
		t.Fatalf("login: %d %s", code, text)
	}
	for hour := range 3 {
		c.pass(59*time.Minute + 30*time.Second)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if code, text, _ := v.ask("GET", "/api/v1/experiments", ""); code != 200 {
					t.Errorf("hour %d: %d %s", hour, code, text)
				}
			})
		}
		wg.Wait()
	}
	if n := project.Asked("refresh_token"); n != 3 {
		t.Errorf("%d renewals in three hours", n)
	}
	// The project is away while there is still half a minute: the token is still good.
	c.pass(59*time.Minute + 30*time.Second)
	project.Away(true)
	if code, text, _ := v.ask("GET", "/api/v1/experiments", ""); code != 200 {
		t.Errorf("while the project is away: %d %s", code, text)
	}
	project.Away(false)
	c.pass(time.Hour)
	if code, text, _ := v.ask("GET", "/api/v1/experiments", ""); code != 200 {
		t.Errorf("when it is back: %d %s", code, text)
	}

	if code, _, _ := v.ask("POST", "/api/v1/logout", "{}"); code != 204 {
		t.Errorf("logout: %d", code)
	}
	at, _ := url.Parse(v.url + "/api/v1/x")
	if left := v.Jar.Cookies(at); len(left) > 0 || project.Asked("logout") != 1 {
		t.Errorf("after the logout there are %d cookies, %d logouts were told", len(left), project.Asked("logout"))
	}
	if code, _, _ := v.ask("GET", "/api/v1/experiments", ""); code != 401 {
		t.Errorf("after the logout: %d", code)
	}
	// A refresh token that is not good ends the session, and says so.
	v = visit()
	v.Jar.SetCookies(at, []*http.Cookie{{Name: renewing, Value: "made-up", Path: "/api/"}})
	code, text, head := v.ask("GET", "/api/v1/experiments", "")
	if code != 401 || !strings.Contains(strings.Join(head.Values("Set-Cookie"), ""), renewing+"=;") {
		t.Errorf("a made-up session: %d %s", code, text)
	}
	var failure struct{ Error Failure }
	if json.Unmarshal([]byte(text), &failure) != nil || failure.Error.Code != "token_missing" {
		t.Errorf("a made-up session: %s", text)
	}
}
