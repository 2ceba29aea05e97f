import { h, s, put } from "./dom.js";
import { count, short } from "./format.js";
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
	const list = [...found].map(([id, approaches]) => ({ id, approaches: [...approaches].sort() })).sort((a, b) => a.id.localeCompare(b.id));
	list.moves = steps.slice(0, 200).some((st) => list.some((j) => j.approaches.some((a) => st.intersection_metrics?.[j.id]?.approaches?.[a]?.green !== undefined)));
	return list;
}

// paint draws the junctions and returns how to show a step on them.
export function paint(card, lanes, network, choose) {
	let most = 10;
	const known = network && lanes.some((j) => network.signals.some((sig) => sig.id === j.id));
	const view = known ? real(card, lanes, network, choose) : schematic(lanes, choose, card.clientWidth);
	put(card, h("div", { class: "row between" }, h("h2", {}, "Intersections"), h("span", { class: "soft small" }, known ? "roads as they lie; " : h("span", { title: "Give it with: greenwave serve --net FILE" }, "schematic, as the road network is not known here; "), "number and colour: halting vehicles", known || lanes.moves ? ", green: who may go" : "", h("span", { style: { color: "var(--s1)" } }, " ■"), " bus", h("span", { style: { color: "var(--s2)" } }, " ●"), " jeepney")), view.el);
	return {
		get most() { return most; },
		update(step, chosen) {
			for (const per of Object.values(step.queue_lengths ?? {})) for (const v of Object.values(per ?? {})) if (v > most) most = v;
			view.update(step, chosen, most);
		},
	};
}

// real draws the roads as they lie. Width is lanes, colour is queue.
function real(card, lanes, network, choose) {
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
	const unit = (east - west) / Math.max(420, Math.min(900, card.clientWidth - 24)); // a pixel; letters stay readable on a phone
	const d = (shape) => shape.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${(-y).toFixed(1)}`).join("");
	const el = s("svg", { class: "map", viewBox: `${west} ${-north} ${east - west} ${north - south}`, role: "group", "aria-label": "Map of the intersections" },
		arrowhead());
	const near = network.edges.filter((e) => e.shape?.some(([x, y]) => x > west && x < east && y > south && y < north));
	el.append(...near.map((e) => s("path", { d: d(e.shape), fill: "none", stroke: "var(--road)", "stroke-width": Math.max(3 * unit, e.lanes * 3), "stroke-linecap": "round" })));
	const approaches = new Map();
	for (const j of lanes) for (const a of j.approaches) {
		const e = edges.get(a);
		if (!e?.shape?.length) continue;
		const end = tail(e.shape, 92 * unit);
		const road = s("path", { d: d(end), fill: "none", "stroke-width": Math.max(4 * unit, e.lanes * 3.2), "stroke-linecap": "butt" });
		const [x, y] = along(end, 0.3);
		const label = s("text", { class: "label", x, y: -y, "text-anchor": "middle", "dominant-baseline": "middle", style: { fontSize: `${13 * unit}px`, strokeWidth: `${3 * unit}px` } });
		const bus = s("text", { class: "label", x, y: -y + 14 * unit, "text-anchor": "middle", "dominant-baseline": "middle", style: { fontSize: `${10 * unit}px`, strokeWidth: `${3 * unit}px` } });
		approaches.set(j.id + "\n" + a, { road, label, bus, at: [x, y] });
	}
	for (const { road } of approaches.values()) el.append(road);
	const taken = [...approaches.values()].map(({ at: [x, y] }) => [x - 16 * unit, y - 26 * unit, x + 16 * unit, y + 10 * unit]);
	const ways = near.flatMap((e) => dense(e.shape, 6 * unit));
	const dots = new Map();
	for (const sig of signals) {
		const greens = (sig.links ?? []).map((l) => {
			const from = edges.get(l.from)?.shape, to = edges.get(l.to)?.shape;
			if (!(from?.length > 1) || !(to?.length > 1)) return null;
			const a = tail(from, 20 * unit)[0], b = along(head(to, 24 * unit), 1), c = [sig.x, sig.y];
			const line = s("path", { d: `M${a[0]} ${-a[1]}Q${c[0]} ${-c[1]} ${b[0]} ${-b[1]}`, fill: "none", class: "green", "stroke-width": 2.2 * unit, "marker-end": "url(#arrow)", visibility: "hidden" });
			el.append(line);
			return { index: l.index, line };
		}).filter(Boolean);
		const title = short(sig.id), width = Math.max(9 * title.length, 56) * unit, height = 30 * unit;
		const [nx, ny] = place(sig, width, height, unit, taken, ways, [west, south, east, north]);
		taken.push([nx - width / 2, ny - height / 2, nx + width / 2, ny + height / 2]);
		const text = (y, size, weight) => s("text", { class: "label", x: nx, y: -ny + y * unit, "text-anchor": "middle", "dominant-baseline": "middle", style: { fontSize: `${size * unit}px`, fontWeight: weight, strokeWidth: `${3 * unit}px` } });
		const name = text(-7, 13, 650), phase = text(8, 11, 400);
		name.textContent = title;
		const dot = s("circle", { cx: sig.x, cy: -sig.y, r: 5 * unit, stroke: "var(--map)", "stroke-width": unit });
		const ring = s("circle", { cx: sig.x, cy: -sig.y, r: 27 * unit, fill: "transparent", class: "ring", "stroke-width": 1.5 * unit });
		el.append(pressed(sig.id, choose, ring, dot, phase, name));
		dots.set(sig.id, { dot, phase, ring, greens, words: true });
	}
	for (const { label, bus } of approaches.values()) el.append(label, bus);
	return { el, update: (step, chosen, most) => update(step, chosen, most, approaches, dots) };
}

const arrowhead = () => s("defs", {}, s("marker", { id: "arrow", viewBox: "0 0 6 6", refX: 4, refY: 3, markerWidth: 3.2, markerHeight: 3.2, orient: "auto" }, s("path", { d: "M0 0L6 3L0 6Z", class: "arrow" })));

// pressed is a part of the drawing that chooses a junction, by keyboard too.
function pressed(id, choose, ...parts) {
	return s("g", { class: "junction", tabindex: "0", role: "button", onclick: () => choose(id), onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); e.stopPropagation(); choose(id); } } }, s("title", {}, id), ...parts);
}

// place finds where a name stands: near its junction, away from roads and other texts.
function place(sig, width, height, unit, taken, ways, frame) {
	let best = [sig.x, sig.y], least = Infinity;
	for (let i = 0; i < 16; i++) for (const far of [0, 14, 30]) {
		const angle = (i / 16) * 2 * Math.PI, dx = Math.cos(angle), dy = Math.sin(angle);
		const x = sig.x + dx * (width / 2 + (22 + far) * unit), y = sig.y + dy * (height / 2 + (22 + far) * unit);
		const box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
		let cost = far / 3;
		if (box[0] < frame[0] || box[1] < frame[1] || box[2] > frame[2] || box[3] > frame[3]) cost += 200;
		for (const b of taken) if (box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1]) cost += 60;
		for (const [px, py] of ways) if (px > box[0] && px < box[2] && py > box[1] && py < box[3]) cost += 4;
		if (cost < least) { least = cost; best = [x, y]; }
	}
	return best;
}

// angles say where the approaches of a junction are drawn: where their names say, else
// around it.
function angles(approaches) {
	const points = { e: 0, s: 1, w: 2, n: 3 }, taken = new Set();
	const named = approaches.map((a) => points[a.match(/(?:^|[^a-z])(north|south|east|west|[nsew])(?:bound)?(?:$|[^a-z])/i)?.[1][0].toLowerCase()]);
	if (named.every((p) => p !== undefined && !taken.has(p) && taken.add(p))) return named.map((p) => (p * Math.PI) / 2);
	return approaches.map((a, k) => (k / Math.max(1, approaches.length)) * 2 * Math.PI - Math.PI / 2);
}

// The directions that a step may say are green, as SUMO's networks call them: how far
// each turns from straight ahead, in quarters of a circle to the right.
const turns = { s: 0, r: 1, R: 0.5, l: -1, L: -0.5, t: 2 };

// movement is the way from an approach over the junction.
function movement(cx, cy, angle, turn) {
	const side = 7; // people drive on the right, so ways in and out lie beside each other
	const from = [Math.cos(angle), Math.sin(angle)], out = angle + Math.PI + (turn * Math.PI) / 2, to = [Math.cos(out), Math.sin(out)];
	const a = [cx + from[0] * 46 + from[1] * side, cy + from[1] * 46 - from[0] * side], b = [cx + to[0] * 44 - to[1] * side, cy + to[1] * 44 + to[0] * side];
	return `M${a[0].toFixed(1)} ${a[1].toFixed(1)}Q${cx} ${cy} ${b[0].toFixed(1)} ${b[1].toFixed(1)}`;
}

// schematic draws each junction with its approaches around it.
function schematic(lanes, choose, room) {
	const across = Math.min(lanes.length <= 3 ? lanes.length : Math.ceil(Math.sqrt(lanes.length * 1.5)), Math.max(1, Math.floor(room / 190))); // letters stay readable on a phone
	const each = 250, width = Math.max(1, across), rows = Math.ceil(lanes.length / width) || 1;
	const el = s("svg", { class: "map", viewBox: `0 0 ${width * each} ${rows * each}`, role: "group", "aria-label": "Schematic of the intersections", style: { maxHeight: `${Math.min(620, rows * 340)}px` } }, arrowhead());
	const approaches = new Map(), dots = new Map();
	lanes.forEach((j, i) => {
		const cx = (i % width) * each + each / 2, cy = Math.floor(i / width) * each + each / 2;
		const at = angles(j.approaches), greens = [];
		j.approaches.forEach((a, k) => {
			const angle = at[k];
			const dx = Math.cos(angle), dy = Math.sin(angle);
			const road = s("path", { d: `M${cx + dx * 92} ${cy + dy * 92}L${cx + dx * 48} ${cy + dy * 48}`, "stroke-width": 14, fill: "none" });
			const label = s("text", { class: "label", x: cx + dx * 70, y: cy + dy * 70, "text-anchor": "middle", "dominant-baseline": "central" });
			const bus = s("text", { class: "label", x: cx + dx * 108, y: cy + dy * 106 + 13, "text-anchor": "middle", "dominant-baseline": "central", style: { fontSize: "10px" } });
			const name = s("text", { x: cx + dx * 108, y: cy + dy * 106, "text-anchor": "middle", "dominant-baseline": "central", style: { fontSize: "10px", fontWeight: "400" } }, short(a, 14));
			el.append(road, name);
			approaches.set(j.id + "\n" + a, { road, label, bus });
			for (const [way, turn] of Object.entries(turns)) greens.push({ approach: a, way, line: s("path", { d: movement(cx, cy, angle, turn), fill: "none", class: "green", "stroke-width": 2.6, "marker-end": "url(#arrow)", visibility: "hidden" }) });
		});
		const dot = s("circle", { cx, cy, r: 12, stroke: "var(--map)", "stroke-width": 1 });
		const ring = s("circle", { cx, cy, r: 16, fill: "none", class: "ring", "stroke-width": 1.5 });
		const phase = s("text", { x: cx, y: cy, "text-anchor": "middle", "dominant-baseline": "central", style: { fill: "#fff" } });
		for (const { line } of greens) el.append(line);
		el.append(pressed(j.id, choose, ring, dot, phase, s("text", { class: "label", x: cx - each / 2 + 10, y: cy - each / 2 + 20, "text-anchor": "start" }, short(j.id, 24))));
		dots.set(j.id, { dot, phase, ring, greens });
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
		const marks = [];
		if (metrics?.buses) marks.push(s("tspan", { fill: "var(--s1)" }, "■ "), s("tspan", {}, `${metrics.buses} `));
		if (metrics?.jeepneys) marks.push(s("tspan", { fill: "var(--s2)" }, "● "), s("tspan", {}, String(metrics.jeepneys)));
		bus.replaceChildren(...marks);
	}
	for (const [j, { dot, phase, ring, greens, words }] of dots) {
		const m = step.intersection_metrics?.[j];
		const green = /[gG]/.test(m?.shown ?? "G");
		const yellow = /[yY]/.test(m?.shown ?? "");
		dot.setAttribute("fill", yellow ? "#8a5a00" : green ? "#15683f" : "#7d2620");
		ring.setAttribute("stroke", j === chosen ? "var(--ink)" : "transparent");
		const number = m?.phase ?? m?.action ?? step.intersection_metrics?.actions?.[j] ?? "";
		phase.textContent = words && number !== "" ? `phase ${number}` : number;
		for (const { index, approach, way, line } of greens) {
			const light = way ? (m?.approaches?.[approach]?.green ?? "").includes(way) && "G" : m?.shown?.[index];
			line.setAttribute("visibility", light === "G" || light === "g" ? "visible" : "hidden");
			line.setAttribute("stroke-dasharray", light === "g" ? "4 3" : "none"); // it gives way
		}
	}
}

// head is the first metres of a road.
const head = (shape, metres) => tail([...shape].reverse(), metres).reverse();

// dense is points along a line, not further apart than so many metres.
function dense(shape, metres) {
	const out = [];
	for (let i = 1; i < shape.length; i++) {
		const [x0, y0] = shape[i - 1], [x1, y1] = shape[i];
		const n = Math.min(500, Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / metres)));
		for (let k = 0; k < n; k++) out.push([x0 + ((x1 - x0) * k) / n, y0 + ((y1 - y0) * k) / n]);
	}
	return out;
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
