import { h, put } from "./dom.js";
import { post } from "./api.js";

// login asks for a token once; the browser keeps it in a cookie that scripts cannot read.
export function login(view) {
	document.title = "Log in – Greenwave";
	const field = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
	const said = h("p", { class: "bad", role: "alert" });
	const form = h("form", { class: "card", style: { maxWidth: "420px", margin: "48px auto" } },
		h("h1", {}, "Log in"),
		h("p", { class: "soft" }, "This server asks for a token: one that who runs it has made for you (greenwave token create), or the access token of your Supabase session. You see what it lets you see."),
		h("p", {}, h("label", { for: "token" }, "Token"), h("br"), field),
		said,
		h("button", { class: "primary", type: "submit" }, "Log in"));
	form.addEventListener("submit", async (e) => {
		e.preventDefault();
		try {
			await post("/login", { token: field.value.trim() });
			const back = new URLSearchParams(location.search).get("back") ?? "/";
			location.assign(back.startsWith("/") && !back.startsWith("//") ? back : "/");
		} catch (problem) {
			said.textContent = problem.message;
		}
	});
	put(view, form);
	field.focus();
}
