import { h, put } from "./dom.js";
import { get, path } from "./api.js";
import { onChange, throttle } from "./live.js";
import { number, count, span, age, clock, shape } from "./format.js";
import { coloursOf } from "./charts.js";
import { progress, data } from "./page-experiments.js";
import { tabs as moreTabs } from "./experiment-tabs.js";
import { overview } from "./overview.js";

const names = ["Overview", "Intersections", "Steps", "Validation", "Checkpoints", "Baselines", "Data", "System", "Config"];

// experiment shows one line of training.
export function experiment(view, name) {
	document.title = name + " – Greenwave";
	const url = new URLSearchParams(location.search);
	let detail, newest, validations = [], baselines = [], open = null, gone = false;
	const own = coloursOf([name]).get(name);
	const head = h("div", { class: "page-head" }), trouble = h("div"), cards = h("div", { class: "cards" }), panel = h("div", { role: "tabpanel", id: "panel" });
	const charts = overview({ name, url, addressed: address, drawn: () => { drawCards(); drawHead(); },
		none: () => (detail?.archived_at ? "The episodes are in an archive: greenwave archive restore brings them back." : "No episode yet. The first one appears here at its end.") });
	let tab = names.find((n) => n.toLowerCase() === url.get("tab")) ?? "Overview";
	const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "About this experiment" }, names.map((n) => h("button", { role: "tab", type: "button", id: "tab-" + n, "aria-controls": "panel", onclick: () => choose(n) }, n)));
	bar.addEventListener("keydown", (e) => {
		const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
		if (!step) return;
		const at = (names.indexOf(tab) + step + names.length) % names.length;
		choose(names[at]);
		bar.children[at].focus();
	});
	put(head, h("h1", {}, name));
	put(view, head, trouble, cards, bar, panel);

	function address() {
		const q = new URLSearchParams();
		if (tab !== "Overview") q.set("tab", tab.toLowerCase());
		charts.address(q);
		history.replaceState(null, "", location.pathname + (q.size ? "?" + q : ""));
	}

	let closeTab = () => {};
	function choose(n) {
		tab = n;
		[...bar.children].forEach((b, i) => {
			b.setAttribute("aria-selected", String(names[i] === n));
			b.tabIndex = names[i] === n ? 0 : -1;
		});
		const chosen = bar.children[names.indexOf(n)]; // where the row of tabs is wider than the screen
		bar.scrollLeft = chosen.offsetLeft - (bar.clientWidth - chosen.clientWidth) / 2;
		panel.setAttribute("aria-labelledby", "tab-" + n);
		address();
		closeTab();
		closeTab = () => {};
		if (n === "Overview") { put(panel, charts.el); return; }
		const body = h("div");
		put(panel, body);
		if (detail) closeTab = moreTabs[n](body, { name, detail: () => detail, onChange: (f) => onChange((c) => mine(c) && f()) }) ?? (() => {});
		else put(body, h("p", { class: "loading" }, "Loading"));
	}

	const there = (k) => (charts.recent[k] ?? []).filter((v) => v !== null);
	const mean = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : null);

	// trend compares the last episodes with as many before them.
	function trend(list, upIsBetter) {
		const n = Math.min(20, Math.floor(list.length / 2));
		if (n < 3) return null;
		const now = mean(list.slice(-n)), was = mean(list.slice(-2 * n, -n));
		const change = was === 0 ? 0 : ((now - was) / Math.abs(was)) * 100;
		const title = `mean of the last ${n} episodes ${number(now, 4)}, of the ${n} before ${number(was, 4)}`;
		if (Math.abs(change) < 0.5) return h("span", { class: "soft", title }, `as the ${n} before`);
		const better = upIsBetter ? change > 0 : change < 0;
		return h("span", { class: better ? "good" : "warning", title }, `${change > 0 ? "▲" : "▼"} ${number(Math.abs(change), 2)} % ${better ? "better" : "worse"}`, h("span", { class: "soft" }, ` than the ${n} before`));
	}

	function drawCards() {
		const last = (k) => mean(there(k).slice(-20));
		const card = (title, value, unit, change, ...notes) => h("div", { class: "card" }, h("div", { class: "soft" }, title), h("div", { class: "big" }, value, unit && h("small", {}, " " + unit)), h("div", { class: "small" }, change ?? (value === "–" && detail ? h("span", { class: "soft" }, detail.archived_at ? "in an archive" : "not recorded") : "")), notes.filter(Boolean).map((n) => h("div", { class: "soft small" }, n)));
		const latest = validations.filter((v) => v.test_scenario?.split !== "test").reduce((a, v) => (a === null || v.validation_episode > a ? v.validation_episode : a), null);
		const checked = (pick) => mean(validations.filter((v) => v.test_scenario?.split !== "test" && v.validation_episode === latest).map(pick).filter((v) => typeof v === "number"));
		const said = (v, unit = "", digits = 4) => latest !== null && v !== null && `validation after ${count(latest)}: ${number(v, digits)}${unit}`;
		const full = there("extra.full_delay").length > 0, key = full ? "extra.full_delay" : "avg_waiting_time";
		const base = baselines.find((b) => b.baseline_type === "max_pressure") ?? baselines[0];
		const against = base && typeof base.baseline_metrics?.full_delay === "number" && typeof base.d3qn_metrics?.full_delay === "number"
			? `test: ${number(base.d3qn_metrics.full_delay)} s, ${base.baseline_type.replaceAll("_", " ")} ${number(base.baseline_metrics.full_delay)} s` : null;
		const served = there("buses_processed").length || there("jeepneys_processed").length;
		const onTime = last("pt_service_efficiency");
		const n = Math.min(20, there("total_reward").length);
		const share = there("pt_service_efficiency").map((v) => 100 * v);
		put(cards,
			card(`Reward, mean of ${n || 20}`, number(last("total_reward"), 4), "", trend(there("total_reward"), true), said(checked((v) => v.total_reward)), detail && `best ${number(detail.best_reward, 4)}, latest ${number(detail.latest_reward, 4)}`),
			card(full ? "Full delay" : "Waiting", number(last(key)), "s", trend(there(key), false), full && said(checked((v) => v.traffic_metrics?.full_delay), " s", 3), against),
			card("Passengers", count(last("passenger_throughput")), "/h", trend(there("passenger_throughput"), true), said(checked((v) => v.traffic_metrics?.passengers_per_hour), " /h")),
			onTime !== null && onTime <= 1.0001 && onTime > 0
				? card("Buses and jeepneys on time", number(onTime * 100, 2), "%", trend(share, true), served && `${number(last("buses_processed"), 2)} buses, ${number(last("jeepneys_processed"), 2)} jeepneys an episode`)
				: card("Buses and jeepneys", served ? number((last("buses_processed") ?? 0) + (last("jeepneys_processed") ?? 0)) : "–", "an episode", trend(there("jeepneys_processed"), true), served && `${number(last("buses_processed"), 2)} buses, ${number(last("jeepneys_processed"))} jeepneys`),
			card("Data", detail ? data(detail) : "–", "", detail?.data.confirmed ? h("span", { class: "soft" }, `confirmed ${age(detail.data.confirmed)} ago`) : null, detail && `${count(detail.data.settled)} records${detail.data.superseded ? `, ${count(detail.data.superseded)} of them superseded` : ""}`));
	}

	// left is how long a run still takes, by the pace of its last episodes.
	function left() {
		const e = detail, stamps = there("timestamp").slice(-20), minutes = there("episode_duration_minutes").slice(-20);
		if (e.status !== "running" || !(e.planned > e.episodes)) return "";
		const each = stamps.length > 2 ? (stamps[stamps.length - 1] - stamps[0]) / (stamps.length - 1) : 60 * mean(minutes);
		return each > 0 ? ` · ${span(each * (e.planned - e.episodes))} left` : "";
	}

	// The head is drawn when all of it is known, so that nothing below it moves.
	let drawn;
	function drawHead() {
		if (!detail || !open || newest === undefined) return;
		const e = detail, episode = charts.recent.x[charts.recent.x.length - 1] ?? newest;
		const key = JSON.stringify([e, episode, left(), age(e.last_record), open.length]);
		if (key === drawn) return;
		drawn = key;
		put(head, h("div", { class: "row between" },
			h("div", {}, h("h1", {}, h("span", { class: "run", style: { background: `var(${own})` }, "aria-hidden": "true" }), e.name), h("div", { class: "soft" }, e.description ?? "")),
			h("div", { class: "row" }, h("span", { class: "state " + e.status }, shape(e.status), " ", e.status), h("span", {}, progress(e), h("span", { class: "soft" }, left())),
				h("span", { class: "soft", title: clock(e.last_record) }, e.archived_at ? `episodes and steps are in an archive since ${e.archived_at.slice(0, 10)}` : e.last_record ? `last record ${age(e.last_record)} ago` : "no record yet"),
				open.length > 0 && h("a", { class: "bad", href: "/alerts?experiment=" + encodeURIComponent(e.name) }, `⚠ ${open.length} open ${open.length === 1 ? "alert" : "alerts"}`),
				h("a", { class: "target", href: "/compare?experiments=" + encodeURIComponent(e.name.includes(",") ? e.id : e.name) }, "compare"),
				episode >= 0 && h("a", { class: "target", href: `${path(e.name)}/episodes/${episode}` }, "latest episode"))));
	}

	async function about() {
		detail = await get(path(name));
		if (!gone) drawHead();
	}
	async function judged() {
		const [v, b] = await Promise.all([get(path(name) + "/validations", { columns: "total_reward,validation_episode,test_scenario,traffic_metrics,timestamp", limit: 10000 }), get(path(name) + "/baselines", { columns: "baseline_type,baseline_metrics,d3qn_metrics" })]);
		validations = v.items;
		baselines = b.items;
		charts.validations(validations);
	}
	async function alarmed() {
		const a = await get("/alerts", { experiment: name, limit: 100 }).catch(() => null);
		if (!a || gone) { open ??= []; return; }
		open = a.items.filter((i) => i.state === "firing");
		charts.alerts(a.items);
		drawHead();
	}

	async function first() {
		try {
			// What does not depend on each other is asked for at the same time.
			const [, latest] = await Promise.all([about(), get(path(name) + "/episodes", { newest: true, limit: 20, columns: "reward_components" }), judged(), alarmed()]);
			if (gone) return;
			newest = latest.items[0]?.episode_number ?? -1;
			drawHead();
			const sums = new Map();
			for (const e of latest.items) for (const [k, v] of Object.entries(e.reward_components ?? {})) if (typeof v === "number" && !/^(total|step)/.test(k)) sums.set(k, (sums.get(k) ?? 0) + Math.abs(v));
			charts.components([...sums].filter(([, v]) => v > 0).sort((a, b) => b[1] - a[1]).slice(0, 8).map(([k]) => k));
			await Promise.all([charts.start(newest), charts.full()]);
			drawCards();
			drawHead();
			put(trouble);
			charts.actions();
		} catch (e) {
			if (gone || e.name === "AbortError") return;
			if (e.status === 404) {
				put(view, h("div", { class: "empty" }, h("h1", {}, "There is no such experiment"), h("p", {}, e.message), h("p", {}, h("a", { href: "/" }, "To the experiments"))));
				return;
			}
			put(trouble, h("div", { class: "error" }, e.message));
			dispatchEvent(new Event("trouble"));
			setTimeout(() => !gone && first(), 3000);
			return;
		}
		if (tab !== "Overview") choose(tab);
	}

	const mine = (c) => c.all || (detail && c.experiments?.includes(detail.id));
	const update = throttle(() => charts.fresh(), 60);
	const slow = throttle(async () => {
		await Promise.all([about(), judged()]);
		await charts.full();
		charts.actions();
	}, 4000);
	const off = onChange((c) => {
		if (!mine(c) || !detail) return;
		update();
		slow();
		if (c.alerts || c.all) alarmed();
	});
	const ticking = setInterval(() => { if (detail) { drawHead(); drawCards(); } }, 5000);
	choose(tab);
	drawCards();
	first();
	return () => { gone = true; off(); update.stop(); slow.stop(); clearInterval(ticking); closeTab(); charts.end(); };
}
