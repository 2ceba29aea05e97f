// Numbers with as many digits as mean something.
export function number(v, digits = 3) {
	if (v === null || v === undefined || !Number.isFinite(v)) return "–";
	const a = Math.abs(v);
	if (a !== 0 && (a >= 1e7 || a < 1e-4)) return minus(v.toExponential(2));
	const places = a === 0 ? 0 : Math.max(0, Math.min(6, digits - 1 - Math.floor(Math.log10(a))));
	return minus(v.toLocaleString("en", { minimumFractionDigits: Number.isInteger(v) || a < 1 ? 0 : places, maximumFractionDigits: places }));
}

// A minus is as wide as a plus, so that columns of numbers stand straight.
const minus = (text) => text.replace(/^-/, "−");

export const count = (v) => (v === null || v === undefined || !Number.isFinite(v) ? "–" : minus(Math.round(v).toLocaleString("en")));

// short cuts a name to so many characters.
export const short = (text, most = 20) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

export function bytes(v) {
	if (v === null || v === undefined) return "–";
	const units = ["B", "kB", "MB", "GB", "TB"];
	let i = 0;
	while (v >= 1000 && i < units.length - 1) { v /= 1000; i++; }
	return number(v) + " " + units[i];
}

// span says how long in one or two units.
export function span(seconds) {
	if (!Number.isFinite(seconds)) return "–";
	const n = Math.max(0, Math.round(seconds));
	if (n < 60) return `${n} s`;
	if (n < 3600) return `${Math.floor(n / 60)} min`;
	if (n < 86400) return `${Math.floor(n / 3600)} h ${Math.floor((n % 3600) / 60)} min`;
	return `${Math.floor(n / 86400)} d`;
}

// age is how long ago a time was.
export const age = (iso) => (iso ? span((Date.now() - Date.parse(iso)) / 1000) : "–");

export const clock = (iso) => (iso ? new Date(iso).toISOString().replace("T", " ").slice(0, 19) + "Z" : "–");

// simulated writes seconds of a simulation as 00:03:05.
export function simulated(seconds) {
	const n = Math.max(0, Math.floor(seconds ?? 0));
	return [n / 3600, (n / 60) % 60, n % 60].map((v) => String(Math.floor(v)).padStart(2, "0")).join(":");
}

const shapes = { running: "▶", completed: "✓", failed: "✕", interrupted: "‖", paused: "‖" };
export const shape = (state) => shapes[state] ?? "○";
