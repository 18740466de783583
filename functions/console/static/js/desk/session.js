/** One session, for operators: who and how to reach them, its money, evidence and timeline, and a hand to help. */

import { get, post } from "../api/api.js";
import { table } from "../lib/components.js";
import { announce, confirmed, duration, el, pill, time } from "../lib/dom.js";
import { field } from "../lib/form.js";
import { action } from "../lib/shell.js";
import { carWords, eventName, fundingWords, plain, reasonWords, stateWords, typeWords } from "../lib/states.js";
import { evidence } from "./cases.js";
import { ACTORS } from "../session/side.js";
import { eventWords } from "../session/words.js";
import { moneyOf } from "./money.js";
import { record } from "./record.js";

const contacts = new Map(); // by session: what the operator asked to see; the page is rebuilt now and then

/**
 * @param {URLSearchParams} query
 * @param {function(): Promise<void>} refresh
 */
export async function session(query, refresh) {
  const id = encodeURIComponent(query.get("id"));
  const [seen, moneyFound, done] = await Promise.allSettled([get(`/api/sessions/${id}`), get(`/api/admin/cases/${id}`), get(`/api/admin/changes?sessionId=${id}&limit=50`)]);
  for (const each of [moneyFound, done]) if (each.status === "rejected") throw each.reason;
  if (seen.status === "rejected" && seen.reason.status !== 404) throw seen.reason;
  const found = moneyFound.value;
  if (seen.status === "rejected") return [el("h1", {}, "Session"), el("p.card", {}, "It was asked for, and never began: there is only its money."), moneyOf(found, refresh), reach(found.sessionId, refresh), record(done.value)];
  const detail = seen.value;
  const isOver = detail.endedAt !== null;
  return [
    el("h1", {}, [detail.participants.find(({ role }) => role === "customer")?.name, carWords(detail.vehicle)].filter(Boolean).join(", ") || "Session"),
    el("p.row", {}, pill(detail.status), detail.assignmentStatus !== detail.status && pill(detail.assignmentStatus), el("code", {}, detail.sessionId)),
    waited(detail),
    !isOver && el("p.row", {}, detail.assignmentStatus === "queued" && action("Offer to a mechanic", () => offer(detail, refresh), { kind: "primary", id: "offer", "aria-haspopup": "dialog" }), action("Write to them", () => message(detail, refresh), { id: "message", "aria-haspopup": "dialog" }), action("End this session", () => end(detail, refresh), { kind: "danger", id: "end", "aria-haspopup": "dialog" })),
    el(
      "div.halves",
      {},
      el("div", {}, what(detail), el("dl.card.facts", {}, facts(detail).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])), reach(detail.sessionId, refresh)),
      el("div", {}, moneyOf(found, refresh), (detail.evidence.intervals.length > 0 || isOver) && evidence(detail)),
    ),
    isOver && el("p", {}, el("a.button", { href: `#case?id=${detail.sessionId}` }, "Transcript and contest")),
    el("section.card", {}, el("h2", {}, "Timeline"), timeline(detail.timeline)),
    record(done.value),
  ];
}

/** How long somebody has waited, where a mechanic is still looked for. */
function waited({ status, queuedAt, urgent }) {
  if (status !== "pending" || !queuedAt) return null;
  return el("p", { id: "waited" }, "Waiting for ", el("strong.number", {}, duration((Date.now() - Date.parse(queuedAt)) / 1000)), urgent && [" ", el("span.pill.bad", {}, "Urgent")]);
}

/** Offers the request to a mechanic by name; those who are available first. */
async function offer({ sessionId }, refresh) {
  const [{ mechanics: free }, { mechanics: all }] = await Promise.all([get("/api/admin/mechanics?standing=available&limit=100"), get("/api/admin/mechanics?status=active&limit=100")]);
  const known = new Set(free.map(({ mechanicId }) => mechanicId));
  const away = all.filter(({ mechanicId, sessionId: busy }) => !known.has(mechanicId) && !busy);
  const choice = (each) => el("option", { value: each.mechanicId }, each.workshopName ? `${each.name} (${each.workshopName})` : each.name);
  const group = (label, found) => found.length > 0 && el("optgroup", { label }, found.map(choice));
  if (!free.length && !away.length) return announce("Every mechanic has a session or is suspended.", "error");
  const whom = field("mechanicId", "Mechanic", { tag: "select" }, ...[group("Available now", free), group("Away: call them first", away)].filter(Boolean));
  const detail = "They are asked as if the customer had named them, and nobody else sees the request until they answer or the time for that is over.";
  if (!(await confirmed("Offer it to whom?", "Offer it", { detail, also: whom, no: "Leave it in the queue" }))) return;
  await post(`/api/admin/sessions/${sessionId}/offer`, { mechanicId: whom.querySelector("select").value });
  announce("Offered.");
  await refresh();
}

/** Writes into the session's room. */
async function message({ sessionId }, refresh) {
  const words = field("text", "Message", { tag: "textarea", maxlength: 1000, required: true, hint: "Whoever is in the session reads it at once, as from your team. Who may be away is better called." });
  if (!(await confirmed("Write to them", "Send", { also: words, no: "Not now" }))) return;
  await post(`/api/admin/sessions/${sessionId}/message`, { text: words.querySelector("textarea").value.trim() });
  announce("Sent.");
  await refresh();
}

async function end({ sessionId }, refresh) {
  const detail = "It ends for the customer and the mechanic and cannot be reopened. The recorded evidence decides whether it is paid for. Your name is recorded as the one who ended it.";
  const words = field("explanation", "What both may read about it", { tag: "textarea", maxlength: 500, hint: "Optional. It is in their e-mails and on the session's page." });
  if (!(await confirmed("End this session?", "End it now", { detail, also: words, no: "Leave it", kind: "danger" }))) return;
  const explanation = words.querySelector("textarea").value.trim();
  const { status, reason } = await post(`/api/sessions/${sessionId}/end`, explanation ? { explanation } : {});
  announce(`${stateWords(status)}: ${reasonWords(reason).toLowerCase()}.`);
  await refresh();
}

function what({ concern, vehicle }) {
  return el("section.card", { "aria-label": "Request" }, el("p", {}, concern), el("p.quiet", {}, [carWords(vehicle), vehicle.vin].filter(Boolean).join(" ")));
}

function facts(detail) {
  const name = (role) => detail.participants.find((each) => each.role === role)?.name;
  return [
    ["Customer", name("customer")],
    ["Mechanic", name("mechanic")],
    ["Plan", `${plain(detail.plan)}, ${typeWords(detail.sessionType).toLowerCase()}, ${fundingWords(detail.funding).toLowerCase()}`],
    ["Asked", time(detail.createdAt)],
    ["Waiting since", time(detail.queuedAt)],
    ["Started", time(detail.startedAt)],
    ["Ended", time(detail.endedAt)],
    ["Together", detail.durationSeconds === null ? null : duration(detail.durationSeconds)],
    ["Why", reasonWords(detail.reason)],
    ["What we said of it", detail.explanation],
  ].filter(([, value]) => value && value !== "–");
}

/** How to reach the customer: shown when it is asked for, which is recorded. */
function reach(sessionId, refresh) {
  const contact = contacts.get(sessionId);
  const show = async () => {
    contacts.set(sessionId, await post(`/api/admin/sessions/${sessionId}/contact`));
    await refresh();
  };
  const way = (scheme, address) => (address ? el("a", { href: `${scheme}:${address}` }, address) : "none was given");
  return el(
    "section.card",
    { "aria-label": "How to reach them" },
    el("h2", {}, "How to reach the customer"),
    contact ? el("dl.facts", {}, el("dt", {}, "Phone"), el("dd", {}, way("tel", contact.phone?.replaceAll(/[^+\d]/g, "") && contact.phone)), el("dt", {}, "E-mail"), el("dd", {}, way("mailto", contact.email))) : [el("p.quiet", {}, "That you looked is recorded."), el("p", {}, action("Show phone and e-mail", show, { id: "reach" }))],
  );
}

function timeline(events) {
  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const when = (at) => el("time", { datetime: at, title: `${new Date(at).toISOString().replace("T", " ").slice(0, 23)} UTC` }, clock.format(new Date(at)));
  const rows = events.map((each) => [when(each.at), eventWords(each) ?? eventName(each.event), ACTORS[each.actor] ?? plain(each.actor)]);
  return table(["When", "What", "By"], rows);
}
