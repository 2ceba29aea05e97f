import { h, s, put, scroller, command, link } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count, age, shape } from "./format.js";
import { coloursOf } from "./charts.js";
import { go } from "./app.js";

const columns = [
	["name", "name", ""], ["group", "group", "hide-small"], ["status", "state", "hide-small"], ["episodes", "progress", "hide-small"], [null, "reward", "hide-small", "The training so far, oldest on the left."],
	["best", "best", "num hide-small"], ["latest", "latest", "num"], [null, "wait s", "num hide-small", "Mean waiting time of the vehicles in the latest episode, in seconds."], ["last", "last record", "num hide-small", "Age of the last record."], [null, "data", "", "Whether every record that was logged is in the database."],
];

// experiments is the list: what is alive, what gets better, whose data is safe.
export function experiments(view) {
	document.title = "Experiments – Greenwave";
	const url = new URLSearchParams(location.search);
	const query = { q: url.get("q") ?? "", status: url.get("status") ?? "", group: url.get("group") ?? "", tag: url.get("tag") ?? "", sort: url.get("sort") ?? "created", reverse: url.has("reverse") };
	const picked = new Set();
	let limit = 50, latest;

	const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search by name or description", value: query.q, oninput: (e) => { query.q = e.target.value; changed(); } });
	const pick = (name, label, words) => h("label", {}, label, h("select", { "aria-label": label, onchange: (e) => { query[name] = e.target.value; changed(); } }, words.map(([v, t]) => h("option", { value: v, selected: query[name] === v }, t))));
	const status = pick("status", "state", [["", "all"], ["running", "running"], ["completed", "completed"], ["interrupted", "interrupted"], ["failed", "failed"], ["paused", "paused"]]);
	const group = h("span"), tag = h("span");
	const compare = h("button", { type: "button", disabled: true, onclick: () => go("/compare?experiments=" + encodeURIComponent([...picked].join(","))) }, "Compare (0)");
	const head = h("tr"), body = h("tbody"), note = h("p", { class: "soft small" }), more = h("button", { type: "button", hidden: true, onclick: () => { limit += 100; load(); } }, "Show more");
	const frame = h("div", { class: "card list-card" });
	const table = scroller("Experiments", h("table", {}, h("thead", {}, head), body));
	put(frame, table);
	const trouble = h("div");
	put(view, h("div", { class: "row between" }, h("h1", {}, "Experiments"), h("div", { class: "row" }, search, status, group, tag, compare, link())), trouble, frame, h("div", { class: "row" }, note, more));

	function heading() {
		put(head, h("th", { scope: "col", class: "tick" }, h("span", { class: "off-screen" }, "compare")), columns.map(([sort, label, css, help]) => h("th", { class: css, scope: "col", title: help, "aria-sort": sort && query.sort === sort ? (query.reverse ? "descending" : "ascending") : undefined },
			sort ? h("button", { type: "button", onclick: () => { query.reverse = query.sort === sort && !query.reverse; query.sort = sort; changed(); } }, label, query.sort === sort ? (query.reverse ? " ↑" : " ↓") : "") : label)));
	}

	function changed() {
		const q = new URLSearchParams();
		for (const [k, v] of Object.entries(query)) if (v && !(k === "sort" && v === "created")) q.set(k, v === true ? "1" : v);
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
		heading();
		load();
	}

	const load = throttle(async () => {
		try {
			latest = await get("/experiments", { ...query, limit });
			put(trouble);
		} catch (e) {
			if (!latest) put(body);
			put(trouble, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
			return;
		}
		draw(latest);
	}, 250);

	function draw(page) {
		const select = (host, name, words) => put(host, words.length ? h("label", {}, name, h("select", { "aria-label": name, onchange: (e) => { query[name] = e.target.value; changed(); } }, h("option", { value: "" }, "all"), words.map((w) => h("option", { value: w, selected: query[name] === w }, w)))) : null);
		if (!group.contains(document.activeElement)) select(group, "group", page.groups);
		if (!tag.contains(document.activeElement)) select(tag, "tag", page.tags);
		if (page.all === 0) {
			put(frame, h("div", { class: "empty" }, h("h2", {}, "No experiments yet"), h("p", {}, command("greenwave demo"), " trains a small one in two minutes."), h("p", {}, command("greenwave serve --watch runs"), " shows what your trainer writes."), h("p", {}, command("greenwave import production_logs"), " brings in what another logger wrote before.")));
			put(note);
			return;
		}
		if (!frame.contains(body)) put(frame, table);
		const at = document.activeElement?.closest?.("tbody tr"), focus = at && body.contains(at) ? [[...body.children].indexOf(at), document.activeElement.tagName] : null;
		put(body, page.items.length ? page.items.map(line) : h("tr", {}, h("td", { colspan: "11", class: "loading" }, "None fits. ", h("button", { type: "button", onclick: () => { Object.assign(query, { q: "", status: "", group: "", tag: "" }); search.value = ""; status.querySelector("select").value = ""; changed(); } }, "Show all"))));
		if (focus) body.children[focus[0]]?.querySelector(focus[1])?.focus();
		put(note, page.total === page.all ? `${count(page.all)} experiments` : `${count(page.total)} of ${count(page.all)} experiments`, Object.entries(page.states).map(([k, n]) => ` · ${count(n)} ${k}`));
		more.hidden = !page.next;
	}

	function marked() {
		compare.disabled = picked.size < 1;
		compare.className = picked.size > 1 ? "primary" : "";
		compare.textContent = `Compare (${picked.size})`;
	}

	function line(e) {
		const box = h("input", { type: "checkbox", "aria-label": "Compare " + e.name, checked: picked.has(e.name), onchange: (c) => {
			if (c.target.checked) picked.add(e.name); else picked.delete(e.name);
			marked();
		} });
		return h("tr", {},
			h("td", { class: "tick" }, h("label", { class: "hit" }, box)),
			h("td", { class: "name" }, h("span", { class: `only-small state ${e.status}`, "aria-hidden": "true" }, shape(e.status), " "), h("a", { href: path(e.name) }, e.name), e.archived_at && [" ", h("span", { class: "tag", title: `Episodes and steps left for an archive on ${e.archived_at.slice(0, 10)}; greenwave archive restore brings them back` }, "archived")], e.tags?.map((t) => [" ", h("span", { class: "tag" }, t)])),
			h("td", { class: "hide-small" }, e.group ?? ""),
			h("td", { class: "hide-small" }, h("span", { class: "state " + e.status }, shape(e.status), " ", e.status)),
			h("td", { class: "hide-small" }, progress(e)),
			h("td", { class: "hide-small" }, spark(e.spark, coloursOf([e.name]).get(e.name))),
			h("td", { class: "num hide-small" }, number(e.best_reward, 4)),
			h("td", { class: "num" }, number(e.latest_reward, 4)),
			h("td", { class: "num hide-small" }, number(e.avg_waiting_time)),
			h("td", { class: "num hide-small", title: e.last_record ?? "" }, age(e.last_record)),
			h("td", {}, h("a", { class: "target", href: path(e.name) + "?tab=data" }, data(e))));
	}

	heading();
	put(body, h("tr", {}, h("td", { colspan: "11", class: "loading" }, "Loading")));
	load();
	const off = onChange(load);
	const clock = setInterval(() => { if (latest?.items.length) draw(latest); }, 10000);
	return () => { off(); load.stop(); clearInterval(clock); };
}

export function progress(e) {
	if (!e.planned) return `${count(e.episodes)} episodes`;
	const share = Math.min(1, e.episodes / e.planned);
	return [h("span", { class: "bar", "aria-hidden": "true" }, h("i", { style: { width: `${share * 100}%` } })), `${count(e.episodes)}/${count(e.planned)}`];
}

// data says whether the records are safe, in a word.
export function data(e) {
	const d = e.data;
	if (d.last_error) return h("span", { class: "bad", title: d.last_error }, `✕ waits, ${count(d.waiting)} left`);
	if (d.dead) return h("span", { class: "bad", title: "Records that the database refused: see Data." }, `⚠ ${count(d.dead)} dead`);
	if (d.waiting) return h("span", { class: "warning" }, `↻ ${count(d.waiting)} waiting`);
	return h("span", { class: "good", title: `${count(d.settled)} records confirmed by the database; nothing that this server knows of waits` }, "✓ all");
}

// spark draws means as a line; a stretch without episodes is a gap.
function spark(values, colour) {
	const there = values.filter((v) => v !== null);
	if (there.length < 2) return null;
	const low = Math.min(...there), high = Math.max(...there), room = high - low || 1;
	let d = "", pen = false;
	values.forEach((v, i) => {
		if (v === null) { pen = false; return; }
		d += `${pen ? "L" : "M"}${((i / (values.length - 1)) * 118 + 1).toFixed(1)} ${(22 - ((v - low) / room) * 20).toFixed(1)}`;
		pen = true;
	});
	return s("svg", { class: "spark", viewBox: "0 0 120 24", preserveAspectRatio: "none", role: "img", "aria-label": `reward from ${number(there[0], 3)} to ${number(there[there.length - 1], 3)}` }, s("path", { d, style: { stroke: `var(${colour})` } }));
}
