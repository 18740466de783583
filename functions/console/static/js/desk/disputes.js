/** A dispute, as an admin answers it: what the record says, what it does not have, and the words that go to the bank. */

import { download, get, post } from "../api/api.js";
import { announce, confirmed, el, money, time } from "../lib/dom.js";
import { field, showErrors } from "../lib/form.js";
import { action, busy } from "../lib/shell.js";

const STATES = {
  due: "is being prepared",
  sending: "is being prepared",
  staged: "is ready at Stripe; nobody has sent it",
  sent: "was sent to the bank",
  failed: "could not be brought to Stripe",
  closed: "cannot be sent any more",
};
const CLOSED = {
  over: "the dispute was decided first",
  no_answer: "the bank takes no answer",
  elsewhere: "somebody answered in Stripe's dashboard",
};
const STATUSES = {
  needs_response: "the bank waits for an answer",
  under_review: "the bank is deciding",
  won: "won",
  lost: "lost",
  prevented: "given up",
  warning_needs_response: "the bank inquires",
  warning_under_review: "the bank is deciding about an inquiry",
  warning_closed: "the inquiry is over",
};
const TEXTS = [
  ["productDescription", "What was bought", 2],
  ["serviceDate", "When it was given", 1],
  ["customerName", "The customer's name", 1],
  ["customerEmailAddress", "The customer's e-mail address", 1],
  ["accessActivityLog", "What the system recorded", 12],
  ["refundPolicyDisclosure", "How refunds are explained before payment", 4],
  ["refundRefusalExplanation", "Why nothing is refunded", 4],
  ["uncategorizedText", "Anything else", 6],
];

/** The page of one dispute; `id` of the query says which. */
export async function oneDispute(query, refresh) {
  const id = encodeURIComponent(query.get("id"));
  const found = await get(`/api/admin/disputes/${id}`);
  return [
    el("h1.row", {}, "Dispute", el("a.quiet.stamp", { href: found.stripeUrl, target: "_blank", rel: "noreferrer", "aria-label": `${found.disputeId} at Stripe` }, el("code", {}, found.disputeId))),
    el("div.halves", {}, el("div", {}, standing(found), papers(found)), el("div", {}, answer(found, refresh))),
    el("p", {}, el("a", { href: "#cases" }, "All cases"), found.sessionId && [" · ", el("a", { href: `#case?id=${found.sessionId}` }, "The session's money, evidence and transcript")]),
  ];
}

function standing(found) {
  const facts = [
    ["Customer", found.customerName ?? (found.erasedAt ? `erased on request, ${time(found.erasedAt)}` : "–")],
    ["Bought", `${found.title}, ${money(found.amountCents)}`],
    ["The bank", STATUSES[found.disputeStatus] ?? "–"],
    ["Answer by", found.dueBy ? time(found.dueBy) : "–"],
    ["Our answer", [STATES[found.state], found.closedBecause && `: ${CLOSED[found.closedBecause]}`, found.sentAt && `, ${time(found.sentAt)}`]],
    found.goesAt && ["Goes by itself", time(found.goesAt)],
    found.lastError && ["Last failure", el("span.bad", {}, found.lastError)],
  ].filter(Boolean);
  return el(
    "section.card",
    { "aria-label": "Dispute" },
    el("dl.facts", {}, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    !found.proves && found.version > 0 && el("p.bad", {}, "The record does not show that what was paid for was given. Sending this may be pointless."),
    found.gaps.length > 0 && [el("h3", {}, "What the record does not have"), el("ul", {}, found.gaps.map(({ says }) => el("li", {}, says)))],
  );
}

function papers({ evidenceId, documents }) {
  const open = (each) => () => download(`/api/admin/disputes/${evidenceId}?document=${each.field}`, `${each.field.replaceAll("_", "-")}.pdf`);
  return el(
    "section.card",
    { "aria-label": "Documents" },
    el("h2", {}, "Documents"),
    documents.length ? el("ul", {}, documents.map((each) => el("li.row", {}, each.title, action("Download", open(each), { id: `document-${each.field}`, "aria-label": `Download: ${each.title}` })))) : el("p.quiet", {}, "None."),
  );
}

function answer(found, refresh) {
  const isOpen = ["staged", "failed"].includes(found.state) && found.version > 0;
  const areas = TEXTS.map(([name, label, rows]) => {
    const limits = { maxlength: 20000, readonly: !isOpen };
    return rows === 1 ? field(name, label, { ...limits, value: found.texts[name] }) : field(name, label, { ...limits, tag: "textarea", rows }, found.texts[name]);
  });
  const save = el("button", { type: "button" }, "Save");
  const send = el("button.primary", { type: "submit" }, "Send to the bank");
  const form = el("form.card", { novalidate: true, "aria-label": "Answer" }, el("h2", {}, "The answer"), areas, isOpen && el("p.row", {}, save, send));
  save.addEventListener("click", () => busy(save, () => write(form, found, false, refresh)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    return busy(send, () => write(form, found, true, refresh));
  });
  return form;
}

async function write(form, found, send, refresh) {
  const texts = Object.fromEntries(TEXTS.map(([name]) => [name, form.elements[name].value.trim()]));
  const detail = "The bank gets it once; nothing can be added afterwards. Read the documents first.";
  if (send && !(await confirmed("Send this to the bank?", "Send it", { detail, no: "Not yet" }))) return;
  try {
    await post(`/api/admin/disputes/${found.evidenceId}/evidence`, { version: found.version, texts, send });
  } catch (problem) {
    if (!showErrors(form, problem)) throw problem;
    return;
  }
  announce(send ? "It goes to the bank within minutes." : "Saved. Stripe has it within minutes.");
  await refresh();
}
