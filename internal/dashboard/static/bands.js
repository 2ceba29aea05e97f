import { h, put } from "./dom.js";
import { number } from "./format.js";
import { palette } from "./charts.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// One sequential scale for queues and waiting, light to dark (ColorBrewer YlOrBr, Harrower
// and Brewer 2003), which colour-blind people see as well.
const stops = [[255, 247, 219], [254, 217, 142], [254, 153, 41], [204, 76, 2], [102, 37, 6]];
export function scale(share) {
	const t = Math.max(0, Math.min(1, share || 0)) * (stops.length - 1);
	const i = Math.min(stops.length - 2, Math.floor(t)), f = t - i;
	const [r, g, b] = stops[i].map((v, k) => Math.round(v + (stops[i + 1][k] - v) * f));
	return `rgb(${r} ${g} ${b})`;
}

// canvas makes a drawing area of rows × steps with a cursor over it.
function canvas(label, rows, rowHeight, left, steps, choose) {
	const ratio = devicePixelRatio || 1;
	const el = h("canvas", { class: "heat", role: "img", "aria-label": label });
	const line = h("div", { style: { position: "absolute", top: "0", width: "2px", background: "var(--ink)", height: rows * rowHeight + "px", pointerEvents: "none" } });
	const frame = h("div", { style: { position: "relative" } }, el, line);
	const size = (width) => {
		el.width = width * ratio;
		el.height = rows * rowHeight * ratio;
		el.style.height = rows * rowHeight + "px";
		const ctx = el.getContext("2d");
		ctx.scale(ratio, ratio);
		return ctx;
	};
	const x = (i, width) => left + ((width - left) * i) / Math.max(1, steps);
	const at = (e) => {
		const box = el.getBoundingClientRect();
		return Math.floor(((e.clientX - box.left - left) / (box.width - left)) * steps);
	};
	el.addEventListener("pointerdown", (e) => {
		choose(at(e));
		const drag = (m) => choose(at(m));
		const stop = () => { removeEventListener("pointermove", drag); removeEventListener("pointerup", stop); };
		addEventListener("pointermove", drag);
		addEventListener("pointerup", stop);
	});
	return { el, frame, size, x, cursor: (i) => { line.style.left = `${x(i + 0.5, el.clientWidth)}px`; } };
}

const left = 130;

// heat draws approach × time: how many vehicles halt.
export function heat(card, steps, lanes, choose) {
	const rows = lanes.flatMap((j) => j.approaches.map((a) => [j.id, a]));
	card.hidden = rows.length === 0;
	if (!rows.length) return { cursor() {} };
	let most = 1;
	for (const st of steps) for (const [j, a] of rows) most = Math.max(most, st.queue_lengths?.[j]?.[a] ?? 0);
	const height = 16;
	const c = canvas(`Queue per approach over time, up to ${most} vehicles`, rows.length, height, left, steps.length, choose);
	put(card, h("div", { class: "row between" }, h("h2", {}, "Queues, approach × time"), h("span", { class: "soft small" }, "0 ", [0.05, 0.25, 0.5, 0.75, 1].map((v) => h("span", { class: "swatch", style: { background: scale(v), height: "10px" } })), ` ${number(most)} halting vehicles`)), c.frame);
	const width = Math.max(280, c.frame.clientWidth);
	const ctx = c.size(width);
	ctx.font = "11px system-ui, sans-serif";
	rows.forEach(([j, a], r) => {
		ctx.fillStyle = css("--soft");
		ctx.fillText(short(`${j} ${a}`), 0, r * height + 12);
		steps.forEach((st, i) => {
			const v = st.queue_lengths?.[j]?.[a];
			ctx.fillStyle = v === undefined || v === null ? css("--bg") : scale(v / most);
			ctx.fillRect(c.x(i, width), r * height + 1, Math.ceil((width - left) / steps.length) + 0.5, height - 2);
		});
	});
	return c;
}

const short = (t) => (t.length > 20 ? t.slice(0, 19) + "…" : t);

// bands draws which phase each junction showed.
export function bands(card, steps, lanes, choose) {
	const shown = (st, j) => st.intersection_metrics?.[j]?.phase ?? st.intersection_metrics?.[j]?.action ?? st.intersection_metrics?.actions?.[j];
	const rows = lanes.filter((j) => steps.some((st) => shown(st, j.id) !== undefined));
	card.hidden = rows.length === 0;
	if (!rows.length) return { cursor() {} };
	const height = 26;
	const c = canvas("Phase of each intersection over time", rows.length, height, left, steps.length, choose);
	put(card, h("h2", {}, "Phases"), c.frame);
	const width = Math.max(280, c.frame.clientWidth);
	const ctx = c.size(width);
	rows.forEach((j, r) => {
		ctx.font = "11px system-ui, sans-serif";
		ctx.fillStyle = css("--soft");
		ctx.fillText(short(j.id), 0, r * height + 16);
		for (let i = 0; i < steps.length;) {
			const phase = shown(steps[i], j.id);
			let k = i + 1;
			while (k < steps.length && shown(steps[k], j.id) === phase) k++;
			if (phase !== undefined) {
				const from = c.x(i, width), to = c.x(k, width);
				ctx.fillStyle = css(palette[Number(phase) % palette.length] ?? "--s8");
				ctx.fillRect(from, r * height + 3, Math.max(1, to - from - 1), height - 6);
				if (to - from > 16) {
					ctx.fillStyle = css("--card");
					ctx.font = "600 11px system-ui, sans-serif";
					ctx.fillText(String(phase), from + 4, r * height + 17);
				}
			}
			i = k;
		}
	});
	return c;
}
