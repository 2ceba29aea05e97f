package browsertest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/access/authtest"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// send records episodes of an experiment over HTTP, as a user.
func send(t testing.TB, s *served, token, experiment, run string, from, to int) {
	t.Helper()
	var body strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&body, `{"seq":%d,"time":%q,"kind":"episode","data":{"episode_number":%d,"total_reward":%d}}`+"\n", n+1, time.Now().Add(time.Duration(n)*time.Microsecond).UTC().Format(time.RFC3339Nano), n, n-100)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/records?run="+run+"&experiment="+experiment, strings.NewReader(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("records of %s: %s", experiment, answer.Status)
	}
}

// logIn fills the form.
func (b *browser) logIn(email, password string) {
	b.t.Helper()
	b.until("the form", `document.getElementById("password")`)
	value[bool](b, `document.getElementById("email").value = "", true`)
	b.run(chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", password+"\r"))
}

// eventsHeard lets a page keep what its stream of events tells it.
const eventsHeard = `delete window.SharedWorker; window.heard = []; { const Plain = EventSource; window.EventSource = class extends Plain { constructor(u) { super(u); this.addEventListener("change", (e) => window.heard.push(JSON.parse(e.data))); } }; window.EventSource.OPEN = 1; window.EventSource.CLOSED = 2; }`

// TestTwoPeople: two users of a Supabase project log in with two browsers. Each sees its
// own experiments and nothing of the other's, live events included.
func TestTwoPeople(t *testing.T) {
	ana := authtest.User{ID: "a0000000-0000-4000-8000-000000000001", Email: "ana@example.com", Password: "correct horse"}
	ben := authtest.User{ID: "b0000000-0000-4000-8000-000000000002", Email: "ben@example.com", Password: "battery staple"}
	project := authtest.New(t, ana, ben)
	s := serveWith(t, pgtest.Database(t), []string{"SUPABASE_URL=" + project.URL, "SUPABASE_ANON_KEY=" + project.Key}, "--auth")
	runs := map[string]string{"anas-corridor": uuid.NewString(), "bens-grid": uuid.NewString()}
	send(t, s, project.Token(ana), "anas-corridor", runs["anas-corridor"], 0, 10)
	send(t, s, project.Token(ben), "bens-grid", runs["bens-grid"], 0, 10)

	hers, his := open(t, s, desktop), open(t, s, phone)
	for _, b := range []*browser{hers, his} {
		b.before(shifts)
		b.before(eventsHeard)
	}
	hers.visit("/experiments/anas-corridor?smooth=5")
	hers.until("the login page", `location.pathname === "/login" && document.getElementById("email")`)
	hers.forget() // the answer 401 that led here
	hers.inspect("login-desktop")
	hers.logIn(ana.Email, "wrong")
	hers.until("the refusal", `document.querySelector("[role=alert].bad").innerText === "E-mail or password is wrong." && document.getElementById("password").value === ""`)
	hers.picture("login-refused")
	hers.forget() // the answer 401
	hers.logIn(ana.Email, ana.Password)
	hers.until("the page that was asked for", `location.pathname + location.search === "/experiments/anas-corridor?smooth=5" && document.querySelector(".plot")?.dataset.last === "9"`)
	his.visit("/login")
	his.until("the form", `document.getElementById("email")`)
	his.inspect("login-phone")
	his.logIn(ben.Email, ben.Password)
	his.until("his list", `location.pathname === "/" && document.querySelectorAll("tbody tr").length === 1 && document.body.innerText.includes("bens-grid")`)
	if value[bool](his, `document.body.innerText.includes("anas")`) {
		t.Error("he sees her experiment")
	}
	his.quiet()
	his.visit("/experiments/anas-corridor")
	his.until("nothing of hers", `document.body.innerText.includes("There is no such experiment")`)
	his.forget() // the answer 404
	his.visit("/experiments/bens-grid")
	his.until("his charts and his stream", `document.querySelector(".plot")?.dataset.last === "9" && document.getElementById("live").innerText === "live" && window.heard.length > 0`)

	send(t, s, project.Token(ana), "anas-corridor", runs["anas-corridor"], 10, 20)
	hers.until("her live update", `document.querySelector(".plot").dataset.last === "19"`)
	send(t, s, project.Token(ben), "bens-grid", runs["bens-grid"], 10, 15)
	his.until("his live update", `document.querySelector(".plot").dataset.last === "14"`)
	told := func(b *browser) []string {
		list := value[[]string](b, `window.heard.filter((e) => !e.all).flatMap((e) => e.experiments ?? [])`)
		slices.Sort(list)
		return slices.Compact(list)
	}
	if her, him := told(hers), told(his); len(her) != 1 || len(him) != 1 || her[0] == him[0] {
		t.Errorf("the streams told her of %q and him of %q", her, him)
	}

	hers.quiet()
	value[bool](hers, `document.getElementById("logout").click(), true`)
	hers.until("logged out", `location.pathname === "/login"`)
	hers.visit("/experiments/anas-corridor")
	hers.until("the login page again", `location.pathname === "/login" && document.getElementById("email")`)
	hers.forget() // the answers 401
	if project.Asked("logout") != 1 {
		t.Error("the project was not told of the logout")
	}
	his.quiet()
}

// TestTokenLogin: where there are no users a token lets in.
func TestTokenLogin(t *testing.T) {
	s := serveWith(t, "sqlite:"+t.TempDir()+"/x.db", []string{"GREENWAVE_TOKEN=a-token-of-some-length"})
	b := open(t, s, desktop)
	b.before(shifts)
	b.visit("/")
	b.until("the login page", `location.pathname === "/login" && document.getElementById("token")`)
	b.forget() // the answer 401
	b.inspect("login-token")
	b.run(chromedp.SendKeys("#token", "a-token-of-another\r"))
	b.until("the refusal", `document.querySelector("[role=alert].bad").innerText.includes("lets nobody in")`)
	b.forget()
	b.run(chromedp.SendKeys("#token", "a-token-of-some-length\r"))
	b.until("the list", `location.pathname === "/" && document.body.innerText.includes("No experiments yet")`)
	b.until("the way out", `!document.getElementById("logout").hidden`)
	b.quiet()
}
