import { h, put, link } from "./dom.js";
import { get, path } from "./api.js";
import { count } from "./format.js";
import { Chart, Group, coloursOf } from "./charts.js";

const windows = [1, 5, 10, 20, 50, 100];
const points = 400, digits = 5; // as many as a screen shows; a zoom asks for more

// Which columns each chart shows: [key, label, colour, help]. A chart without a value
// anywhere is left out. plus is never averaged; right: it has the axis on the right.
const plans = [
	{ id: "reward", title: "Reward", css: "c12", height: 280, zero: false, averaged: [["total_reward", "reward", "own"]], plus: [{ key: "epsilon_value", label: "epsilon", colour: "--s8", axis: "y2", help: "Epsilon: the share of actions that are chosen at random." }], help: "The sum of the rewards of each episode. Thin: each episode; thick: its moving average; rings: validations on demand that is not trained on." },
	{ id: "delay", title: "Delay and waiting", unit: "s per vehicle", averaged: [["extra.full_delay", "full delay", "--s2", "Time lost against free flow, with the vehicles that never got in."], ["avg_waiting_time", "waiting", "--s1", "Time below 0.1 m/s."]], help: "Full delay is time lost against free flow and counts vehicles that never got in. Waiting is the time below 0.1 m/s." },
	{ id: "throughput", title: "Throughput", unit: "per hour", averaged: [["passenger_throughput", "passengers", "--s1"], ["pt_passenger_throughput", "by bus and jeepney", "--s3"], ["extra.vehicles_per_hour", "vehicles", "--s2"]] },
	{ id: "pt", title: "Public transport", unit: "vehicles served in an episode", averaged: [["buses_processed", "buses", "--s1"], ["jeepneys_processed", "jeepneys", "--s2"]], plus: [{ key: "pt_avg_waiting", label: "waiting", unit: "s", colour: "--s3", axis: "y2", help: "Mean waiting of buses and jeepneys." }] },
	{ id: "queue", title: "Queue", unit: "halting vehicles", averaged: [["avg_queue_length", "mean", "--s1"], ["max_queue_length", "largest", "--s2"]], help: "Vehicles below 0.1 m/s." },
	{ id: "speed", title: "Speed", unit: "km/h", averaged: [["avg_speed", "mean speed", "--s1"]] },
	{ id: "loss", title: "Loss", zero: false, averaged: [["avg_loss", "loss", "--s2"]], help: "How wrong the network's predictions were, on average over the updates of an episode (temporal-difference loss)." },
];

// What the cards and the time left need of the last episodes.
const recentColumns = ["total_reward", "extra.full_delay", "avg_waiting_time", "passenger_throughput", "buses_processed", "jeepneys_processed", "pt_service_efficiency", "pt_avg_waiting", "timestamp", "episode_duration_minutes"];

// overview is the charts of an experiment. options: {name, url, addressed, drawn, none};
// none says why there is nothing to draw. It reads the series and keeps them up to date
// when fresh is called.
export function overview({ name, url, addressed, drawn, none }) {
	let smooth = Number(url.get("smooth") ?? 10), axis = url.get("x") ?? "episode";
	let components = [], validations = [], alerts = [], stored = { x: [] }, thinned = false, detail = null, gone = false;
	const recent = { x: [] };
	const group = new Group();
	const zoom = url.get("zoom")?.split(",").map(Number);
	if (zoom?.length === 2 && zoom.every(Number.isFinite)) group.zoom = zoom;
	group.zoomed = () => { addressed(); closer(); };

	const charts = new Map();
	const grid = h("div", { class: "grid" }), actionsCard = h("section", { class: "card c6", hidden: true });
	const own = coloursOf([name]).get(name);
	const toolbar = h("div", { class: "row", style: { marginTop: "12px" } },
		h("label", {}, "average over", h("select", { onchange: (e) => { smooth = Number(e.target.value); addressed(); build(); full(); } }, windows.map((w) => h("option", { value: w, selected: w === smooth }, w === 1 ? "none" : `${w} episodes`)))),
		h("label", {}, "by", h("select", { onchange: (e) => { axis = e.target.value; group.zoom = null; detail = null; addressed(); build(); full(); } }, ["episode", "time", "step"].map((x) => h("option", { value: x, selected: x === axis }, x)))),
		h("span", { class: "soft small hide-small" }, "drag to zoom, double click for everything, shift and drag to move"), h("span", { class: "right" }, link()));

	function add(plan, series, more) {
		const chart = new Chart(group, { title: plan.title, unit: plan.unit ?? "", series, height: plan.height ?? 220, x: axis, zero: plan.zero ?? true, help: plan.help, file: `${name}-${plan.id}`, markLabels: plan.id === "reward",
			sql: sql(series), all: () => everything(series), none: "Loading", ...more });
		chart.el.classList.add(plan.css ?? "c6");
		chart.set([], series.map(() => []));
		charts.set(plan.id, chart);
		grid.append(chart.el);
	}

	function build() {
		for (const c of charts.values()) c.end();
		group.charts = [];
		charts.clear();
		put(grid);
		for (const plan of plans) {
			const series = [];
			for (const [key, label, colour, help] of plan.averaged) {
				const c = colour === "own" ? own : colour;
				const shown = plan.id === "reward" ? 4 : 3;
				if (smooth > 1) series.push({ key, label: `${label}, each episode`, colour: c, thin: true, quiet: true }, { key: key + "~mean", label, colour: c, help: `${help ?? ""} Mean of ${smooth} episodes; in brackets the last one.`.trim(), raw: key, digits: shown });
				else series.push({ key, label, colour: c, help, digits: shown });
			}
			series.push(...(plan.plus ?? []));
			if (plan.id === "reward") series.push({ key: "validation", label: "validation", colour: "--ink", dots: true, digits: 4, help: "Mean reward on the validation demand, after the episode." });
			add(plan, series);
		}
		if (components.length) add({ id: "components", title: "Reward components", unit: "stacked", help: "What the reward is made of, stacked from zero: gains upwards, penalties downwards." },
			components.map((c, i) => ({ key: "reward_components." + c, label: c.replaceAll("_", " "), colour: `--s${(i % 8) + 1}` })), { stacked: true });
		grid.append(actionsCard);
		marks();
	}

	const member = (k) => { const [column, m] = k.split("."); return m ? `${column} ->> '${m}' AS ${m}` : k; };
	const sql = (series) => `SELECT episode_number, ${series.filter((c) => !c.dots && !c.key.endsWith("~mean")).map((c) => member(c.key)).join(", ")}\nFROM training_episodes\nWHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = '${name.replaceAll("'", "''")}')\nORDER BY episode_number;`;

	async function everything(series) {
		const keys = series.filter((c) => !c.dots && !c.key.endsWith("~mean")).map((c) => c.key);
		const got = await get(path(name) + "/series", { columns: keys.join(","), x: axis, points: 100000, smooth: smooth > 1 ? smooth : "" });
		return { x: got.x, columns: series.map((c) => got.columns[c.key] ?? got.x.map(() => null)) };
	}

	const wanted = () => [...new Set([...plans.flatMap((p) => [...p.averaged.map(([k]) => k), ...(p.plus ?? []).map((c) => c.key)]), ...components.map((c) => "reward_components." + c)])].join(",");
	const series = (more) => get(path(name) + "/series", { columns: wanted(), x: axis, points, digits, smooth: smooth > 1 ? smooth : "", ...more });

	// full reads everything, thinned.
	async function full() {
		const got = await series();
		if (gone) return;
		// What came while this was asked for is not in it: it is read again.
		const behind = axis === "episode" && stored.x.length > 0 && !(got.x[got.x.length - 1] >= stored.x[stored.x.length - 1]);
		stored = { x: got.x, ...got.columns };
		thinned = got.thinned;
		if (behind && got.x.length) return fresh();
		draw();
		if (group.zoom) closer();
	}

	// closer reads what is zoomed at with more detail, where episodes were left out.
	let asked;
	async function closer() {
		asked?.abort();
		if (axis !== "episode" || !group.zoom || !thinned) {
			if (detail) { detail = null; draw(); }
			return;
		}
		asked = new AbortController();
		const [from, to] = group.zoom, wide = (to - from) / 4;
		try {
			const got = await get(path(name) + "/series", { columns: wanted(), points, digits, smooth: smooth > 1 ? smooth : "", after: Math.max(-1, Math.floor(from - wide) - 1), until: Math.max(0, Math.ceil(to + wide)) }, asked.signal);
			if (gone) return;
			detail = { x: got.x, ...got.columns };
			draw();
		} catch { /* the thinned series stay */ }
	}

	// fresh reads what is new.
	async function fresh() {
		if (axis !== "episode" || !stored.x.length) { await Promise.all([full(), lately()]); return; }
		const after = stored.x[stored.x.length - 1];
		const [got] = await Promise.all([series({ after }), lately()]);
		if (gone || got.rows === 0) return;
		if (stored.x[stored.x.length - 1] !== after) return fresh(); // everything was read meanwhile
		if (got.x[0] > after + 1) { stored.x.push(after + 1); for (const k of Object.keys(got.columns)) stored[k]?.push(null); }
		stored.x.push(...got.x);
		for (const k of Object.keys(got.columns)) (stored[k] ??= stored.x.slice(got.x.length).map(() => null)).push(...got.columns[k]);
		if (stored.x.length > 4 * points) return full();
		draw();
	}

	// lately keeps the last forty episodes as they are: means of thinned ones would lie.
	async function lately(last) {
		const after = last ?? recent.x[recent.x.length - 1];
		const got = await get(path(name) + "/series", { columns: recentColumns.join(","), points: 100000, after: after === undefined || after < 0 ? "" : after });
		if (gone) return;
		const known = recent.x[recent.x.length - 1] ?? -1;
		const from = got.x.findIndex((x) => x > known); // two may have asked at the same time
		if (from < 0) return;
		recent.x.push(...got.x.slice(from));
		for (const k of recentColumns) recent[k] = [...(recent[k] ?? []), ...got.columns[k].slice(from)];
		for (const k of ["x", ...recentColumns]) recent[k] = recent[k].slice(-40);
	}

	function draw() {
		const from = detail ?? stored, x = from.x;
		const any = (k) => stored[k]?.some((v) => v !== null);
		const last = Math.max(recent.x[recent.x.length - 1] ?? -1, axis === "episode" ? stored.x[stored.x.length - 1] ?? -1 : -1);
		for (const [id, chart] of charts) {
			chart.none = none();
			chart.el.hidden = id !== "reward" && !chart.series.some((c) => !c.dots && any(c.key));
			if (!chart.el.hidden) chart.set(x, chart.series.map((c) => (c.dots ? dots(x) : from[c.key] ?? x.map(() => null))));
			chart.plotHost.dataset.last = String(last);
		}
		drawn();
	}

	// dots puts the validations' rewards where they were made.
	function dots(x) {
		const out = x.map(() => null);
		if (axis === "step" || !x.length) return out;
		const sums = new Map();
		for (const v of validations) {
			if (v.test_scenario?.split === "test" || typeof v.total_reward !== "number" || v.validation_episode === undefined) continue;
			const e = sums.get(v.validation_episode) ?? { at: axis === "time" ? Date.parse(v.timestamp) / 1000 : v.validation_episode, sum: 0, n: 0 };
			e.sum += v.total_reward;
			e.n++;
			sums.set(v.validation_episode, e);
		}
		for (const { at, sum, n } of sums.values()) {
			let best = 0;
			for (let i = 1; i < x.length; i++) if (Math.abs(x[i] - at) < Math.abs(x[best] - at)) best = i;
			if (axis === "time" || Math.abs(x[best] - at) <= Math.max(2, (x[x.length - 1] - x[0]) / 200)) out[best] = sum / n;
		}
		return out;
	}

	// marks puts the alerts where they belong on the axis: at their episode, or, when they
	// are about none, at the time when they were opened.
	let places = { axis: "", episodes: [], times: [], x: [] };
	async function marks() {
		const colours = { critical: "--fail", warning: "--warn", info: "--soft" };
		if (axis !== "episode" && alerts.some((a) => Number.isFinite(a.episode_number)) || axis !== "time" && alerts.some((a) => !Number.isFinite(a.episode_number))) {
			const got = await get(path(name) + "/series", { columns: "episode_number,timestamp", x: axis, points: 1000 }).catch(() => null);
			if (gone) return;
			if (got) places = { axis, episodes: got.columns.episode_number, times: got.columns.timestamp, x: got.x };
		}
		const at = (a) => {
			if (Number.isFinite(a.episode_number)) return axis === "episode" ? a.episode_number : places.axis === axis ? along(places.episodes, places.x, a.episode_number) : null;
			const opened = Date.parse(a.opened_at) / 1000;
			return axis === "time" ? opened : places.axis === axis ? along(places.times, places.x, opened) : null;
		};
		const list = alerts.map((a) => ({ x: at(a), label: a.rule.replaceAll("_", " "), colour: colours[a.severity] })).filter((m) => m.x !== null).sort((a, b) => a.x - b.x);
		for (const c of charts.values()) c.setMarks(list);
	}

	async function actions() {
		const a = await get(path(name) + "/actions", { last: 10 }).catch(() => null);
		if (!a || gone) return;
		actionsCard.hidden = a.steps === 0;
		const per = Object.entries(a.intersections).sort(([p], [q]) => p.localeCompare(q)).map(([who, actions]) => {
			const total = Object.values(actions).reduce((p, q) => p + q, 0);
			return h("div", { class: "actions" }, h("h3", {}, who || "joint action"), Object.entries(actions).sort(([p], [q]) => Number(p) - Number(q)).map(([what, n]) => h("div", { class: "hbar" }, h("span", {}, who ? "phase " : "action ", what), h("span", { class: "track" }, h("i", { style: { width: `${(n / total) * 100}%` } })), h("span", { class: "num" }, ((n / total) * 100).toFixed(0), " %"))));
		});
		put(actionsCard, h("div", { class: "row" }, h("h2", {}, "Actions per intersection"), h("span", { class: "soft small" }, `share of ${count(a.steps)} logged steps, last ${a.episodes.length} episodes with steps`)), per);
	}

	build();
	return {
		el: h("div", {}, toolbar, grid), recent, full, fresh, actions,
		components(names) { components = names; build(); },
		validations(list) { validations = list; },
		alerts(list) { alerts = list; marks(); },
		// start reads the last episodes: last is the number of the newest.
		start: async (last) => { recent.x = []; for (const k of recentColumns) recent[k] = []; await lately(last - 40); if (stored.x.length && !gone) draw(); },
		address(q) {
			if (smooth !== 10) q.set("smooth", smooth);
			if (axis !== "episode") q.set("x", axis);
			if (group.zoom) q.set("zoom", group.zoom.map((v) => +v.toPrecision(axis === "time" ? 12 : 6)).join(","));
		},
		end() { gone = true; asked?.abort(); group.end(); },
	};
}

// along is the place on an axis that belongs to a value of a column that grows: between
// two rows it lies between their places, outside of them at the nearer one.
function along(column, x, value) {
	let before = -1;
	for (let i = 0; i < column.length; i++) {
		if (column[i] === null) continue;
		if (column[i] >= value) {
			if (before < 0 || column[i] === value) return x[i];
			return x[before] + ((x[i] - x[before]) * (value - column[before])) / (column[i] - column[before]);
		}
		before = i;
	}
	return before < 0 ? null : x[before];
}
