// One stream of events for all pages of this browser. A browser opens at most six
// connections to a server, so pages share one through a worker; where there are no
// shared workers each page has its own.
const hearers = new Set();
let shown, state = { on: false, since: Date.now() };

export function onChange(hear) {
	hearers.add(hear);
	return () => hearers.delete(hear);
}

// connect calls show with on or off, and with since when it is off.
export function connect(show) {
	shown = show;
	let close = listen();
	// A page that waits behind the back button keeps no connection.
	addEventListener("pagehide", () => { close(); });
	addEventListener("pageshow", (e) => { if (e.persisted) close = listen(); });
	setInterval(() => { if (!state.on) shown(state); }, 1000);
}

// again opens the stream anew: somebody else is logged in now.
export function again() { reopen?.(); }
let reopen;

function take(message) {
	if (message.state) {
		state = message.state;
		shown(state);
	}
	if (message.change) for (const hear of [...hearers]) hear(message.change);
}

function listen() {
	if (typeof SharedWorker !== "function") {
		let close = stream(take);
		reopen = () => { close(); close = stream(take); };
		return () => close();
	}
	const worker = new SharedWorker("/live-worker.js", { type: "module", name: "events" });
	worker.port.onmessage = (e) => take(e.data);
	reopen = () => worker.port.postMessage("again");
	worker.onerror = () => { worker.port.close(); worker.fallback = stream(take); };
	return () => {
		worker.port.postMessage("bye");
		worker.fallback?.();
	};
}

// silence is how long the server may say nothing; it gives a sign of life every 15 s.
const silence = 40000;

// stream follows the server's events; after a cut the browser goes on with the number
// of its last event by itself. A connection that died without a word, as it does while a
// machine sleeps, is opened anew; its first event says: read everything.
export function stream(tell) {
	let source, timer, ended = false, off = 0, heard = Date.now();
	const open = () => {
		heard = Date.now();
		source = new EventSource("/api/v1/events");
		source.onopen = () => {
			heard = Date.now();
			off = 0;
			tell({ state: { on: true } });
		};
		source.addEventListener("alive", () => { heard = Date.now(); });
		source.addEventListener("change", (e) => {
			heard = Date.now();
			tell({ change: JSON.parse(e.data) });
		});
		source.onerror = () => {
			if (ended) return;
			heard = Date.now();
			off ||= heard;
			tell({ state: { on: false, since: off } });
			if (source.readyState === EventSource.CLOSED) timer = setTimeout(retry, 2000);
		};
	};
	// Whoever is not logged in is not let in again by asking more often.
	const retry = async () => {
		const ways = await fetch("/api/v1/session").then((r) => r.json()).catch(() => null);
		if (ended) return;
		if (ways?.needed && !ways.name) timer = setTimeout(retry, 5000);
		else open();
	};
	open();
	const watching = setInterval(() => {
		if (Date.now() - heard < silence || source.readyState === EventSource.CLOSED) return;
		off ||= heard;
		tell({ state: { on: false, since: off } });
		source.close();
		open();
	}, 1000);
	return () => {
		ended = true;
		clearTimeout(timer);
		clearInterval(watching);
		source.close();
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
