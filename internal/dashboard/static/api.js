// Problem is an answer that is not what was asked for.
export class Problem extends Error {
	constructor(status, code, message, retry) {
		super(message);
		this.status = status;
		this.code = code;
		this.retry = retry;
	}
}

// get asks the API. Parameters that are empty are left out.
export async function get(path, params, signal) {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(params ?? {})) if (v !== undefined && v !== null && v !== "" && v !== false) q.set(k, v === true ? "1" : v);
	const text = q.toString();
	return ask(`/api/v1${path}${text ? "?" + text : ""}`, { signal });
}

export const post = (path, body) => ask(`/api/v1${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });

async function ask(url, options) {
	let answer;
	try {
		answer = await fetch(url, { credentials: "same-origin", ...options });
	} catch (e) {
		if (e.name === "AbortError") throw e;
		throw new Problem(0, "unreachable", "The server does not answer. Recording goes on in the journals. Trying again by itself.");
	}
	if (answer.status === 204) return null;
	const body = await answer.json().catch(() => null);
	if (!answer.ok) {
		const e = body?.error ?? {};
		if (answer.status === 401) dispatchEvent(new Event("login-needed"));
		throw new Problem(answer.status, e.code ?? "unexpected", e.message ?? `The server answered ${answer.status}.`, Number(answer.headers.get("Retry-After")) || 0);
	}
	return body;
}

export const path = (name) => "/experiments/" + encodeURIComponent(name);
