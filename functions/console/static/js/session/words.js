/** What a session means, in its parties' words: what counts, what it costs, how long it may take, how it ended. */

import { count, duration } from "../lib/dom.js";
import { cost } from "../lib/prices.js";

/** Where the money goes when nothing is charged, by the way it was paid. */
export const BACK = {
  card: "Nothing is charged: the payment goes back to your card.",
  credit: "Nothing is charged: the credits go back to your balance.",
  free: "Nothing is charged.",
};

/** The price as it was agreed: "$9.99", "1 credit" or "free". */
export function price({ funding, terms }) {
  return funding === "free" ? "free" : cost(terms, funding);
}

/** A length as people say it: "1 minute", "90 seconds". */
export function spell(seconds) {
  return seconds % 60 === 0 && seconds > 0 ? count(seconds / 60, "minute") : count(seconds, "second");
}

/**
 * What ending it now would mean.
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 * @param {number} together seconds so far
 * @param {boolean} spoken whether both have written or spoken
 * @param {boolean} isMechanic whether the reader is the mechanic
 * @returns {string}
 */
export function endingNow(session, together, spoken, isMechanic) {
  const { minBillableSeconds: least } = session.terms;
  const free = session.funding === "free";
  if (!spoken) return isMechanic ? "It counts once you have both written." : "Nothing is charged before you have both written.";
  if (together < least) {
    if (isMechanic) return `Under ${spell(least)} it does not count, and nobody is paid.`;
    return free ? `Under ${spell(least)} it does not count.` : `Under ${spell(least)} nothing is charged.`;
  }
  if (isMechanic) return counts(session);
  return free ? "It is free." : `It counts: ${price(session)}${added(session)}.`;
}

/** What more minutes cost on top, which are paid back unless the talk goes on into them. */
function added({ minutes }) {
  const running = minutes.extensions.filter(({ status }) => status === "running");
  return running.map((each) => `, and ${cost(each, each.payWith)} if you use the ${count(each.minutes, "more minute")}`).join("");
}

/** How much of the minutes is used: "3:12 of 30:00 included". */
export function included({ terms, minutes }, together) {
  const most = (terms.includedMinutes + minutes.extended) * 60;
  if (together > most) return `${duration(most)} are over`;
  return `of ${duration(most)} ${minutes.extended ? "agreed" : "included"}`;
}

/**
 * How much of the minutes is left, or of the grace after them.
 * @param {{endsAt: string|null, graceEndsAt: string|null}} minutes
 * @param {number} now in ms
 * @returns {{words: string, low: boolean}} no words where no minutes were agreed
 */
export function left({ endsAt, graceEndsAt }, now) {
  if (!endsAt) return { words: "", low: false };
  const seconds = (Date.parse(endsAt) - now) / 1000;
  if (seconds > 0) return { words: `${duration(Math.ceil(seconds))} left`, low: seconds <= LOW_SECONDS };
  return { words: `The time is over; it ends in ${duration(Math.ceil((Date.parse(graceEndsAt) - now) / 1000))}`, low: true };
}

const MINUTE = 60;
const LOW_SECONDS = 5 * MINUTE;
const LONG_SECONDS = 10 * MINUTE;

/** Whether somebody has waited so long that ways out are due. */
export function tooLong(waited) {
  return waited >= LONG_SECONDS;
}

/**
 * Until when somebody is expected to accept, given what was expected before: an estimate runs out, and is made anew only
 * when the place changes.
 * @param {{position: number, estimatedWaitSeconds: number|null}} waiting
 * @param {number} since when the wait began, in ms
 * @param {{position: number, until: number}|null} kept what this function returned before
 * @param {number} now in ms
 * @returns {{position: number, until: number}|null} null where there is no estimate
 */
export function expected({ position, estimatedWaitSeconds }, since, kept, now) {
  if (estimatedWaitSeconds === null) return null;
  if (kept?.position === position) return kept;
  return { position, until: (kept ? now : since) + estimatedWaitSeconds * 1000 };
}

/** The expectation in words; once it is exceeded there is none, because a number would be a lie. */
export function waitWords(expectation, now) {
  if (!expectation) return "";
  const left = (expectation.until - now) / 1000;
  if (left <= 0) return "It takes longer than usual, and we cannot say how much longer.";
  return left < MINUTE ? "Usually less than a minute from now." : `Usually about ${count(Math.round(left / MINUTE), "minute")} from now.`;
}

/** The place in the queue, in words. */
export function placeWords({ position, mechanicsAvailable }) {
  const place = position === 1 ? "You are next." : `${position - 1 === 1 ? "One person is" : `${position - 1} people are`} before you.`;
  if (mechanicsAvailable === 0) return `${place} No mechanic is free just now.`;
  return `${place} ${mechanicsAvailable === 1 ? "One mechanic is" : `${mechanicsAvailable} mechanics are`} free.`;
}

/**
 * How it ended: a heading and a sentence.
 * @returns {{title: string, words: string}}
 */
export function outcome(session, isMechanic) {
  const other = session.counterpartName ?? (isMechanic ? "The customer" : "The mechanic");
  const together = duration(session.durationSeconds ?? session.evidence?.togetherSeconds ?? 0);
  const least = spell(session.terms.minBillableSeconds);
  const back = isMechanic ? "Nothing is charged." : BACK[session.funding];
  switch (session.reason) {
    case "billable":
      return { title: isMechanic ? `You helped ${other}` : `You talked to ${other}`, words: isMechanic ? counts(session) : charged(session) };
    case "too_short":
      return { title: "It was too short to count", words: `You were together for ${together}; under ${least} it does not count. ${back}` };
    case "no_talk":
      return { title: "It was no talk", words: `You were both here, and one of you never said a word. ${back}` };
    case "no_show":
      return { title: absent(session, isMechanic, other), words: back };
    case "withdrawn":
      return { title: withdrawn(session, isMechanic, other), words: back };
    case "expired":
      return { title: isMechanic ? "It expired before it began" : "No mechanic could come in time", words: isMechanic ? back : `We are sorry. ${back}` };
    default:
      return { title: "It is over", words: "" };
  }
}

/** What it is worth to its mechanic that a talk counts. */
function counts({ funding }) {
  return funding === "free" ? "It counts. A free talk pays nothing." : "It counts: you are paid for it.";
}

function charged(session) {
  if (session.funding === "free") return "It was free.";
  return session.funding === "card" ? `${price(session)} was charged to your card.` : `It cost ${price(session)}.`;
}

function absent({ participants }, isMechanic, other) {
  const came = (role) => participants.some((each) => each.role === role && each.joinedAt);
  const [self, them] = isMechanic ? ["mechanic", "customer"] : ["customer", "mechanic"];
  if (came(self) && !came(them)) return `${other} did not come`;
  if (!came(self) && came(them)) return "You did not come in time";
  return came(self) ? "You were not there at the same time" : "Nobody came";
}

function withdrawn({ endedBy, acceptedAt }, isMechanic, other) {
  const when = acceptedAt ? "before it began" : "before anybody accepted it";
  const self = isMechanic ? "mechanic" : "customer";
  if (!endedBy) return `It was cancelled ${when}`;
  if (endedBy === self) return `You cancelled it ${when}`;
  return `${{ admin: "Our team", system: "The system" }[endedBy] ?? other} cancelled it ${when}`;
}

/** Who ended it: "you", "Mia Moreno", "our team" or "nobody: it ended by itself". */
export function endedBy(session, isMechanic) {
  const self = isMechanic ? "mechanic" : "customer";
  if (session.endedBy === self) return "you";
  return { admin: "our team", system: "nobody: it ended by itself" }[session.endedBy] ?? session.counterpartName ?? "the other";
}

const EVENTS = {
  "session.scheduled": "Booked",
  "session.pending": "Looking for a mechanic",
  "session.waiting": "A mechanic accepted",
  "session.live": "Both here: it began",
  "session.completed": "Over",
  "session.cancelled": "Cancelled",
  "session.expired": "Expired",
  "assignment.offered": "Asked a mechanic by name",
  "assignment.declined": "That mechanic declined",
  "customer.joined": "Customer came",
  "customer.left": "Customer left",
  "mechanic.joined": "Mechanic came",
  "mechanic.left": "Mechanic left",
};

/** An event of the timeline in words; null for one that only repeats another. */
export function eventWords({ event }) {
  return EVENTS[event] ?? null;
}

const OWN = ["customer_joined", "customer_left", "customer_lost"]; // a customer knows whether they are there

/** What the system says to a customer of themselves, by its code; mechanics read of "the mechanic", who may have been another. */
const TO_CUSTOMER = {
  accepted: "A mechanic has accepted your request.",
  released: "The mechanic gave your request back. It is in the queue again, at its old place.",
  replaced: "You asked for another mechanic. Your request is at the head of the queue.",
  reply_late: "The mechanic has not written yet. You may wait, or ask for another mechanic.",
  mechanic_absent: "The mechanic did not come. Your request is in the queue again, at its old place.",
  taken_back: "The mechanic cannot take your request any more. It is in the queue again, at its old place.",
  extension_asked: "You asked for more minutes. The mechanic may agree or decline.",
  ended_by_customer: "You ended the consultation.",
  decided_pay: "We looked at your consultation again: it counts, and its price stays paid.",
  decided_refund: "We looked at your consultation again: it does not count, and what you paid for it goes back.",
  expired: "Your request has expired: no mechanic could take it in time.",
};

/**
 * A system's message as its reader is told it; null where there is nothing to tell them.
 * @param {{note: string|null, text: string|null}} message
 * @param {string} mine the reader's role
 */
export function noteWords({ note, text }, mine) {
  if (mine !== "customer" || !text) return text || "(erased)";
  return OWN.includes(note) ? null : (TO_CUSTOMER[note] ?? text);
}

/** Whether a mechanic had accepted and did not come, or was silent, so that the customer waits again. */
export function wasLetDown({ status, timeline }) {
  if (status !== "pending") return false;
  const last = timeline.findLast(({ event }) => event === "assignment.accepted");
  return Boolean(last) && timeline.some(({ event, assignmentId }) => event === "assignment.expired" && assignmentId === last.assignmentId);
}
