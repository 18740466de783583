/** The dead letters tab: events that failed after every retry, and sending them again. */

import { get, post } from "../api/api.js";
import { table } from "../lib/components.js";
import { announce, confirmed, count, duration, el, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";

const WHOSE = {
  BusDeadLetterQueue: "Between the bus and its consumers",
  DeliverDeadLetterQueue: "What people in a talk are told",
  FeedDeadLetterQueue: "Realtime feed",
  MailFeedbackDeadLetterQueue: "Bounces and complaints",
  MediaDeadLetterQueue: "What happened in calls",
  NotifyDeadLetterQueue: "Mails and notifications",
  PushDeadLetterQueue: "Pushes to browsers",
  ScansDeadLetterQueue: "Scans of pictures and documents",
  SettleDeadLetterQueue: "Payouts and refunds",
  SweepDeadLetterQueue: "Schedules",
};

/** Fetches and shows every queue, the ones with dead letters first. */
export async function deadLetters(refresh) {
  const { asOf, queues } = await get("/api/admin/dead-letters");
  const full = queues.filter((queue) => queue.count > 0);
  const empty = queues.filter((queue) => queue.count === 0);
  return [
    el("h1.row", {}, "Dead letters", el("span.quiet.stamp", {}, `as of ${new Date(asOf).toLocaleTimeString()}`)),
    el("p.quiet", {}, "Events that failed after every retry. Fix the cause, then send them again; receiving one twice is harmless."),
    full.map((queue) => card(queue, refresh)),
    empty.length > 0 && el("section.card", {}, el("h2", {}, full.length ? "Empty queues" : "No dead letters."), el("ul", {}, empty.map(({ name }) => el("li", {}, WHOSE[name] ?? name)))),
  ];
}

function card(queue, refresh) {
  const { name, count: total, oldestSeconds } = queue;
  const whose = WHOSE[name] ?? name;
  const again = async () => {
    if (!(await confirmed(`Send ${count(total, "event")} of “${whose}” again?`, "Send again"))) return;
    const { sending, kept } = await post(`/api/admin/dead-letters/${name}/redrive`);
    announce(`${count(sending, "event")} sent again.${kept ? ` ${kept} could not be sent and stay here.` : ""}`, kept ? "warn" : "info");
    await refresh();
  };
  const more = total - queue.letters.length;
  return el(
    "section.card",
    { id: name },
    el("h2.row", {}, whose, el("span.pill.bad", {}, total), el("code.quiet.stamp", {}, name)),
    el("p", {}, oldestSeconds === null ? "Another reader has them at the moment." : `Oldest: ${duration(oldestSeconds)} ago.`),
    queue.letters.length > 0 && table(["Sent", "Event", "Session", "Consumer", "Why it failed"], queue.letters.map(row)),
    more > 0 && queue.letters.length > 0 && el("p.quiet", {}, `and ${more} more`),
    el("p", {}, action("Send again", again, { "aria-label": `Send again: ${whose}`, id: `again-${name}` })),
  );
}

function row(message) {
  const session = message.sessionId && el("a", { href: `#session?id=${message.sessionId}` }, message.sessionId.slice(0, 8));
  const why = message.error ?? (message.origin === "queue" ? "see the consumer's log" : "unknown");
  return [time(message.sentAt), message.detailType ?? message.origin, session ?? "–", message.target ?? "unknown", why];
}
