import { h, put } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count, span, age, clock, shape, bytes } from "./format.js";
import { Chart, Group } from "./charts.js";
import { progress, data } from "./page-experiments.js";
import { tabs as moreTabs } from "./experiment-tabs.js";

const windows = [1, 5, 10, 20, 50, 100];

// Which columns each chart shows. A chart without a value anywhere is left out.
const plans = [
	{ id: "reward", title: "Reward", css: "c12", height: 280, smooth: ["total_reward"], columns: [["total_reward", "reward", "--s1"]], plus: [["epsilon_value", "epsilon", "--s8", "y2"]], help: "Sum of the rewards of each episode. Thin: each episode; thick: its moving average. Epsilon is the share of actions that are chosen at random." },
	{ id: "delay", title: "Delay and waiting", unit: "s per vehicle", css: "c6", columns: [["extra.full_delay", "full delay", "--s2"], ["extra.delay", "delay", "--s5"], ["avg_waiting_time", "waiting", "--s1"]], smooth: ["extra.full_delay", "extra.delay", "avg_waiting_time"], zero: true, help: "Full delay counts vehicles that never got in. Waiting is the time below 0.1 m/s." },
	{ id: "throughput", title: "Throughput", unit: "per hour", css: "c6", columns: [["passenger_throughput", "passengers", "--s1"], ["pt_passenger_throughput", "of these by bus and jeepney", "--s3"], ["extra.vehicles_per_hour", "vehicles", "--s2"]], smooth: ["passenger_throughput", "pt_passenger_throughput", "extra.vehicles_per_hour"], zero: true },
	{ id: "pt", title: "Public transport", unit: "served in an episode", css: "c6", columns: [["buses_processed", "buses", "--s1"], ["jeepneys_processed", "jeepneys", "--s2"]], plus: [["pt_avg_waiting", "waiting (s)", "--s3", "y2"]], zero: true },
	{ id: "queue", title: "Queue", unit: "vehicles", css: "c6", columns: [["avg_queue_length", "mean", "--s1"], ["max_queue_length", "largest", "--s2"]], smooth: ["avg_queue_length", "max_queue_length"], zero: true, help: "Halting vehicles: below 0.1 m/s." },
	{ id: "speed", title: "Speed", unit: "km/h", css: "c6", columns: [["avg_speed", "mean speed", "--s1"]], smooth: ["avg_speed"], zero: true },
	{ id: "loss", title: "Loss", css: "c6", columns: [["avg_loss", "loss", "--s2"]], smooth: ["avg_loss"], help: "How wrong the network's predictions were, on average over the episode's updates (temporal-difference loss)." },
];

// experiment shows one line of training.
export function experiment(view, name) {
	document.title = name + " – Greenwave";
	const url = new URLSearchParams(location.search);
	let smooth = Number(url.get("smooth") ?? 10);
	let axis = url.get("x") ?? "episode";
	let detail, components = [], lastEpisode = -1, stored = {}, gone = false;
	const group = new Group();
	const zoom = url.get("zoom")?.split(",").map(Number);
	if (zoom?.length === 2 && zoom.every(Number.isFinite)) group.zoom = zoom;
	group.zoomed = address;

	const head = h("div"), trouble = h("div"), cards = h("div", { class: "cards" }), panel = h("div");
	const names = ["Overview", "Intersections", "Validation", "Checkpoints", "Baselines", "Data", "System", "Config"];
	let tab = names.find((n) => n.toLowerCase() === url.get("tab")) ?? "Overview";
	const bar = h("div", { class: "tabs", role: "tablist" }, names.map((n) => h("button", { role: "tab", type: "button", id: "tab-" + n, "aria-selected": String(n === tab), onclick: () => choose(n) }, n)));
	bar.addEventListener("keydown", (e) => {
		const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
		if (!step) return;
		const at = (names.indexOf(tab) + step + names.length) % names.length;
		choose(names[at]);
		bar.children[at].focus();
	});
	put(view, head, trouble, cards, bar, panel);
	put(head, h("h1", {}, name));

	function address() {
		const q = new URLSearchParams();
		if (tab !== "Overview") q.set("tab", tab.toLowerCase());
		if (smooth !== 10) q.set("smooth", smooth);
		if (axis !== "episode") q.set("x", axis);
		if (group.zoom) q.set("zoom", group.zoom.map((v) => +v.toPrecision(6)).join(","));
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	}

	let closeTab = () => {};
	function choose(n) {
		tab = n;
		for (const b of bar.children) b.setAttribute("aria-selected", String(b.textContent === n));
		address();
		closeTab();
		closeTab = () => {};
		if (n === "Overview") { put(panel, overview); return; }
		const body = h("div");
		put(panel, body);
		closeTab = moreTabs[n](body, { name, detail: () => detail, onChange: (f) => onChange((c) => mine(c) && f()) }) ?? (() => {});
	}

	// The overview.
	const charts = new Map();
	const grid = h("div", { class: "grid" });
	const toolbar = h("div", { class: "row", style: { marginTop: "12px" } },
		h("label", {}, "average over", h("select", { onchange: (e) => { smooth = Number(e.target.value); address(); full(); } }, windows.map((w) => h("option", { value: w, selected: w === smooth }, w === 1 ? "none" : `${w} episodes`)))),
		h("label", {}, "by", h("select", { onchange: (e) => { axis = e.target.value; group.zoom = null; address(); rebuild(); full(); } }, ["episode", "time", "step"].map((x) => h("option", { value: x, selected: x === axis }, x)))),
		h("span", { class: "soft small hide-small" }, "drag to zoom, double click to reset, shift and drag to move"));
	const overview = h("div", {}, toolbar, grid);

	function rebuild() {
		for (const c of charts.values()) c.end();
		group.charts = [];
		charts.clear();
		put(grid);
		for (const plan of plans) {
			const series = [];
			for (const [key, label, colour, side] of plan.columns) {
				const averaged = smooth > 1 && plan.smooth?.includes(key);
				series.push({ key, label, colour, axis: side, thin: averaged, span: false });
				if (averaged) series.push({ key: key + "~mean", label: `${label}, mean of ${smooth}`, colour, axis: side });
			}
			for (const [key, label, colour, side] of plan.plus ?? []) series.push({ key, label, colour, axis: side });
			if (plan.id === "reward") series.push({ key: "validation", label: "validation", colour: "--s2", dots: true });
			const chart = new Chart(group, { title: plan.title, unit: plan.unit ?? "", series, height: plan.height ?? 220, x: axis, zero: plan.zero, help: plan.help, file: `${name}-${plan.id}`, sql: sql(plan), all: () => everything(series) });
			chart.el.classList.add(plan.css);
			charts.set(plan.id, chart);
			grid.append(chart.el);
		}
		if (components.length) {
			const chart = new Chart(group, { title: "Reward components", unit: "stacked", stacked: true, zero: true, x: axis, series: components.map((c, i) => ({ key: "reward_components." + c, label: c.replaceAll("_", " "), colour: `--s${(i % 8) + 1}` })), file: `${name}-components` });
			chart.el.classList.add("c6");
			charts.set("components", chart);
			grid.append(chart.el);
		}
		actionsCard.classList.add("c6");
		grid.append(actionsCard);
	}

	const quoted = () => `'${name.replaceAll("'", "''")}'`;
	const sql = (plan) => `SELECT episode_number, ${[...plan.columns, ...(plan.plus ?? [])].map(([k]) => (k.includes(".") ? `${k.split(".")[0]} ->> '${k.split(".")[1]}' AS ${k.split(".")[1]}` : k)).join(", ")}\nFROM training_episodes\nWHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = ${quoted()})\nORDER BY episode_number;`;

	async function everything(series) {
		const keys = series.filter((c) => !c.dots && !c.key.endsWith("~mean")).map((c) => c.key);
		const got = await get(path(name) + "/series", { columns: keys.join(","), x: axis, points: 100000, smooth: smooth > 1 ? smooth : "" });
		return { x: got.x, columns: series.map((c) => got.columns[c.key] ?? got.x.map(() => null)) };
	}

	const wanted = () => [...new Set([...plans.flatMap((p) => [...p.columns, ...(p.plus ?? [])].map(([k]) => k)), ...components.map((c) => "reward_components." + c), "timestamp", "episode_duration_minutes"])];

	// full reads everything, thinned; fresh only what is new.
	async function full() {
		const got = await get(path(name) + "/series", { columns: wanted().join(","), x: axis, points: 1200, smooth: smooth > 1 ? smooth : "" });
		if (gone) return;
		stored = { x: got.x, ...got.columns };
		draw();
	}
	async function fresh() {
		if (axis !== "episode" || !stored.x?.length) return full();
		const after = stored.x[stored.x.length - 1];
		const got = await get(path(name) + "/series", { columns: wanted().join(","), x: axis, points: 1200, smooth: smooth > 1 ? smooth : "", after });
		if (gone) return;
		if (got.rows === 0) return;
		if (got.x[0] > after + 1) { stored.x.push(after + 1); for (const k of Object.keys(got.columns)) stored[k].push(null); }
		stored.x.push(...got.x);
		for (const k of Object.keys(got.columns)) stored[k].push(...got.columns[k]);
		if (stored.x.length > 5000) return full();
		draw();
	}

	let validations = [];
	function draw() {
		const x = stored.x ?? [];
		lastEpisode = x.length ? x[x.length - 1] : -1;
		const any = (k) => stored[k]?.some((v) => v !== null);
		for (const [id, chart] of charts) {
			const columns = chart.series.map((c) => (c.dots ? dots(x) : stored[c.key] ?? x.map(() => null)));
			const there = chart.series.some((c) => !c.dots && any(c.key));
			chart.el.hidden = !there && id !== "reward";
			for (const c of chart.series) if (!c.dots && !any(c.key)) chart.hidden.add(c.key); else chart.hidden.delete(c.key);
			chart.plotHost.dataset.last = String(lastEpisode);
			if (!chart.el.hidden) chart.set(x, columns);
		}
		drawCards();
	}

	// dots puts the validations' rewards at the episode after which they ran.
	function dots(x) {
		const out = x.map(() => null);
		if (axis !== "episode" || !validations.length) return out;
		const sums = new Map();
		for (const v of validations) {
			if (v.test_scenario?.split === "test" || typeof v.total_reward !== "number" || v.validation_episode === undefined) continue;
			const e = sums.get(v.validation_episode) ?? [0, 0];
			sums.set(v.validation_episode, [e[0] + v.total_reward, e[1] + 1]);
		}
		for (const [episode, [sum, n]] of sums) {
			let best = -1;
			for (let i = 0; i < x.length; i++) if (best < 0 || Math.abs(x[i] - episode) < Math.abs(x[best] - episode)) best = i;
			if (best >= 0) out[best] = sum / n;
		}
		return out;
	}

	let baselines = [];
	function drawCards() {
		const tail = (k, n = 20) => (stored[k] ?? []).filter((v) => v !== null).slice(-n);
		const mean = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : null);
		const before = (k) => mean((stored[k] ?? []).filter((v) => v !== null).slice(-40, -20));
		const trend = (k, up) => {
			const now = mean(tail(k)), was = before(k);
			if (now === null || was === null) return null;
			const better = up ? now > was : now < was;
			return h("span", { class: better ? "good" : "warning", title: `mean of the last 20 episodes against the 20 before (${number(was, 4)})` }, now > was ? " ▲ " : " ▼ ", better ? "better" : "worse");
		};
		const card = (title, value, note, more) => h("div", { class: "card" }, h("div", { class: "soft" }, title), h("div", { class: "row" }, h("span", { class: "big" }, value), h("span", { class: "small" }, more)), h("div", { class: "soft small" }, note));
		const delayKey = tail("extra.full_delay").length ? "extra.full_delay" : "avg_waiting_time";
		const base = baselines.find((b) => b.baseline_type === "max_pressure") ?? baselines[0];
		const baseDelay = base?.baseline_metrics?.full_delay;
		const list = [
			card("Reward, last 20 episodes", number(mean(tail("total_reward")), 4), `best ${number(detail?.best_reward, 4)}, latest ${number(detail?.latest_reward, 4)}`, trend("total_reward", true)),
			card(delayKey === "avg_waiting_time" ? "Waiting" : "Full delay", [number(mean(tail(delayKey))), h("small", {}, " s")], baseDelay && delayKey !== "avg_waiting_time" ? `${base.baseline_type.replaceAll("_", " ")} on the test demand: ${number(baseDelay)} s` : "mean of the last 20 episodes", trend(delayKey, false)),
			card("Passengers", [count(mean(tail("passenger_throughput"))), h("small", {}, " /h")], "arrived, mean of the last 20 episodes", trend("passenger_throughput", true)),
			card("Buses and jeepneys", [number(mean(tail("buses_processed"))), h("small", {}, " + "), number(mean(tail("jeepneys_processed")))], "served in an episode, mean of the last 20"),
			card("Data", detail ? data(detail) : "–", detail ? `${count(detail.data.settled)} records confirmed by the database` : ""),
		];
		put(cards, list);
	}

	const actionsCard = h("section", { class: "card" });
	async function drawActions() {
		const a = await get(path(name) + "/actions", { last: 10 }).catch(() => null);
		if (!a || gone) return;
		actionsCard.hidden = a.steps === 0;
		const rows = Object.entries(a.intersections).sort(([p], [q]) => p.localeCompare(q)).map(([who, actions]) => {
			const total = Object.values(actions).reduce((p, q) => p + q, 0);
			return [h("h2", { style: { marginTop: "10px" } }, who || "joint action"), Object.entries(actions).sort(([p], [q]) => Number(p) - Number(q)).map(([what, n]) => h("div", { class: "hbar" }, h("span", {}, "phase ", what), h("i", { style: { width: `${(n / total) * 100}%` } }), h("span", { class: "num" }, ((n / total) * 100).toFixed(0), " %")))];
		});
		put(actionsCard, h("div", { class: "row" }, h("h2", {}, "Actions"), h("span", { class: "soft small" }, `share of ${count(a.steps)} logged steps of the last ${a.episodes.length} episodes`)), rows);
	}

	function drawHead() {
		const e = detail;
		const durations = (stored.episode_duration_minutes ?? []).filter((v) => v !== null).slice(-20);
		const stamps = (stored.timestamp ?? []).filter((v) => v !== null).slice(-20);
		let left = "";
		if (e.status === "running" && e.planned > e.episodes) {
			const each = stamps.length > 2 ? (stamps[stamps.length - 1] - stamps[0]) / (stamps.length - 1) : durations.length ? (60 * durations.reduce((a, b) => a + b, 0)) / durations.length : NaN;
			if (Number.isFinite(each)) left = ` · about ${span(each * (e.planned - e.episodes))} left`;
		}
		put(head, h("div", { class: "row between" },
			h("div", {}, h("h1", {}, e.name), e.description ? h("div", { class: "soft" }, e.description) : null),
			h("div", { class: "row" }, h("span", { class: "state " + e.status }, shape(e.status), " ", e.status), h("span", {}, progress(e)), h("span", { class: "soft" }, left),
				h("span", { class: "soft", title: e.last_record ?? "" }, e.last_record ? `last record ${age(e.last_record)} ago` : "no record yet"),
				h("a", { href: "/compare?experiments=" + encodeURIComponent(e.name.includes(",") ? e.id : e.name) }, "compare"),
				lastEpisode >= 0 && h("a", { href: `${path(e.name)}/episodes/${lastEpisode}` }, "latest episode"))));
	}

	async function about() {
		detail = await get(path(name));
		if (gone) return;
		drawHead();
	}

	async function first() {
		try {
			await about();
			const latest = await get(path(name) + "/episodes", { newest: true, limit: 1, columns: "reward_components" });
			const c = latest.items[0]?.reward_components ?? {};
			components = Object.keys(c).filter((k) => typeof c[k] === "number" && !/^(total|step)/.test(k));
			const parts = await get(path(name) + "/series", { columns: components.map((k) => "reward_components." + k).join(","), points: 200 });
			components = components.filter((k) => parts.columns["reward_components." + k].some((v) => v)).slice(0, 8);
			rebuild();
			const [v, b] = await Promise.all([get(path(name) + "/validations", { columns: "total_reward,validation_episode,test_scenario" }), get(path(name) + "/baselines", { columns: "baseline_type,baseline_metrics" })]);
			validations = v.items;
			baselines = b.items;
			await full();
			drawHead();
			drawActions();
			put(trouble);
			alertMarks();
		} catch (e) {
			if (gone || e.name === "AbortError") return;
			if (e.status === 404) {
				put(view, h("div", { class: "empty" }, h("h2", {}, "There is no such experiment"), h("p", {}, e.message), h("p", {}, h("a", { href: "/" }, "To the experiments"))));
				return;
			}
			put(trouble, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
			setTimeout(() => !gone && first(), 3000);
		}
	}

	async function alertMarks() {
		const a = await get("/alerts", { experiment: name, limit: 100 }).catch(() => null);
		if (!a || gone) return;
		const marks = a.items.filter((i) => i.episode_number !== null && i.episode_number !== undefined).map((i) => ({ x: i.episode_number, label: i.rule.replaceAll("_", " "), colour: "--fail" }));
		for (const c of charts.values()) c.setMarks(axis === "episode" ? marks : []);
	}

	const mine = (c) => c.all || (detail && c.experiments?.includes(detail.id));
	const update = throttle(async () => { await fresh(); }, 60);
	const slow = throttle(async () => {
		await about();
		const v = await get(path(name) + "/validations", { columns: "total_reward,validation_episode,test_scenario" });
		validations = v.items;
		await full();
		drawActions();
	}, 4000);
	const off = onChange((c) => {
		if (!mine(c) || !detail) return;
		update();
		slow();
		if (c.alerts || c.all) alertMarks();
	});
	const ticking = setInterval(() => detail && drawHead(), 5000);
	if (tab === "Overview") put(panel, overview, h("p", { class: "loading" }));
	first().then(() => { if (!gone && tab !== "Overview") choose(tab); });
	return () => { gone = true; off(); update.stop(); slow.stop(); clearInterval(ticking); closeTab(); group.end(); };
}
export { clock, bytes };
