import { s } from "./dom.js";
import { number, short } from "./format.js";

// forest draws effects with their intervals, one below the other, with the line of no
// difference. effects: {name, value, low, high, note, verdict}. A filled square is a
// difference that was shown.
export function forest(effects, axis, width, label) {
	const row = 26, narrow = width < 520, left = narrow ? 118 : 190, right = width - (narrow ? 88 : 130), top = 8, bottom = top + row * effects.length + 4;
	const all = [0, ...effects.flatMap((e) => [e.value, e.low, e.high])];
	let low = Math.min(...all), high = Math.max(...all);
	const step = tick((high - low || 1) / (narrow ? 3 : 6));
	low = Math.floor(low / step - 0.15) * step;
	high = Math.ceil(high / step + 0.15) * step;
	const x = (v) => left + ((v - low) / (high - low)) * (right - left);
	const el = s("svg", { class: "forest", width, height: bottom + 44, viewBox: `0 0 ${width} ${bottom + 44}`, role: "img", "aria-label": label });
	for (let v = low; v <= high + step / 2; v += step) {
		el.append(s("path", { d: `M${x(v)} ${top}V${bottom}`, stroke: "var(--grid)" }), s("text", { x: x(v), y: bottom + 16, "text-anchor": "middle", class: "soft" }, number(Math.abs(v) < step / 1e6 ? 0 : v, 3)));
	}
	el.append(s("path", { d: `M${x(0)} ${top}V${bottom}`, stroke: "var(--ink)", "stroke-dasharray": "4 3" }), s("text", { x: (left + right) / 2, y: bottom + 36, "text-anchor": "middle", class: "soft" }, axis));
	effects.forEach((e, i) => {
		const y = top + row * (i + 0.5) + 2, shown = e.verdict !== "not shown" && e.verdict !== "equal";
		const colour = e.verdict === "better" ? "var(--done)" : e.verdict === "worse" ? "var(--fail)" : shown ? "var(--s1)" : "var(--stale)";
		el.append(
			s("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, short(e.name, narrow ? 17 : 28), s("title", {}, e.name)),
			s("path", { d: `M${x(e.low)} ${y}H${x(e.high)}M${x(e.low)} ${y - 4}V${y + 4}M${x(e.high)} ${y - 4}V${y + 4}`, stroke: colour, "stroke-width": 2, fill: "none" }),
			s("rect", { x: x(e.value) - 4.5, y: y - 4.5, width: 9, height: 9, fill: shown ? colour : "var(--card)", stroke: colour, "stroke-width": 1.6 }),
			s("text", { x: right + 8, y: y + 4, class: "soft" }, e.note));
	});
	return el;
}

// tick is the nearest of 1, 2, 5, 10, … above a length.
function tick(length) {
	const unit = 10 ** Math.floor(Math.log10(length));
	return unit * ([1, 2, 5, 10].find((k) => k * unit >= length * 0.999) ?? 10);
}
