/** The customer's page: requesting help, waiting, paying, and past sessions. */

import { get, post } from "../api/api.js";
import { activeSession } from "../api/burst.js";
import { empty, face, table } from "../lib/components.js";
import { announce, count, duration, el, every, money, pill, time } from "../lib/dom.js";
import { intakeForm } from "../intake/intake.js";
import { messages } from "../parts/messages.js";
import { backFromPack, intakeIsSession, intakePayment, packPayments, packToPay } from "../parts/payment.js";
import { receipt, receipts } from "../parts/receipts.js";
import { leaveFor } from "../lib/places.js";
import { cost } from "../lib/prices.js";
import { action, start } from "../lib/shell.js";
import { plain } from "../lib/states.js";

async function now(query) {
  const { session } = await activeSession("customer");
  if (session) {
    intakeIsSession(session.sessionId);
    leaveFor(session.sessionUrl, { replace: true }); // waiting, too, has one page: the session's
    return null;
  }
  const { underWay, shown } = await intakePayment(page.refresh);
  return underWay ? [shown] : [shown, await intakeForm(page, query.get("mechanic"), query.has("later"))];
}

async function past() {
  const { sessions, nextCursor } = await get(`/api/customer/sessions?limit=50`);
  if (!sessions.length) return [el("h1", {}, "Your sessions"), empty("No sessions yet", "When you have talked to a mechanic, you find it here: what it was about, the notes, and what it cost.", el("a.button.primary", { href: "#now" }, "Ask a mechanic"))];
  return [
    el("h1", {}, "Your sessions"),
    ...sessions.map(pastSession),
    nextCursor && el("p.quiet", {}, "The newest 50."),
  ];
}

/** One session of the past: the car, the problem, who helped, how it ended and what it cost. */
function pastSession(session) {
  const { mechanicId, counterpartName: mechanic, vehicleSummary: car, concern, endedAt } = session;
  const facts = [time(session.createdAt), mechanic && `with ${mechanic}`, endedAt && session.durationSeconds !== null && duration(session.durationSeconds)];
  return el(
    "article.card.past",
    { "data-session": session.sessionId },
    mechanic ? face(mechanic) : el("span.face.nobody", { "aria-hidden": "true" }, "–"),
    el(
      "div",
      {},
      el("h2", {}, el("a", { href: session.sessionUrl }, car || "Your car")),
      el("p.clamped", {}, concern),
      el("p.quiet.small", {}, facts.filter(Boolean).join(" · ")),
      el("p.row", {}, pill(session.status), el("strong.number", {}, charged(session)), session.funding === "card" && el("a.button", { href: `#receipts?session=${session.sessionId}`, "aria-label": `Receipt: ${car || "your car"}` }, "Receipt"), mechanicId && el("a.button", { href: `#now?mechanic=${mechanicId}`, "aria-label": `Ask again: ${mechanic}` }, "Ask again")),
    ),
  );
}

/** What a session cost, or will: nothing where no talk came about. */
function charged(session) {
  const { funding, reason, endedAt } = session;
  if (funding === "free") return "Free";
  return endedAt && reason !== "billable" ? "Nothing charged" : cost(session, funding);
}

async function credits() {
  const [found, { creditPacks }] = await Promise.all([get("/api/customer/credits"), get("/api/plans")]);
  const { balance, history: movements } = found;
  const buy = async (pack) => {
    const [{ checkoutUrl }, { notifications }] = await Promise.all([post("/api/customer/credits/checkout", { pack: pack.code }), get("/api/notifications?limit=1")]);
    packToPay(pack, [...movements.slice(0, 1), ...notifications]);
    location.assign(checkoutUrl);
  };
  return [
    el("h1", {}, "Your credits"),
    el("p", {}, "You have ", el("strong.big.number", { id: "balance" }, `${balance}`), balance === 1 ? " credit." : " credits."),
    ...(await packPayments(found, page.refresh)),
    el(
      "div.grid.packs",
      {},
      creditPacks.map((pack) => el("section.card", {}, el("h2", {}, pack.name), el("p.number", {}, `${count(pack.credits, "credit")} for ${money(pack.priceCents, pack.currency)}`), action("Buy", () => buy(pack), { "aria-label": `Buy: ${pack.name}` }))),
    ),
    movements.length > 0 && [el("h2", {}, "Bought and used"), table(["When", "What", "Credits"], movements.map((each) => [time(each.createdAt), plain(each.movement), each.credits > 0 ? `+${each.credits}` : `−${-each.credits}`]), { numbers: [2] })],
  ];
}

const page = start("customers", {
  now: { title: "Get help", show: now },
  sessions: { title: "Sessions", show: past },
  credits: { title: "Credits", show: credits },
  receipts: { title: "Receipts", show: receipts },
  messages: { title: "Messages", show: () => messages(page.refresh) },
  receipt: { title: "Receipt", show: receipt, hidden: true },
});
if (page) {
  const mailed = location.pathname.match(/\/receipts\/([0-9a-f-]{36})$/)?.[1];
  if (mailed) history.replaceState(null, "", `/console/customer.html#receipt?id=${mailed}`);
  if (location.pathname.endsWith("/credits")) {
    backFromPack(location.search !== "?cancelled");
    history.replaceState(null, "", `/console/customer.html${location.hash || "#credits"}`);
  }
  document.querySelector("active-session-banner").addEventListener("autodoctor:ended", () => {
    announce("The session has ended.");
    page.refresh();
  });
  let last = null;
  document.querySelector("active-session-banner").addEventListener("autodoctor:change", ({ detail }) => {
    if (last !== null && detail.session?.status !== last) page.refresh();
    last = detail.session?.status ?? "none";
  });
  every(30, () => /^(#now.*)?$/.test(location.hash) && document.querySelector("form, #payment") === null && page.refresh());
}
