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

// copied puts a text on the clipboard and says so on the button. A page that came over
// plain HTTP from another machine has no clipboard of the new kind.
export async function copied(button, text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		const field = h("textarea", { class: "off-screen", value: text });
		document.body.append(field);
		field.select();
		document.execCommand("copy");
		field.remove();
		button.focus();
	}
	button.dataset.copied = "1";
	setTimeout(() => delete button.dataset.copied, 1500);
}

// command is a command that a click copies.
export const command = (text) => h("button", { type: "button", class: "copy code", title: "Copy", onclick: (e) => copied(e.currentTarget, text) }, text);

// link is a button that copies the address, which holds what is shown.
export const link = () => h("button", { type: "button", class: "copy", title: "Copy the address of what is shown here, zoom included", onclick: (e) => copied(e.currentTarget, location.href) }, "Copy link");

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
