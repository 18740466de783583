/** The cases tab of admins: what waits for a decision about money, and one session's case with everything it rests on. */

import { get, post } from "../lib/api.js";
import { announce, confirmed, count, duration, el, head, money, pill, time } from "../lib/dom.js";
import { moneyOf } from "../desk/money.js";
import { field, missing, showErrors } from "../lib/form.js";
import { action, busy } from "../lib/shell.js";
import { reasonWords } from "../lib/states.js";
import { given, REASONS } from "./contest.js";

const KINDS = { contest: "Contested", late_evidence: "Evidence came late", escalation: "Share of a quote", dispute: "Disputed at the bank" };
const pictures = new Map(); // by attachment: the page is rebuilt now and then, and they need not be fetched again
const cents = (amount) => money(amount);

/** Everything that waits for a decision, oldest first. */
export async function cases(query) {
  const { cases: found, nextCursor } = await get(`/api/admin/cases?${query}`);
  const rows = found.map((each) =>
    el(
      "tr",
      {},
      el("td", {}, el("a", { href: each.evidenceId ? `#dispute?id=${each.evidenceId}` : `#case?id=${each.sessionId}` }, time(each.since))),
      el("td", {}, KINDS[each.kind] ?? each.kind, each.answered && el("span.pill", {}, each.evidenceId ? "ready to send" : "answered"), each.dueBy && el("span.quiet", {}, ` by ${time(each.dueBy)}`)),
      el("td", {}, each.customerName ?? "–"),
      el("td", {}, each.mechanicName ?? "–"),
      el("td", {}, `${each.plan} · ${each.funding}`),
      el("td.number", {}, cents(each.cents)),
    ),
  );
  return [
    el("h1", {}, "Cases"),
    found.length ? el("div.scroll", {}, el("table", {}, head("Since", "What", "Customer", "Mechanic", "Plan", "At stake"), el("tbody", {}, rows))) : el("p.card", {}, "Nothing waits for a decision."),
    nextCursor && el("p", {}, el("a.button", { href: `#cases?cursor=${encodeURIComponent(nextCursor)}` }, "More")),
  ];
}

/** One session's case. */
export async function oneCase(query, refresh) {
  const id = encodeURIComponent(query.get("id"));
  const [found, session, { messages }] = await Promise.all([get(`/api/admin/cases/${id}`), get(`/api/sessions/${id}`), get(`/api/sessions/${id}/messages?limit=100`)]);
  return [
    el("h1.row", {}, "Case", pill(session.status), el("code.quiet.stamp", {}, session.sessionId)),
    el("div.halves", {}, el("div", {}, contest(found, refresh), late(found, refresh), moneyOf(found, refresh)), el("div", {}, about(session), evidence(session), transcript(messages))),
    el("p", {}, el("a", { href: "#cases" }, "All cases"), " · ", el("a", { href: `#session?id=${session.sessionId}` }, "The session's timeline")),
  ];
}

function contest(found, refresh) {
  const { contest: made } = found;
  if (!made) return null;
  return el(
    "section.card",
    { "aria-label": "Contest" },
    el("h2", {}, "Contest"),
    el("p.quiet", {}, `${REASONS[made.reason] ?? made.reason} · ${time(made.contestedAt)}`),
    el("blockquote.notes", {}, made.text || "(erased)"),
    el("h3", {}, "The mechanic's answer"),
    made.answer === null ? el("p.quiet", {}, "None yet.") : el("blockquote.notes", {}, made.answer || "(erased)"),
    made.outcome ? decided(made.outcome, made, made.outcome === "keep" ? "Nothing goes back." : `${given(made)} go back.`) : deciding(found, refresh),
  );
}

function decided(outcome, { note, decidedAt }, words) {
  return [el("h3", {}, `Decided ${time(decidedAt)}: ${outcome}`), el("p", {}, words), el("p", {}, note)];
}

function deciding(found, refresh) {
  const byCard = found.funding === "card";
  const whole = byCard ? cents(found.priceCents) : count(found.credits, "credit");
  const part = byCard ? "Dollars that go back" : "Credits that go back";
  const choices = Object.entries({ keep: "Keep: nothing goes back", part: "Part of it goes back", all: `All of it goes back (${whole})` });
  const submit = el("button.primary", { type: "submit" }, "Decide");
  const amount = el("div.part", {}, field(byCard ? "refundCents" : "refundCredits", part, { inputmode: "decimal", autocomplete: "off", hint: byCard && found.refundedCents ? `In all: ${cents(found.refundedCents)} went back already.` : `Less than ${whole}.` }));
  const form = el(
    "form",
    { novalidate: true },
    field("outcome", "Decision", { tag: "select" }, ...choices.map(([value, label]) => el("option", { value }, label))),
    amount,
    field("note", "The reason, which both read", { tag: "textarea", maxlength: 500, required: true, hint: "Without names or anything else about a person." }),
    el("p", {}, submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const empty = missing(form);
    if (empty.document.errors.length) return showErrors(form, empty);
    return busy(submit, () => decide(form, found, refresh));
  });
  return form;
}

async function decide(form, found, refresh) {
  const outcome = form.elements.outcome.value;
  const body = { outcome, note: form.elements.note.value.trim() };
  const asked = form.elements.refundCents ?? form.elements.refundCredits;
  if (outcome === "part") body[asked.name] = Math.round(Number(asked.value.replace(",", ".")) * (asked.name === "refundCents" ? 100 : 1)) || 0;
  if (!(await confirmed("Decide so?", "Decide", { detail: "It is final. Both are told by mail, with your reason.", no: "Not yet" }))) return;
  try {
    await post(`/api/admin/sessions/${found.sessionId}/contest/decide`, body);
  } catch (problem) {
    if (!showErrors(form, problem)) throw problem;
    return;
  }
  announce("Decided. Both are told.");
  await refresh();
}

function late(found, refresh) {
  const { lateEvidence: held } = found;
  if (!held) return null;
  const say = (facts, prefix) => `${facts[prefix ? "demandedReason" : "reason"] ?? ""}, ${duration(facts[prefix ? "demandedTogetherSeconds" : "togetherSeconds"] ?? 0)} together`.replaceAll("_", " ");
  const settle = (outcome, label) => async () => {
    const note = field("note", "The reason, for whoever asks later", { tag: "textarea", maxlength: 500 });
    if (!(await confirmed(label, "Decide", { detail: "It is final and audited.", also: note, no: "Not yet" }))) return;
    await post(`/api/admin/sessions/${found.sessionId}/decide`, { outcome, note: note.querySelector("textarea").value.trim() || label });
    announce("Decided; the money follows within a minute.");
    await refresh();
  };
  return el(
    "section.card",
    { "aria-label": "Late evidence" },
    el("h2", {}, "Evidence that came late"),
    el("dl.facts", {}, el("dt", {}, "As it ended"), el("dd", {}, `${held.facts.status}: ${say(held.facts)}`), el("dt", {}, "With all evidence"), el("dd", {}, `${held.demanded}: ${say(held.facts, true)}`)),
    held.outcome
      ? decided(held.outcome, held, held.outcome === "pay" ? "The mechanic is paid." : "The customer has everything back.")
      : el("p.row", {}, action("Pay the mechanic", settle("pay", "Pay the mechanic?"), { id: "settle-pay" }), action("Give it back", settle("refund", "Give the customer everything back?"), { id: "settle-refund" })),
  );
}

function about(session) {
  const name = (role) => session.participants.find((each) => each.role === role)?.name ?? "nobody";
  return el(
    "section.card",
    { "aria-label": "Session" },
    el("h2", {}, `${name("customer")} and ${name("mechanic")}`),
    el("p", {}, session.concern),
    session.mechanicNotes && [el("h3", {}, "The mechanic's notes"), el("blockquote.notes", {}, session.mechanicNotes)],
  );
}

export function evidence({ evidence: seen, endedAt, startedAt, reason, durationSeconds }) {
  const rows = seen.intervals.map((each) => el("tr", {}, el("td", {}, each.role), el("td", {}, each.source), el("td.number", {}, new Date(each.from).toLocaleTimeString()), el("td.number", {}, each.until ? new Date(each.until).toLocaleTimeString() : "–")));
  return el(
    "section.card",
    { "aria-label": "Evidence" },
    el("h2", {}, "Evidence"),
    el("p", {}, `${reasonWords(reason) ?? "Not over"}: ${duration(durationSeconds ?? 0)} together, ${time(startedAt)} to ${time(endedAt)}`),
    rows.length > 0 && el("div.scroll", {}, el("table", {}, head("Who", "Witness", "From", "Until"), el("tbody", {}, rows))),
  );
}

function transcript(messages) {
  return el("section.card", { "aria-label": "Transcript" }, el("h2", {}, "Transcript"), messages.length ? el("ol.transcript", {}, messages.map(line)) : el("p.quiet", {}, "Nothing was written."));
}

function line(message) {
  const { role, text, note, attachment, at } = message;
  return el("li", {}, el("span.quiet", {}, `${new Date(at).toLocaleTimeString()} ${role} `), text ?? note ?? "", attachment && file(attachment));
}

function file({ attachmentId, name, contentType }) {
  if (!contentType?.startsWith("image/")) return el("p", {}, name ?? "a file");
  if (!pictures.has(attachmentId)) {
    const place = el("p", {}, name ?? "a picture");
    pictures.set(attachmentId, place);
    get(`/api/attachments/${attachmentId}`).then(
      ({ url }) => place.replaceChildren(el("img", { src: url, alt: name ?? "A picture" })),
      ({ message }) => place.append(` (${message})`),
    );
  }
  return pictures.get(attachmentId);
}
