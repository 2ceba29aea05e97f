import { h, put, rows, link, scroller } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count } from "./format.js";
import { coloursOf } from "./charts.js";
import { forest } from "./forest.js";
import { save, table } from "./download.js";

const verdicts = { better: ["✓ better", "good"], worse: ["✕ worse", "bad"], "not shown": ["no difference shown", "soft"], equal: ["equal", "soft"], higher: ["▲ higher", ""], lower: ["▼ lower", ""] };
export const verdict = (v) => h("span", { class: verdicts[v]?.[1] ?? "" }, verdicts[v]?.[0] ?? v);
export const probability = (p) => (p < 0.0001 ? "< 0.0001" : number(p, 2));
const equals = (p) => `p ${p < 0.0001 ? "" : "= "}${probability(p)}`;
// Cohen's words for the size of an effect.
const size = (d) => ["negligible", "small", "medium", "large"][[0.2, 0.5, 0.8].filter((least) => Math.abs(d) >= least).length];
const list = (words) => (words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words[words.length - 1]);

// tests compares what was measured on the demand of tests, pair by pair: what greenwave
// compare says, from the same code. The chosen set is in the address.
export function tests(view) {
	document.title = "Compare on tests – Greenwave";
	const url = new URLSearchParams(location.search);
	const many = (name) => url.getAll(name).flatMap((v) => v.split(",")).filter(Boolean);
	let chosen = many("experiments"), baselines = many("baseline"), force = url.has("force"), metric = url.get("metric") ?? "", order = url.get("sort") ?? "scenario", gone = false, ids = new Set();
	const chips = h("div", { class: "chips" }), trouble = h("div"), host = h("div");
	const names = h("datalist", { id: "names" });
	const add = h("input", { type: "search", list: "names", placeholder: "Add an experiment", "aria-label": "Add an experiment, NAME@EPISODE or NAME:BASELINE", onchange: (e) => { if (e.target.value) { chosen.push(e.target.value); e.target.value = ""; changed(); } }, oninput: async (e) => {
		const page = await get("/experiments", { q: e.target.value, limit: 20 }).catch(() => null);
		if (page) put(names, page.items.map((i) => h("option", { value: i.name })));
	} });
	put(view, h("div", { class: "row between" }, h("h1", {}, "Compare on tests"), h("div", { class: "row" }, add, names, link())),
		h("p", { class: "soft" }, "The same scenario with the same seed, one controller against the other. The first is compared with each other one; one alone with the baselines of its own test. ", h("code", {}, "greenwave compare"), " says the same."),
		chips, trouble, host);

	function address() {
		const q = new URLSearchParams();
		if (chosen.length) q.set("experiments", chosen.join(","));
		if (baselines.length) q.set("baseline", baselines.join(","));
		if (force) q.set("force", "1");
		if (metric) q.set("metric", metric);
		if (order !== "scenario") q.set("sort", order);
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	}

	function changed() {
		chosen = [...new Set(chosen)];
		address();
		load();
	}

	const chip = (name, drop, colour) => h("span", { class: "chip" }, colour && h("span", { class: "run", style: { background: `var(${colour})` }, "aria-hidden": "true" }), name, h("button", { type: "button", "aria-label": "Remove " + name, onclick: () => { drop(); force = false; changed(); } }, "✕"));

	const load = throttle(async () => {
		const colours = coloursOf(chosen);
		put(chips, chosen.map((c) => chip(c, () => { chosen = chosen.filter((o) => o !== c); }, colours.get(c))), baselines.map((b) => chip("baseline " + b, () => { baselines = baselines.filter((o) => o !== b); })));
		if (!chosen.length) {
			put(trouble);
			put(host, h("div", { class: "card empty", style: { marginTop: "12px" } }, h("h2", {}, "Nothing to compare yet"), h("p", {}, "Type a name above: an experiment, ", h("code", {}, "NAME@EPISODE"), " for the test of one of its checkpoints, or ", h("code", {}, "NAME:BASELINE"), ".")));
			return;
		}
		if (!host.childElementCount) put(host, h("p", { class: "loading" }, "Comparing"));
		try {
			const got = await get("/compare/tests", { experiments: chosen.join(","), baseline: baselines.join(","), force });
			if (gone) return;
			put(trouble);
			if (got.comparison) draw(got.comparison);
			else {
				if (got.refused.code === "unlike") refused(got.refused);
				else put(trouble, h("div", { class: "error" }, got.refused.message + "."));
				put(host);
			}
		} catch (e) {
			if (gone) return;
			put(trouble, h("div", { class: "error" }, e.message));
			if (e.status) put(host);
			if (!e.status || e.status >= 500) dispatchEvent(new Event("trouble"));
		}
		const known = await Promise.all(chosen.map((c) => get(path(c.replace(/[@:][^@:]*$/, ""))).catch(() => null)));
		ids = new Set(known.filter(Boolean).map((e) => e.id));
	}, 2000);

	// refused says why two are not compared.
	function refused(d) {
		put(trouble, h("section", { class: "card warned", role: "alert" }, h("h2", {}, "✕ Not compared: they were not measured alike"), h("p", {}, h("b", {}, d.a), " and ", h("b", {}, d.b), " differ in"),
			h("ul", { class: "plain-list" }, d.differences.map((t) => h("li", {}, t))),
			h("p", { class: "soft" }, "A difference between them could come from this alone. Measure both under the same conditions, or take one of them out."),
			h("button", { type: "button", onclick: () => { force = true; changed(); } }, "Compare all the same, marked as unlike")));
	}

	function draw(r) {
		if (!r.pairs.some((p) => p.metrics.some((m) => m.metric.name === metric))) metric = "";
		put(host,
			r.unlike?.length ? h("section", { class: "card warned", role: "alert" }, h("h2", {}, "✕ Unlike: these numbers are no evidence"), h("ul", { class: "plain-list" }, r.unlike.map((t) => h("li", {}, t))), h("button", { type: "button", onclick: () => { force = false; changed(); } }, "Refuse again")) : null,
			r.warnings?.length ? h("section", { class: "card cautioned" }, h("h2", {}, "⚠ To be borne in mind"), h("ul", { class: "plain-list" }, r.warnings.map((t) => h("li", {}, t)))) : null,
			r.pairs.map((p) => pair(r, p)),
			h("section", { class: "card", style: { marginTop: "12px" } }, h("h2", {}, "Where the numbers come from"), h("dl", { class: "facts" },
				r.arms.map((a) => [h("dt", {}, a.name), h("dd", {}, a.source)]), h("dt", {}, "data"), h("dd", { class: "mono" }, "SHA-256 " + r.data_sha256), h("dt", {}, "methods"), h("dd", {}, `version ${r.methods_version}; p after Holm's correction over ${r.family}`))));
	}

	const unit = (m) => (m.unit ? " " + m.unit.replace(/^1\/h$/, "an hour").replace(/^(\w+)\/h$/, "$1 an hour") : "");

	// sentence says in words what one metric shows.
	function sentence(m) {
		const t = m.comparison, [low, high] = t.confidence_interval_95, less = t.mean_difference < 0;
		const span = (less ? [-high, -low] : [low, high]).map((v) => number(v, 3)).join(" to ");
		const effect = t.cohen_dz === null ? "" : `, effect ${number(t.cohen_dz, 2)} (${size(t.cohen_dz)})`;
		return `${m.metric.label[0].toUpperCase() + m.metric.label.slice(1)}: ${number(Math.abs(t.mean_difference), 3)}${unit(m.metric)} ${less ? "less" : "more"} (95 % interval ${span}), ${equals(m.p_holm)}${effect}`;
	}

	function pair(r, p) {
		const by = (...v) => p.metrics.filter((m) => v.includes(m.verdict));
		const better = by("better"), worse = by("worse"), other = by("higher", "lower"), none = by("not shown"), same = by("equal");
		const group = (word, css, ms) => ms.length > 0 && [h("p", { class: css }, word), h("ul", { class: "plain-list" }, ms.map((m) => h("li", {}, sentence(m))))];
		const notes = p.metrics.flatMap((m) => [
			m.comparison.note && m.verdict !== "equal" && ["soft", `${m.metric.label}: ${m.comparison.note}${m.comparison.farthest_pair === undefined ? "" : " in " + p.scenarios[m.comparison.farthest_pair]}.`],
			m.comparison.outlier && ["warning", `⚠ ${m.metric.label}: ${m.comparison.outlier.says}. It is ${(m.outlier_scenarios ?? []).join(", ")}.`]]).filter(Boolean);
		const effects = p.metrics.filter((m) => m.comparison.cohen_dz !== null && m.comparison.cohen_dz_interval_95).map((m) => ({ name: m.metric.label, value: m.comparison.cohen_dz, low: m.comparison.cohen_dz_interval_95[0], high: m.comparison.cohen_dz_interval_95[1], note: equals(m.p_holm), verdict: m.verdict }));
		const plot = h("div", { class: "forest-host" }), pairs = h("section", { class: "card c6" });
		drawPairs(pairs, p);
		const el = h("section", {},
			h("section", { class: "card", style: { marginTop: "12px" } },
				h("div", { class: "row between" }, h("h2", {}, h("span", { class: "name" }, p.a), h("span", { class: "soft" }, " against "), h("span", { class: "name" }, p.b)), h("span", { class: "soft small" }, `${count(p.pairs)} pairs of scenario and seed`)),
				group(`✓ ${p.a} is better in ${list(better.map((m) => m.metric.label))}.`, "good", better),
				group(`✕ ${p.a} is worse in ${list(worse.map((m) => m.metric.label))}.`, "bad", worse),
				group("They differ, and nobody says which is better:", "", other),
				none.length > 0 && h("p", { class: "soft" }, `No difference was shown in ${list(none.map((m) => m.metric.label))}, which is not the same as none.`),
				same.length > 0 && h("p", { class: "soft" }, `Both are the same in ${list(same.map((m) => m.metric.label))}.`),
				notes.length > 0 && h("ul", { class: "plain-list" }, notes.map(([css, n]) => h("li", { class: css }, n)))),
			h("section", { class: "card", style: { marginTop: "12px" } }, rows(`All metrics, ${p.a} against ${p.b}`, [["metric", ""], ["verdict", ""], ["mean " + cut(p.a), "num"], ["mean " + cut(p.b), "num"], ["difference", "num"], ["95 % interval", "num"], ["%", "num", "Difference in percent of the second's mean."], ["p", "num", `Two-sided, after Holm's correction over ${r.family}.`], ["effect dz", "num", "Cohen's d of the paired differences: their mean over their standard deviation."], ["test", ""]],
				p.metrics.map((m) => { const t = m.comparison; return [m.metric.label + (m.metric.unit ? ", " + m.metric.unit : ""), verdict(m.verdict), number(t.mean_a, 4), number(t.mean_b, 4), number(t.mean_difference, 3), t.confidence_interval_95.map((v) => number(v, 3)).join(" to "), number(m.difference_percent, 2), h("span", { title: `${probability(t.p)} before the correction` }, probability(m.p_holm)), number(t.cohen_dz, 2), h("span", { class: "soft", title: `${t.method}: ${t.choice}` }, t.method.replace(/ test$/, ""))]; })),
				h("p", { class: "soft small" }, "Differences are the first minus the second. Which test was chosen and why: hover over its name, or docs/statistics.md.")),
			h("div", { class: "grid" }, effects.length > 0 && h("section", { class: "card c6" }, h("h2", {}, "Effects"), h("p", { class: "soft small" }, "Filled: a difference was shown. Bars: 95 % intervals."), plot), pairs));
		const observer = new ResizeObserver(() => {
			if (plot.clientWidth > 0 && plot.clientWidth !== plot.drawn) {
				plot.drawn = plot.clientWidth;
				put(plot, forest(effects, "Cohen's dz: first minus second", Math.max(300, plot.clientWidth), `Effects of ${p.a} against ${p.b}. ` + effects.map((e) => `${e.name}: ${number(e.value, 2)}, from ${number(e.low, 2)} to ${number(e.high, 2)}`).join("; ")));
			}
		});
		observer.observe(plot);
		return el;
	}

	const cut = (name) => (name.length > 22 ? "…" + name.slice(-21) : name);

	// drawPairs lists a metric pair by pair, in a chosen order.
	function drawPairs(card, p) {
		const m = p.metrics.find((o) => o.metric.name === metric) ?? p.metrics[0];
		const outliers = new Set(m.comparison.outlier?.pairs ?? []);
		const lines = p.scenarios.map((scenario, i) => ({ scenario, i, a: m.values_a[i], b: m.values_b[i], difference: m.values_a[i] - m.values_b[i] }));
		const [by, down] = order.startsWith("-") ? [order.slice(1), true] : [order, false];
		lines.sort((x, y) => (typeof x[by] === "string" || !(by in x) ? x.scenario.localeCompare(y.scenario, "en", { numeric: true }) : x[by] - y[by]) * (down ? -1 : 1));
		const column = (key, label, css) => h("th", { scope: "col", class: css, "aria-sort": by === key ? (down ? "descending" : "ascending") : undefined }, h("button", { type: "button", onclick: () => { order = by === key && !down ? "-" + key : key; address(); again(key); } }, label, by === key ? (down ? " ↓" : " ↑") : ""));
		const again = (key) => { drawPairs(card, p); [...card.querySelectorAll("th button")].find((b) => b.textContent.startsWith(key.slice(0, 4)))?.focus(); };
		const good = (d) => (m.metric.better === 0 || d === 0 ? "" : (d > 0) === (m.metric.better > 0) ? "good" : "bad");
		put(card, h("div", { class: "row between" }, h("h2", {}, "Pairs"), h("div", { class: "row" },
			h("select", { "aria-label": "Metric of the pairs", onchange: (e) => { metric = e.target.value; address(); drawPairs(card, p); } }, p.metrics.map((o) => h("option", { value: o.metric.name, selected: o === m }, o.metric.label + (o.metric.unit ? ", " + o.metric.unit : "")))),
			h("button", { type: "button", title: "Every metric of every pair, exact", onclick: () => download(p) }, "Save CSV"))),
		h("div", { class: "tall" }, scroller("Pairs of " + m.metric.label, h("table", {}, h("thead", {}, h("tr", {}, column("scenario", "scenario", ""), column("a", "a: first", "num"), column("b", "b: second", "num"), column("difference", "difference", "num"))),
			h("tbody", {}, lines.map((l) => h("tr", {}, h("td", {}, l.scenario, outliers.has(l.i) && h("span", { class: "tag warning", title: "Without this pair the result is another." }, "decides")), h("td", { class: "num" }, number(l.a, 4)), h("td", { class: "num" }, number(l.b, 4)), h("td", { class: "num " + good(l.difference) }, (good(l.difference) === "good" ? "✓ " : good(l.difference) === "bad" ? "✕ " : "") + number(l.difference, 3))))))),
		),
		[["only_in_a", p.a], ["only_in_b", p.b]].map(([key, name]) => p[key]?.length > 0 && h("p", { class: "soft small" }, `Without a pair, left out, of ${name}: ${p[key].slice(0, 6).join("; ")}${p[key].length > 6 ? ` and ${p[key].length - 6} more` : ""}.`)));
	}

	function download(p) {
		const columns = p.metrics.flatMap((m) => [[m.metric.name + " " + p.a, m.values_a], [m.metric.name + " " + p.b, m.values_b]]);
		save(`pairs-${p.a}-${p.b}`.replace(/[^\w.-]+/g, "-") + ".csv", new Blob([table("scenario", columns.map(([n]) => n), p.scenarios, columns.map(([, v]) => v))], { type: "text/csv" }));
	}

	changed();
	const off = onChange((c) => { if (c.all || c.experiments?.some((id) => ids.has(id))) load(); });
	return () => { gone = true; off(); load.stop(); };
}
