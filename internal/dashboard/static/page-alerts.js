import { h, put } from "./dom.js";
import { get, post, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { age, clock } from "./format.js";

// alerts lists what happened, since when, and what to do.
export function alerts(view) {
	document.title = "Alerts – Greenwave";
	let open = true, gone = false;
	const host = h("div", { class: "card", style: { marginTop: "12px" } });
	put(view, h("div", { class: "row between" }, h("h1", {}, "Alerts"), h("label", {}, h("input", { type: "checkbox", onchange: (e) => { open = !e.target.checked; load(); } }), "resolved ones too")), host);
	const load = throttle(async () => {
		try {
			const page = await get("/alerts", { open, limit: 200 });
			if (gone) return;
			if (!page.items.length) {
				put(host, h("div", { class: "empty" }, h("h2", {}, open ? "Nothing is wrong" : "There were no alerts"), h("p", {}, "Rules watch for silent runs, exploding losses, rewards that fall, full disks and more. ", h("code", {}, "greenwave alerts list"), " shows the same.")));
				return;
			}
			put(host, h("ul", { class: "list" }, page.items.map((a) => h("li", {},
				h("div", { class: "row between" },
					h("div", {}, h("span", { class: a.resolved_at ? "good" : a.severity === "info" ? "soft" : a.severity === "warning" ? "warning" : "bad" }, a.resolved_at ? "✓ resolved " : a.severity === "info" ? "ℹ " : "⚠ "), h("b", {}, a.rule.replaceAll("_", " ")), a.experiment ? [" in ", h("a", { href: path(a.experiment) }, a.experiment)] : null),
					h("div", { class: "row soft small" }, h("span", { title: clock(a.opened_at) }, `since ${age(a.opened_at)}`), a.silenced_until ? h("span", {}, `silent until ${clock(a.silenced_until)}`) : !a.resolved_at && h("button", { type: "button", onclick: async () => { await post(`/alerts/${a.id}/silence`, { hours: 2 }); load(); } }, "Silence for 2 h"))),
				h("div", {}, a.message),
				a.what_to_do && h("div", { class: "soft" }, a.what_to_do)))));
		} catch (e) {
			if (!gone) put(host, h("div", { class: "error" }, e.message));
		}
	}, 500);
	load();
	const off = onChange(load);
	return () => { gone = true; off(); load.stop(); };
}
