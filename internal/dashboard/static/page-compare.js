import { h, put } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count } from "./format.js";
import { Chart, Group, palette } from "./charts.js";

const metrics = [
	["total_reward", "reward"], ["extra.full_delay", "full delay (s)"], ["avg_waiting_time", "waiting (s)"], ["avg_queue_length", "queue (vehicles)"], ["avg_speed", "speed (km/h)"], ["passenger_throughput", "passengers per hour"],
	["pt_passenger_throughput", "passengers per hour by bus and jeepney"], ["pt_avg_waiting", "waiting of buses and jeepneys (s)"], ["completed_trips", "completed trips"], ["avg_loss", "loss"], ["epsilon_value", "epsilon"],
];

// compare lays experiments over each other. The chosen set is in the address.
export function compare(view) {
	document.title = "Compare – Greenwave";
	const url = new URLSearchParams(location.search);
	let chosen = url.getAll("experiments").flatMap((v) => v.split(",")).filter(Boolean);
	let metric = url.get("metric") ?? "total_reward", axis = url.get("x") ?? "episode", smooth = Number(url.get("smooth") ?? 10), grouped = url.has("grouped"), gone = false, shown = [];
	const group = new Group();
	const chips = h("div", { class: "chips" }), host = h("div"), differences = h("section", { class: "card", style: { marginTop: "12px" } }), table = h("div"), trouble = h("div");
	const names = h("datalist", { id: "names" });
	const add = h("input", { type: "search", list: "names", placeholder: "Add an experiment", "aria-label": "Add an experiment", onchange: (e) => { if (e.target.value) { chosen.push(e.target.value); e.target.value = ""; changed(); } }, oninput: async (e) => {
		const page = await get("/experiments", { q: e.target.value, limit: 20 }).catch(() => null);
		if (page) put(names, page.items.map((i) => h("option", { value: i.name })));
	} });
	const pick = (label, words, value, set) => h("label", {}, label, h("select", { "aria-label": label, onchange: (e) => { set(e.target.value); changed(); } }, words.map(([v, t]) => h("option", { value: v, selected: String(v) === String(value) }, t))));
	put(view, h("div", { class: "row between" }, h("h1", {}, "Compare"), h("div", { class: "row" }, add, names)), chips, trouble,
		h("div", { class: "row", style: { marginTop: "12px" } },
			pick("metric", metrics.some(([m]) => m === metric) ? metrics : [[metric, metric], ...metrics], metric, (v) => { metric = v; }),
			pick("by", [["episode", "episode"], ["time", "time"], ["step", "step"]], axis, (v) => { axis = v; group.zoom = null; }),
			pick("average over", [1, 5, 10, 20, 50, 100].map((v) => [v, v === 1 ? "none" : `${v} episodes`]), smooth, (v) => { smooth = Number(v); }),
			h("label", {}, h("input", { type: "checkbox", checked: grouped, onchange: (e) => { grouped = e.target.checked; changed(); } }), "group seeds: mean and standard deviation")),
		differences, host, table);

	function address() {
		const q = new URLSearchParams();
		if (chosen.length) q.set("experiments", chosen.join(","));
		if (metric !== "total_reward") q.set("metric", metric);
		if (axis !== "episode") q.set("x", axis);
		if (smooth !== 10) q.set("smooth", smooth);
		if (grouped) q.set("grouped", "1");
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	}

	function changed() {
		chosen = [...new Set(chosen)];
		address();
		load();
	}

	const load = throttle(async () => {
		put(chips, chosen.map((c) => h("span", { class: "chip" }, shown.find((x) => x.id === c)?.experiment ?? c, h("button", { type: "button", "aria-label": "Remove " + c, onclick: () => { chosen = chosen.filter((o) => o !== c); changed(); } }, "✕"))));
		if (!chosen.length) {
			group.end();
			put(host, h("div", { class: "card empty", style: { marginTop: "12px" } }, h("h2", {}, "Nothing to compare yet"), h("p", {}, "Type a name above, or tick some in the ", h("a", { href: "/" }, "list of experiments"), ".")));
			differences.hidden = true;
			put(table);
			return;
		}
		let got;
		try {
			got = await get("/compare", { experiments: chosen.join(","), metric, x: axis, points: chosen.length > 20 ? 300 : 1000, smooth: smooth > 1 ? smooth : "" });
			put(trouble);
		} catch (e) {
			put(trouble, h("div", { class: "error" }, e.message));
			if (!e.status || e.status >= 500) dispatchEvent(new Event("trouble"));
			return;
		}
		if (gone) return;
		shown = got.series;
		draw();
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

	function draw() {
		group.end();
		const label = metrics.find(([m]) => m === metric)?.[1] ?? metric;
		const lines = [];
		const mean = (c) => c.columns[metric + "~mean"] ?? c.columns[metric];
		if (grouped) {
			let i = 0;
			for (const [key, members] of groups()) {
				const colour = palette[i++ % palette.length];
				const sums = new Map();
				for (const m of members) { const xs = m.x, ys = mean(m); for (let k = 0; k < xs.length; k++) if (ys[k] !== null) { const at = sums.get(xs[k]) ?? []; at.push(ys[k]); sums.set(xs[k], at); } }
				const points = [...sums].filter(([, v]) => v.length === members.length || members.length === 1).sort((a, b) => a[0] - b[0]);
				const stat = points.map(([x, v]) => { const m = v.reduce((a, b) => a + b, 0) / v.length; const sd = v.length > 1 ? Math.sqrt(v.reduce((a, b) => a + (b - m) ** 2, 0) / (v.length - 1)) : 0; return [x, m, sd]; });
				lines.push({ key, label: `${key} (${members.length} ${members.length === 1 ? "run" : "seeds"})`, colour, x: stat.map((p) => p[0]), y: stat.map((p) => p[1]) });
				if (members.length > 1) {
					lines.push({ key: key + "+", label: "+ standard deviation", colour, x: stat.map((p) => p[0]), y: stat.map((p) => p[1] + p[2]), thin: true });
					lines.push({ key: key + "-", label: "− standard deviation", colour, x: stat.map((p) => p[0]), y: stat.map((p) => p[1] - p[2]), thin: true });
				}
			}
		} else {
			shown.forEach((c, i) => {
				const colour = palette[i % palette.length];
				if (smooth > 1 && shown.length <= 6) lines.push({ key: c.id + "raw", label: c.experiment + ", raw", colour, x: c.x, y: c.columns[metric], thin: true, quiet: true });
				lines.push({ key: c.id, label: c.experiment, colour, x: c.x, y: mean(c) });
			});
		}
		const xs = [...new Set(lines.flatMap((l) => l.x))].sort((a, b) => a - b);
		const at = new Map(xs.map((v, i) => [v, i]));
		const columns = lines.map((l) => { const out = new Array(xs.length).fill(undefined); l.x.forEach((v, i) => { out[at.get(v)] = l.y[i]; }); return out; });
		const chart = new Chart(group, { title: label, x: axis, height: 420, sorted: true, series: lines.map((l) => ({ ...l, axis: undefined, span: false })), file: "compare-" + metric, none: "None of them recorded this." });
		chart.el.style.marginTop = "12px";
		put(host, chart.el);
		// A value that another experiment does not have is no gap: undefined is passed over.
		chart.set(xs, columns);
		host.dataset.drawn = String(shown.length);
		configs();
		figures(label);
	}

	function configs() {
		const keys = [...new Set(shown.flatMap((c) => Object.keys(c.config ?? {})))].sort();
		const text = (c, k) => (c.config?.[k] === undefined ? "–" : typeof c.config[k] === "string" ? c.config[k] : JSON.stringify(c.config[k]));
		const differ = keys.filter((k) => new Set(shown.map((c) => text(c, k))).size > 1);
		differences.hidden = shown.length < 2;
		const list = shown.slice(0, 12);
		put(differences, h("h2", {}, "Differences of configuration"), differ.length
			? h("details", { open: differ.length <= 6 }, h("summary", {}, `${differ.length} differ: ${differ.slice(0, 5).join(", ")}${differ.length > 5 ? ", …" : ""}`), h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("td", {}, ""), list.map((c) => h("th", {}, c.experiment)))), h("tbody", {}, differ.map((k) => h("tr", {}, h("td", {}, k), list.map((c) => h("td", { class: "mono" }, text(c, k).slice(0, 80)))))))))
			: h("p", { class: "soft" }, "Their configurations are the same, as far as they were recorded."));
	}

	function figures(label) {
		const row = (c) => {
			const there = c.columns[metric].filter((v) => v !== null);
			const m = (v) => (v.length ? v.reduce((a, b) => a + b, 0) / v.length : null);
			return h("tr", {}, h("td", { class: "name" }, h("a", { href: path(c.experiment) }, c.experiment)), h("td", {}, c.seed ?? ""), h("td", { class: "num" }, count(c.rows)), h("td", { class: "num" }, number(there.length ? Math.min(...there) : null, 4)), h("td", { class: "num" }, number(there.length ? Math.max(...there) : null, 4)), h("td", { class: "num" }, number(c.thinned ? null : m(there.slice(-10)), 4)));
		};
		put(table, h("div", { class: "card scroll", style: { marginTop: "12px" } }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "experiment"), h("th", {}, "seed"), h("th", { class: "num" }, "episodes"), h("th", { class: "num" }, "smallest " + label), h("th", { class: "num" }, "largest"), h("th", { class: "num", title: "Not shown where episodes were left out for drawing." }, "mean of the last 10"))), h("tbody", {}, shown.map(row)))),
			h("p", { class: "soft small" }, "These are training episodes: different demand, exploration on. Which policy is better is decided on the test demand: see Baselines of each experiment."));
	}

	changed();
	const off = onChange((c) => { if (c.all || shown.some((x) => c.experiments?.includes(x.id))) load(); });
	return () => { gone = true; off(); load.stop(); group.end(); };
}
