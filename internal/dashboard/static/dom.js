// h makes an element. Texts become text nodes, never HTML: names come from anybody.
export function h(tag, props, ...children) {
	const el = document.createElement(tag);
	return fill(el, props, children);
}

const NS = "http://www.w3.org/2000/svg";

// s makes an SVG element.
export function s(tag, props, ...children) {
	return fill(document.createElementNS(NS, tag), props, children);
}

function fill(el, props, children) {
	for (const [name, value] of Object.entries(props ?? {})) {
		if (value === undefined || value === null || value === false) continue;
		if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
		else if (name === "style") Object.assign(el.style, value);
		else if (name === "value" || name === "checked" || name === "selected") el[name] = value;
		else el.setAttribute(name, value === true ? "" : value);
	}
	append(el, children);
	return el;
}

function append(el, children) {
	for (const c of children) {
		if (c === undefined || c === null || c === false) continue;
		if (Array.isArray(c)) append(el, c);
		else el.append(c instanceof Node ? c : String(c));
	}
}

// put replaces what is in an element.
export function put(el, ...children) {
	el.replaceChildren();
	append(el, children);
	return el;
}

// scroller holds what may be wider than the screen; the keyboard reaches it too.
export const scroller = (label, ...children) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);

// rows makes a table. head: [label, class, help]; cells follow its classes.
export function rows(label, head, list) {
	return scroller(label, h("table", {}, h("thead", {}, h("tr", {}, head.map(([t, css, help]) => h("th", { class: css, scope: "col", title: help }, t || h("span", { class: "off-screen" }, help ?? "choice"))))),
		h("tbody", {}, list.map((r) => h("tr", {}, r.map((c, i) => h("td", { class: head[i][1] }, c)))))));
}
