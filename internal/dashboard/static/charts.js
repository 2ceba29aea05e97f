import { h, put } from "./dom.js";
import { number, clock } from "./format.js";
import { drawing, picture, table, save } from "./download.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const palette = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7", "--s8"];

// colourOf gives a name the same colour on every page.
const given = new Map();
export function colourOf(name, i) {
	if (i !== undefined) return palette[i % palette.length];
	if (!given.has(name)) {
		let sum = 0;
		for (const c of name) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
		given.set(name, palette[sum % palette.length]);
	}
	return given.get(name);
}

// Group is charts that share an axis: their cursors move together and so does the zoom.
export class Group {
	constructor() {
		this.charts = [];
		this.key = "g" + Math.random().toString(36).slice(2);
		this.zoom = null; // [from, to]
		this.zoomed = () => {};
	}
	set(from, to, except) {
		this.zoom = from === null ? null : [from, to];
		for (const c of this.charts) if (c !== except) c.applyZoom();
		this.zoomed(this.zoom);
	}
	end() { for (const c of this.charts) c.end(); this.charts = []; }
}

addEventListener("theme", () => { for (const c of living) c.rebuild(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const c of living) c.rebuild(); });
const living = new Set();

// Chart draws columns over one axis.
//
// series: {key, label, colour, axis: "y" or "y2", thin, dots, unit, digits}; a thin series
// is the raw data behind an average. marks: {x, label, colour}, vertical lines.
export class Chart {
	constructor(group, options) {
		Object.assign(this, { height: 220, unit: "", series: [], x: "episode", marks: [], zero: false, stacked: false }, options);
		this.group = group;
		this.log = false;
		this.hidden = new Set();
		this.data = [[], ...this.series.map(() => [])];
		this.plotHost = h("div", { class: "plot", tabindex: "0", role: "img", "aria-label": this.title, style: { height: this.height + "px" } });
		this.legendHost = h("div", { class: "legend" });
		this.tools = h("div", { class: "tools" },
			h("button", { type: "button", "aria-pressed": "false", title: "Logarithmic scale", onclick: (e) => this.toggleLog(e.currentTarget) }, "log"),
			h("button", { type: "button", title: "Show everything again", onclick: () => this.group.set(null, null) }, "reset"),
			h("select", { "aria-label": "Download " + this.title, title: "Download", onchange: (e) => this.download(e.currentTarget) },
				h("option", { value: "" }, "⤓"), h("option", { value: "png" }, "PNG"), h("option", { value: "svg" }, "SVG"), h("option", { value: "csv" }, "CSV"), this.sql && h("option", { value: "sql" }, "SQL")));
		this.el = h("section", { class: "card chart" },
			h("div", { class: "head" }, h("h2", { title: this.help }, this.title), h("span", { class: "soft small" }, this.unit), this.tools),
			this.legendHost, this.plotHost);
		this.plotHost.addEventListener("keydown", (e) => this.key(e));
		this.plotHost.addEventListener("pointerdown", (e) => this.pan(e), true);
		group.charts.push(this);
		living.add(this);
		this.resizer = new ResizeObserver(() => this.resize());
		this.resizer.observe(this.plotHost);
	}

	end() {
		living.delete(this);
		this.resizer.disconnect();
		this.plot?.destroy();
		this.plot = undefined;
	}

	// set shows new data; zoom and cursor stay.
	set(x, columns) {
		this.data = [x, ...columns];
		if (x.length === 0 || columns.every((c) => c.every((v) => v === null || v === undefined))) {
			this.plot?.destroy();
			this.plot = undefined;
			this.empty = true;
			put(this.plotHost, h("p", { class: "none", style: { height: this.height + "px", margin: "0" } }, this.none ?? "Nothing recorded yet"));
			this.legend();
			return;
		}
		if (this.empty) { put(this.plotHost); this.empty = false; }
		if (!this.plot) this.build();
		else {
			this.plot.setData(this.shown(), false);
			this.applyZoom();
		}
		this.legend();
		this.describe();
	}

	setMarks(marks) { this.marks = marks; this.plot?.redraw(false); }

	// shown is the data as it is drawn: stacked, and without what a logarithm cannot show.
	shown() {
		const visible = (i) => !this.hidden.has(this.series[i].key);
		let columns = this.data.slice(1);
		if (this.stacked) {
			const up = new Array(this.data[0].length).fill(0), down = [...up];
			columns = columns.map((c, i) => c.map((v, at) => {
				if (v === null || v === undefined || !visible(i)) return null;
				const side = v < 0 ? down : up;
				return (side[at] += v);
			}));
		}
		if (this.log) columns = columns.map((c) => c.map((v) => (v === null || v === undefined || v <= 0 ? null : v)));
		return [this.data[0], ...columns.map((c, i) => (visible(i) ? c : c.map(() => null)))];
	}

	build() {
		const grid = css("--grid"), soft = css("--soft");
		const font = "12px system-ui, sans-serif";
		const second = this.series.some((s) => s.axis === "y2");
		const axis = (more) => ({ stroke: soft, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, ...more });
		const time = this.x === "time";
		const bands = [];
		const fill = (i) => css(this.series[i].colour) + "40";
		if (this.stacked) for (let i = this.series.length; i > 1; i--) bands.push({ series: [i, i - 1], fill: fill(i - 1) }, { series: [i, i - 1], fill: fill(i - 1), dir: 1 });
		const self = this;
		this.plot = new uPlot({
			width: Math.max(200, this.plotHost.clientWidth), height: this.height, padding: [8, second ? 0 : 12, 0, 0],
			cursor: { sync: { key: this.group.key, setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, focus: { prox: 20 } },
			legend: { show: false },
			scales: {
				x: { time, range: (u, from, to) => (self.group.zoom ?? (from === to ? [from - 1, to + 1] : [from, to])) },
				y: { distr: this.log ? 3 : 1, range: this.log ? undefined : (u, low, high) => self.range(low, high, this.zero) },
				y2: { range: (u, low, high) => self.range(low, high, true) },
			},
			axes: [
				axis({ space: 70, size: 30, gap: 4, values: time ? undefined : (u, vs) => vs.map((v) => (Number.isInteger(v) ? v.toLocaleString("en") : "")) }),
				axis({ size: 58, values: (u, vs) => vs.map((v) => (v === null ? "" : number(v))) }),
				...(second ? [axis({ scale: "y2", side: 1, size: 46, grid: { show: false }, values: (u, vs) => vs.map((v) => number(v)) })] : []),
			],
			series: [{}, ...this.series.map((s) => ({
				label: s.label, scale: s.axis ?? "y", stroke: css(s.colour) + (s.thin ? "70" : ""), width: s.thin ? 1 : s.dots ? 0 : 2, dash: s.dash,
				fill: this.stacked && s === this.series[0] ? fill(0) : undefined,
				points: { show: s.dots ? true : (u, i) => lonely(u, i), size: s.dots ? 8 : 4, fill: css(s.colour), stroke: css(s.colour) }, spanGaps: Boolean(s.dots || s.span), paths: s.dots ? () => null : undefined,
			}))],
			bands,
			hooks: {
				setSelect: [(u) => {
					if (u.select.width > 4) self.group.set(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
					u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
				}],
				setCursor: [() => self.legend()],
				draw: [(u) => self.drawMarks(u)],
				ready: [(u) => u.over.addEventListener("dblclick", () => self.group.set(null, null))],
			},
		}, this.shown(), this.plotHost);
	}

	rebuild() {
		if (!this.plot) return;
		this.plot.destroy();
		this.build();
		this.legend();
	}

	resize() {
		if (this.plot && this.plotHost.clientWidth > 0 && Math.abs(this.plotHost.clientWidth - this.plot.width) > 1) this.plot.setSize({ width: this.plotHost.clientWidth, height: this.height });
	}

	range(low, high, zero) {
		if (low === null || high === null) return [0, 1];
		if (zero) { low = Math.min(0, low); high = Math.max(0, high); }
		const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
		return [zero && low === 0 ? 0 : low - room, zero && high === 0 ? 0 : high + room];
	}

	applyZoom() {
		if (!this.plot) return;
		const x = this.data[0];
		const [from, to] = this.group.zoom ?? [x[0], x[x.length - 1]];
		this.plot.setScale("x", { min: from, max: to === from ? to + 1 : to });
	}

	drawMarks(u) {
		const { ctx, bbox } = u;
		ctx.save();
		ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
		for (const m of this.marks) {
			const at = u.valToPos(m.x, "x", true);
			if (at < bbox.left || at > bbox.left + bbox.width) continue;
			ctx.strokeStyle = ctx.fillStyle = css(m.colour ?? "--warn");
			ctx.lineWidth = devicePixelRatio;
			ctx.setLineDash([3, 3]);
			ctx.beginPath();
			ctx.moveTo(at, bbox.top);
			ctx.lineTo(at, bbox.top + bbox.height);
			ctx.stroke();
			ctx.fillText(m.label, at + 3 * devicePixelRatio, bbox.top + 11 * devicePixelRatio);
		}
		ctx.restore();
	}

	// legend shows the values at the cursor, or the last ones.
	legend() {
		const at = this.plot?.cursor?.idx ?? null;
		const x = this.data[0];
		const items = this.series.map((s, i) => {
			const column = this.data[i + 1] ?? [];
			let v = at === null ? undefined : column[at];
			if (at === null) for (let k = column.length - 1; k >= 0; k--) if (column[k] !== null && column[k] !== undefined) { v = column[k]; break; }
			return { s, v };
		});
		if (at === null && this.sorted && items.length > 5) items.sort((a, b) => (b.v ?? -Infinity) - (a.v ?? -Infinity));
		const where = at === null ? "last" : this.x === "time" ? clock(new Date(x[at] * 1000).toISOString()) : `${this.x} ${number(x[at], 7)}`;
		put(this.legendHost, h("span", { class: "soft" }, x.length ? where : ""), items.map(({ s, v }) =>
			h("button", { type: "button", "aria-pressed": String(!this.hidden.has(s.key)), title: "Show or hide", onclick: () => this.toggle(s.key) },
				h("span", { class: "swatch", style: { background: `var(${s.colour})`, opacity: s.thin ? ".5" : "1" } }), s.label, h("b", {}, number(v, s.digits ?? 4)))));
	}

	toggle(key) {
		if (!this.hidden.delete(key)) this.hidden.add(key);
		this.plot?.setData(this.shown(), false);
		this.applyZoom();
		this.plot?.redraw(true);
		this.legend();
	}

	toggleLog(button) {
		this.log = !this.log;
		button.setAttribute("aria-pressed", String(this.log));
		this.rebuild();
	}

	// describe says in words what a picture shows.
	describe() {
		const parts = this.series.slice(0, 6).map((s, i) => {
			const there = (this.data[i + 1] ?? []).filter((v) => v !== null && v !== undefined);
			if (!there.length) return `${s.label}: no values`;
			let low = Infinity, high = -Infinity;
			for (const v of there) { if (v < low) low = v; if (v > high) high = v; }
			return `${s.label}: last ${number(there[there.length - 1], 4)}, from ${number(low, 4)} to ${number(high, 4)}`;
		});
		this.plotHost.setAttribute("aria-label", `${this.title}${this.unit ? " in " + this.unit : ""}. ${parts.join("; ")}. Arrow keys move the cursor, plus and minus zoom.`);
	}

	key(e) {
		const u = this.plot;
		if (!u) return;
		const x = this.data[0];
		const from = u.scales.x.min, to = u.scales.x.max, width = to - from;
		switch (e.key) {
		case "ArrowLeft":
		case "ArrowRight": {
			const step = e.key === "ArrowLeft" ? -1 : 1;
			if (e.shiftKey) { this.group.set(from + step * width * 0.2, to + step * width * 0.2); break; }
			const at = Math.min(x.length - 1, Math.max(0, (u.cursor.idx ?? (step > 0 ? -1 : x.length)) + step));
			u.setCursor({ left: u.valToPos(x[at], "x"), top: u.height / 2 });
			break;
		}
		case "+": this.group.set(from + width * 0.2, to - width * 0.2); break;
		case "-": this.group.set(from - width * 0.3, to + width * 0.3); break;
		case "Escape":
		case "0": this.group.set(null, null); break;
		default: return;
		}
		e.preventDefault();
	}

	// pan moves the zoomed part while shift is held.
	pan(e) {
		const u = this.plot;
		if (!u || !e.shiftKey || !u.over.contains(e.target)) return;
		e.preventDefault();
		e.stopPropagation();
		const from = u.scales.x.min, to = u.scales.x.max, began = e.clientX, perPixel = (to - from) / u.over.clientWidth;
		const move = (m) => this.group.set(from - (m.clientX - began) * perPixel, to - (m.clientX - began) * perPixel);
		const stop = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", stop); };
		addEventListener("pointermove", move);
		addEventListener("pointerup", stop);
	}

	async download(select) {
		const kind = select.value;
		select.value = "";
		const name = (this.file ?? this.title).replace(/[^\w.-]+/g, "-").toLowerCase();
		if (kind === "csv") {
			const all = this.all ? await this.all() : { x: this.data[0], columns: this.data.slice(1) };
			save(name + ".csv", new Blob([table(this.x, this.series.map((s) => s.key ?? s.label), all.x, all.columns)], { type: "text/csv" }));
		} else if (kind === "sql") {
			save(name + ".sql", new Blob([this.sql + "\n"], { type: "text/plain" }));
		} else if (this.plot) {
			if (kind === "svg") save(name + ".svg", new Blob([drawing(this, css)], { type: "image/svg+xml" }));
			if (kind === "png") save(name + ".png", await picture(this, css));
		}
	}
}

// lonely shows a point where a line would show nothing: a value between two gaps.
function lonely(u, i) {
	const column = u.data[i];
	if (u.data[0].length > 400) return false;
	for (let k = 0; k < column.length; k++) {
		const there = (at) => column[at] !== null && column[at] !== undefined;
		if (there(k) && !there(k - 1) && !there(k + 1)) return true;
	}
	return false;
}
