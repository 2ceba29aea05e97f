import { h, put, command } from "./dom.js";
import { get } from "./api.js";
import { throttle } from "./live.js";
import { age, count } from "./format.js";
import { parts } from "./page-system.js";

const marks = { ok: ["✓", "good", "ok"], warning: ["⚠", "warning", "warning"], failed: ["✕", "bad", "failed"], not_checked: ["–", "soft", "not checked"] };
const phases = [["before", "Before the training"], ["during", "During the training"], ["after", "After the training"]];

// checks goes through the deployment checklist, as far as a server can look.
export function checks(view) {
	document.title = "Checks – Greenwave";
	let gone = false;
	const sum = h("p", { class: "soft wrap", style: { minHeight: "22px" } }, "Looking …"), host = h("div", { style: { minHeight: "900px" } });
	put(view, h("h1", {}, "System"), parts("checks"), sum, host);

	function line(f) {
		const [mark, css, word] = marks[f.status] ?? marks.not_checked;
		const more = f.status !== "ok";
		return h("li", { class: "alert" },
			h("span", { class: "mark " + css, "aria-hidden": "true" }, mark),
			h("div", {},
				h("div", {}, h("b", {}, f.check), h("span", { class: css }, " " + word), f.line && h("span", { class: "soft" }, " · " + f.line)),
				h("div", { class: "wrap" }, f.found),
				h("div", { class: "soft small wrap" }, "looked at " + f.looked_at),
				more && h("div", { class: "soft wrap" }, "Why: " + f.why + "."),
				more && f.mend && h("div", { class: "wrap" }, "To mend it: " + f.mend + "."),
				more && f.fixable && h("div", {}, command("greenwave doctor --fix --only " + f.check)),
				f.details.length > 0 && h("details", {}, h("summary", { class: "soft" }, f.details.length === 1 ? "1 detail" : `${f.details.length} details`), h("ul", { class: "wrap" }, f.details.map((d) => h("li", {}, d))))));
	}

	const load = throttle(async () => {
		try {
			const e = await get("/doctor");
			if (gone) return;
			const n = e.checks.length;
			put(sum, `${count(n)} checks of ${e.database}: ${e.ok} ok, ${e.warnings} ${e.warnings === 1 ? "warning" : "warnings"}, ${e.failed} failed, ${e.not_checked} not checked; made ${age(e.at)} ago. `,
				"What only the trainer’s machine can tell (journals against rows, exports, the simulator): ", h("code", {}, "greenwave doctor"), ".");
			// What somebody has opened stays open.
			const open = new Set([...host.querySelectorAll("details[open]")].map((d) => d.closest("li").dataset.check));
			put(host, phases.map(([phase, title]) => {
				const list = e.checks.filter((f) => f.phase === phase);
				return list.length > 0 && h("section", { class: "card", style: { marginTop: "12px" } }, h("h2", {}, title), h("ul", { class: "list" }, list.map((f) => {
					const li = line(f);
					li.dataset.check = f.check;
					if (open.has(f.check)) li.querySelector("details")?.setAttribute("open", "");
					return li;
				})));
			}));
		} catch (e) {
			if (gone) return;
			put(sum);
			put(host, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
		}
	}, 1000);
	load();
	const timer = setInterval(load, 60000);
	return () => { gone = true; load.stop(); clearInterval(timer); };
}
