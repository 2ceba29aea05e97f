package browsertest

import (
	"os"
	"testing"
)

// axe is the accessibility checker that scripts/need fetches from npm.
const axe = "../../build/axe/axe.min.js"

// inspect looks at a page that is drawn: in light and in dark, with a picture of each.
func (b *browser) inspect(name string) {
	b.t.Helper()
	if shift := value[float64](b, `window.shifted ?? 0`); shift > 0.1 { // https://web.dev/articles/cls: what is good
		b.t.Errorf("%s: what was drawn moved while the page filled: layout shift %.3f, by %s", name, shift, value[string](b, `window.movers.slice(0, 6).join(" | ")`))
	}
	if value[bool](b, `document.documentElement.scrollWidth > innerWidth + 1`) {
		b.t.Errorf("%s: the page is wider than the screen", name)
	}
	for _, small := range value[[]string](b, smallTargets) {
		b.t.Errorf("%s: a target of less than 24 px: %s", name, small)
	}
	for scheme, rules := range map[string]string{"light": "{ preload: false }", "dark": `{ preload: false, runOnly: ["color-contrast"] }`} { // only colours differ
		b.scheme(scheme)
		b.until("the colours", `matchMedia("(prefers-color-scheme: `+scheme+`)").matches`)
		b.accessible(name+", "+scheme, rules)
		b.picture(name + "-" + scheme)
	}
	b.scheme("light")
	b.quiet()
}

// shifts sums up how far what was drawn has moved by itself while a page filled.
const shifts = `
window.shifted = 0;
window.movers = [];
new PerformanceObserver((list) => {
	for (const e of list.getEntries()) {
		if (e.hadRecentInput) continue;
		window.shifted += e.value;
		for (const s of e.sources) window.movers.push((s.node?.className || s.node?.nodeName || "") + " " + Math.round(s.previousRect.y) + "→" + Math.round(s.currentRect.y));
	}
}).observe({ type: "layout-shift", buffered: true });`

// smallTargets lists what can be pressed and is smaller than 24 by 24 pixels. Links in a
// sentence or a table's text are as high as their line, which WCAG 2.5.8 allows; one that
// stands alone needs 24 px around its middle for itself.
const smallTargets = `(() => {
	const all = [...document.querySelectorAll("a[href], button, input, select, summary, [role=button], [role=tab]")].filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.matches(".skip"));
	const box = (e) => (e.closest("label.hit") ?? e).getBoundingClientRect();
	const boxes = all.map(box);
	const out = [];
	all.forEach((e, i) => {
		const r = boxes[i];
		if (r.width >= 24 && r.height >= 24) return;
		const inText = e.matches("a") && [...e.parentElement.childNodes].some((n) => n !== e && n.nodeType === 3 && n.textContent.trim().length > 1);
		if (inText) return;
		const x = r.x + r.width / 2, y = r.y + r.height / 2;
		const near = (o) => { const dx = Math.max(o.x - x, 0, x - o.right), dy = Math.max(o.y - y, 0, y - o.bottom); return Math.hypot(dx, dy) < 12; };
		const ownCell = e.matches("td > a, dd > a");
		if (ownCell && !boxes.some((o, k) => k !== i && near(o))) return;
		if (e.matches("input[type=checkbox], input[type=radio]") && e.closest("label") && e.closest("label").getBoundingClientRect().height >= 24) return;
		out.push(e.outerHTML.slice(0, 120) + " " + Math.round(r.width) + "x" + Math.round(r.height));
	});
	return out.slice(0, 8);
})()`

// accessible runs axe-core over the page; rules are its options.
func (b *browser) accessible(name, rules string) {
	b.t.Helper()
	if !value[bool](b, `Boolean(window.axe)`) {
		script, err := os.ReadFile(axe)
		if err != nil {
			b.t.Fatalf("axe-core is missing: run scripts/need test: %v", err)
		}
		// Through the debugger, which the page's policy does not bind.
		value[bool](b, string(script)+";true")
	}
	value[bool](b, `window.axeDone = null; axe.run(document, `+rules+`).then((r) => { window.axeDone = r.violations.map((v) => v.id + " (" + v.impact + "): " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join(" | ")); }); true`)
	b.until("axe", `window.axeDone !== null`)
	for _, v := range value[[]string](b, `window.axeDone`) {
		b.t.Errorf("%s: axe: %s", name, v)
	}
}

// TestInspectionCanFail: a page with a fault of each kind is found to have it.
func TestInspectionCanFail(t *testing.T) {
	b := open(t, serve(t, t.TempDir()), desktop)
	b.before(shifts)
	b.visit("/alerts")
	b.until("the page", `document.body.innerText.includes("Nothing is wrong")`)
	if small := value[[]string](b, smallTargets); len(small) > 0 {
		t.Fatalf("before: %q", small)
	}
	value[bool](b, `{ const e = document.createElement("button"); e.id = "tiny"; Object.assign(e.style, { minHeight: "0", width: "12px", height: "12px", padding: "0", overflow: "hidden" }); document.querySelector("main").prepend(e); } true`)
	if small := value[[]string](b, smallTargets); len(small) != 1 {
		t.Errorf("a button of 12 px: %q", small)
	}
	value[bool](b, `{ const e = document.createElement("div"); e.style.height = "400px"; document.querySelector("main").prepend(e); } true`)
	b.until("a layout shift", `window.shifted > 0.1`)
}
