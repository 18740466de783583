/** The head of the session's page: where it stands, the clock that goes with it, and what can be done. */

import { face } from "../lib/components.js";
import { el, duration, keepFocus, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";
import { waiver } from "../intake/waiver.js";
import { more } from "./more.js";
import { over } from "./over.js";
import { endingNow, expected, included, left, placeWords, tooLong, wasLetDown, waitWords } from "./words.js";

/**
 * The state that the page shows: `booked`, `unsigned`, `asked`, `searching`, `connecting`, `live` or `over`.
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 */
export function stageOf({ endedAt, status, assignmentStatus }) {
  if (endedAt) return "over";
  if (assignmentStatus === "pending_waiver") return "unsigned";
  if (status === "scheduled") return "booked";
  if (status === "pending") return assignmentStatus === "offered" ? "asked" : "searching";
  return status === "waiting" ? "connecting" : "live";
}

/**
 * The head's contents.
 * @param {Object} session
 * @param {Object} reader
 * @param {boolean} reader.isMechanic
 * @param {{customer: boolean, mechanic: boolean}} reader.present
 * @param {Object<string, function(): Promise<void>>} acts `end`, `release`, `replace`, `later`, `again`, `refresh`, `number`
 */
export function stage(session, reader, acts) {
  const name = stageOf(session);
  return STAGES[name](session, reader, acts);
}

const STAGES = { booked, unsigned, asked, searching, connecting, live, over };

function booked(session, _reader, acts) {
  return [
    el("h1", {}, `Booked for ${time(session.scheduledFor)}`),
    el("p", {}, "We will let you know when a mechanic takes it. This page is where you meet."),
    el("p.row", {}, cancel(acts)),
  ];
}

function unsigned(session, _reader, acts) {
  return [el("h1", {}, "One signature to go"), waiver(session.sessionId, acts.refresh), el("p.row", {}, cancel(acts))];
}

function asked(session, _reader, acts) {
  const until = new Date(session.offerExpiresAt).toLocaleTimeString(undefined, { timeStyle: "short" });
  return [
    el("h1", {}, "Asking the mechanic you chose"),
    el("p", { role: "status" }, `They have until ${until} to answer. After that, the next available mechanic gets your request.`),
    el("p.row", {}, cancel(acts)),
  ];
}

function searching(session, _reader, acts) {
  const late = tooLong(waitedOf(session));
  return [
    wasLetDown(session) && el("p.card.notice", {}, "The mechanic who accepted could not make it. We are sorry. You have your old place in line."),
    el(
      "section.card.search",
      { "aria-label": "Your place in line" },
      el("span.looking", { "aria-hidden": "true" }),
      el("h1", {}, "Finding you a mechanic"),
      el("p", { role: "status", id: "place" }, ""),
      el("p.clock", {}, el("strong.big.number", { id: "timer", role: "timer" }, ""), el("span.quiet", {}, "waited")),
    ),
    el("div", { id: "ways" }, late && ways(session, acts)),
    el("p.quiet", {}, "You may leave this page: your place is kept, and we e-mail you when a mechanic accepts."),
    !late && el("p.row", { id: "give-up" }, cancel(acts)),
  ];
}

function cancel(acts) {
  return action("Cancel this request", acts.end, { kind: "danger", id: "withdraw", "aria-haspopup": "dialog" });
}

function ways({ funding }, acts) {
  return el(
    "section.card.notice",
    { id: "way-out" },
    el("h2", {}, "This takes longer than it should"),
    el("p", {}, "You have waited for more than ten minutes. We are sorry. Your place stays yours; you can also choose one of these:"),
    el(
      "p.row",
      {},
      action("Leave a number", acts.number, { id: "leave-number" }),
      action("Book a time instead", acts.later, { id: "book-later", "aria-haspopup": "dialog" }),
      action(funding === "free" ? "Cancel this request" : "Cancel, money back", acts.end, { kind: "danger", id: "money-back", "aria-haspopup": "dialog" }),
    ),
  );
}

function connecting(session, { isMechanic, present }, acts) {
  const name = session.counterpartName;
  const there = isMechanic ? present.customer : present.mechanic;
  const words = isMechanic
    ? there
      ? "They are here. It begins now."
      : `${name} is not on this page just now. They got an e-mail; what you write meanwhile, they read first.`
    : "Connecting … They will be here in a moment; there is nothing you have to do. What you write meanwhile, they read first.";
  return [
    who(session, isMechanic ? `Helping ${name}` : `${name} accepted`, there),
    el("p", { role: "status" }, words),
    !isMechanic && el("div", { id: "silent", role: "status" }),
    el("p.row", {}, end(acts), isMechanic && action("Give it back", acts.release, { id: "release" })),
  ];
}

/** Said when the mechanic has been silent for too long; until then there is nothing to be uneasy about. */
function silent({ counterpartName }, acts) {
  return el(
    "section.card.notice",
    {},
    el("p", {}, `${counterpartName} has not written yet. You may go on waiting, or ask for another mechanic: you keep your place in line.`),
    el("p.row", {}, action("Ask for another mechanic", acts.replace, { id: "replace" })),
  );
}

function live(session, { isMechanic, present }, acts) {
  const there = isMechanic ? present.customer : present.mechanic;
  return [
    who(session, [el("span.verb", {}, isMechanic ? "Helping " : "Talking to "), session.counterpartName], there, "here", "not here just now"),
    el("p.row.acts", {}, end(acts)),
    el("div.standing", {}, el("p.clock", {}, el("span", {}, "Together "), el("strong.number", { id: "timer", role: "timer" }, ""), el("span.quiet", { id: "included" }, "")), el("p.left", {}, el("strong.number", { id: "left" }, "")), el("p.quiet", { id: "counts", role: "status" }, "")),
    acts.party && el("div.more-minutes", {}, more(session, isMechanic, acts.refresh)),
  ];
}

function end(acts) {
  return action(["End", el("span.verb", {}, " session")], acts.end, { "aria-label": "End session", kind: "danger", id: "end", "aria-haspopup": "dialog" });
}

/** The heading with the other's initials and whether they are here. */
function who(session, title, there, yes = "here", no = "not here yet") {
  return el(
    "div.person",
    {},
    face(session.counterpartName),
    el("div", {}, el("h1", {}, title), el("p.presence", { role: "status", "data-here": String(Boolean(there)) }, there ? yes : no)),
  );
}

/**
 * Writes what the passing of time changes, in place: words that stay the same are not written, or they would be read
 * out again.
 * @param {Object} session
 * @param {Object} reader as for `stage`, with `together` (seconds) and `spoken`
 * @param {Object} acts
 */
export function tick(session, reader, acts) {
  const name = stageOf(session);
  if (name === "searching") waits(session, acts);
  if (name === "connecting") waitsForWord(session, acts);
  if (name !== "live") return;
  write("timer", duration(reader.together));
  write("included", ` ${included(session, reader.together)}`);
  const { words, low } = left(session.minutes, Date.now());
  write("left", words);
  document.getElementById("left")?.toggleAttribute("data-low", low);
  write("counts", endingNow(session, reader.together, reader.spoken, reader.isMechanic));
}

function sinceOf({ queuedAt, createdAt }) {
  return new Date(queuedAt ?? createdAt).getTime();
}

function waitedOf(session) {
  return (Date.now() - sinceOf(session)) / 1000;
}

function waits(session, acts) {
  const since = sinceOf(session);
  const now = Date.now();
  const waited = waitedOf(session);
  write("timer", duration(waited));
  write("place", session.waiting ? `${placeWords(session.waiting)} ${waitWords(estimate(session, since, now), now)}`.trim() : "Your request is with the mechanics who are on duty.");
  const place = document.getElementById("ways");
  if (!place || place.firstChild || !tooLong(waited)) return;
  const out = ways(session, acts);
  keepFocus(() => {
    place.append(out);
    document.getElementById("give-up")?.remove(); // the ways out have the same
  }, out.querySelector("#money-back"));
}

function waitsForWord(session, acts) {
  const place = document.getElementById("silent");
  if (place && !place.firstChild && session.replyDueAt && new Date(session.replyDueAt) <= Date.now()) place.append(silent(session, acts));
}

/** The expectation, which outlives a reload: a page that is opened again promises nothing new. */
function estimate({ sessionId, waiting }, since, now) {
  const key = `autodoctor.expected.${sessionId}`;
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
  const made = expected(waiting, since, kept, now);
  if (made && made !== kept) sessionStorage.setItem(key, JSON.stringify(made));
  return made;
}

function write(id, text) {
  const element = document.getElementById(id);
  if (element && element.textContent !== text) element.textContent = text;
}
