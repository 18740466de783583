/** The money of one session, for operators: price, payment, disputes, payouts and refunds, each with its place at Stripe. */

import { post } from "../api/api.js";
import { table } from "../lib/components.js";
import { announce, count, el, money, pill, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";
import { fundingWords, plain } from "../lib/states.js";

const HOLDS = {
  operator: "held by an admin",
  suspended: "its mechanic is suspended",
  escalation: "an admin releases it",
  disputed_credits: "its credits are disputed",
  destination: "the mechanic's account is new",
  contest: "contested",
};
const SETTLED = { pay: "Paid for", refund: "Given back to the card", return: "Credits returned", nothing: "Nothing to move" };
const WAITS = { onboarding: "waits until the mechanic can be paid", balance: "waits for our balance", dispute: "waits for the dispute", payment: "waits for the payment", retry: "is tried again" };
const TO = { session: "to the mechanic", extension: "for more minutes, to the mechanic", returned: "to the mechanic, who had paid it back", referral: "to who referred the customer", escalation: "for the quote, to the mechanic" };
const CENTS = (amount) => money(amount);

/**
 * @param {Object} found as GET /api/admin/cases/{sessionId} answers it
 * @param {function(): Promise<void>} refresh
 */
export function moneyOf(found, refresh) {
  const more = found.extensions.map((each) => each.payment && payment(each.payment, `for ${each.minutes} more minutes`));
  const moves = [found.payment && payment(found.payment), ...more, ...found.disputes.map(dispute), ...found.payouts.map((each) => payout(each, refresh)), ...found.refunds.map(refund)].filter(Boolean);
  const facts = [
    ["Price", price(found)],
    found.funding !== "free" && ["Paid with", fundingWords(found.funding)],
    ["Settled as", found.settled ? SETTLED[found.settled] : "Not yet"],
    found.refundedCents > 0 && ["Went back", CENTS(found.refundedCents)],
    ...found.extensions.map((each) => [`${each.minutes} more minutes`, [each.funding === "card" ? `${price(each)} by card` : price(each), each.settled && SETTLED[each.settled].toLowerCase(), each.refundedCents > 0 && `${CENTS(each.refundedCents)} went back`].filter(Boolean).join(" · ")]),
  ].filter(Boolean);
  const ledger = found.ledger.map((each) => [plain(each.kind), `${named(each.debitAccount)} → ${named(each.creditAccount)}`, each.currency === "credit" ? count(each.amount, "credit") : CENTS(each.amount)]);
  return el(
    "section.card",
    { "aria-label": "Money" },
    el("h2", {}, "Money"),
    el("dl.facts", {}, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    moves.length > 0 && el("ul.moves", {}, moves),
    ledger.length > 0 && el("details", {}, el("summary", {}, "Ledger"), table(["What", "From and to", "Amount"], ledger, { numbers: [2] })),
  );
}

function price({ funding, credits, priceCents }) {
  if (funding === "free") return "Free";
  return funding === "credit" ? `${count(credits, "credit")} (${CENTS(priceCents)})` : CENTS(priceCents);
}

/** An account without the ids in it. */
const named = (account) => account.replace(/:[0-9a-f-]{36}/, "").replaceAll("_", " ").replace(":", " ");

/** One movement: amount, what it is, its state, what it waits for, and its id as a link to Stripe's dashboard. */
function move(cents, what, state, { said, at, id, url, hand } = {}) {
  const place = id && (url ? el("a", { href: url, target: "_blank", rel: "noreferrer", "aria-label": `${id} at Stripe` }, el("code", {}, id)) : el("code", {}, id));
  return el("li", {}, el("p.row", {}, el("strong.number", {}, CENTS(cents)), what, state, hand), (said || place || at) && el("p.quiet.small", {}, [at && time(at), said, place].filter(Boolean).flatMap((each, index) => (index ? [" · ", each] : [each]))));
}

function payment({ amountCents, status, stripePaymentIntentId, stripeSessionId, stripeUrl, createdAt }, what = "") {
  return move(amountCents, `by card ${what}`.trim(), pill(status), { at: createdAt, id: stripePaymentIntentId ?? stripeSessionId, url: stripeUrl });
}

function dispute({ extensionId, amountCents, status, takenCents, stripeDisputeId, stripeUrl, evidenceId, createdAt }) {
  const said = takenCents ? `Stripe has taken ${CENTS(takenCents)}` : "Stripe holds nothing for it";
  const hand = evidenceId && el("a", { href: `#dispute?id=${evidenceId}` }, "Our answer");
  return move(amountCents, extensionId ? "disputed at the bank, of more minutes" : "disputed at the bank", el("span.pill.bad", {}, plain(status)), { said, at: createdAt, id: stripeDisputeId, url: stripeUrl, hand });
}

function refund({ extensionId, amountCents, state, waitsFor, lastError, stripeRefundId, sentAt, createdAt }) {
  return move(amountCents, extensionId ? "back to the card, of more minutes" : "back to the card", pill(state), { said: lastError ?? WAITS[waitsFor], at: sentAt ?? createdAt, id: stripeRefundId });
}

function payout(each, refresh) {
  const waits = each.holds.map(({ reason, note }) => note ?? HOLDS[reason] ?? reason).join(", ");
  const until = each.waitsFor === "time" ? `leaves ${time(each.leavesAt)}` : WAITS[each.waitsFor];
  const held = each.holds.some(({ reason }) => reason !== "contest");
  const free = async () => {
    await post(`/api/admin/payouts/${each.payoutId}/release`);
    announce("Released. It leaves within minutes.");
    await refresh();
  };
  const hand = held && action("Release", free, { id: `release-${each.payoutId}` });
  const isOver = ["sent", "reversed", "cancelled"].includes(each.state);
  return move(each.amountCents - each.withheldCents, TO[each.kind], pill(each.state), { said: waits || (!isOver && (each.lastError ?? until)) || null, at: each.sentAt ?? each.createdAt, id: each.stripeTransferId, url: each.stripeUrl, hand });
}
