/** What stands beside the talk: the problem, quotes, and what happened when. */

import { post } from "../api/api.js";
import { table } from "../lib/components.js";
import { el, money, pill, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";
import { carWords } from "../lib/states.js";
import { handOver } from "../parts/quoting.js";
import { eventWords } from "./words.js";

/** Who did something, in words. */
export const ACTORS = { customer: "Customer", mechanic: "Mechanic", admin: "Our team", system: "By itself" };

/**
 * @param {Object} session
 * @param {Object[]} quotes
 * @param {boolean} isMechanic
 * @param {function(): Promise<void>} refresh
 */
export function side(session, quotes, isMechanic, refresh) {
  return [
    el("section.card", {}, el("h2", {}, "The problem"), el("p", {}, session.concern), el("p.quiet", {}, [carWords(session.vehicle), session.vehicle.vin].filter(Boolean).join(" "), session.urgent && " · urgent")),
    ...quotes.map((quote) => quoteCard(quote, isMechanic, refresh)),
    isMechanic && handOver(session, quotes, refresh),
    el("details.card", {}, el("summary", {}, "What happened when"), timeline(session.timeline)),
  ];
}

function quoteCard(quote, isMechanic, refresh) {
  const decide = (verb) => async () => {
    await post(`/api/quotes/${quote.quoteId}/${verb}`, verb === "approve" ? { amountCents: quote.amountCents } : {});
    await refresh();
  };
  return el(
    "section.card",
    {},
    el("h2", {}, `Quote of ${quote.workshopName ?? "a workshop"}`),
    el("p", {}, pill(quote.status)),
    quote.amountCents !== null && el("p.big", {}, money(quote.amountCents)),
    quote.description && el("p", {}, quote.description),
    !isMechanic && quote.status === "given" && el("p.row", {}, action("Approve", decide("approve"), { kind: "primary" }), action("Decline", decide("decline"))),
  );
}

function timeline(events) {
  const told = events.map((each) => [each, eventWords(each)]).filter(([, words]) => words);
  return table(["When", "What", "By"], told.map(([each, words]) => [time(each.at), words, ACTORS[each.actor] ?? each.actor]));
}
