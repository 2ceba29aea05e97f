import { h, put } from "./dom.js";
import { number, clock, short } from "./format.js";
import { drawing, picture, table, save } from "./download.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const palette = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7", "--s8"];

// coloursOf gives experiments their colours: each has one of its own, by its name, so
// that it looks the same on every page; where two would share one, the later name gets
// the next that is free.
export function coloursOf(names) {
	const taken = new Set(), out = new Map();
	for (const name of names) {
		let at = 0;
		for (const c of name) at = (at * 31 + c.codePointAt(0)) >>> 0;
		at %= palette.length;
		for (let i = 0; i < palette.length && taken.has(at); i++) at = (at + 1) % palette.length;
		taken.add(at);
		if (taken.size === palette.length) taken.clear();
		out.set(name, palette[at]);
	}
	return out;
}

const zone = () => {
	const m = -new Date().getTimezoneOffset();
	const two = (v) => String(Math.floor(v)).padStart(2, "0");
	return m === 0 ? "UTC" : `UTC${m > 0 ? "+" : "−"}${two(Math.abs(m) / 60)}:${two(Math.abs(m) % 60)}`;
};
// clockLabels writes the time of each tick, and the date below where a day begins.
function clockLabels(u, ticks, axis, space, apart) {
	const two = (v) => String(v).padStart(2, "0");
	let day;
	return ticks.map((v) => {
		const d = new Date(v * 1000), date = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
		if (apart >= 86400) return date;
		const of = `${two(d.getHours())}:${two(d.getMinutes())}${apart < 60 ? ":" + two(d.getSeconds()) : ""}`, below = date === day ? "" : "\n" + date;
		day = date;
		return of + below;
	});
}
const axisLabels = { episode: () => "episode", time: () => `time (${zone()})`, hours: () => "hours since the start", step: () => "decision steps since the start", "step of the episode": () => "step of the episode" };

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
const living = new Set();

// Chart draws columns over one axis.
//
// series: {key, label, colour, axis: "y" or "y2", unit, digits, help, thin, raw, dots}. A
// thin series is the raw data behind an average; the average names it in raw, and both
// share a place in the legend. marks: {x, label, colour}, vertical lines.
export class Chart {
	constructor(group, options) {
		Object.assign(this, { height: 220, unit: "", series: [], x: "episode", marks: [], zero: false, stacked: false }, options);
		this.group = group;
		this.log = false;
		this.hidden = new Set(); // that a person has switched off
		this.absent = new Set(); // that have no value anywhere
		this.data = [[], ...this.series.map(() => [])];
		this.plotHost = h("div", { class: "plot", tabindex: "0", role: "img", "aria-label": this.title, style: { height: this.height + "px" } });
		this.legendHost = h("div", { class: "legend" });
		this.tools = h("div", { class: "tools" },
			h("button", { type: "button", "aria-pressed": "false", title: "Logarithmic scale; around zero it is linear", onclick: (e) => this.toggleLog(e.currentTarget) }, "log"),
			h("button", { type: "button", title: "Show everything again (0)", onclick: () => this.group.set(null, null) }, "reset"),
			h("select", { "aria-label": "Download " + this.title, title: "Download", onchange: (e) => this.download(e.currentTarget) },
				h("option", { value: "" }, "save"), h("option", { value: "png" }, "PNG"), h("option", { value: "svg" }, "SVG"), h("option", { value: "csv" }, "CSV"), this.sql && h("option", { value: "sql" }, "SQL")));
		this.el = h("section", { class: "card chart" },
			h("div", { class: "head" }, h("h2", {}, this.title), h("span", { class: "soft small" }, this.unit), this.help && h("span", { class: "help", title: this.help, role: "note", "aria-label": this.help }, "?"), this.tools),
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
		this.absent = new Set(this.series.filter((s, i) => !columns[i].some((v) => v !== null && v !== undefined)).map((s) => s.key));
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
		else if (this.built !== JSON.stringify([this.ends()?.map((s) => s.key), this.log && this.around()])) this.rebuild();
		else {
			this.plot.setData(this.shown(), false);
			this.applyZoom();
		}
		this.legend();
		this.describe();
	}

	setMarks(marks) {
		this.marks = marks;
		this.plot?.redraw(false);
		if (this.plot) this.describe();
	}

	// shown is the data as it is drawn: stacked, and without what a logarithm cannot show.
	shown() {
		const visible = (i) => !this.hidden.has(this.series[i].key);
		let columns = this.data.slice(1);
		if (this.stacked) {
			const up = new Array(this.data[0].length).fill(0), down = [...up];
			this.bases = columns.map(() => []);
			columns = columns.map((c, i) => c.map((v, at) => {
				if (v === null || v === undefined || !visible(i)) return null;
				const side = v < 0 ? down : up;
				this.bases[i][at] = side[at];
				return (side[at] += v);
			}));
		}
		return [this.data[0], ...columns.map((c, i) => (visible(i) ? c : c.map(() => null)))];
	}

	// areas are what is filled: between a stacked line and what it stands on, and between
	// the two edges of a band. Each is {colour, opacity, pieces: [[x, from, to]…]}.
	areas() {
		const out = [];
		this.series.forEach((s, i) => {
			const other = s.band ? this.plot.data[this.series.findIndex((o) => o.key === s.band) + 1] : this.stacked ? this.bases[i] : null;
			if (!other || this.hidden.has(s.key)) return;
			const pieces = [[]];
			this.plot.data[i + 1].forEach((v, at) => {
				if (v === null || other[at] === null) { pieces.push([]); return; }
				if (v !== undefined && other[at] !== undefined) pieces[pieces.length - 1].push([this.data[0][at], other[at], v]);
			});
			out.push({ colour: css(s.colour), opacity: s.band ? 0.19 : 0.3, pieces: pieces.filter((p) => p.length > 1) });
		});
		return out;
	}

	drawAreas(u) {
		const { ctx, bbox } = u;
		ctx.save();
		ctx.beginPath();
		ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
		ctx.clip();
		for (const { colour, opacity, pieces } of this.areas()) {
			ctx.fillStyle = colour;
			ctx.globalAlpha = opacity;
			for (const piece of pieces) {
				ctx.beginPath();
				for (const [x, , to] of piece) ctx.lineTo(u.valToPos(x, "x", true), u.valToPos(to, "y", true));
				for (const [x, from] of piece.toReversed()) ctx.lineTo(u.valToPos(x, "x", true), u.valToPos(from, "y", true));
				ctx.fill();
			}
		}
		ctx.restore();
	}

	// around says that values stand on both sides of zero, where a logarithm has none.
	around() { return this.data.slice(1).some((c, i) => this.series[i].axis !== "y2" && c.some((v) => v !== null && v !== undefined && v <= 0)); }

	// ends are the labels at the lines' ends, when they are few.
	ends() {
		const lines = this.series.filter((s) => !s.thin && !s.dots && !this.hidden.has(s.key) && !this.absent.has(s.key));
		if (this.stacked || lines.length > 5 || lines.length < 2 || this.plotHost.clientWidth < 480 || this.series.some((s) => s.axis === "y2")) return null;
		return lines;
	}

	build() {
		const grid = css("--grid"), soft = css("--soft");
		const font = "12px system-ui, sans-serif";
		const second = this.series.some((s) => s.axis === "y2");
		const ends = this.ends();
		const room = ends ? Math.min(140, 12 + Math.max(...ends.map((s) => 6.3 * short(s.label).length))) : second ? 0 : 14;
		this.built = JSON.stringify([ends?.map((s) => s.key), this.log && this.around()]);
		const axis = (more) => ({ stroke: soft, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, ...more });
		const time = this.x === "time", alone = time ? 60 : 1; // what is shown on both sides of a single point

		const self = this;
		this.plot = new uPlot({
			width: Math.max(200, this.plotHost.clientWidth), height: this.height, padding: [8, room, 0, 0],
			cursor: { sync: { key: this.group.key, setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, focus: { prox: 20 } },
			legend: { show: false },
			scales: {
				x: { time, range: (u, from, to) => (self.group.zoom ?? (u.data[0].length > 1 && from < to ? [from, to] : [from - alone, from + alone])) },
				y: { distr: this.log ? (this.around() ? 4 : 3) : 1, range: this.log ? undefined : (u, low, high) => self.range(low, high, this.zero) },
				y2: { range: (u, low, high) => self.range(low, high, true) },
			},
			axes: [
				axis({ space: time ? 84 : 70, size: time ? 42 : 28, gap: 4, label: (axisLabels[this.x] ?? (() => this.x))(), labelSize: 18, labelGap: 0, labelFont: font, values: time ? clockLabels : (u, vs) => vs.map((v) => (Number.isInteger(v) ? v.toLocaleString("en") : "")) }),
				axis({ size: 60, values: (u, vs) => vs.map((v) => (v === null ? "" : number(v, 4))) }),
				...(second ? [axis({ scale: "y2", side: 1, size: 46, grid: { show: false }, label: this.series.filter((s) => s.axis === "y2").map((s) => s.label + (s.unit ? ", " + s.unit : "")).join(", "), labelSize: 18, labelGap: 0, labelFont: font, values: (u, vs) => vs.map((v) => number(v)) })] : []),
			],
			series: [{}, ...this.series.map((s) => ({
				label: s.label, scale: s.axis ?? "y", stroke: css(s.colour) + (s.thin ? "70" : ""), width: s.thin ? 1 : s.dots ? 0 : 2, dash: s.dash,
				points: { show: s.dots ? true : (u, i) => lonely(u, i), size: s.dots ? 8 : 4, width: s.dots ? 2 : 1, fill: css(s.dots ? "--card" : s.colour), stroke: css(s.colour) }, spanGaps: Boolean(s.dots || s.span), paths: s.dots ? () => null : undefined,
			}))],
			hooks: {
				drawAxes: [(u) => self.drawAreas(u)],
				setSelect: [(u) => {
					if (u.select.width > 4) self.group.set(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
					u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
				}],
				setCursor: [() => self.legend()],
				draw: [(u) => { self.drawMarks(u); self.drawEnds(u, ends); }],
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
		const { ctx, bbox } = u, r = devicePixelRatio;
		ctx.save();
		ctx.font = `${11 * r}px system-ui, sans-serif`;
		ctx.textAlign = "left";
		let row = 0, before = -Infinity;
		for (const m of this.marks) {
			const at = u.valToPos(m.x, "x", true);
			if (at < bbox.left || at > bbox.left + bbox.width + 1) continue;
			ctx.strokeStyle = ctx.fillStyle = css(m.colour ?? "--warn");
			ctx.lineWidth = r;
			ctx.setLineDash([3 * r, 3 * r]);
			ctx.beginPath();
			ctx.moveTo(at, bbox.top);
			ctx.lineTo(at, bbox.top + bbox.height);
			ctx.stroke();
			if (!this.markLabels) continue;
			const width = ctx.measureText(m.label).width;
			row = at - before < 120 * r ? row + 1 : 0;
			before = at;
			const left = Math.min(at + 4 * r, bbox.left + bbox.width - width - 4 * r);
			halo(ctx, m.label, left, bbox.top + (11 + 13 * (row % 4)) * r, r);
		}
		ctx.restore();
	}

	// drawEnds writes the names of lines at their ends, moved apart where they meet.
	drawEnds(u, ends) {
		if (!ends) return;
		const { ctx, bbox } = u, r = devicePixelRatio;
		const labels = [];
		for (const s of ends) {
			const i = this.series.indexOf(s) + 1, column = u.data[i];
			let k = column.length - 1;
			while (k >= 0 && (column[k] === null || column[k] === undefined || u.data[0][k] > u.scales.x.max)) k--;
			if (k < 0) continue;
			const y = u.valToPos(column[k], "y", true);
			if (y >= bbox.top - 2 && y <= bbox.top + bbox.height + 2) labels.push({ s, y });
		}
		labels.sort((a, b) => a.y - b.y);
		const line = 13 * r;
		for (let i = 1; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + line);
		const over = labels.length ? labels[labels.length - 1].y - (bbox.top + bbox.height) : 0;
		if (over > 0) for (let i = labels.length - 1, most = bbox.top + bbox.height; i >= 0; i--, most -= line) labels[i].y = Math.min(labels[i].y, most);
		ctx.save();
		ctx.font = `${11 * r}px system-ui, sans-serif`;
		ctx.textAlign = "left";
		ctx.textBaseline = "middle";
		for (const { s, y } of labels) {
			ctx.fillStyle = css(s.colour);
			ctx.fillText(short(s.label), bbox.left + bbox.width + 6 * r, y);
		}
		ctx.restore();
	}

	// legend shows the values at the cursor, or the last ones.
	legend() {
		const at = this.plot?.cursor?.idx ?? null;
		const x = this.data[0];
		const value = (key) => {
			const column = this.data[this.series.findIndex((s) => s.key === key) + 1] ?? [];
			if (at !== null) return column[at];
			for (let k = column.length - 1; k >= 0; k--) if (column[k] !== null && column[k] !== undefined) return column[k];
			return undefined;
		};
		const items = this.series.filter((s) => !s.quiet && !this.absent.has(s.key)).map((s) => ({ s, v: value(s.key) }));
		if (at === null && this.sorted) items.sort((a, b) => (b.v ?? -Infinity) - (a.v ?? -Infinity));
		const where = at === null ? "last" : this.x === "time" ? clock(new Date(x[at] * 1000).toISOString()) : `${this.x} ${number(x[at], 7)}`;
		const key = where + items.map(({ s }) => s.key + this.hidden.has(s.key)).join();
		if (key !== this.legendKey) {
			const focused = [...this.legendHost.querySelectorAll("button")].indexOf(document.activeElement);
			put(this.legendHost, h("span", { class: "soft where" }, x.length ? where : ""), items.map(({ s }) =>
				h("button", { type: "button", "aria-pressed": String(!this.hidden.has(s.key)), title: (s.help ? s.help + " " : "") + "Click to show or hide.", onclick: () => this.toggle(s) },
					h("span", { class: "swatch" + (s.dots ? " dot" : ""), style: { background: `var(${s.colour})` } }), s.label, h("b"), s.raw && h("span", { class: "raw", title: "the episode itself" }))));
			if (focused >= 0) this.legendHost.querySelectorAll("button")[focused]?.focus();
			this.legendKey = key;
		}
		items.forEach(({ s, v }, i) => {
			const button = this.legendHost.children[i + 1];
			button.querySelector("b").textContent = number(v, s.digits ?? 3);
			if (s.raw) button.querySelector(".raw").textContent = `(${number(value(s.raw), s.digits ?? 3)})`;
		});
	}

	toggle(series) {
		const off = !this.hidden.has(series.key);
		for (const key of [series.key, series.raw, series.key + "+", series.key + "-"]) if (off) this.hidden.add(key); else this.hidden.delete(key);
		this.rebuild();
	}

	toggleLog(button) {
		this.log = !this.log;
		button.setAttribute("aria-pressed", String(this.log));
		this.rebuild();
	}

	// describe says in words what a picture shows.
	describe() {
		const parts = this.series.map((s, i) => {
			if (s.quiet || this.absent.has(s.key)) return "";
			const there = (this.data[i + 1] ?? []).filter((v) => v !== null && v !== undefined);
			if (!there.length) return `${s.label}: no values`;
			let low = Infinity, high = -Infinity;
			for (const v of there) { if (v < low) low = v; if (v > high) high = v; }
			return `${s.label}: last ${number(there[there.length - 1], 4)}, from ${number(low, 4)} to ${number(high, 4)}`;
		});
		this.plotHost.setAttribute("aria-label", `${this.title}${this.unit ? " in " + this.unit : ""}. ${parts.filter(Boolean).slice(0, 6).join("; ")}.${this.marks.length ? ` Marks: ${this.marks.map((m) => `${m.label} at ${this.x === "time" ? clock(new Date(m.x * 1000).toISOString()) : number(m.x, 7)}`).slice(0, 8).join("; ")}.` : ""} Arrow keys move the cursor, plus and minus zoom.`);
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

// halo writes text that stays readable over lines.
function halo(ctx, text, x, y, ratio) {
	ctx.setLineDash([]);
	ctx.lineJoin = "round";
	ctx.lineWidth = 3 * ratio;
	const ink = ctx.fillStyle;
	ctx.strokeStyle = css("--card");
	ctx.strokeText(text, x, y);
	ctx.fillStyle = ink;
	ctx.fillText(text, x, y);
}
