// The worker that pages share: one stream of events, told to all of them.
import { stream } from "./live.js";

const ports = new Set();
let close, state;

function tell(message) {
	if (message.state) state = message.state;
	for (const port of ports) port.postMessage(message);
}

self.onconnect = (e) => {
	const port = e.ports[0];
	ports.add(port);
	port.onmessage = (m) => {
		if (m.data === "again") {
			close?.();
			close = stream(tell);
			return;
		}
		// It says bye.
		ports.delete(port);
		if (ports.size) return;
		close?.();
		close = undefined;
		state = undefined;
	};
	if (!close) close = stream(tell);
	// A page that comes later missed the stream's first event, which says: read everything.
	else if (state) port.postMessage({ state, change: state.on ? { all: true, alerts: true, experiments: [] } : undefined });
};
