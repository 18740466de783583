/** The head of a session that is over: the outcome in words, the bill, the notes, and asking again. */

import { duration, el, time } from "../lib/dom.js";
import { cost } from "../lib/prices.js";
import { action } from "../lib/shell.js";
import { carWords } from "../lib/states.js";
import { contestPart } from "./contest.js";
import { endedBy, outcome, price } from "./words.js";

const FUNDING = { card: "Card", credit: "Credits", free: "Free" };

/** As `stage` in stage.js. */
export function over(session, { isMechanic, contest }, acts) {
  const { title, words } = outcome(session, isMechanic);
  return [
    el("p.quiet.kicker", {}, `Session over · ${time(session.endedAt)}`),
    el("h1", { id: "outcome" }, title),
    words && el("p.lead", { role: "status" }, words),
    session.explanation && el("section", { "aria-label": "Our team" }, el("h2", {}, "Our team says"), el("blockquote.notes", {}, session.explanation)),
    !isMechanic && notes(session),
    bill(session, isMechanic),
    contestPart(contest, isMechanic, acts.refresh),
    !isMechanic && el("p.row", {}, action("Ask again", acts.again, { kind: "primary", id: "again" }), el("span.quiet", {}, "with these answers filled in")),
  ];
}

function notes({ mechanicNotes, counterpartName, reason }) {
  if (!mechanicNotes) return reason === "billable" && el("p.quiet", {}, `Notes of ${counterpartName} appear here, and come by e-mail, within 15 minutes.`);
  return el("section", { "aria-label": "Notes" }, el("h2", {}, `Notes of ${counterpartName ?? "the mechanic"}`), el("blockquote.notes", {}, mechanicNotes));
}

function bill(session, isMechanic) {
  const charged = session.reason === "billable";
  const rows = [
    ["Price", charged || session.funding === "free" ? price(session) : `nothing (${price(session)} given back)`],
    !isMechanic && session.funding !== "free" && ["Paid with", [FUNDING[session.funding], " · ", el("a", { href: `/console/customer.html#receipts?session=${session.sessionId}` }, "Receipt")]],
    isMechanic && charged && ["Your pay", el("a", { href: "/console/mechanic.html#earnings" }, "See your earnings")],
    ...session.minutes.extensions.filter(({ status }) => status === "running").map(moreMinutes),
    session.durationSeconds !== null && ["Together", duration(session.durationSeconds)],
    ["Ended by", endedBy(session, isMechanic)],
    ["Car", carWords(session.vehicle)],
    ["Reference", session.sessionId.slice(-12)],
  ];
  return el("dl.facts.bill.card", {}, rows.filter(Boolean).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** What was paid for in addition, and whether it goes back because the talk did not go on into it. */
function moreMinutes(extension) {
  const { minutes, payWith, settled } = extension;
  const asked = cost(extension, payWith);
  const back = `nothing (${asked} given back)`;
  return [`${minutes} more minutes`, { pay: asked, refund: back, return: back }[settled] ?? `${asked}, given back if they were not used`];
}
