import { h, put } from "./dom.js";
import { get, post } from "./api.js";
import { again } from "./live.js";

// login lets a person in by e-mail and password, where the server takes them, or by a
// token; the browser keeps what it gets in cookies that scripts cannot read.
export function login(view) {
	document.title = "Log in – Greenwave";
	const said = h("p", { class: "bad", role: "alert" });
	const field = (id, label, props) => [h("label", { for: id }, label), h("input", { id, required: true, ...props })];
	const button = h("button", { class: "primary", type: "submit" }, "Log in"), other = h("button", { type: "button", class: "plain", hidden: true, onclick: () => show(byToken ? "password" : "token") });
	const fields = h("div", { class: "fields" }), help = h("p", { class: "soft" });
	const form = h("form", { class: "card login" }, h("h1", {}, "Log in"), help, fields, said, h("div", { class: "row between" }, button, other));
	let byToken = true, passwords = false;

	function show(way) {
		byToken = way === "token";
		put(fields, byToken ? field("token", "Token", { type: "password", autocomplete: "off" })
			: [field("email", "E-mail", { type: "email", autocomplete: "username" }), field("password", "Password", { type: "password", autocomplete: "current-password" })]);
		put(help, byToken ? ["A token that who runs this server has made for you (", h("code", {}, "greenwave token create"), "). You see what it lets you see."] : "With the account of your team's Supabase project. You see your own experiments and those that are shared with you.");
		put(other, byToken ? "With e-mail and password" : "With a token");
		other.hidden = !passwords;
		said.textContent = "";
		fields.querySelector("input").focus();
	}

	form.addEventListener("submit", async (e) => {
		e.preventDefault();
		button.disabled = true;
		said.textContent = "";
		const value = (id) => fields.querySelector("#" + id).value;
		try {
			await post("/login", byToken ? { token: value("token").trim() } : { email: value("email").trim(), password: value("password") });
			again();
			const back = new URLSearchParams(location.search).get("back") ?? "/";
			location.assign(back.startsWith("/") && !/^\/[\/\\]/.test(back) ? back : "/");
		} catch (problem) {
			said.textContent = problem.message[0].toUpperCase() + problem.message.slice(1) + (/[.!?]$/.test(problem.message) ? "" : ".");
			const secret = fields.querySelector("input[type=password]");
			secret.value = "";
			secret.focus();
		} finally {
			button.disabled = false;
		}
	});
	put(view, form);
	get("/session").then((ways) => { passwords = ways.password; show(passwords ? "password" : "token"); }, () => show("token"));
}
