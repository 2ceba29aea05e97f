import { h, put } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count, bytes, age, span } from "./format.js";

// system draws the pipeline: what is red is where it hurts.
export function system(view) {
	document.title = "System – Greenwave";
	let gone = false;
	const host = h("div"), trouble = h("div");
	put(view, h("h1", {}, "System"), trouble, host);
	const load = throttle(async () => {
		try {
			const [s, health, dead] = await Promise.all([get("/system"), get("/health"), get("/dead-letters", { limit: 50 })]);
			if (gone) return;
			put(trouble);
			const failing = s.syncs.filter((r) => r.last_error);
			const live = s.syncs.filter((r) => r.live).length;
			const box = (title, red, big, ...notes) => h("div", { class: "card" + (red ? " red" : "") }, h("div", { class: "soft" }, title), h("div", { class: "big" }, big), notes.map((n) => h("div", { class: red ? "bad small" : "soft small" }, n)));
			put(host,
				h("div", { class: "pipe", style: { marginTop: "12px" } },
					box("Trainers", false, count(s.running), "experiments running"),
					box("Journals", false, count(live), "followed by this server"),
					box("Sync", failing.length > 0, s.waiting ? `${count(s.waiting)} waiting` : "✓ all sent", `${number(s.rate > 1e6 ? 0 : s.rate)} records/s`, failing.length ? failing[0].last_error : null),
					box("Database", health.status !== "ok", bytes(s.database_bytes), s.database, s.dead ? h("span", { class: "bad" }, `${count(s.dead)} dead letters`) : "no dead letters"),
					box("Readers", false, count(s.listeners), "pages and programs listen")),
				h("div", { class: "grid" },
					h("section", { class: "card c6" }, h("h2", {}, "Server"), h("dl", { class: "facts" }, Object.entries({ version: s.version, Go: s.go, "started": `${age(s.began)} ago`, memory: bytes(s.memory_bytes), goroutines: count(s.goroutines), experiments: count(s.experiments) }).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])), h("p", { class: "soft small" }, h("a", { href: "/metrics", target: "_blank", rel: "noopener" }, "/metrics"), " for Prometheus · ", h("a", { href: "/api/v1/openapi.json", target: "_blank", rel: "noopener" }, "OpenAPI"))),
					h("section", { class: "card c6 scroll" }, h("h2", {}, "Syncs of this server"), s.syncs.length ? h("table", {}, h("thead", {}, h("tr", {}, ["experiment", "run", "logged", "synced", "waiting", "state"].map((t, i) => h("th", { class: i > 1 && i < 5 ? "num" : "" }, t)))), h("tbody", {}, s.syncs.slice(0, 50).map((r) => h("tr", {}, h("td", {}, h("a", { href: path(r.experiment) }, r.experiment)), h("td", { class: "mono" }, r.run_id.slice(0, 8)), h("td", { class: "num" }, count(r.logged)), h("td", { class: "num" }, count(r.synced)), h("td", { class: "num" }, count(r.pending)), h("td", { class: r.last_error ? "bad" : "soft" }, r.last_error || (r.live ? "live" : "")))))) : h("p", { class: "soft" }, "None: start the server with --watch DIR to have it sync journals and logs.")),
					h("section", { class: "card c12 scroll" }, h("h2", {}, "Dead letters"), dead.items.length ? h("table", {}, h("thead", {}, h("tr", {}, ["run", "record", "kind", "reason", "where"].map((t) => h("th", {}, t)))), h("tbody", {}, dead.items.map((d) => h("tr", {}, h("td", { class: "mono" }, d.run_id.slice(0, 8)), h("td", {}, count(d.seq)), h("td", {}, d.kind), h("td", {}, d.reason), h("td", { class: "mono" }, d.location))))) : h("p", { class: "soft" }, "None. A record that the database refuses comes here with the reason; it stays in the journal and ", h("code", {}, "greenwave deadletter retry"), " tries it again."))));
		} catch (e) {
			if (gone) return;
			put(trouble, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
		}
	}, 1000);
	load();
	const off = onChange(load);
	const timer = setInterval(load, 5000);
	return () => { gone = true; off(); load.stop(); clearInterval(timer); };
}
export { span };
