/** The customer's page: ask for help, wait, pay; and what was before. */

import { get, post, Problem } from "./api.js";
import { announce, el, every, head, money, pill, time } from "./dom.js";
import { intakeForm } from "./intake.js";
import { messages } from "./messages.js";
import { action, start } from "./shell.js";
import { waitingRoom } from "./waiting-room.js";

const PAYMENT = {
  open: "The payment was not finished.",
  failed: "The bank refused the payment. Nothing was charged.",
  expired: "The payment page has expired. Nothing was charged.",
  unfulfillable: "You already had a session, so this payment is on its way back to your card.",
};

async function now(query) {
  const { session } = await get("/api/customer/active-session");
  if (session) return waitingRoom(await get(`/api/sessions/${session.sessionId}`), page.refresh);
  const intakeId = location.pathname.match(/\/intakes\/([0-9a-f-]{36})$/)?.[1];
  const paid = intakeId ? await payment(intakeId) : null;
  return [paid, await intakeForm(page, query.get("mechanic"))];
}

/** What became of the payment that the reader comes back from; looked at again until it is decided. */
async function payment(intakeId) {
  const { status, sessionId } = await get(`/api/intakes/${intakeId}`).catch((problem) => {
    if (problem instanceof Problem && problem.status === 404) return { status: "unknown" };
    throw problem;
  });
  const cancelled = location.search === "?cancelled";
  if (status === "processing" || (status === "open" && !cancelled)) {
    setTimeout(page.refresh, 1500);
    return el("section.card", { role: "status" }, el("h2", {}, "Confirming your payment …"), el("p", {}, "This takes a moment."));
  }
  if (sessionId) {
    history.replaceState(null, "", "/console/customer.html");
    return el("section.card", {}, el("p", {}, "This session is over. ", el("a", { href: `/console/chat/${sessionId}` }, "See it")));
  }
  return PAYMENT[status] ? el("section.card", { role: "alert" }, el("p", {}, PAYMENT[status])) : null;
}

async function past() {
  const { sessions, nextCursor } = await get(`/api/customer/sessions?limit=50`);
  if (!sessions.length) return [el("h1", {}, "Your sessions"), el("p.card", {}, "No sessions yet.")];
  const rows = sessions.map((session) =>
    el(
      "tr",
      {},
      el("td", {}, el("a", { href: session.sessionUrl }, time(session.createdAt))),
      el("td", {}, session.sessionType),
      el("td", {}, session.counterpartName ?? "–", session.mechanicId && askAgain(session)),
      el("td", {}, pill(session.status)),
    ),
  );
  return [
    el("h1", {}, "Your sessions"),
    el("div.scroll", {}, el("table", {}, head("When", "What", "Mechanic", "State"), el("tbody", {}, ...rows))),
    nextCursor && el("p.quiet", {}, "The newest 50."),
  ];
}

function askAgain({ mechanicId, counterpartName }) {
  return el("div", {}, el("a", { href: `#now?mechanic=${mechanicId}`, "aria-label": `Ask again: ${counterpartName}` }, "Ask again"));
}

async function credits() {
  const [{ balance, history: movements }, { creditPacks }] = await Promise.all([get("/api/customer/credits"), get("/api/plans")]);
  const buy = async (pack) => location.assign((await post("/api/customer/credits/checkout", { pack })).checkoutUrl);
  return [
    el("h1", {}, "Your credits"),
    el("p.big.number", { id: "balance" }, `${balance}`),
    el(
      "div.grid",
      {},
      creditPacks.map((pack) =>
        el("section.card", {}, el("h2", {}, pack.name), el("p", {}, `${pack.credits} credits for ${money(pack.priceCents, pack.currency)}`), action("Buy", () => buy(pack.code))),
      ),
    ),
    movements.length > 0 &&
      el("div.scroll", {}, el("table", {}, head("When", "What", "Credits"), el("tbody", {}, movements.map((each) => el("tr", {}, el("td", {}, time(each.createdAt)), el("td", {}, each.movement.replaceAll("_", " ")), el("td.number", {}, each.credits > 0 ? `+${each.credits}` : each.credits)))))),
  ];
}

const page = start("customers", {
  now: { title: "Get help", show: now },
  sessions: { title: "Sessions", show: past },
  credits: { title: "Credits", show: credits },
  messages: { title: "Messages", show: () => messages(page.refresh) },
});
if (page) {
  if (location.pathname.endsWith("/credits") && !location.hash) location.hash = "#credits";
  document.querySelector("active-session-banner").addEventListener("autodoctor:ended", () => {
    announce("The session has ended.");
    page.refresh();
  });
  let last = null;
  document.querySelector("active-session-banner").addEventListener("autodoctor:change", ({ detail }) => {
    if (last !== null && detail.session?.status !== last) page.refresh();
    last = detail.session?.status ?? "none";
  });
  every(30, () => /^(#now.*)?$/.test(location.hash) && document.querySelector("form") === null && page.refresh());
}
