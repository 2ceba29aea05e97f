import { h, put } from "./dom.js";
import { get, post } from "./api.js";
import { connect, onChange, again } from "./live.js";
import { span } from "./format.js";
import { experiments } from "./page-experiments.js";
import { experiment } from "./page-experiment.js";

// The two pages that people come to first are there at once, the others when they are
// asked for.
const later = (file, name) => async () => (await import(file))[name];
const main = document.getElementById("main");
const routes = [
	[/^\/$/, () => experiments],
	[/^\/experiments\/([^/]+)$/, () => experiment],
	[/^\/experiments\/([^/]+)\/episodes\/(\d+)$/, later("./page-episode.js", "episode")],
	[/^\/compare$/, later("./page-compare.js", "compare")],
	[/^\/compare\/tests$/, later("./page-tests.js", "tests")],
	[/^\/alerts$/, later("./page-alerts.js", "alerts")],
	[/^\/system$/, later("./page-system.js", "system")],
	[/^\/system\/checks$/, later("./page-checks.js", "checks")],
	[/^\/login$/, later("./page-login.js", "login")],
];

// A page is a function that fills its element and may return a function that ends it.
let leave;

async function show() {
	leave?.();
	leave = undefined;
	document.body.classList.toggle("outside", location.pathname === "/login");
	const found = routes.map(([re, page]) => [location.pathname.match(re), page]).find(([m]) => m);
	for (const a of document.querySelectorAll(".top nav a")) {
		const here = a.pathname === "/" ? location.pathname === "/" || location.pathname.startsWith("/experiments") : location.pathname.startsWith(a.pathname);
		if (here) a.setAttribute("aria-current", "page");
		else a.removeAttribute("aria-current");
	}
	const view = h("div");
	put(main, view);
	if (!found) {
		document.title = "Not found – Greenwave";
		put(view, h("div", { class: "empty" }, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "/" }, "To the experiments"))));
		return;
	}
	const [match, load] = found;
	let page;
	try {
		page = await load();
	} catch {
		if (view.isConnected) put(view, h("div", { class: "error" }, "The server does not answer, so this page cannot be shown. Go back, or load it again when the server is there."));
		return;
	}
	// Somebody may have gone on meanwhile.
	if (view.isConnected) leave = page(view, ...match.slice(1).map(decodeURIComponent));
}

// go shows another page without loading this one again.
export function go(url) {
	history.pushState(null, "", url);
	show();
	main.focus({ preventScroll: true });
	scrollTo(0, 0);
}

addEventListener("popstate", show);
addEventListener("click", (e) => {
	const a = e.target.closest?.("a[href]");
	if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || a.target || a.hasAttribute("download")) return;
	if (a.origin !== location.origin || a.pathname.startsWith("/api/") || a.getAttribute("href").startsWith("#")) return;
	e.preventDefault();
	if (a.href !== location.href) go(a.href);
});

let asked = false;
addEventListener("login-needed", () => {
	if (location.pathname === "/login" || asked) return;
	asked = true;
	const back = location.pathname + location.search;
	setTimeout(() => { asked = false; }, 500);
	go("/login?back=" + encodeURIComponent(back));
});

const help = document.getElementById("help");
document.getElementById("keys").addEventListener("click", () => help.showModal());
addEventListener("keydown", (e) => {
	if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || e.target.matches?.("input, select, textarea")) return;
	if (e.key === "?") help.showModal();
	else if (e.key === "/") {
		const field = document.querySelector('main input[type="search"]');
		if (!field) return;
		e.preventDefault();
		field.focus();
	}
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("theme")));
document.getElementById("theme").addEventListener("click", () => {
	const root = document.documentElement;
	const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
	root.dataset.theme = dark ? "light" : "dark";
	localStorage.setItem("theme", root.dataset.theme);
	dispatchEvent(new Event("theme"));
});

// The state of the connection, and what it means.
const live = document.getElementById("live");
const banner = document.getElementById("banner");
let away;
function connection(state) {
	const text = state.on ? "live" : `not connected for ${span((Date.now() - state.since) / 1000)}`;
	live.className = "live " + (state.on ? "on" : "off");
	if (live.textContent !== text) live.textContent = text;
	if (!state.on) {
		if (!away) away = setTimeout(check, 1500);
	} else if (away || !banner.hidden) {
		clearTimeout(away);
		away = undefined;
		check();
	}
}

// check says what is wrong, since when, and what happens next; again until it is well.
async function check() {
	away = undefined;
	try {
		const health = await get("/health");
		if (health.status === "ok") {
			banner.hidden = true;
			return;
		}
		const since = Math.round((Date.now() - Date.parse(health.since)) / 1000);
		banner.textContent = `The database has not answered for ${since} s. Recording goes on in the journals and is synced when it is back. Trying again in 2 s.`;
	} catch (e) {
		banner.textContent = e.status === 401 ? "You are not logged in." : "The server does not answer. What you see is from before. Recording goes on in the journals. Trying again in 2 s.";
	}
	banner.hidden = false;
	away = setTimeout(check, 2000);
}
addEventListener("trouble", () => { if (!away) check(); });

// Who is logged in, and the way out.
const out = document.getElementById("logout");
async function who() {
	const ways = await get("/session").catch(() => null);
	out.hidden = !ways?.needed || !ways.name;
	out.title = ways?.name ? "Logged in as " + ways.name : "";
}
out.addEventListener("click", async () => {
	await post("/logout").catch(() => {});
	again();
	location.assign("/login");
});
addEventListener("login-needed", () => { out.hidden = true; });
who();

const badge = document.getElementById("alert-count");
async function countAlerts() {
	try {
		const open = await get("/alerts", { open: true, limit: 100 });
		badge.hidden = open.items.length === 0;
		badge.textContent = open.items.length;
		badge.setAttribute("aria-label", `${open.items.length} open`);
	} catch { badge.hidden = true; }
}
onChange((c) => { if (c.alerts || c.all) countAlerts(); });

// On the login page there is nothing to be told of yet; a login loads the page anew.
if (location.pathname !== "/login") connect(connection);
show();
