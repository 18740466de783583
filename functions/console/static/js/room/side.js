/** What stands beside the talk: the problem, quotes, and what happened when. */

import { post } from "../lib/api.js";
import { el, head, money, pill, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";
import { handOver } from "../parts/quoting.js";
import { eventWords } from "./words.js";

const ACTORS = { customer: "Customer", mechanic: "Mechanic", admin: "Our team", system: "By itself" };

/**
 * @param {Object} session
 * @param {Object[]} quotes
 * @param {boolean} isMechanic
 * @param {function(): Promise<void>} refresh
 */
export function side(session, quotes, isMechanic, refresh) {
  return [
    el("section.card", {}, el("h2", {}, "The problem"), el("p", {}, session.concern), el("p.quiet", {}, ["year", "make", "model", "vin"].map((name) => session.vehicle[name]).filter(Boolean).join(" "), session.urgent && " · urgent")),
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
  const rows = told.map(([each, words]) => el("tr", {}, el("td", {}, time(each.at)), el("td", {}, words), el("td.quiet", {}, ACTORS[each.actor] ?? each.actor)));
  return el("div.scroll", {}, el("table", {}, head("When", "What", "By"), el("tbody", {}, rows)));
}
