import { h, put } from "./dom.js";
import { get, post, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { age, clock, count, span } from "./format.js";

const shapes = { critical: ["✕", "bad"], warning: ["⚠", "warning"], info: ["ℹ", "soft"] };

// alerts lists what happened, since when, and what to do.
export function alerts(view) {
	document.title = "Alerts – Greenwave";
	const url = new URLSearchParams(location.search);
	let everything = url.has("all"), gone = false;
	const only = url.get("experiment");
	const host = h("div", { class: "card", style: { marginTop: "12px" } }, h("p", { class: "loading" }, "Loading"));
	const address = () => {
		const q = new URLSearchParams();
		if (only) q.set("experiment", only);
		if (everything) q.set("all", "1");
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	};
	put(view, h("div", { class: "row between" }, h("h1", {}, "Alerts"), h("div", { class: "row" }, only && h("span", {}, "of ", h("a", { class: "under", href: path(only) }, only), " · ", h("a", { class: "under", href: "/alerts" }, "all experiments")),
		h("label", {}, h("input", { type: "checkbox", checked: everything, onchange: (e) => { everything = e.target.checked; address(); load(); } }), "resolved ones too"))), host);

	function line(a) {
		const [shape, css] = a.resolved_at ? ["✓", "good"] : shapes[a.severity] ?? shapes.warning;
		const lasted = a.resolved_at ? `lasted ${span((Date.parse(a.resolved_at) - Date.parse(a.opened_at)) / 1000)}, resolved ${age(a.resolved_at)} ago` : `since ${age(a.opened_at)}`;
		return h("li", { class: "alert" },
			h("span", { class: "mark " + css, "aria-hidden": "true" }, shape),
			h("div", {},
				h("div", {}, h("b", {}, a.rule.replaceAll("_", " ")), h("span", { class: css }, ` ${a.resolved_at ? "resolved" : a.severity}`), a.experiment ? [" · ", h("a", { class: "under", href: path(a.experiment) }, a.experiment)] : null,
					Number.isFinite(a.episode_number) && a.experiment ? [", ", h("a", { class: "under", href: `${path(a.experiment)}/episodes/${a.episode_number}` }, `episode ${count(a.episode_number)}`)] : null),
				h("div", {}, a.message),
				a.what_to_do && h("div", { class: "soft" }, a.what_to_do)),
			h("div", { class: "side" }, h("span", { class: "soft small", title: clock(a.opened_at) }, lasted),
				a.silenced_until && !a.resolved_at ? h("span", { class: "soft small" }, `silent until ${clock(a.silenced_until)}`) : null,
				!a.resolved_at && h("button", { type: "button", onclick: async (e) => {
					e.target.disabled = true;
					await post(`/alerts/${a.id}/silence`, { hours: a.silenced_until ? 0 : 2 }).catch((p) => put(host, h("div", { class: "error" }, p.message)));
					load();
				} }, a.silenced_until ? "Speak again" : "Silence for 2 h")));
	}

	const load = throttle(async () => {
		try {
			const page = await get("/alerts", { open: !everything, limit: 200, experiment: only });
			if (gone) return;
			put(host, page.items.length ? h("ul", { class: "list" }, page.items.map(line))
				: h("div", { class: "empty" }, h("h2", {}, everything ? "There were no alerts" : "Nothing is wrong"), h("p", {}, "Rules watch for silent runs, exploding losses, rewards that fall, full disks and more. ", h("code", {}, "greenwave alerts list"), " shows the same.")));
		} catch (e) {
			if (gone) return;
			put(host, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
		}
	}, 500);
	load();
	const off = onChange((c) => { if (c.alerts || c.all) load(); });
	const timer = setInterval(load, 30000);
	return () => { gone = true; off(); load.stop(); clearInterval(timer); };
}
