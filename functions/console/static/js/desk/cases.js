/** The cases tab of admins: what waits for a decision about money, and one session's case with everything it rests on. */

import { get, post } from "../api/api.js";
import { announce, confirmed, count, duration, el, money, pill, time } from "../lib/dom.js";
import { empty, table } from "../lib/components.js";
import { moneyOf } from "./money.js";
import { field, missing, showErrors } from "../lib/form.js";
import { action, busy } from "../lib/shell.js";
import { fundingWords, plain, reasonWords } from "../lib/states.js";
import { given, REASONS } from "../session/contest.js";

const KINDS = { contest: "Contested", late_evidence: "Evidence came late", escalation: "Share of a quote", dispute: "Disputed at the bank" };
const pictures = new Map(); // by attachment: the page is rebuilt now and then, and they need not be fetched again
const cents = (amount) => money(amount);

/** Everything that waits for a decision, oldest first. */
export async function cases(query) {
  const { cases: found, nextCursor } = await get(`/api/admin/cases?${query}`);
  const rows = found.map((each) =>
    [
      el("a", { href: each.evidenceId ? `#dispute?id=${each.evidenceId}` : `#case?id=${each.sessionId}` }, time(each.since)),
      [KINDS[each.kind] ?? plain(each.kind), each.answered && [" ", el("span.pill", {}, each.evidenceId ? "ready to send" : "answered")], each.dueBy && el("span.quiet", {}, ` by ${time(each.dueBy)}`)],
      each.customerName ?? "–",
      each.mechanicName ?? "–",
      `${plain(each.plan)} · ${fundingWords(each.funding)}`,
      cents(each.cents),
    ],
  );
  return [
    el("h1", {}, "Cases"),
    found.length ? table(["Since", "What", "Customer", "Mechanic", "Plan", "At stake"], rows, { numbers: [5] }) : empty("Nothing waits for a decision", "Contests, late evidence, shares of quotes and disputes are listed here."),
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
    made.outcome ? decided(made.outcome, made, made.outcome === "keep" ? "Nothing goes back." : `${given(made)} go back.`, divided(found)) : deciding(found, refresh),
  );
}

function decided(outcome, { note, decidedAt }, words, amounts = null) {
  return [el("h3", {}, `Decided ${time(decidedAt)}: ${outcome}`), el("p", {}, words), amounts, el("p", {}, note)];
}

/** What goes back of each price, where there are several. */
function divided(found) {
  const of = [["The session", found], ...found.extensions.map((each) => [`${each.minutes} more minutes`, each])].filter(([, each]) => given(each));
  return found.extensions.length > 0 && of.length > 0 && el("dl.facts", {}, of.flatMap(([what, each]) => [el("dt", {}, what), el("dd", {}, given(each))]));
}

function deciding(found, refresh) {
  const paid = { refundCents: found.contestableCents, refundCredits: found.contestableCredits };
  const choices = Object.entries({ keep: "Keep: nothing goes back", part: "Part of it goes back", all: `All of it goes back (${given(paid)})` });
  const submit = el("button.primary", { type: "submit" }, "Decide");
  const gone = [found, ...found.extensions].reduce((sum, { refundedCents }) => sum + refundedCents, 0);
  const amount = el(
    "div.part",
    {},
    paid.refundCents !== null && field("refundCents", "Dollars that go back", { inputmode: "decimal", autocomplete: "off", hint: gone ? `In all: ${cents(gone)} went back already.` : `Of ${cents(paid.refundCents)}.` }),
    paid.refundCredits !== null && field("refundCredits", "Credits that go back", { inputmode: "numeric", autocomplete: "off", hint: `Of ${count(paid.refundCredits, "credit")}.` }),
    found.extensions.length > 0 && el("p.quiet.small", {}, "It is divided among the session's price and the minutes that were used, in proportion."),
  );
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
  const asked = [form.elements.refundCents, form.elements.refundCredits].filter((each) => each?.value.trim());
  for (const { name, value } of outcome === "part" ? asked : []) body[name] = Math.round(Number(value.replace(",", ".")) * (name === "refundCents" ? 100 : 1)) || 0;
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

const HELD = {
  late: ["Evidence that came late", "With all evidence"],
  unsure: ["Evidence that may be incomplete", "By what their pages heard"],
  silent: ["A call of which nothing was heard", "Had it been heard"],
};

function late(found, refresh) {
  const { lateEvidence: held } = found;
  if (!held) return null;
  const [title, shown] = HELD[held.facts.because] ?? HELD.late;
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
    el("h2", {}, title),
    el("dl.facts", {}, el("dt", {}, "As it ended"), el("dd", {}, `${held.facts.status}: ${say(held.facts)}`), el("dt", {}, shown), el("dd", {}, `${held.demanded}: ${say(held.facts, true)}`)),
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
  const clock = (at) => (at ? new Date(at).toLocaleTimeString() : "–");
  const rows = seen.intervals.map((each) => [plain(each.role), plain(each.source), clock(each.from), clock(each.until)]);
  return el(
    "section.card",
    { "aria-label": "Evidence" },
    el("h2", {}, "Evidence"),
    el("p", {}, `${reasonWords(reason) ?? "Not over"}: ${duration(durationSeconds ?? 0)} together, ${time(startedAt)} to ${time(endedAt)}`),
    rows.length > 0 && table(["Who", "Witness", "From", "Until"], rows, { numbers: [2, 3] }),
  );
}

function transcript(messages) {
  return el("section.card", { "aria-label": "Transcript" }, el("h2", {}, "Transcript"), messages.length ? el("ol.transcript", {}, messages.map(line)) : el("p.quiet", {}, "Nothing was written."));
}

function line(message) {
  const { role, text, note, attachment, at } = message;
  return el("li", {}, el("span.quiet", {}, `${new Date(at).toLocaleTimeString()} ${role === "system" ? "" : `${plain(role)}: `}`), text ?? note ?? "", attachment && file(attachment));
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
