import { number } from "./format.js";

// save hands a file to the browser.
export function save(name, blob) {
	const a = document.createElement("a");
	a.href = URL.createObjectURL(blob);
	a.download = name;
	a.click();
	setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}

// table writes CSV as RFC 4180 has it; what is not there stays empty.
export function table(x, names, xs, columns) {
	const quote = (t) => (typeof t === "string" && /[",\r\n]/.test(t) ? `"${String(t).replaceAll('"', '""')}"` : t);
	const lines = [[x, ...names].map(quote).join(",")];
	xs.forEach((v, i) => lines.push([v, ...columns.map((c) => c[i] ?? "")].map(quote).join(",")));
	return lines.join("\r\n") + "\r\n";
}

const escape = (t) => String(t).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// drawing is the chart as it is shown, as SVG.
export function drawing(chart, css) {
	const u = chart.plot;
	const ratio = devicePixelRatio;
	const box = { left: u.bbox.left / ratio, top: u.bbox.top / ratio + 44, width: u.bbox.width / ratio, height: u.bbox.height / ratio };
	const width = u.width, height = u.height + 44;
	const ink = css("--ink"), soft = css("--soft"), grid = css("--grid");
	const x = (v) => u.valToPos(v, "x") + box.left, y = (v, scale) => u.valToPos(v, scale) + box.top;
	const parts = [`<rect width="${width}" height="${height}" fill="${css("--card")}"/>`,
		`<text x="12" y="20" font-size="14" font-weight="600" fill="${ink}">${escape(chart.title)}${chart.unit ? ` <tspan fill="${soft}" font-weight="400" font-size="12">${escape(chart.unit)}</tspan>` : ""}</text>`];
	let at = 12;
	for (const s of chart.series) {
		if (chart.hidden.has(s.key) || chart.absent.has(s.key) || s.quiet) continue; // as the legend has it
		parts.push(`<rect x="${at}" y="32" width="14" height="3" fill="${css(s.colour)}"${s.thin ? ' opacity=".5"' : ""}/><text x="${at + 19}" y="37" font-size="12" fill="${soft}">${escape(s.label)}</text>`);
		at += 30 + s.label.length * 6.6;
	}
	u.axes.forEach((axis, i) => {
		(axis._splits ?? []).forEach((v, k) => {
			const text = escape(axis._values?.[k] ?? number(v));
			if (i === 0) {
				parts.push(`<path d="M${x(v)} ${box.top}V${box.top + box.height}" stroke="${grid}"/><text x="${x(v)}" y="${box.top + box.height + 16}" font-size="12" fill="${soft}" text-anchor="middle">${text}</text>`);
			} else {
				const right = axis.side === 1, py = y(v, axis.scale);
				if (!right) parts.push(`<path d="M${box.left} ${py}H${box.left + box.width}" stroke="${grid}"/>`);
				parts.push(`<text x="${right ? box.left + box.width + 6 : box.left - 6}" y="${py + 4}" font-size="12" fill="${soft}" text-anchor="${right ? "start" : "end"}">${text}</text>`);
			}
		});
	});
	const clip = `<clipPath id="c"><rect x="${box.left}" y="${box.top}" width="${box.width}" height="${box.height}"/></clipPath>`;
	const lines = [];
	for (const { colour, opacity, pieces } of chart.areas()) for (const piece of pieces) {
		const there = piece.map(([v, , to]) => `${x(v).toFixed(1)} ${y(to, "y").toFixed(1)}`), back = piece.map(([v, from]) => `${x(v).toFixed(1)} ${y(from, "y").toFixed(1)}`).reverse();
		lines.push(`<path d="M${[...there, ...back].join("L")}Z" fill="${colour}" opacity="${opacity}"/>`);
	}
	for (const m of chart.marks) if (m.x >= u.scales.x.min && m.x <= u.scales.x.max) lines.push(`<path d="M${x(m.x)} ${box.top}V${box.top + box.height}" stroke="${css(m.colour ?? "--warn")}" stroke-dasharray="3 3"/>`, chart.markLabels ? `<text x="${x(m.x) + 4}" y="${box.top + 11}" font-size="11" fill="${css(m.colour ?? "--warn")}">${escape(m.label)}</text>` : "");
	chart.series.forEach((s, i) => {
		if (chart.hidden.has(s.key) || chart.absent.has(s.key)) return;
		let d = "", pen = false;
		const scale = u.series[i + 1].scale, dots = [];
		u.data[0].forEach((v, k) => {
			const value = u.data[i + 1][k];
			if (value === null || value === undefined) { if (!s.dots && !s.span) pen = false; return; }
			const px = x(v).toFixed(1), py = y(value, scale).toFixed(1);
			if (s.dots) dots.push(`<circle cx="${px}" cy="${py}" r="4" fill="${css(s.colour)}"/>`);
			else d += `${pen ? "L" : "M"}${px} ${py}`;
			pen = true;
		});
		lines.push(d ? `<path d="${d}" fill="none" stroke="${css(s.colour)}" stroke-width="${s.thin ? 1 : 2}"${s.thin ? ' opacity=".5"' : ""}/>` : "", ...dots);
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">${clip}${parts.join("")}<g clip-path="url(#c)">${lines.join("")}</g></svg>`;
}

// picture is the same at twice the size, as PNG.
export async function picture(chart, css) {
	const image = new Image();
	image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(drawing(chart, css));
	await image.decode();
	const canvas = document.createElement("canvas");
	canvas.width = image.width * 2;
	canvas.height = image.height * 2;
	canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
	return new Promise((done) => canvas.toBlob(done, "image/png"));
}
