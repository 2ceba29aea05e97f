// One stream of events for the whole page. Whoever shows something hears of changes to
// it; after a cut the browser goes on with the number of its last event by itself.
const hearers = new Set();
let source, timer;
let lost = 0;

export function onChange(hear) {
	hearers.add(hear);
	return () => hearers.delete(hear);
}

export function connect(show) {
	source?.close();
	clearTimeout(timer);
	source = new EventSource("/api/v1/events");
	source.onopen = () => {
		lost = 0;
		show("on", "live");
	};
	source.addEventListener("change", (e) => {
		show("on", "live");
		const change = JSON.parse(e.data);
		for (const hear of [...hearers]) hear(change);
	});
	source.onerror = () => {
		if (!lost) lost = Date.now();
		show("off", `not connected for ${Math.round((Date.now() - lost) / 1000)} s`);
		if (source.readyState === EventSource.CLOSED) timer = setTimeout(() => connect(show), 2000);
	};
}

// throttle runs an async job for changes: at once, then not more often than it takes.
export function throttle(job, least = 0) {
	let running = false, again = false, stopped = false;
	const run = async () => {
		if (stopped) return;
		if (running) {
			again = true;
			return;
		}
		running = true;
		do {
			again = false;
			try {
				await job();
			} catch (e) {
				if (e.name !== "AbortError") console.warn(e.message);
			}
			if (least) await new Promise((r) => setTimeout(r, least));
		} while (again && !stopped);
		running = false;
	};
	run.stop = () => { stopped = true; };
	return run;
}
