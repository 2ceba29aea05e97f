import { h, put, rows } from "./dom.js";
import { get, path } from "./api.js";
import { number, count, clock, shape, bytes } from "./format.js";
import { Chart, Group } from "./charts.js";

const none = (title, text, ...more) => h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), more);
const problem = (body) => (e) => { if (e.name !== "AbortError") put(body, h("div", { class: "error" }, e.message)); };

const grid = (head, list, label = "Table") => h("div", { class: "card", style: { marginTop: "12px" } }, rows(label, head, list));

// watch runs a job now and after each change.
function watch(body, ctx, job) {
	let gone = false;
	const run = () => job(() => gone).catch(problem(body));
	run();
	const off = ctx.onChange(run);
	return () => { gone = true; off(); };
}

// tabs of an experiment beside the overview: each fills its element and may return a
// function that ends it.
export const tabs = {
	Intersections(body, ctx) {
		put(body, h("p", { class: "loading" }, "Loading"));
		return watch(body, ctx, async (gone) => {
			const page = await get(path(ctx.name) + "/steps", { newest: true, limit: 1, columns: "queue_lengths" });
			if (gone()) return;
			if (!page.items.length) {
				put(body, none("No steps recorded", "Queues, waiting times and phases are logged with steps. A trainer logs every n-th step: see log_interval."));
				return;
			}
			const last = page.items[0].episode_number;
			const list = await get(path(ctx.name) + "/episodes", { newest: true, limit: 100, columns: "total_reward,scenario_info,avg_waiting_time,avg_queue_length,extra" });
			if (gone()) return;
			put(body, h("p", { class: "soft" }, "An episode shows its junctions step by step: queues, phases and what the agent chose."),
				grid([["episode", "num"], ["scenario", ""], ["reward", "num"], ["waiting s", "num"], ["mean queue", "num"], ["note", ""]], list.items.map((e) => [
					h("a", { href: `${path(ctx.name)}/episodes/${e.episode_number}` }, count(e.episode_number)), e.scenario_info?.scenario ?? [e.scenario_info?.day, e.scenario_info?.cycle].filter((v) => v !== undefined).join(", "),
					number(e.total_reward, 4), number(e.avg_waiting_time), number(e.avg_queue_length), e.episode_number === last ? h("span", { class: "tag" }, "latest with steps") : ""])));
		});
	},

	Steps(body, ctx) {
		const group = new Group();
		let shown = null, list = [];
		const make = (title, unit, zero, series) => new Chart(group, { title, unit, zero, x: "step of the episode", height: 200, series, file: `${ctx.name}-steps`, none: "Not recorded",
			sql: `SELECT step_number, immediate_reward, active_vehicles, queue_lengths, waiting_times, speeds\nFROM training_steps\nWHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = '${ctx.name.replaceAll("'", "''")}')\n  AND episode_number = ${shown}\nORDER BY step_number;` });
		const pick = h("select", { "aria-label": "Episode", onchange: () => { shown = Number(pick.value); load().catch(problem(body)); } });
		const link = h("a", { class: "target" }, "intersections of this episode");
		const reward = make("Reward of each step", "", false, [{ key: "reward", label: "reward", colour: "--s1" }]);
		const vehicles = make("Vehicles", "on the road and halting", true, [{ key: "active", label: "on the road", colour: "--s1" }, { key: "queue", label: "halting", colour: "--s2" }]);
		const waiting = make("Waiting", "s, mean of the intersections", true, [{ key: "waiting", label: "waiting", colour: "--s1" }]);
		const speed = make("Speed", "km/h, mean of the intersections", true, [{ key: "speed", label: "speed", colour: "--s1" }]);
		const all = [reward, vehicles, waiting, speed];
		for (const c of all) c.el.classList.add("c6");
		const host = h("div", {}, h("div", { class: "row", style: { marginTop: "12px" } }, h("label", {}, "episode", pick), link), h("div", { class: "grid" }, all.map((c) => c.el)));
		const mean = (o) => { const v = Object.values(o ?? {}).filter((x) => typeof x === "number"); return v.length ? v.reduce((p, q) => p + q, 0) / v.length : null; };
		async function load() {
			const steps = [];
			let cursor = "";
			do {
				const page = await get(`${path(ctx.name)}/episodes/${shown}/steps`, { limit: 5000, columns: "immediate_reward,active_vehicles,queue_lengths,waiting_times,speeds,extra", cursor });
				steps.push(...page.items);
				cursor = page.next;
			} while (cursor && steps.length < 20000);
			const x = steps.map((st) => st.step_number), column = (f) => steps.map((st) => f(st) ?? null);
			reward.set(x, [column((st) => st.immediate_reward)]);
			vehicles.set(x, [column((st) => st.active_vehicles), column((st) => st.queue_length ?? (st.queue_lengths ? Object.values(st.queue_lengths).flatMap((q) => Object.values(q ?? {})).reduce((p, q) => p + q, 0) : null))]);
			waiting.set(x, [column((st) => mean(st.waiting_times) ?? st.waiting_time)]);
			speed.set(x, [column((st) => mean(st.speeds) ?? st.avg_speed)]);
			for (const c of all) c.el.hidden = c.empty === true;
			link.href = `${path(ctx.name)}/episodes/${shown}`;
		}
		const stop = watch(body, ctx, async (gone) => {
			const page = await get(path(ctx.name) + "/actions", { last: 50 });
			if (gone()) return;
			if (!page.episodes.length) { put(body, none("No steps recorded", "A trainer logs every n-th decision: see log_interval.")); return; }
			if (!host.isConnected) put(body, host);
			const follow = shown === null || shown === list[0];
			list = page.episodes;
			if (follow) shown = list[0];
			put(pick, list.map((n) => h("option", { value: n, selected: n === shown }, count(n))));
			await load();
		});
		return () => { stop(); group.end(); };
	},

	Validation(body, ctx) {
		return watch(body, ctx, async (gone) => {
			const page = await get(path(ctx.name) + "/validations");
			if (gone()) return;
			if (!page.items.length) { put(body, none("No validations yet", "A validation measures the policy on demand that it is not trained on.")); return; }
			put(body, grid([["after episode", "num"], ["split", ""], ["seeds", ""], ["reward", "num"], ["full delay s", "num", "Vehicles that never got in are counted."], ["waiting s", "num"], ["queue", "num"], ["passengers/h", "num"], ["when", "", "UTC"]],
				page.items.slice().reverse().map((v) => { const m = v.traffic_metrics ?? {}; return [count(v.validation_episode), v.test_scenario?.split ?? "", [v.test_scenario?.sumo_seeds ?? v.test_scenario?.sumo_seed ?? ""].flat().join(", "), number(v.total_reward, 4), number(m.full_delay, 4), number(m.waiting ?? m.avg_waiting_time), number(m.queue), count(m.passengers_per_hour), clock(v.timestamp)]; })));
		});
	},

	Checkpoints(body, ctx) {
		return watch(body, ctx, async (gone) => {
			const page = await get(path(ctx.name) + "/checkpoints");
			if (gone()) return;
			if (!page.items.length) { put(body, none("No checkpoints yet", "A checkpoint is a saved model with its hash and the reward on validation demand.")); return; }
			put(body, grid([["after episode", "num"], ["type", ""], ["validation reward", "num"], ["size", "num"], ["SHA-256", "mono"], ["file", "mono"], ["when", "", "UTC"]],
				page.items.slice().reverse().map((c) => [count(c.episode_number), c.checkpoint_type, number(c.validation_reward, 5), c.model_size_mb === undefined ? "–" : bytes(c.model_size_mb * 1e6), h("span", { title: c.model_hash }, (c.model_hash ?? "").slice(0, 12)), c.model_path, clock(c.created_at)])));
		});
	},

	Baselines(body, ctx) {
		return watch(body, ctx, async (gone) => {
			const page = await get(path(ctx.name) + "/baselines");
			if (gone()) return;
			if (!page.items.length) { put(body, none("No comparison yet", "At the end of a training the best checkpoint is measured against controllers that do not learn, on demand it never saw.")); return; }
			put(body, h("p", {}, h("a", { class: "target", href: "/compare/tests?experiments=" + encodeURIComponent(ctx.name.includes(",") ? ctx.detail().id : ctx.name) }, "Compare with its baselines, pair by pair")), page.items.map((b) => {
				// Full delay where it was compared, else the first metric that was tested.
				const tested = Object.keys(b.statistical_tests ?? {}), key = tested.includes("full_delay") ? "full_delay" : tested[0];
				const test = b.statistical_tests?.[key], holm = b.significance_results?.[key], unit = key === "full_delay" ? " s" : "";
				const unlike = Object.values(b.significance_results ?? {}).some((r) => r?.unlike === true), told = key?.replaceAll("_", " ");
				const rows = Object.keys(b.baseline_metrics ?? {}).filter((k) => typeof b.baseline_metrics[k] === "number" && typeof b.d3qn_metrics?.[k] === "number").map((k) => [k.replaceAll("_", " "), number(b.baseline_metrics[k], 4), number(b.d3qn_metrics[k], 4), b.improvement_percentages?.[k] === undefined ? "" : number(b.improvement_percentages[k], 3) + " %"]);
				return h("div", { class: "card", style: { marginTop: "12px" } },
					h("div", { class: "row between" }, h("h2", {}, b.baseline_type.replaceAll("_", " "), unlike && h("span", { class: "warning" }, " · unlike things compared")), h("span", { class: "soft small" }, clock(b.comparison_date))),
					typeof test?.mean_difference === "number" && h("p", {}, `${told[0].toUpperCase() + told.slice(1)} ${number(b.d3qn_metrics?.[key], 3)}${unit} against ${number(b.baseline_metrics?.[key], 3)}${unit}: ${number(Math.abs(test.mean_difference), 3)}${unit} ${test.mean_difference < 0 ? "less" : "more"} (95 % interval of the difference ${(test.confidence_interval_95 ?? []).map((v) => number(v, 3)).join(" to ")}${unit}), ${test.method}, n = ${test.n}, p = ${number(test.p, 2)}`, holm ? `; after Holm's correction p = ${number(holm.p_holm, 2)}: ${holm["significant_at_0.05"] ? "significant" : "not significant"} at 0.05` : "", holm?.version ?? test.version ? `; methods of version ${holm?.version ?? test.version}.` : "."),
					h("details", {}, h("summary", {}, "All measures"), h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "measure"), h("th", { class: "num" }, "baseline"), h("th", { class: "num" }, "D3QN"), h("th", { class: "num" }, "better by"))), h("tbody", {}, rows.map((r) => h("tr", {}, r.map((c, i) => h("td", { class: i ? "num" : "" }, c))))))),
					b.notes && h("p", { class: "soft small" }, b.notes));
			}));
		});
	},

	Data(body, ctx) {
		return watch(body, ctx, async (gone) => {
			const [runs, dead] = await Promise.all([get("/runs", { experiment: ctx.name }), get("/dead-letters", { experiment: ctx.name, limit: 100 })]);
			if (gone()) return;
			put(body, h("p", { class: "soft" }, "Every record is written to a local journal first. Synced is what the database has confirmed. Journals on another machine are known there: greenwave status."),
				grid([["run", "mono"], ["source", ""], ["host", ""], ["state", ""], ["started", ""], ["logged", "num", "In the journal. Empty when the journal is on another machine."], ["synced", "num"], ["superseded", "num", "Replaced by a record of the same episode or step that was logged later."], ["dead", "num"], ["missing", "num"]],
					runs.items.map((r) => [h("span", { title: r.id }, r.id.slice(0, 8)), r.source, r.host ?? "", h("span", { class: "state " + r.status }, shape(r.status), " ", r.status), clock(r.started_at), r.logged === undefined ? "" : count(r.logged), count(r.settled - r.dead), count(r.superseded), r.dead ? h("span", { class: "bad" }, count(r.dead)) : "0", r.missing === undefined ? "" : r.missing ? h("span", { class: "warning" }, count(r.missing)) : "0"])),
				dead.items.length ? [h("h2", { style: { marginTop: "16px" } }, "Dead letters"), grid([["run", "mono"], ["record", "num"], ["kind", ""], ["reason", "long"], ["where", "mono"]], dead.items.map((d) => [d.run_id.slice(0, 8), count(d.seq), d.kind, d.reason, d.location]))] : null);
		});
	},

	System(body, ctx) {
		const group = new Group();
		const make = (title, unit, series) => new Chart(group, { title, unit, x: "time", zero: true, height: 200, series, file: `${ctx.name}-${title}`, none: "No resources recorded. They are logged every 10 s by trainers of this version.",
			sql: `SELECT sampled_at, ${series.map((s) => s.key).join(", ")}\nFROM run_resources\nWHERE experiment_id = (SELECT id FROM experiments WHERE experiment_name = '${ctx.name.replaceAll("'", "''")}')\nORDER BY sampled_at;` });
		const cpu = make("Processor", "%", [{ key: "process_cpu_percent", label: "the trainer", colour: "--s1" }, { key: "host_cpu_percent", label: "the machine", colour: "--s8" }]);
		const memory = make("Memory", "MB", [{ key: "process_memory_mb", label: "the trainer", colour: "--s1" }, { key: "host_memory_used_mb", label: "the machine", colour: "--s8" }]);
		const disk = make("Free disk", "MB", [{ key: "disk_free_mb", label: "free where the journal is", colour: "--s3" }]);
		for (const c of [cpu, memory, disk]) c.el.classList.add("c6");
		put(body, h("div", { class: "grid" }, cpu.el, memory.el, disk.el));
		const stop = watch(body, ctx, async (gone) => {
			const rows = [];
			let cursor = "";
			do {
				const page = await get(path(ctx.name) + "/resources", { limit: 10000, cursor, columns: "process_cpu_percent,host_cpu_percent,process_memory_mb,host_memory_used_mb,disk_free_mb,sampled_at" });
				rows.push(...page.items);
				cursor = page.next;
			} while (cursor && rows.length < 100000);
			if (gone()) return;
			const x = rows.map((r) => Date.parse(r.sampled_at ?? r._row.logged_at) / 1000);
			for (const c of [cpu, memory, disk]) c.set(x, c.series.map((s) => rows.map((r) => r[s.key] ?? null)));
		});
		return () => { stop(); group.end(); };
	},

	Config(body, ctx) {
		const e = ctx.detail();
		const facts = (object) => h("dl", { class: "facts" }, Object.entries(object).map(([k, v]) => [h("dt", {}, k), h("dd", { class: "mono" }, typeof v === "string" ? v : JSON.stringify(v))]));
		const run = e.runs[e.runs.length - 1];
		const head = run?.header ?? {};
		put(body, h("div", { class: "grid" },
			h("section", { class: "card c6" }, h("h2", {}, "Configuration"), Object.keys(e.config ?? {}).length ? facts(e.config) : h("p", { class: "soft" }, "None was recorded.")),
			h("section", { class: "card c6" }, h("h2", {}, "Where it comes from"), h("p", { class: "soft small" }, "Of the latest run, as it was logged."), facts({
				...(head.git_commit ? { commit: head.git_commit + (head.git_dirty ? " (with changes)" : "") } : {}), ...(head.host ? { host: head.host } : {}), ...(head.program ? { program: head.program } : {}), ...(head.versions ?? {}), ...(e.metadata ?? {}) }))));
	},
};
