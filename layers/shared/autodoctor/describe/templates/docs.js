// Search, calls with the reader's own token, and curl lines. The page is whole without it. Nothing is kept: not the token, not an answer.
"use strict";
const el = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
};
const tools = document.getElementById("tools");
const search = document.getElementById("search");
const token = document.getElementById("token");
const found = document.getElementById("found");
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function look() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of document.querySelectorAll("main > section")) {
    let here = 0;
    for (const article of section.querySelectorAll("article")) {
      const text = (article.dataset.search ?? article.id).toLowerCase();
      const isShown = words.every((word) => text.includes(word));
      article.hidden = !isShown;
      if (isShown) here += 1;
    }
    section.hidden = words.length > 0 && here === 0;
    if (section.dataset.chapter !== undefined) count += here;
  }
  for (const link of document.querySelectorAll("nav a[href^='#']")) link.parentElement.hidden = document.getElementById(link.hash.slice(1)).closest("section").hidden;
  found.textContent = words.length ? `${count} ${count === 1 ? "operation" : "operations"} found` : "";
}

/** The call that the fields of an operation describe: its method, address, headers and body. */
function call(article, fields, body) {
  let path = article.dataset.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { name, place, input } of fields) {
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value) || `{${name}}`);
    else if (input.value && place === "query") query.set(name, input.value);
    else if (input.value) headers[name] = input.value;
  }
  if (body) headers["Content-Type"] = "application/json";
  const url = new URL(path.replaceAll("{", "%7B").replaceAll("}", "%7D"), location.origin);
  url.search = query;
  return { method: article.dataset.method, url: String(url), headers, body: body ? body.value : null };
}

function curl({ method, url, headers, body }, isOpen) {
  const parts = [`curl -sS -X ${method} ${quoted(url)}`, ...(isOpen ? [] : ['-H "Authorization: Bearer $TOKEN"']), ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`), ...(body ? [`-d ${quoted(body)}`] : [])];
  return parts.join(" \\\n  ");
}

async function send({ method, url, headers, body }, isOpen, answer) {
  if (!isOpen && !token.value.trim()) {
    answer.replaceChildren(el("p", {}, "This operation needs a token: paste yours at the top of the page."));
    token.focus();
    return;
  }
  const began = performance.now();
  try {
    const authorization = isOpen ? {} : { Authorization: `Bearer ${token.value.trim()}` };
    const response = await fetch(url, { method, headers: { ...headers, ...authorization }, body, credentials: "omit", redirect: "manual" });
    const took = Math.round(performance.now() - began);
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    let shown = text;
    if (isJson) try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* as it came */ }
    const line = el("p", {}, el("strong", { class: response.ok ? "GET" : "ANY" }, `${response.status} ${response.statusText}`), ` in ${took} ms`, response.headers.get("x-request-id") && ` · ${response.headers.get("x-request-id")}`);
    answer.replaceChildren(line, el("pre", { tabindex: "0", role: "region", "aria-label": "Answer" }, shown || "(empty)"));
  } catch (error) {
    answer.replaceChildren(el("p", {}, `No answer: ${error.message}`));
  }
}

/** Builds the fields of an operation when they are first opened. */
function build(place) {
  const article = place.closest("article");
  const isOpen = article.dataset.open !== undefined;
  const id = article.id;
  const fields = [...article.querySelectorAll("tr[data-name]")].map(({ dataset: { name, in: where, type } }) => ({ name, place: where, input: el("input", { id: `${id}-${name}`, autocomplete: "off", spellcheck: "false", placeholder: type }) }));
  const example = article.querySelector("pre.request");
  const body = article.dataset.body === undefined ? null : el("textarea", { id: `${id}-body`, rows: "8", spellcheck: "false" });
  if (body) body.value = example ? example.textContent : "{}";
  const line = el("pre", { tabindex: "0", role: "region", "aria-label": "The call as curl" });
  const answer = el("div", { role: "status" });
  const current = () => call(article, fields, body);
  const write = () => { line.textContent = curl(current(), isOpen); };
  const copy = el("button", { type: "button", onclick: async () => { await navigator.clipboard.writeText(line.textContent); copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy as curl"; }, 2000); } }, "Copy as curl");
  const go = el("button", { type: "button", class: "go", onclick: async () => { go.disabled = true; await send(current(), isOpen, answer); go.disabled = false; } }, article.dataset.method === "GET" ? "Send" : "Send: this changes data");
  place.append(
    ...fields.map(({ name, place: where, input }) => el("p", {}, el("label", { for: input.id }, el("code", {}, name), ` (${where})`), input)),
    ...(body ? [el("p", {}, el("label", { for: body.id }, "Body"), body)] : []),
    line, el("p", {}, go, " ", copy), answer,
  );
  place.addEventListener("input", write);
  write();
}

for (const article of document.querySelectorAll("article[data-method]:not([data-deprecated])")) {
  const place = el("details", { class: "try" }, el("summary", {}, "Try it, or copy it as curl"));
  place.addEventListener("toggle", () => build(place), { once: true });
  article.append(place);
}
search.addEventListener("input", look);
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea")) return;
  event.preventDefault();
  search.focus();
});
tools.hidden = false;
