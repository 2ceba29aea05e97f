import { h, put, rows, link } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count } from "./format.js";
import { Chart, Group, coloursOf } from "./charts.js";
import { verdict as judge, probability } from "./page-tests.js";

// [column, label, unit, the same measure of a test, whether less is better]
const metrics = [
	["total_reward", "reward", "", "total_reward", false], ["extra.full_delay", "full delay", "s", "full_delay", true], ["avg_waiting_time", "waiting", "s", "waiting", true], ["avg_queue_length", "queue", "vehicles", "queue", true],
	["avg_speed", "speed", "km/h", "speed", false], ["passenger_throughput", "passengers", "per hour", "passengers_per_hour", false], ["pt_passenger_throughput", "passengers by bus and jeepney", "per hour", "pt_passengers", false],
	["pt_avg_waiting", "waiting of buses and jeepneys", "s", "pt_waiting", true], ["completed_trips", "completed trips", "", "served", false], ["avg_loss", "loss", "", null, true], ["epsilon_value", "epsilon", "", null, true],
];

// compare lays experiments over each other. The chosen set is in the address.
export function compare(view) {
	document.title = "Compare – Greenwave";
	const url = new URLSearchParams(location.search);
	let chosen = url.getAll("experiments").flatMap((v) => v.split(",")).filter(Boolean);
	let metric = url.get("metric") ?? "total_reward", axis = url.get("x") ?? "episode", smooth = Number(url.get("smooth") ?? 10), grouped = url.has("grouped"), gone = false, shown = [], judged = null, chart = null;
	const group = new Group();
	const zoom = url.get("zoom")?.split(",").map(Number);
	if (zoom?.length === 2 && zoom.every(Number.isFinite)) group.zoom = zoom;
	group.zoomed = address;
	const chips = h("div", { class: "chips" }), host = h("div"), differences = h("section", { class: "card", style: { marginTop: "12px" }, hidden: true }), verdict = h("div"), table = h("div"), trouble = h("div");
	const names = h("datalist", { id: "names" });
	const add = h("input", { type: "search", list: "names", placeholder: "Add an experiment", "aria-label": "Add an experiment", onchange: (e) => { if (e.target.value) { chosen.push(e.target.value); e.target.value = ""; changed(); } }, oninput: async (e) => {
		const page = await get("/experiments", { q: e.target.value, limit: 20 }).catch(() => null);
		if (page) put(names, page.items.map((i) => h("option", { value: i.name })));
	} });
	const pick = (label, words, value, set) => h("label", {}, label, h("select", { "aria-label": label, onchange: (e) => { set(e.target.value); changed(); } }, words.map(([v, t]) => h("option", { value: v, selected: String(v) === String(value) }, t))));
	const known = metrics.map(([m, label, unit]) => [m, unit ? `${label} (${unit})` : label]);
	put(view, h("div", { class: "row between" }, h("h1", {}, "Compare"), add, names), chips, trouble,
		h("div", { class: "row", style: { marginTop: "12px" } },
			pick("metric", metrics.some(([m]) => m === metric) ? known : [[metric, metric], ...known], metric, (v) => { metric = v; group.zoom = null; }),
			pick("by", [["episode", "episode"], ["hours", "time since the start"], ["time", "date"], ["step", "step"]], axis, (v) => { axis = v; group.zoom = null; }),
			pick("average over", [1, 5, 10, 20, 50, 100].map((v) => [v, v === 1 ? "none" : `${v} episodes`]), smooth, (v) => { smooth = Number(v); }),
			h("label", {}, h("input", { type: "checkbox", checked: grouped, onchange: (e) => { grouped = e.target.checked; changed(); } }), "group seeds: mean and standard deviation"), h("span", { class: "right" }, link())),
		differences, host, verdict, table);

	function address() {
		const q = new URLSearchParams();
		if (chosen.length) q.set("experiments", chosen.join(","));
		if (metric !== "total_reward") q.set("metric", metric);
		if (axis !== "episode") q.set("x", axis);
		if (smooth !== 10) q.set("smooth", smooth);
		if (grouped) q.set("grouped", "1");
		if (group.zoom) q.set("zoom", group.zoom.map((v) => +v.toPrecision(axis === "time" ? 12 : 6)).join(","));
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	}

	function changed() {
		chosen = [...new Set(chosen)];
		address();
		load();
	}

	const about = () => metrics.find(([m]) => m === metric) ?? [metric, metric, "", null, false];

	const load = throttle(async () => {
		const colours = coloursOf(chosen.map((c) => shown.find((x) => x.id === c)?.experiment ?? c));
		put(chips, chosen.map((c) => {
			const name = shown.find((x) => x.id === c)?.experiment ?? c;
			return h("span", { class: "chip" }, h("span", { class: "run", style: { background: `var(${colours.get(name)})` }, "aria-hidden": "true" }), name, h("button", { type: "button", "aria-label": "Remove " + name, onclick: () => { chosen = chosen.filter((o) => o !== c); changed(); } }, "✕"));
		}));
		if (!chosen.length) {
			group.end();
			put(host, h("div", { class: "card empty", style: { marginTop: "12px" } }, h("h2", {}, "Nothing to compare yet"), h("p", {}, "Type a name above, or tick some in the ", h("a", { href: "/" }, "list of experiments"), ".")));
			differences.hidden = true;
			put(table);
			put(verdict);
			return;
		}
		const list = chosen.join(","), measure = about()[3];
		try {
			const got = await get("/compare", { experiments: list, metric, x: axis === "hours" ? "time" : axis, points: chosen.length > 20 ? 200 : 800, digits: 5, smooth: smooth > 1 ? smooth : "" });
			if (gone) return;
			shown = got.series;
			if (axis === "hours") for (const c of shown) c.x = c.x.map((v) => (v - c.x[0]) / 3600);
			put(trouble);
			draw();
			judged = measure && chosen.length > 1 && chosen.length <= 20 ? await get("/compare/tests", { experiments: list }) : null;
			if (!gone) tests();
		} catch (e) {
			if (gone) return;
			put(trouble, h("div", { class: "error" }, e.message));
			if (!e.status || e.status >= 500) dispatchEvent(new Event("trouble"));
		}
	}, 400);

	// groups are experiments that differ in nothing but the seed, or that say so.
	function groups() {
		const out = new Map();
		for (const c of shown) {
			const { seed, ...rest } = c.config ?? {};
			const key = c.group || (c.experiment.replace(/[-_]?s(eed)?[-_]?\d+$/i, "") || JSON.stringify(rest));
			out.set(key, [...(out.get(key) ?? []), c]);
		}
		return out;
	}

	const mean = (c) => c.columns[metric + "~mean"] ?? c.columns[metric];

	// at is a line's value at a place between its points.
	function at(xs, ys, x) {
		let low = 0, high = xs.length - 1;
		if (high < 0 || x < xs[0] || x > xs[high]) return null;
		while (high - low > 1) { const mid = (low + high) >> 1; if (xs[mid] <= x) low = mid; else high = mid; }
		const [a, b] = [ys[low], ys[high]];
		if (xs[low] === x) return a;
		if (xs[high] === x) return b;
		if (a === null || b === null) return null;
		return a + ((b - a) * (x - xs[low])) / (xs[high] - xs[low]);
	}

	function lines() {
		const out = [];
		if (!grouped) {
			const colours = coloursOf(shown.map((c) => c.experiment));
			for (const c of shown) {
				const colour = colours.get(c.experiment), raw = smooth > 1 && shown.length <= 6;
				if (raw) out.push({ key: c.id + " raw", label: c.experiment + ", each episode", colour, x: c.x, y: c.columns[metric], thin: true, quiet: true });
				out.push({ key: c.id, label: c.experiment, colour, x: c.x, y: mean(c), raw: raw ? c.id + " raw" : undefined });
			}
			return out;
		}
		const all = groups(), colours = coloursOf([...all.keys()]);
		for (const [key, members] of all) {
			const colour = colours.get(key);
			const xs = [...new Set(members.flatMap((m) => m.x))].sort((a, b) => a - b);
			const stat = xs.map((x) => {
				const v = members.map((m) => at(m.x, mean(m), x)).filter((y) => y !== null && y !== undefined);
				if (v.length < members.length) return [null, null]; // where one of them is missing the mean would jump
				const m = v.reduce((a, b) => a + b, 0) / v.length;
				return [m, v.length > 1 ? Math.sqrt(v.reduce((a, b) => a + (b - m) ** 2, 0) / (v.length - 1)) : 0];
			});
			out.push({ key, label: `${key} (${members.length} ${members.length === 1 ? "run" : "seeds"})`, colour, x: xs, y: stat.map(([m]) => m) });
			if (members.length > 1) {
				out.push({ key: key + "+", label: key + " + standard deviation", colour, x: xs, y: stat.map(([m, sd]) => (m === null ? null : m + sd)), thin: true, quiet: true, band: key + "-" });
				out.push({ key: key + "-", label: key + " − standard deviation", colour, x: xs, y: stat.map(([m, sd]) => (m === null ? null : m - sd)), thin: true, quiet: true });
			}
		}
		return out;
	}

	const sql = () => `SELECT e.experiment_name, t.episode_number, ${metric.includes(".") ? `t.${metric.split(".")[0]} ->> '${metric.split(".")[1]}' AS ${metric.split(".")[1]}` : "t." + metric}\nFROM training_episodes t JOIN experiments e ON e.id = t.experiment_id\nWHERE e.experiment_name IN (${shown.map((c) => `'${c.experiment.replaceAll("'", "''")}'`).join(", ")})\nORDER BY 1, 2;`;

	function draw() {
		const [, label, unit] = about(), list = lines();
		const xs = [...new Set(list.flatMap((l) => l.x))].sort((a, b) => a - b);
		const place = new Map(xs.map((v, i) => [v, i]));
		// A place where only another line has a value is no gap: undefined is passed over.
		const columns = list.map((l) => { const out = new Array(xs.length).fill(undefined); l.x.forEach((v, i) => { out[place.get(v)] = l.y[i]; }); return out; });
		// The same lines keep their chart, with its zoom and cursor.
		const key = JSON.stringify([metric, axis, list.map((l) => [l.key, l.label])]);
		if (chart?.key !== key || !chart.el.isConnected) {
			for (const c of group.charts) c.end();
			group.charts = [];
			chart = new Chart(group, { title: label[0].toUpperCase() + label.slice(1), unit, x: axis, height: 420, sorted: true, series: list.map(({ x, y, ...l }) => l), file: "compare-" + metric, sql: sql(), none: "None of them recorded this." });
			chart.key = key;
			chart.el.style.marginTop = "12px";
			put(host, chart.el);
		}
		chart.set(xs, columns);
		host.dataset.drawn = String(shown.length);
		configs();
		figures(label, unit);
	}

	function configs() {
		const keys = [...new Set(shown.flatMap((c) => Object.keys(c.config ?? {})))].sort();
		const text = (c, k) => (c.config?.[k] === undefined ? "–" : typeof c.config[k] === "string" ? c.config[k] : JSON.stringify(c.config[k]));
		const differ = keys.filter((k) => new Set(shown.map((c) => text(c, k))).size > 1);
		differences.hidden = shown.length < 2;
		const list = shown.slice(0, 12);
		const was = differences.querySelector("details")?.open;
		put(differences, h("h2", {}, "Differences of configuration"), differ.length
			? h("details", { open: was ?? differ.length <= 6 }, h("summary", {}, `${differ.length} differ: ${differ.slice(0, 5).join(", ")}${differ.length > 5 ? ", …" : ""}`), rows("Differences", [["setting", ""], ...list.map((c) => [c.experiment, "mono"])], differ.map((k) => [k, ...list.map((c) => h("span", { title: text(c, k) }, text(c, k).slice(0, 80)))])), shown.length > list.length && h("p", { class: "soft small" }, `The first ${list.length} of ${shown.length} are shown.`))
			: h("p", { class: "soft" }, "Their configurations are the same, as far as they were recorded."));
	}

	// tests says which policy is better, where that can be said: of what greenwave compare
	// says, the chosen metric.
	function tests() {
		const [, label, unit, measure] = about();
		const all = h("a", { href: "/compare/tests?" + new URLSearchParams({ experiments: chosen.join(","), metric: measure ?? "" }) }, "All metrics, effects and pairs");
		const card = (...more) => put(verdict, h("section", { class: "card", style: { marginTop: "12px" } }, h("div", { class: "row between" }, h("h2", {}, "On the test demand"), all), more));
		if (!judged) { put(verdict); return; }
		if (judged.refused) { card(h("p", { class: judged.refused.code === "unlike" ? "warning" : "soft" }, judged.refused.message + ".")); return; }
		const r = judged.comparison, found = r.pairs.map((p) => [p, p.metrics.find((m) => m.metric.name === measure)]).filter(([, m]) => m);
		if (!found.length) { card(h("p", { class: "soft" }, `Their tests have no ${label} in common.`)); return; }
		const u = unit ? ", " + unit : "";
		card(rows("Tests", [["against", ""], ["pairs", "num"], ["mean " + label + u, "num"], ["its mean", "num"], ["difference" + u, "num"], ["95 % interval", "num"], ["effect dz", "num", "Cohen's d of the paired differences: their mean over their standard deviation."], ["p", "num", `Two-sided, after Holm's correction over ${r.family}.`], ["", ""]],
			found.map(([p, m]) => { const t = m.comparison; return [p.b, count(p.pairs), number(t.mean_a, 4), number(t.mean_b, 4), number(t.mean_difference, 3), t.confidence_interval_95.map((v) => number(v, 3)).join(" to "), number(t.cohen_dz, 2), h("span", { title: `${t.method}; ${t.choice}` }, probability(m.p_holm)), judge(m.verdict)]; })),
		h("p", { class: "soft small" }, `${r.pairs[0].a} against each other one, paired by scenario and seed; p after Holm's correction over ${r.family}.`, r.warnings?.length ? ` ${r.warnings.length} warnings: see all metrics.` : ""));
	}

	function figures(label, unit) {
		put(table, h("section", { class: "card", style: { marginTop: "12px" } }, h("h2", {}, "Training episodes"),
			rows("Figures", [["experiment", "name"], ["seed", ""], ["episodes", "num"], [`smallest ${label}${unit ? ", " + unit : ""}`, "num"], ["largest", "num"], ["last", "num", "Its moving average, where one is drawn."]], shown.map((c) => {
				const there = c.columns[metric].filter((v) => v !== null), means = mean(c).filter((v) => v !== null);
				let low = Infinity, high = -Infinity;
				for (const v of there) { if (v < low) low = v; if (v > high) high = v; }
				return [h("a", { href: path(c.experiment) }, c.experiment), c.seed ?? "", count(c.rows), number(low, 4), number(high, 4), number(means[means.length - 1], 4)];
			})),
			h("p", { class: "soft small" }, "Training episodes have different demand and exploration. Which policy is better is decided on the test demand.")));
	}

	changed();
	const off = onChange((c) => { if (c.all || shown.some((x) => c.experiments?.includes(x.id))) load(); });
	return () => { gone = true; off(); load.stop(); group.end(); };
}
