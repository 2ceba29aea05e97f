import { h, put, rows, link } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count, simulated } from "./format.js";
import { junctions, paint } from "./map.js";
import { heat, bands, scale } from "./bands.js";

const qhelp = "What the network expects of each phase: the discounted sum of scaled rewards from here on. The longest bar is the best; the shortest stands for the worst, not for zero.";
const columns = "active_vehicles,queue_lengths,waiting_times,speeds,intersection_metrics,action_taken,immediate_reward,simulation_time,extra";

// episode shows the intersections of one episode, step by step.
export function episode(view, name, text) {
	const n = Number(text);
	document.title = `${name}, episode ${n} – Greenwave`;
	const asked = new URLSearchParams(location.search);
	let steps = [], network = null, at = 0, playing = 0, gone = false, chosen = asked.get("intersection"), following = !asked.has("step");
	const trouble = h("div"), facts = h("div", { class: "row soft", style: { minHeight: "21px" } });
	const slider = h("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "Step", oninput: () => show(Number(slider.value)) });
	const time = h("output", { class: "when" });
	const play = h("button", { type: "button", onclick: () => toggle() }, "▷ Play");
	const speed = h("select", { "aria-label": "Speed", onchange: () => { if (playing) { toggle(); toggle(); } } }, [1, 2, 4, 10, 30].map((v) => h("option", { value: v, selected: v === 4 }, `×${v}`)));
	const map = h("section", { class: "card c8" }), side = h("section", { class: "card c4" });
	const heatCard = h("section", { class: "card c12" }), phaseCard = h("section", { class: "card c12" });
	const player = h("div", { class: "card player" },
		h("button", { type: "button", "aria-label": "Step back", onclick: () => show(at - 1) }, "◀"), h("button", { type: "button", "aria-label": "Step forward", onclick: () => show(at + 1) }, "▶"), play, speed, slider, time);
	const waiting = h("p", { class: "loading" }, "Loading");
	put(view, h("div", { class: "row between" }, h("div", {}, h("h1", {}, h("a", { class: "under", href: path(name) }, name), ` · episode ${n}`), facts),
		h("div", { class: "row" }, n > 0 && h("a", { href: `${path(name)}/episodes/${n - 1}` }, "← episode before"), h("a", { href: `${path(name)}/episodes/${n + 1}` }, "next episode →"), link())),
	trouble, waiting, player, h("div", { class: "grid" }, map, side, heatCard, phaseCard));
	// What is not known yet is not there yet, so that nothing moves when it comes.
	for (const c of [player, map, side, heatCard, phaseCard]) c.hidden = true;

	view.tabIndex = -1;
	const keys = (e) => {
		if (e.target.matches("input, select, textarea, button")) return;
		if (e.key === "ArrowLeft") show(at - 1);
		else if (e.key === "ArrowRight") show(at + 1);
		else if (e.key === " ") { e.preventDefault(); toggle(); }
	};
	addEventListener("keydown", keys);

	function toggle() {
		if (playing) { clearInterval(playing); playing = 0; play.textContent = "▷ Play"; address(); return; }
		following = false;
		if (at >= steps.length - 1) move(0);
		play.textContent = "❚❚ Pause";
		playing = setInterval(() => { if (at >= steps.length - 1) toggle(); else move(at + 1); }, 1000 / Number(speed.value));
	}

	// show goes to a step that somebody chose; the address then says so. While it plays it
	// does not, as browsers take only so many addresses a second.
	function show(to) {
		following = false;
		move(to);
		clearTimeout(writing);
		writing = setTimeout(address, 200);
	}
	let writing;
	function address() {
		if (gone) return;
		const q = new URLSearchParams();
		if (!following && steps[at]) q.set("step", steps[at].step_number);
		if (chosen !== null && chosen !== lanes[0]?.id) q.set("intersection", chosen);
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	}
	const choose = (id) => { chosen = id; draw(); address(); };

	function move(to) {
		at = Math.max(0, Math.min(steps.length - 1, to));
		slider.value = at;
		draw();
	}

	let drawing = null, lanes = [], heatView, bandView;
	function layout() {
		slider.max = Math.max(0, steps.length - 1);
		lanes = junctions(steps);
		if (chosen === null || !lanes.some((j) => j.id === chosen)) chosen = lanes[0]?.id ?? null;
		drawing = paint(map, lanes, network, choose);
		heatView = heat(heatCard, steps, lanes, show);
		bandView = bands(phaseCard, steps, lanes, show);
	}

	function draw() {
		const step = steps[at];
		if (!step) return;
		put(time, h("b", {}, step.simulation_time === undefined ? `step ${step.step_number}` : simulated(step.simulation_time)), ` step ${at + 1} of ${steps.length}`);
		slider.setAttribute("aria-valuetext", `step ${step.step_number}, ${simulated(step.simulation_time)}`);
		drawing.update(step, chosen);
		heatView.cursor(at);
		bandView.cursor(at);
		const metrics = step.intersection_metrics?.[chosen] ?? {};
		const q = metrics.q_values;
		const approaches = metrics.approaches ?? {};
		const queues = step.queue_lengths?.[chosen] ?? {};
		const action = metrics.action ?? step.intersection_metrics?.actions?.[chosen] ?? step.action_taken;
		const focused = side.contains(document.activeElement) && document.activeElement.tagName;
		put(side,
			h("div", { class: "row between" }, h("h2", {}, "What the agent saw and chose"), lanes.length > 1 && h("select", { "aria-label": "Intersection", onchange: (e) => choose(e.target.value) }, lanes.map((j) => h("option", { value: j.id, selected: j.id === chosen }, j.id)))),
			h("dl", { class: "facts" },
				h("dt", {}, "reward"), h("dd", {}, number(metrics.reward ?? step.immediate_reward, 4)),
				metrics.phase !== undefined && [h("dt", {}, "phase"), h("dd", {}, `${metrics.phase}${metrics.phase_age !== undefined ? ` for ${number(metrics.phase_age)} s` : ""}`)],
				action !== undefined && [h("dt", {}, "chosen"), h("dd", {}, `phase ${action}`)],
				h("dt", {}, "vehicles"), h("dd", {}, `${count(metrics.vehicles ?? step.active_vehicles)}${metrics.buses !== undefined ? `, ${count(metrics.buses)} ${metrics.buses === 1 ? "bus" : "buses"}, ${count(metrics.jeepneys)} ${metrics.jeepneys === 1 ? "jeepney" : "jeepneys"}` : ""}`),
				fact("waiting", step.waiting_times?.[chosen] ?? step.waiting_time, "s on average"),
				fact("speed", step.speeds?.[chosen] ?? step.avg_speed, "km/h"),
				step.queue_length !== undefined && fact("queue", step.queue_length, "halting vehicles")),
			Array.isArray(q) && q.length > 0 && [h("h2", { style: { marginTop: "12px" } }, "Q-values ", h("span", { class: "help", role: "note", title: qhelp, "aria-label": qhelp }, "?")), qbars(q, action)],
			Object.keys(queues).length > 0 && h("div", { style: { marginTop: "12px" } }, rows("Approaches", [["approach", ""], ["queue", "num", "Halting vehicles: below 0.1 m/s."], ["vehicles", "num"], ["waiting s", "num"], ["km/h", "num"]],
				Object.keys(queues).map((a) => [[h("span", { class: "swatch", style: { height: "10px", background: scale(queues[a] / (drawing.most || 1)), marginRight: "6px" } }), a], count(queues[a]), count(approaches[a]?.vehicles), number(approaches[a]?.waiting), number(approaches[a]?.speed)]))));
		if (focused) side.querySelector(focused.toLowerCase())?.focus();
	}

	const fact = (name, v, unit) => typeof v === "number" && [h("dt", {}, name), h("dd", {}, `${number(v)} ${unit}`)];

	function qbars(q, action) {
		const low = Math.min(...q), high = Math.max(...q), room = high - low || 1;
		return q.map((v, i) => h("div", { class: "hbar" }, h("span", {}, i === Number(action) ? h("b", {}, `▸ phase ${i}`) : `phase ${i}`), h("span", { class: "track" }, h("i", { style: { width: `${8 + ((v - low) / room) * 92}%`, background: i === Number(action) ? "var(--s2)" : "var(--s1)" } })), h("span", { class: "num" }, number(v, 3))));
	}

	async function load() {
		try {
			const all = [];
			let cursor = "";
			do {
				const page = await get(`${path(name)}/episodes/${n}/steps`, { limit: 1000, columns, cursor });
				all.push(...page.items);
				cursor = page.next;
			} while (cursor && all.length < 20000);
			if (gone) return;
			const grown = all.length !== steps.length;
			steps = all;
			put(trouble);
			if (!steps.length) { await nothing(); return; }
			waiting.remove();
			for (const c of [player, map, side]) c.hidden = false;
			if (grown) layout();
			if (grown && asked.has("step")) { at = Math.max(0, steps.findIndex((s) => s.step_number === Number(asked.get("step")))); asked.delete("step"); }
			if (following && !playing) at = n === newest ? steps.length - 1 : 0;
			move(at);
		} catch (e) {
			if (gone) return;
			put(trouble, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
		}
	}

	async function nothing() {
		const near = await get(path(name) + "/steps", { newest: true, limit: 1, columns: "action_taken" });
		const last = near.items[0]?.episode_number;
		put(map, h("div", { class: "empty" }, h("h2", {}, "No steps of this episode"), h("p", {}, last === undefined ? "No steps of this experiment were logged." : ["The latest episode with steps is ", h("a", { href: `${path(name)}/episodes/${last}` }, count(last)), "."])));
		waiting.remove();
		map.className = "card c12";
		map.hidden = false;
		player.hidden = true;
		for (const c of [side, heatCard, phaseCard]) c.hidden = true;
	}

	let newest = -1, id;
	async function first() {
		const e = await get(path(name));
		id = e.id;
		network = await get(path(name) + "/network").catch(() => null);
		const info = await get(`${path(name)}/episodes/${n}`);
		const row = info.items[0];
		if (row) put(facts, row.scenario_info?.scenario && h("span", {}, row.scenario_info.scenario), row.scenario_info?.sumo_seed !== undefined && h("span", {}, `seed ${row.scenario_info.sumo_seed}`), h("span", {}, `reward ${number(row.total_reward, 4)}`), row.completed_trips !== undefined && h("span", {}, `${count(row.completed_trips)} trips`), row.avg_waiting_time !== undefined && h("span", {}, `waiting ${number(row.avg_waiting_time)} s`), row.epsilon_value !== undefined && h("span", {}, `epsilon ${number(row.epsilon_value)}`));
		else { put(facts, h("span", {}, "under way: its result comes at its end")); newest = n; }
		await load();
	}
	first().catch((e) => {
		if (gone) return;
		if (e.status === 404) put(view, h("div", { class: "empty" }, h("h1", {}, "Not found"), h("p", {}, e.message)));
		else put(trouble, h("div", { class: "error" }, e.message));
	});
	const update = throttle(load, 300);
	const off = onChange((c) => { if (id && (c.all || c.experiments?.includes(id))) update(); });
	const redraw = () => { if (steps.length) { layout(); draw(); } };
	addEventListener("theme", redraw);
	let width = innerWidth;
	const sized = () => { if (innerWidth !== width) { width = innerWidth; redraw(); } };
	addEventListener("resize", sized);
	return () => { gone = true; off(); update.stop(); clearInterval(playing); clearTimeout(writing); removeEventListener("keydown", keys); removeEventListener("theme", redraw); removeEventListener("resize", sized); };
}
