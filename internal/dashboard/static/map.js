import { h, s, put } from "./dom.js";
import { count } from "./format.js";
import { scale } from "./bands.js";

// junctions lists the intersections of some steps with their approaches.
export function junctions(steps) {
	const found = new Map();
	for (const st of steps.slice(0, 200)) {
		for (const [j, approaches] of Object.entries(st.queue_lengths ?? {})) {
			if (typeof approaches !== "object" || approaches === null) continue;
			const known = found.get(j) ?? new Set();
			for (const a of Object.keys(approaches)) known.add(a);
			found.set(j, known);
		}
		for (const j of Object.keys(st.intersection_metrics ?? {})) if (j !== "actions" && !found.has(j)) found.set(j, new Set());
		for (const j of Object.keys(st.intersection_metrics?.actions ?? {})) if (!found.has(j)) found.set(j, new Set());
	}
	return [...found].map(([id, approaches]) => ({ id, approaches: [...approaches].sort() })).sort((a, b) => a.id.localeCompare(b.id));
}

// paint draws the junctions and returns how to show a step on them.
export function paint(card, lanes, network, choose) {
	let most = 10;
	const known = network && lanes.some((j) => network.signals.some((sig) => sig.id === j.id));
	const view = known ? real(lanes, network, choose) : schematic(lanes, choose);
	put(card, h("div", { class: "row between" }, h("h2", {}, "Intersections"), h("span", { class: "soft small" }, known ? "real geometry" : "schematic: the road network is not known here", " · number: halting vehicles")), view.el);
	return {
		get most() { return most; },
		update(step, chosen) {
			for (const per of Object.values(step.queue_lengths ?? {})) for (const v of Object.values(per ?? {})) if (v > most) most = v;
			view.update(step, chosen, most);
		},
	};
}

// real draws the roads as they lie. Width is lanes, colour is queue.
function real(lanes, network, choose) {
	const edges = new Map(network.edges.map((e) => [e.id, e]));
	const signals = lanes.map((j) => network.signals.find((sig) => sig.id === j.id)).filter(Boolean);
	// What matters is around the signals: far ends of the network are cut off.
	let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
	for (const sig of signals) {
		west = Math.min(west, sig.x - 160); east = Math.max(east, sig.x + 160);
		south = Math.min(south, sig.y - 160); north = Math.max(north, sig.y + 160);
	}
	const tall = (east - west) * 0.5;
	if (north - south < tall) { const mid = (north + south) / 2; south = mid - tall / 2; north = mid + tall / 2; }
	const flat = (north - south) * 1.2;
	if (east - west < flat) { const mid = (east + west) / 2; west = mid - flat / 2; east = mid + flat / 2; }
	const unit = (east - west) / 800; // about a pixel
	const d = (shape) => shape.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${(-y).toFixed(1)}`).join("");
	const el = s("svg", { class: "map", viewBox: `${west} ${-north} ${east - west} ${north - south}`, role: "group", "aria-label": "Map of the intersections" });
	const near = network.edges.filter((e) => e.shape?.some(([x, y]) => x > west && x < east && y > south && y < north));
	el.append(...near.map((e) => s("path", { d: d(e.shape), fill: "none", stroke: "var(--road)", "stroke-width": Math.max(3 * unit, e.lanes * 3), "stroke-linecap": "round" })));
	const approaches = new Map();
	for (const j of lanes) for (const a of j.approaches) {
		const e = edges.get(a);
		if (!e?.shape?.length) continue;
		const end = tail(e.shape, 120);
		const road = s("path", { d: d(end), fill: "none", "stroke-width": Math.max(4 * unit, e.lanes * 3.2), "stroke-linecap": "butt" });
		const [x, y] = along(end, 0.35);
		const label = s("text", { class: "label", x, y: -y, "text-anchor": "middle", "dominant-baseline": "middle", style: { fontSize: `${13 * unit}px`, strokeWidth: `${3 * unit}px` } });
		const bus = s("text", { class: "label", x, y: -y + 14 * unit, "text-anchor": "middle", "dominant-baseline": "middle", style: { fontSize: `${10 * unit}px`, strokeWidth: `${3 * unit}px` } });
		approaches.set(j.id + "\n" + a, { road, label, bus });
	}
	for (const { road } of approaches.values()) el.append(road);
	const dots = new Map();
	for (const sig of signals) {
		const dot = s("circle", { cx: sig.x, cy: -sig.y, r: 9 * unit, stroke: "var(--ink)", "stroke-width": 1.5 * unit });
		const [nx, ny] = free(sig, (sig.approaches ?? []).map((a) => edges.get(a)?.shape).filter((p) => p?.length > 1));
		const name = s("text", { class: "label", x: sig.x + nx * 26 * unit, y: -sig.y - ny * 24 * unit, "text-anchor": nx > 0.4 ? "start" : nx < -0.4 ? "end" : "middle", "dominant-baseline": "middle", style: { fontSize: `${13 * unit}px`, strokeWidth: `${3 * unit}px` } }, sig.id);
		const phase = s("text", { x: sig.x, y: -sig.y, "text-anchor": "middle", "dominant-baseline": "central", style: { fontSize: `${10 * unit}px`, fill: "#fff" } });
		const g = s("g", { tabindex: "0", role: "button", style: { cursor: "pointer" }, onclick: () => choose(sig.id), onkeydown: (e) => { if (e.key === "Enter") choose(sig.id); } }, dot, phase, name);
		dots.set(sig.id, { dot, phase });
		el.append(g);
	}
	for (const { label, bus } of approaches.values()) el.append(label, bus);
	return { el, update: (step, chosen, most) => update(step, chosen, most, approaches, dots) };
}

// schematic draws each junction with its approaches around it.
function schematic(lanes, choose) {
	const across = lanes.length <= 3 ? lanes.length : Math.ceil(Math.sqrt(lanes.length * 1.5));
	const each = 250, width = Math.max(1, across), rows = Math.ceil(lanes.length / width) || 1;
	const el = s("svg", { class: "map", viewBox: `0 0 ${width * each} ${rows * each}`, role: "group", "aria-label": "Schematic of the intersections", style: { maxHeight: "520px" } });
	const approaches = new Map(), dots = new Map();
	lanes.forEach((j, i) => {
		const cx = (i % width) * each + each / 2, cy = Math.floor(i / width) * each + each / 2;
		j.approaches.forEach((a, k) => {
			const angle = (k / Math.max(1, j.approaches.length)) * 2 * Math.PI - Math.PI / 2;
			const dx = Math.cos(angle), dy = Math.sin(angle);
			const road = s("path", { d: `M${cx + dx * 84} ${cy + dy * 84}L${cx + dx * 18} ${cy + dy * 18}`, "stroke-width": 14, fill: "none" });
			const label = s("text", { class: "label", x: cx + dx * 52, y: cy + dy * 52, "text-anchor": "middle", "dominant-baseline": "central" });
			const bus = s("text", { class: "label", x: cx + dx * 100, y: cy + dy * 98 + 13, "text-anchor": "middle", "dominant-baseline": "central", style: { fontSize: "10px" } });
			const name = s("text", { x: cx + dx * 100, y: cy + dy * 98, "text-anchor": "middle", "dominant-baseline": "central", style: { fontSize: "10px", fontWeight: "400" } }, a.length > 14 ? a.slice(0, 13) + "…" : a);
			el.append(road, name);
			approaches.set(j.id + "\n" + a, { road, label, bus });
		});
		const dot = s("circle", { cx, cy, r: 16, stroke: "var(--ink)", "stroke-width": 1.5 });
		const phase = s("text", { x: cx, y: cy, "text-anchor": "middle", "dominant-baseline": "central", style: { fill: "#fff" } });
		el.append(s("g", { tabindex: "0", role: "button", style: { cursor: "pointer" }, onclick: () => choose(j.id), onkeydown: (e) => { if (e.key === "Enter") choose(j.id); } }, dot, phase, s("text", { class: "label", x: cx, y: cy + (j.approaches.length ? 30 : 36), "text-anchor": "middle" }, j.id)));
		dots.set(j.id, { dot, phase });
		for (const a of j.approaches) { const p = approaches.get(j.id + "\n" + a); el.append(p.label, p.bus); }
	});
	return { el, update: (step, chosen, most) => update(step, chosen, most, approaches, dots) };
}

function update(step, chosen, most, approaches, dots) {
	for (const [key, { road, label, bus }] of approaches) {
		const [j, a] = key.split("\n");
		const queue = step.queue_lengths?.[j]?.[a];
		const metrics = step.intersection_metrics?.[j]?.approaches?.[a];
		road.setAttribute("stroke", queue === undefined || queue === null ? "var(--road)" : scale(queue / most));
		label.textContent = queue === undefined || queue === null ? "" : count(queue);
		const pt = (metrics?.buses ?? 0) + (metrics?.jeepneys ?? 0);
		bus.textContent = pt ? [metrics.buses ? `${metrics.buses} bus` : "", metrics.jeepneys ? `${metrics.jeepneys} jpn` : ""].filter(Boolean).join(" ") : "";
	}
	for (const [j, { dot, phase }] of dots) {
		const m = step.intersection_metrics?.[j];
		const green = /[gG]/.test(m?.shown ?? "G");
		const yellow = /[yY]/.test(m?.shown ?? "");
		dot.setAttribute("fill", yellow ? "#8a5a00" : green ? "#15683f" : "#7d2620");
		dot.setAttribute("stroke-width", j === chosen ? Number(dot.getAttribute("r")) / 4 : Number(dot.getAttribute("r")) / 9);
		phase.textContent = m?.phase ?? m?.action ?? step.intersection_metrics?.actions?.[j] ?? "";
	}
}

// free is the direction in which most room is between the roads of a junction.
function free(sig, shapes) {
	const angles = shapes.map((p) => { const [x, y] = p[Math.max(0, p.length - 2)]; return Math.atan2(y - sig.y, x - sig.x); }).sort((a, b) => a - b);
	if (!angles.length) return [0, 1];
	let best = 0, width = -1;
	angles.forEach((a, i) => {
		const next = i + 1 < angles.length ? angles[i + 1] : angles[0] + 2 * Math.PI;
		if (next - a > width) { width = next - a; best = a + (next - a) / 2; }
	});
	return [Math.cos(best), Math.sin(best)];
}

// tail is the last metres of a road.
function tail(shape, metres) {
	const out = [shape[shape.length - 1]];
	let left = metres;
	for (let i = shape.length - 1; i > 0 && left > 0; i--) {
		const [x1, y1] = shape[i], [x0, y0] = shape[i - 1];
		const length = Math.hypot(x1 - x0, y1 - y0);
		const share = Math.min(1, left / (length || 1));
		out.unshift([x1 + (x0 - x1) * share, y1 + (y0 - y1) * share]);
		left -= length;
	}
	return out;
}

// along is the point at a share of a line.
function along(shape, share) {
	const lengths = shape.slice(1).map(([x, y], i) => Math.hypot(x - shape[i][0], y - shape[i][1]));
	let left = lengths.reduce((a, b) => a + b, 0) * share;
	for (let i = 0; i < lengths.length; i++) {
		if (left <= lengths[i] && lengths[i] > 0) {
			const f = left / lengths[i];
			return [shape[i][0] + (shape[i + 1][0] - shape[i][0]) * f, shape[i][1] + (shape[i + 1][1] - shape[i][1]) * f];
		}
		left -= lengths[i];
	}
	return shape[shape.length - 1];
}
