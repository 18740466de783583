/** The sessions tab of operators: the lists behind each number, and the search by people, payments and ids. */

import { get, post } from "../api/api.js";
import { table } from "../lib/components.js";
import { el, money, pill, time } from "../lib/dom.js";
import { field, showErrors } from "../lib/form.js";
import { busy } from "../lib/shell.js";
import { fundingWords, plain, reasonWords, severityWords, stateWords } from "../lib/states.js";

const FILTERS = [
  ["status=active", "Active"],
  ["status=queued", "Waiting for a mechanic"],
  ["status=live", "Live"],
  ["status=scheduled", "Booked"],
  ["status=completed", "Completed"],
  ["status=cancelled", "Cancelled"],
  ["status=expired", "Expired"],
];

const SOUGHT = { name: "named", email: "with the address", phone: "with the number", payment: "of the payment", receipt: "of the receipt", id: "of the id" };
let kept = { asked: null, answer: null }; // each search is recorded: one that is only shown again is not made again

/** What is searched for stands in the state of the tab's history, not in its address: it is about people. */
const soughtNow = () => (history.state?.sought ? history.state : null);

async function searched({ sought, cursor }) {
  const asked = JSON.stringify([sought, cursor ?? null]);
  if (kept.asked !== asked) kept = { asked, answer: await post("/api/admin/sessions/search", { text: sought, ...(cursor && { cursor }) }) };
  return kept.answer;
}

/**
 * @param {URLSearchParams} query
 * @param {function(): Promise<void>} refresh
 */
export async function sessions(query, refresh) {
  const search = soughtNow();
  query.delete("found");
  const asked = query.size ? query : new URLSearchParams("status=active");
  const { sessions: found, nextCursor, soughtBy } = search ? await searched(search) : await get(`/api/admin/sessions?${asked}`);
  return [
    el("h1", {}, "Sessions"),
    el("div.row.asks", {}, finder(search?.sought ?? "", refresh), listChoice(search, asked)),
    search && el("p.quiet", { role: "status" }, `Sessions ${SOUGHT[soughtBy]} “${search.sought}”, newest first. `, el("a", { href: "#sessions?status=active" }, "All active ones")),
    found.length ? listed(found) : none(search, soughtBy),
    nextCursor && el("p", {}, search ? el("button", { type: "button", onclick: () => look({ ...search, cursor: nextCursor }, refresh) }, "More") : el("a.button", { href: `#sessions?${following(asked, nextCursor)}` }, "More")),
  ];
}

function none(search, soughtBy) {
  if (!search) return el("p.card", {}, "No sessions match.");
  return el("p.card", {}, soughtBy === "payment" ? "No session has anything to do with this id at Stripe. A payment for credits belongs to no session." : "No session is found by this.");
}

function following(asked, cursor) {
  return new URLSearchParams([...[...asked].filter(([name]) => name !== "cursor"), ["cursor", cursor]]);
}

function listChoice(search, asked) {
  const chosen = search ? "" : [...asked].filter(([name]) => name !== "cursor").map((pair) => pair.join("=")).join("&");
  const known = FILTERS.some(([value]) => value === chosen);
  const filter = el(
    "select",
    { id: "filter", onchange: ({ target }) => (location.hash = `#sessions?${target.value}`) },
    !known && el("option", { value: chosen, selected: true }, search ? "What was found" : chosenWords(asked)),
    FILTERS.map(([value, label]) => el("option", { value, selected: value === chosen }, label)),
  );
  return el("div", {}, el("label", { for: "filter" }, "Show"), filter);
}

/** A filter that only a link sets, in words: "Money: payouts waiting". */
function chosenWords(asked) {
  const [name, value] = [...asked].find(([each]) => ["alert", "offer", "money", "reason", "status"].includes(each)) ?? ["", "Created"];
  const words = name === "reason" ? reasonWords(value) : name === "status" ? stateWords(value) : plain(value);
  return name && name !== "status" ? `${plain(name)}: ${words.toLowerCase()}` : words;
}

async function look(state, refresh) {
  history.pushState(state, "", "#sessions?found");
  await refresh();
}

function finder(text, refresh) {
  const submit = el("button.primary", { type: "submit" }, "Find");
  const form = el("form.row.finds", { role: "search", novalidate: true }, field("text", "Find", { value: text, autocomplete: "off", spellcheck: "false", maxlength: 200, placeholder: "Name, e-mail, phone, payment or session id" }), submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const sought = form.elements.text.value.trim();
    if (!sought) return;
    busy(submit, async () => {
      try {
        kept = { asked: null, answer: null };
        const { sessions: found, soughtBy } = await searched({ sought });
        if (soughtBy === "id" && found.length === 1) {
          location.hash = `#session?id=${found[0].sessionId}`;
          return;
        }
        await look({ sought }, refresh);
      } catch (problem) {
        if (!showErrors(form, problem)) throw problem;
      }
    });
  });
  return form;
}

function listed(found) {
  const rows = found.map((each) =>
    [
      el("a", { href: `#session?id=${each.sessionId}` }, time(each.at)),
      [pill(each.status), each.severity && el("span.pill", { "data-severity": each.severity }, severityWords(each.severity))],
      each.customerName,
      each.mechanicName ?? "–",
      [...new Set([plain(each.plan), fundingWords(each.funding)])].join(" · "),
      each.priceCents ? money(each.priceCents) : "–",
      reasonWords(each.endReason) ?? (each.assignmentStatus ? stateWords(each.assignmentStatus) : "–"),
    ],
  );
  return table(["Since", "State", "Customer", "Mechanic", "Plan", "Price", "Why"], rows, { numbers: [5] });
}
