/** States of sessions, requests, payouts and quotes in people's words: no page shows the names that the tables use. */

/** The words, and a tone that is a colour: `soon` waits for somebody, `next` goes on, `good`, `bad`, `special`. */
const STATES = {
  scheduled: ["Booked", "special"],
  pending: ["Finding a mechanic", "soon"],
  waiting: ["Mechanic accepted", "next"],
  live: ["Talking now", "good"],
  completed: ["Completed", "good"],
  cancelled: ["Cancelled", ""],
  expired: ["Expired", ""],
  pending_waiver: ["Signature missing", "soon"],
  queued: ["In the queue", "soon"],
  offered: ["Asked by name", "next"],
  accepted: ["Accepted", "next"],
  declined: ["Declined", ""],
  requested: ["Amount asked for", "soon"],
  given: ["Amount named", "next"],
  approved: ["Approved", "good"],
  superseded: ["Replaced", ""],
  due: ["On its way", "soon"],
  sending: ["On its way", "soon"],
  held: ["On hold", "soon"],
  sent: ["Paid", "good"],
  paid: ["Paid", "good"],
  returned: ["Given back", "good"],
  reversed: ["Taken back", "bad"],
  failed: ["Failed", "bad"],
  withheld: ["Kept for what you owe", ""],
};

const REASONS = {
  billable: "Long enough: it counts",
  too_short: "Too short to count",
  no_talk: "Not a word of one side",
  no_show: "Somebody did not come",
  withdrawn: "Cancelled before it began",
  expired: "No mechanic came in time",
};

/** What happened to a session, where the words of its own page (session/words.js) leave out what repeats another. */
const EVENTS = {
  "assignment.pending_waiver": "Waits for the signature",
  "assignment.queued": "Put in the queue",
  "assignment.accepted": "Accepted",
  "assignment.completed": "Closed",
  "assignment.cancelled": "Taken out of the queue",
  "assignment.expired": "No longer with that mechanic",
};

const TYPES = { chat: "Chat", video: "Video call", diagnostic: "Video diagnostic" };
const FUNDING = { free: "Free", credit: "Credits", card: "Card" };

/** A state in words; one that this page does not know is at least written like a word. */
export function stateWords(status) {
  return STATES[status]?.[0] ?? plain(status);
}

/** The tone of a state. */
export function toneOf(status) {
  return STATES[status]?.[1] ?? "";
}

/** Why a session ended, in words. */
export function reasonWords(reason) {
  return reason ? (REASONS[reason] ?? plain(reason)) : null;
}

/** An event of a session in words for operators. */
export function eventName(event) {
  return EVENTS[event] ?? plain(event);
}

/** How bad an alert is, in words. */
export function severityWords(severity) {
  return { critical: "Act now", warning: "To watch" }[severity] ?? plain(severity);
}

/** A kind of session in words. */
export function typeWords(type) {
  return TYPES[type] ?? plain(type);
}

/** What a session was paid with, in words. */
export function fundingWords(funding) {
  return FUNDING[funding] ?? plain(funding);
}

/** A name of the API's without its underscores, with a capital letter. */
export function plain(name) {
  const text = name.replaceAll(/[_.-]/g, " ");
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}

/** A car as people name it: "2015 Toyota Corolla"; empty where nothing is known of it. */
export function carWords({ year, make, model }) {
  return [year, make, model].filter(Boolean).join(" ");
}
