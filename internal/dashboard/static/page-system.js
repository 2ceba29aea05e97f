import { h, put, rows } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count, bytes, age, span } from "./format.js";

// parts are the two halves of the page: the way of the data, and the checklist.
export const parts = (here) => h("nav", { class: "tabs", "aria-label": "System" },
	[["pipeline", "/system", "Pipeline"], ["checks", "/system/checks", "Checks"]].map(([name, href, title]) => h("a", { href, "aria-current": here === name && "page" }, title)));

// system draws the pipeline: what is red is where it hurts.
export function system(view) {
	document.title = "System – Greenwave";
	let gone = false, before = null;
	const pipe = h("div", { class: "pipe" }), host = h("div"), trouble = h("div");
	put(view, h("h1", {}, "System"), parts("pipeline"), trouble, pipe, host);
	const load = throttle(async () => {
		try {
			const [s, health, dead] = await Promise.all([get("/system"), get("/health"), get("/dead-letters", { limit: 50 })]);
			if (gone) return;
			put(trouble);
			// Rates are what came since the page last asked.
			const now = { at: Date.parse(s.now), logged: 0, synced: 0 };
			for (const r of s.syncs) { now.logged += r.logged; now.synced += r.synced; }
			if (before === null || now.at - before.at >= 2000) {
				const seconds = before ? (now.at - before.at) / 1000 : 0;
				const per = (k) => (before && seconds > 0 ? Math.max(0, now[k] - before[k]) / seconds : null);
				now.rates = { logged: per("logged"), synced: per("synced") };
				before = now;
			}
			const rate = (v) => (v === null ? "…" : `${number(v, 2)}/s`);
			draw(s, health, rate(before.rates.logged), rate(before.rates.synced));
			details(s, dead);
		} catch (e) {
			if (gone) return;
			put(trouble, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
		}
	}, 1000);

	function draw(s, health, logged, synced) {
		const failing = s.syncs.filter((r) => r.last_error), live = s.syncs.filter((r) => r.live).length;
		const late = s.syncs.filter((r) => r.pending > 0 && r.confirmed_at).map((r) => (Date.parse(s.now) - Date.parse(r.confirmed_at)) / 1000);
		const lag = late.length ? span(Math.max(...late)) : "";
		const box = (title, red, big, ...notes) => h("section", { class: "card" + (red ? " red" : "") }, h("h2", { class: "soft" }, title), h("div", { class: "big" }, big), notes.filter(Boolean).map((n) => h("div", { class: "soft small" }, n)));
		const arrow = (above, below, red) => h("div", { class: "arrow" + (red ? " bad" : "") }, h("span", {}, above), h("span", { class: "line", "aria-hidden": "true" }), h("span", {}, below));
		const away = health.status !== "ok", sick = failing.length > 0;
		put(pipe,
			box("Trainers", false, count(s.running), s.running === 1 ? "experiment is running" : "experiments are running"),
			arrow(logged, "logged"),
			box("Journals", false, count(live), "followed by this server"),
			arrow(s.waiting ? `${count(s.waiting)} wait` : "none waits", lag ? `for ${lag}` : "", sick),
			box("Sync", sick, sick ? "✕ waits" : s.waiting ? "↻ sending" : "✓ all sent", sick ? h("span", { class: "bad" }, failing[0].last_error) : s.waiting ? "the rest follows" : "records go on at once"),
			arrow(synced, "stored", away),
			box("Database", away, away ? "✕ away" : bytes(s.database_bytes), s.database, s.dead ? h("a", { class: "bad", href: "#dead" }, `⚠ ${count(s.dead)} dead letters`) : "no dead letters"),
			arrow(`${count(s.experiments)}`, s.experiments === 1 ? "experiment" : "experiments"),
			box("Readers", false, count(s.listeners), "browsers and programs listen"));
	}

	function details(s, dead) {
		const facts = { version: s.version, started: `${age(s.began)} ago`, memory: bytes(s.memory_bytes), Go: s.go };
		put(host, h("div", { class: "grid" },
			h("section", { class: "card c4" }, h("h2", {}, "Server"), h("dl", { class: "facts" }, Object.entries(facts).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
				h("p", { class: "soft small" }, h("a", { href: "/metrics", target: "_blank", rel: "noopener" }, "/metrics"), " for Prometheus · ", h("a", { href: "/api/v1/openapi.json", target: "_blank", rel: "noopener" }, "OpenAPI"))),
			h("section", { class: "card c8" }, h("h2", {}, "Syncs of this server"), s.syncs.length
				? rows("Syncs", [["experiment", ""], ["run", ""], ["logged", "num"], ["synced", "num"], ["waiting", "num"], ["state", ""]], s.syncs.slice(0, 50).map((r) => [h("a", { href: path(r.experiment) + "?tab=data" }, r.experiment), h("span", { class: "mono", title: r.run_id }, r.run_id.slice(0, 8)), count(r.logged), count(r.synced), r.pending ? h("span", { class: "warning" }, count(r.pending)) : "0", h("span", { class: r.last_error ? "bad" : "soft" }, r.last_error || (r.live ? "follows" : "ended"))]))
				: h("p", { class: "soft" }, "None: start the server with ", h("code", {}, "--watch DIR"), " to have it sync journals and logs."),
			s.syncs.length > 50 && h("p", { class: "soft small" }, `${count(s.syncs.length - 50)} more: greenwave status lists them all.`)),
			h("section", { class: "card c12", id: "dead" }, h("h2", {}, "Dead letters"), dead.items.length
				? rows("Dead letters", [["run", ""], ["record", "num"], ["kind", ""], ["reason", "long"], ["where", "mono"]], dead.items.map((d) => [h("span", { class: "mono", title: d.run_id }, d.run_id.slice(0, 8)), count(d.seq), d.kind, d.reason, d.location]))
				: h("p", { class: "soft" }, "None. A record that the database refuses comes here with the reason; it stays in the journal, and ", h("code", {}, "greenwave deadletter retry"), " tries it again."))));
	}

	put(pipe, ["Trainers", "Journals", "Sync", "Database", "Readers"].flatMap((t, i) => [i > 0 && h("div", { class: "arrow" }), h("section", { class: "card" }, h("h2", { class: "soft" }, t), h("div", { class: "big" }, "…"))]));
	load();
	const off = onChange(load);
	const timer = setInterval(load, 3000);
	return () => { gone = true; off(); load.stop(); clearInterval(timer); };
}
