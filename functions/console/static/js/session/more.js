/** More minutes for a talk that is live: the customer asks, the mechanic agrees, and then they are paid for. */

import { post, Problem } from "../api/api.js";
import { announce, count, el } from "../lib/dom.js";
import { cost } from "../lib/prices.js";
import { action } from "../lib/shell.js";

const OPEN = ["asked", "agreed"];

/**
 * What can be done about the minutes now; null where there is nothing.
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 * @param {boolean} isMechanic whether the reader is the mechanic
 * @param {function(): Promise<void>} refresh fetches the session anew
 */
export function more(session, isMechanic, refresh) {
  const open = session.minutes.extensions.find(({ status }) => OPEN.includes(status));
  if (open) return isMechanic ? wanted(session, open, refresh) : awaited(session, open, refresh);
  return isMechanic || !session.minutes.packs.length ? null : offered(session, refresh);
}

function offered({ sessionId, minutes }, refresh) {
  const ways = minutes.packs.flatMap((pack) => [...(pack.credits ? [[pack, "credit"]] : []), [pack, "card"]]);
  return el(
    "details.more",
    { id: "more" },
    el("summary", {}, "More minutes"),
    el("p.quiet", {}, "Your mechanic has to agree first. Minutes that you do not use are paid back."),
    el("p.row", {}, ways.map(([pack, payWith]) => action(`${count(pack.minutes, "minute")} for ${cost(pack, payWith)}`, () => ask(sessionId, pack.code, payWith, refresh)))),
  );
}

async function ask(sessionId, pack, payWith, refresh) {
  await post(`/api/sessions/${sessionId}/extend`, { pack, payWith });
  announce("Asked. Your mechanic answers here.");
  await refresh();
}

function awaited(session, open, refresh) {
  const words = `${count(open.minutes, "more minute")} for ${cost(open, open.payWith)}`;
  if (open.status === "asked") return el("p.card.notice", { role: "status" }, `You asked for ${words}. ${session.counterpartName} has not answered yet.`);
  return el(
    "section.card.notice",
    {},
    el("p", { role: "status" }, `${session.counterpartName} agrees to ${words}. They are added as soon as you have paid.`),
    el("p.row", {}, action("Pay in a new tab", () => pay(session.sessionId, open, refresh), { kind: "primary", id: "pay-minutes" })),
  );
}

/** The tab is opened with the press, as browsers refuse one that comes later. */
async function pay(sessionId, { pack, payWith }, refresh) {
  const tab = window.open("", "_blank");
  try {
    const { checkoutUrl } = await post(`/api/sessions/${sessionId}/extend`, { pack, payWith });
    if (!checkoutUrl) tab?.close();
    else if (tab) {
      tab.opener = null;
      tab.location.replace(checkoutUrl);
    } else location.assign(checkoutUrl);
  } catch (problem) {
    tab?.close();
    throw problem;
  } finally {
    await refresh();
  }
}

function wanted({ sessionId, counterpartName }, open, refresh) {
  if (open.status === "agreed") return el("p.card.notice", { role: "status" }, `You agreed to ${count(open.minutes, "more minute")}. They are added once they are paid for.`);
  const answer = async (agrees) => {
    try {
      await post(`/api/sessions/${sessionId}/extend/${open.extensionId}/answer`, { agrees });
    } catch (problem) {
      if (!(problem instanceof Problem) || ![402, 409].includes(problem.status)) throw problem;
      announce(problem.message);
    } finally {
      await refresh();
    }
  };
  return el(
    "section.card.notice",
    {},
    el("p", { role: "status" }, `${counterpartName} asks for ${count(open.minutes, "more minute")}, for ${cost(open, open.payWith)}.`),
    el("p.row", {}, action("Agree", () => answer(true), { kind: "primary", id: "agree" }), action("Decline", () => answer(false), { id: "decline-minutes" })),
  );
}
