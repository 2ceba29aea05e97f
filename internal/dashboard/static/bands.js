import { h, put } from "./dom.js";
import { number, simulated } from "./format.js";
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

// on is the colour of text that is read on a colour (#rrggbb).
function on(colour) {
	const part = (at) => {
		const v = parseInt(colour.slice(at, at + 2), 16) / 255;
		return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	};
	const light = 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
	return 1.05 / (light + 0.05) >= 4.5 ? "#ffffff" : "#10161b";
}

const axisHeight = 18;

// rows draws a picture of rows × steps over simulated time, with a cursor over it.
// cell draws the steps of a row.
function picture(label, names, widest, rowHeight, steps, choose, cell) {
	const ratio = devicePixelRatio || 1;
	const el = h("canvas", { class: "heat", role: "img", "aria-label": label });
	const line = h("div", { class: "at" });
	const frame = h("div", { class: "bands" }, el, line);
	const height = names.length * rowHeight;
	let left = 0, width = 0;
	const x = (i) => left + ((width - left) * i) / Math.max(1, steps.length);
	const draw = () => {
		width = Math.max(240, frame.clientWidth);
		const ctx = el.getContext("2d");
		el.width = width * ratio;
		el.height = (height + axisHeight) * ratio;
		el.style.height = height + axisHeight + "px";
		line.style.height = height + "px";
		ctx.scale(ratio, ratio);
		ctx.font = "12px system-ui, sans-serif";
		left = Math.min(width * 0.32, 10 + Math.max(...widest.map((n) => ctx.measureText(n).width)));
		ctx.textBaseline = "middle";
		names.forEach((n, r) => {
			ctx.font = "12px system-ui, sans-serif";
			ctx.fillStyle = css("--soft");
			let text = n;
			while (text.length > 3 && ctx.measureText(text).width > left - 8) text = text.slice(0, -2) + "…";
			ctx.fillText(text, 0, (r + 0.5) * rowHeight);
			cell(ctx, r, r * rowHeight, x, width - left);
		});
		// The axis: simulated time, about each 90 pixels.
		ctx.font = "11px system-ui, sans-serif";
		ctx.fillStyle = css("--soft");
		const every = Math.max(1, Math.ceil((90 * steps.length) / Math.max(1, width - left)));
		for (let i = 0; i < steps.length; i += every) {
			if (x(i) + 50 > width && i > 0) break;
			ctx.fillRect(Math.round(x(i)), height, 1, 4);
			ctx.fillText(steps[i].simulation_time === undefined ? `step ${steps[i].step_number}` : simulated(steps[i].simulation_time), x(i) + 3, height + 11);
		}
	};
	const at = (e) => {
		const box = el.getBoundingClientRect();
		return Math.max(0, Math.min(steps.length - 1, Math.floor(((e.clientX - box.left - left) / (box.width - left)) * steps.length)));
	};
	el.addEventListener("pointerdown", (e) => {
		choose(at(e));
		const drag = (m) => choose(at(m));
		const stop = () => { removeEventListener("pointermove", drag); removeEventListener("pointerup", stop); };
		addEventListener("pointermove", drag);
		addEventListener("pointerup", stop);
	});
	return { frame, draw, cursor: (i) => { line.style.left = `${x(i + 0.5) - 1}px`; } };
}

// labels are those of both pictures, which stand below each other with one cursor.
const labels = (lanes) => lanes.flatMap((j) => [j.id, ...j.approaches.map((a) => `${j.id} ${a}`)]);

// heat draws approach × time: how many vehicles halt.
export function heat(card, steps, lanes, choose) {
	const rows = lanes.flatMap((j) => j.approaches.map((a) => [j.id, a]));
	card.hidden = rows.length === 0;
	if (!rows.length) return { cursor() {} };
	let most = 1;
	for (const st of steps) for (const [j, a] of rows) most = Math.max(most, st.queue_lengths?.[j]?.[a] ?? 0);
	const height = 18;
	const c = picture(`Queue per approach over time, up to ${most} vehicles`, rows.map(([j, a]) => `${j} ${a}`), labels(lanes), height, steps, choose, (ctx, r, top, x) => {
		const [j, a] = rows[r];
		steps.forEach((st, i) => {
			const v = st.queue_lengths?.[j]?.[a];
			ctx.fillStyle = v === undefined || v === null ? css("--bg") : scale(v / most);
			ctx.fillRect(x(i), top + 1, x(i + 1) - x(i) + 0.5, height - 2);
		});
	});
	put(card, h("div", { class: "row between" }, h("h2", {}, "Queues"), h("span", { class: "soft small ramp" }, "0", [0.05, 0.25, 0.5, 0.75, 1].map((v) => h("span", { class: "swatch", style: { background: scale(v) } })), `${number(most)} halting vehicles`)), c.frame);
	c.draw();
	return c;
}

// bands draws which phase each junction showed.
export function bands(card, steps, lanes, choose) {
	const shown = (st, j) => st.intersection_metrics?.[j]?.phase ?? st.intersection_metrics?.[j]?.action ?? st.intersection_metrics?.actions?.[j];
	const rows = lanes.filter((j) => steps.some((st) => shown(st, j.id) !== undefined));
	card.hidden = rows.length === 0;
	if (!rows.length) return { cursor() {} };
	const height = 28;
	const c = picture("Phase of each intersection over time", rows.map((j) => j.id), labels(lanes), height, steps, choose, (ctx, r, top, x) => {
		for (let i = 0; i < steps.length;) {
			const phase = shown(steps[i], rows[r].id);
			let k = i + 1;
			while (k < steps.length && shown(steps[k], rows[r].id) === phase) k++;
			if (phase !== undefined && phase !== null) {
				const from = x(i), to = x(k), colour = css(palette[Number(phase) % palette.length] ?? "--s8");
				ctx.fillStyle = colour;
				ctx.fillRect(from, top + 3, Math.max(1, to - from - 1), height - 6);
				if (to - from > 14) {
					ctx.fillStyle = on(colour);
					ctx.font = "600 12px system-ui, sans-serif";
					ctx.fillText(String(phase), from + 4, top + height / 2);
				}
			}
			i = k;
		}
	});
	put(card, h("div", { class: "row between" }, h("h2", {}, "Phases"), h("span", { class: "soft small" }, "number: the phase of the signal's program")), c.frame);
	c.draw();
	return c;
}
