/** Quotes as a mechanic sees them: handing a session to a workshop, and naming an amount for one's own workshop. */

import { get, post } from "../api/api.js";
import { empty, skeleton } from "../lib/components.js";
import { announce, el, money, pill, time } from "../lib/dom.js";
import { field, showErrors, values } from "../lib/form.js";
import { busy } from "../lib/shell.js";

const ESCALATABLE = ["live", "completed"];
const OPEN = ["requested", "given"];
const MOST_DOLLARS = 100_000;
let workshops = null; // fetched when the form is first opened
let chosen = "";

/**
 * The form with which the session's mechanic hands it to a workshop; null when that is not possible.
 * @param {Object} session as the API shows it
 * @param {Object[]} quotes of the session
 * @param {function(): Promise<void>} again rebuilds the page
 */
export function handOver(session, quotes, again) {
  if (!ESCALATABLE.includes(session.status) || quotes.some(({ status }) => status === "approved")) return null;
  const open = async ({ target }) => {
    if (!target.open || workshops) return;
    try {
      workshops = await everyWorkshop();
      await again();
    } catch (error) {
      announce(error.message, "error");
    }
  };
  const asked = new Set(quotes.map(({ workshopId }) => workshopId));
  const left = workshops?.filter(({ workshopId }) => !asked.has(workshopId));
  const content = !left ? skeleton() : left.length ? escalation(session.sessionId, left, again) : el("p", {}, "There is no other workshop to ask.");
  return el("details.card", { id: "hand-over", ontoggle: open }, el("summary", {}, "Hand it to a workshop"), content);
}

async function everyWorkshop() {
  const found = [];
  for (let cursor = ""; cursor !== null; ) {
    const page = await get(`/api/mechanic/workshops?limit=100${cursor && `&cursor=${cursor}`}`);
    found.push(...page.workshops);
    cursor = page.nextCursor;
  }
  return found.sort((one, other) => one.name.localeCompare(other.name));
}

function escalation(sessionId, found, again) {
  const choices = [el("option", { value: "" }, "Choose …"), ...found.map((each) => el("option", { value: each.workshopId, selected: each.workshopId === chosen }, each.name))];
  const submit = el("button.primary", { type: "submit" }, "Ask for a quote");
  const form = el(
    "form",
    { novalidate: true },
    el("p", {}, "For repairs that need a workshop. The workshop names an amount and the customer decides. You earn a share of an approved quote."),
    field("workshopId", "Workshop", { tag: "select", required: true, onchange: ({ target }) => (chosen = target.value) }, ...choices),
    field("note", "Note for the workshop (optional)", { tag: "textarea", maxlength: 2000, hint: "The workshop also gets the problem and the car. The customer can read this note." }),
    el("p", {}, submit),
  );
  return sending(form, submit, async () => {
    const body = values(form);
    if (!body.workshopId) return refused("workshopId", "Choose a workshop");
    const { workshopName } = await post(`/api/sessions/${sessionId}/escalate`, body);
    chosen = "";
    announce(`${workshopName} has been asked for a quote.`);
    form.reset();
    await again();
  });
}

/** The quotes tab: requests to the mechanic's own workshop, and the mechanic's requests to others. */
export async function quotes(query) {
  const { quotes: found, nextCursor } = await get(`/api/mechanic/quotes?${query}`);
  const mine = ({ askedOfCaller, status }) => askedOfCaller && OPEN.includes(status);
  const toAnswer = found.filter(mine);
  const others = found.filter((each) => !mine(each));
  return [
    el("h1", {}, "Quotes"),
    toAnswer.length > 0 && el("section", {}, el("h2", {}, "Waiting for your workshop"), toAnswer.map(listed)),
    others.length > 0 && el("section", {}, el("h2", {}, toAnswer.length ? "Others" : "All"), others.map(listed)),
    !found.length && empty("No quotes yet", "You can hand a session to a workshop on the session's page. Requests to your own workshop also appear here."),
    nextCursor && el("p", {}, el("a.button", { href: `#quotes?cursor=${encodeURIComponent(nextCursor)}` }, "More")),
  ];
}

function listed(each) {
  const named = each.status === "given" ? "Change the amount" : "Name an amount";
  const answers = each.askedOfCaller && OPEN.includes(each.status);
  return el(
    "article.card",
    { "data-quote": each.quoteId },
    el("h3.row", {}, each.vehicleSummary || "A car", pill(each.status), each.amountCents !== null && el("span.number", {}, money(each.amountCents, each.currency))),
    about(each),
    answers && el("p", {}, el("a.button.primary", { href: `#quote?id=${each.quoteId}`, "aria-label": `${named}: ${each.vehicleSummary}` }, named)),
  );
}

function about(each) {
  return [
    el("p", {}, each.concern),
    each.note && el("p", {}, `${each.mechanicName}: “${each.note}”`),
    each.description && el("p", {}, `${each.workshopName}: “${each.description}”`),
    el("p.quiet", {}, `${each.mechanicName} asked ${each.workshopName}, ${time(each.requestedAt)}`),
  ];
}

/** One quote, with the form for its amount while it is open. */
export async function quote(query) {
  const id = query.get("id");
  const found = await get(`/api/quotes/${encodeURIComponent(id)}`);
  return [
    el("h1", {}, `Quote for ${found.vehicleSummary || "a car"}`),
    el("section.card", {}, el("p.row", {}, pill(found.status), found.amountCents !== null && el("strong.number", {}, money(found.amountCents, found.currency))), about(found)),
    OPEN.includes(found.status) ? amount(found) : el("p.card", {}, "The customer has decided, so the amount can no longer change."),
    el("p", {}, el("a", { href: "#quotes" }, "All quotes")),
  ];
}

function amount(found) {
  const submit = el("button.primary", { type: "submit" }, found.status === "given" ? "Change the amount" : "Give this amount");
  const dollars = found.amountCents === null ? "" : (found.amountCents / 100).toFixed(2);
  const form = el(
    "form.card.narrow",
    { novalidate: true },
    el("h2", {}, "Your amount"),
    field("amountCents", "Amount in dollars", { inputmode: "decimal", autocomplete: "off", required: true, value: dollars, hint: "Everything included. You may change it until the customer decides." }),
    field("description", "What it is for (optional)", { tag: "textarea", maxlength: 2000 }, found.description ?? ""),
    el("p", {}, submit),
  );
  return sending(form, submit, async () => {
    const { amountCents: typed = "", ...rest } = values(form);
    const plain = typed.replace(/[$,\s]/g, "");
    const cents = Math.round(Number(plain) * 100);
    if (!/^\d+(\.\d{1,2})?$/.test(plain) || cents < 1 || cents > MOST_DOLLARS * 100) return refused("amountCents", `This must be an amount such as 480.00, and at most ${money(MOST_DOLLARS * 100)}`);
    const { status } = await post(`/api/quotes/${found.quoteId}/amount`, { amountCents: cents, ...rest });
    announce(OPEN.includes(status) ? "The customer has been told your amount." : "The customer has already decided."); // sending the same amount again is not an error
    location.hash = "#quotes";
  });
}

/** Runs `work` when the form is sent; a refusal, returned or thrown, is shown at its field. */
function sending(form, submit, work) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, async () => {
      const problem = await work().catch((error) => error);
      if (problem && !showErrors(form, problem)) throw problem;
    });
  });
  return form;
}

/** A refusal in the API's format. */
function refused(name, detail) {
  return { document: { errors: [{ pointer: `/${name}`, detail }] } };
}
