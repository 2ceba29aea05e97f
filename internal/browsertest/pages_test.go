package browsertest

import (
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPages opens every page on desktop and phone, in light and in dark, with real data
// and names that hold markup: no error, nothing inaccessible, nothing that jumps, nothing
// too small to hit.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	filled(t, runs)
	s := serve(t, dir, "--watch", runs)
	s.waitFor("/api/v1/alerts?open=1", `"rule":"bad_loss"`)
	pages := []struct{ name, path, ready string }{
		{"experiments", "/", `document.querySelectorAll("tbody tr").length === 3 && document.body.innerText.includes("🚌")`},
		{"filtered", "/?q=corridor&status=running", `document.querySelectorAll("tbody tr").length === 2`},
		{"none-fits", "/?q=nothing-of-the-kind", `document.body.innerText.includes("None fits")`},
		{"experiment", "/experiments/corridor-s1", `document.querySelector(".plot")?.dataset.last === "39" && document.querySelectorAll("canvas").length >= 6 && document.querySelector(".plot").getAttribute("aria-label").includes("bad loss at 39")`},
		{"by-step", "/experiments/corridor-s1?x=step", `document.querySelector(".plot")?.getAttribute("aria-label").includes("bad loss at")`},
		{"intersections", "/experiments/corridor-s1?tab=intersections", `document.body.innerText.includes("morning-1")`},
		{"steps", "/experiments/corridor-s1?tab=steps", `document.querySelectorAll("#panel canvas").length >= 3`},
		{"validation", "/experiments/corridor-s1?tab=validation", `document.querySelectorAll("#panel tbody tr").length > 3`},
		{"no-validation", "/experiments/" + url.PathEscape(odd) + "?tab=validation", `document.body.innerText.includes("No validations yet")`},
		{"checkpoints", "/experiments/corridor-s1?tab=checkpoints", `document.querySelectorAll("#panel tbody tr").length === 2`},
		{"baselines", "/experiments/corridor-s1?tab=baselines", `document.body.innerText.includes("fixed time")`},
		{"data", "/experiments/corridor-s1?tab=data", `document.querySelectorAll("#panel tbody tr").length >= 1`},
		{"system-tab", "/experiments/corridor-s1?tab=system", `document.body.innerText.includes("Processor")`},
		{"config", "/experiments/corridor-s1?tab=config", `document.body.innerText.includes("learning_rate")`},
		{"episode", "/experiments/corridor-s1/episodes/39?step=17", `document.querySelectorAll("canvas.heat").length === 2 && document.body.innerText.includes("Q-values") && document.querySelector('.green[visibility="visible"]')`},
		{"no-steps", "/experiments/corridor-s1/episodes/3", `document.body.innerText.includes("No steps of this episode")`},
		{"nothing-compared", "/compare", `document.body.innerText.includes("Nothing to compare yet")`},
		{"compare", "/compare?experiments=corridor-s1,corridor-s2", `document.querySelectorAll("canvas").length === 1 && document.body.innerText.includes("On the test demand")`},
		{"compare-tests", "/compare/tests?experiments=corridor-s1,corridor-s2&metric=full_delay&sort=-difference", `document.body.innerText.includes("is better in full delay") && document.querySelector(".forest rect")`},
		{"alerts", "/alerts", `document.body.innerText.includes("bad loss")`},
		{"alerts-all", "/alerts?all=1&experiment=corridor-s1", `document.body.innerText.includes("bad loss")`},
		{"system", "/system", `document.body.innerText.includes("followed by this server")`},
		{"checks", "/system/checks", `document.querySelectorAll("main li.alert").length >= 10 && document.body.innerText.includes("security")`},
		{"nowhere", "/nowhere", `document.body.innerText.includes("no such page")`},
	}
	for _, l := range []look{desktop, phone} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, s, l)
			b.before(shifts)
			for _, p := range pages {
				b.visit(p.path)
				b.until(p.name, p.ready)
				b.inspect(p.name + "-" + l.name)
			}
		})
	}
	t.Run("missing experiment", func(t *testing.T) {
		b := open(t, s, desktop)
		b.visit("/experiments/corridor")
		b.until("words that help", `document.body.innerText.includes("There is no such experiment") && document.body.innerText.includes("corridor-s1")`)
		if n := value[int](b, `document.images.length`); n != 1 { // the mark in the corner
			t.Errorf("%d images: a name became markup", n)
		}
	})
	t.Run("empty", func(t *testing.T) {
		s := serve(t, t.TempDir())
		b := open(t, s, phone)
		b.before(shifts)
		for _, p := range []struct{ name, path, ready string }{
			{"no-experiments", "/", `document.body.innerText.includes("No experiments yet")`},
			{"no-alerts", "/alerts", `document.body.innerText.includes("Nothing is wrong")`},
			{"empty-system", "/system", `document.body.innerText.includes("--watch DIR")`},
			{"empty-checks", "/system/checks", `document.body.innerText.includes("follows no folder")`},
		} {
			b.visit(p.path)
			b.until(p.name, p.ready)
			b.inspect(p.name + "-phone")
		}
	})
}

// TestWorking uses the pages: zoom, compare, slider, filter.
func TestWorking(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	run := record(t, runs, "alpha-s1", map[string]any{"episodes": 50, "seed": 1})
	second := record(t, runs, "alpha-s2", map[string]any{"episodes": 50, "seed": 2})
	for n := range 50 {
		if n != 20 { // a gap
			episode(t, run, n)
		}
		episode(t, second, n)
	}
	steps(t, run, 49, 0, 40)
	s := serve(t, dir, "--watch", runs)
	b := open(t, s, desktop)

	b.visit("/")
	b.until("the list", `document.querySelectorAll("tbody tr").length === 2`)
	b.run(chromedp.SendKeys(`input[type="search"]`, "s2"))
	b.until("the filter", `document.querySelectorAll("tbody tr").length === 1 && location.search.includes("q=s2")`)
	value[bool](b, `(() => { const f = document.querySelector('input[type="search"]'); f.value = ""; f.dispatchEvent(new Event("input")); return true; })()`)
	b.until("all again", `document.querySelectorAll("tbody tr").length === 2`)
	value[bool](b, `for (const c of document.querySelectorAll("tbody input")) c.click(); true`)
	value[bool](b, `[...document.querySelectorAll("button")].find((b) => b.textContent === "Compare (2)").click(); true`)
	b.until("the comparison", `location.pathname === "/compare" && document.querySelectorAll("canvas").length === 1 && document.body.innerText.includes("1 differ: seed")`)
	b.picture("compare-two")
	b.run(chromedp.Click(`input[type="checkbox"]`))
	b.until("groups of seeds", `location.search.includes("grouped=1") && document.body.innerText.includes("alpha (2 seeds)")`)
	b.picture("compare-grouped")

	b.visit("/experiments/alpha-s1")
	b.until("the charts", `document.querySelector(".plot")?.dataset.last === "49"`)
	type box struct{ X, Y, W, H float64 }
	over := value[box](b, `(() => { const r = document.querySelector(".u-over").getBoundingClientRect(); return {X: r.x, Y: r.y, W: r.width, H: r.height}; })()`)
	drag := func(from, to float64) {
		b.run(chromedp.MouseEvent("mousePressed", over.X+from*over.W, over.Y+over.H/2, chromedp.Button("left"), chromedp.ClickCount(1)),
			chromedp.MouseEvent("mouseMoved", over.X+(from+to)/2*over.W, over.Y+over.H/2, chromedp.Button("left")),
			chromedp.MouseEvent("mouseMoved", over.X+to*over.W, over.Y+over.H/2, chromedp.Button("left")),
			chromedp.MouseEvent("mouseReleased", over.X+to*over.W, over.Y+over.H/2, chromedp.Button("left"), chromedp.ClickCount(1)))
	}
	drag(0.2, 0.6)
	b.until("the zoom in the address", `new URLSearchParams(location.search).get("zoom")?.split(",").length === 2`)
	link := value[string](b, `location.pathname + location.search`)
	b.picture("zoomed")
	b.visit(link)
	b.until("the zoom from the address", `document.querySelector(".plot")?.dataset.last === "49" && location.search.includes("zoom=")`)
	b.run(chromedp.Focus(".plot"), chromedp.KeyEvent("0"))
	b.until("everything again", `!location.search.includes("zoom=")`)

	b.visit("/experiments/alpha-s1/episodes/49")
	b.until("the episode", `document.querySelectorAll("canvas.heat").length === 2`)
	value[bool](b, `(() => { const r = document.querySelector('input[type="range"]'); r.value = 17; r.dispatchEvent(new Event("input")); return true; })()`)
	b.until("the step", `document.querySelector(".player .when").textContent.includes("step 18 of 40")`)
	value[bool](b, `[...document.querySelectorAll(".player button")].find((b) => b.textContent.includes("Play")).click(); true`)
	b.until("playing", `!document.querySelector(".player .when").textContent.includes("step 18 of 40")`)
	b.quiet()
}

// TestServerGoesAndComes: the page says that the server is away, and catches up by
// itself without losing the zoom.
func TestServerGoesAndComes(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	run := record(t, runs, "away", map[string]any{"episodes": 100})
	for n := range 10 {
		episode(t, run, n)
	}
	s := serve(t, dir, "--watch", runs)
	b := open(t, s, desktop)
	b.visit("/experiments/away?zoom=2,6")
	b.until("the charts", `document.querySelector(".plot")?.dataset.last === "9"`)
	b.quiet()
	s.Stop(syscall.SIGKILL)
	b.until("the banner", `!document.getElementById("banner").hidden && document.getElementById("banner").innerText.includes("does not answer") && document.getElementById("live").innerText.includes("not connected")`)
	b.picture("server-away")
	for n := 10; n < 14; n++ {
		episode(t, run, n)
	}
	s.Start()
	b.until("the banner is gone and the page has caught up", `document.getElementById("banner").hidden && document.querySelector(".plot").dataset.last === "13" && document.getElementById("live").innerText === "live"`)
	if at := value[string](b, `location.search`); !strings.Contains(at, "zoom=") {
		t.Errorf("the address is %q: the zoom is lost", at)
	}
	b.forget() // requests that failed while it was away
}

// TestManyTabs: a browser opens six connections to a server at most; more pages than
// that are all live, because they share one stream of events.
func TestManyTabs(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	run := record(t, runs, "tabs", map[string]any{"episodes": 100})
	for n := range 10 {
		episode(t, run, n)
	}
	s := serve(t, dir, "--watch", runs)
	first := open(t, s, desktop)
	tabs := []*browser{first}
	for range 8 {
		ctx, cancel := chromedp.NewContext(first.ctx)
		t.Cleanup(cancel)
		tabs = append(tabs, &browser{t: t, ctx: ctx, url: s.url})
	}
	for _, b := range tabs {
		b.visit("/experiments/tabs")
		b.until("the charts", `document.querySelector(".plot")?.dataset.last === "9"`)
	}
	episode(t, run, 10)
	for _, b := range tabs {
		b.until("the new episode", `document.querySelector(".plot")?.dataset.last === "10"`)
	}
	first.quiet()
}
