/**
 * Pending payments: remembers them in this browser, polls their state, and shows it to the customer.
 * A card takes a moment and a bank may take days, so the memory outlives the tab; it holds only ids, per person.
 */

import { get, post, Problem } from "../api/api.js";
import { signedIn } from "../api/auth.js";
import { announce, count, el, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";

const FIRST_SECONDS = 1.5;
const MOST_SECONDS = 30;
const INTAKE_SECONDS = 60; // after that, the feed and the banner show its session, and coming back to the tab checks again
const KEPT_DAYS = 30;
const OUTCOME = {
  open: "The payment was not finished.",
  failed: "The bank refused the payment. Nothing was charged.",
  expired: "The payment page has expired. Nothing was charged.",
  unfulfillable: "This payment could not be used, or you asked for it back. It is on its way back to your card.",
};

let decided = null; // the intake whose outcome this page shows, so that the next refresh keeps it
const notices = []; // the outcomes of credit purchases since this page was opened

const key = () => `autodoctor.payments.${signedIn()?.sub}`;
const remembered = () => JSON.parse(localStorage.getItem(key()) ?? "{}");
const remember = (changes) => localStorage.setItem(key(), JSON.stringify({ ...remembered(), ...changes }));

/** Remembers an intake that its customer goes to pay, or whose payment the API reports as processing. */
export function intakeToPay(intakeId) {
  decided = null;
  remember({ intakeId });
}

/** Forgets the intake's payment: it has become this session, or another request has been made. */
export function intakeIsSession(sessionId) {
  if (!sessionId || remembered().intakeId === sessionId) remember({ intakeId: undefined });
  decided = null;
}

/**
 * The state of the payment that the reader comes back from, or that was pending when they left.
 * @param {function(): Promise<void>} refresh rebuilds the page
 * @returns {Promise<{underWay: boolean, shown: Node|null}>} `underWay`: nothing else can be requested meanwhile
 */
export async function intakePayment(refresh) {
  const address = location.pathname.match(/\/intakes\/([0-9a-f-]{36})$/)?.[1];
  const intakeId = address ?? decided ?? remembered().intakeId;
  if (!intakeId) return { underWay: false, shown: null };
  const { status, sessionId, answerUntil } = await paymentState(intakeId);
  const cameBack = address && location.search !== "?cancelled";
  if (status === "processing" || (status === "open" && cameBack)) {
    intakeToPay(intakeId);
    return { underWay: true, shown: answerUntil ? cameLate(intakeId, answerUntil, refresh) : intakeUnderWay(intakeId, status, refresh) };
  }
  if (status !== "open") remember({ intakeId: undefined });
  decided = OUTCOME[status] ? intakeId : null;
  if (sessionId) {
    history.replaceState(null, "", "/console/customer.html");
    return { underWay: false, shown: el("section.card", {}, el("p", {}, "This session is over. ", el("a", { href: `/console/chat/${sessionId}` }, "See it"))) };
  }
  return { underWay: false, shown: OUTCOME[status] ? el("section.card", { role: "alert" }, el("p", {}, OUTCOME[status])) : null };
}

async function paymentState(intakeId) {
  return get(`/api/intakes/${intakeId}`).catch((problem) => {
    if (problem instanceof Problem && problem.status === 404) return { status: "unknown" };
    throw problem;
  });
}

/** A payment that came long after its customer left: they say whether to start, or have it back. */
function cameLate(intakeId, answerUntil, refresh) {
  const answer = (choice) => async () => {
    await post(`/api/intakes/${intakeId}/answer`, { answer: choice });
    await refresh();
  };
  const said = [
    "Your bank took a while, so we have not called a mechanic yet. Start when you are with your car.",
    `Without an answer until ${time(answerUntil)}, the whole amount goes back to you.`,
  ];
  return el(
    "section",
    { id: "payment" },
    el("h1", {}, "Your payment came through"),
    el("div.card", { role: "status" }, said.map((each) => el("p", {}, each))),
    el("p.row", {}, action("Start now", answer("start"), { id: "start-paid", kind: "primary" }), action("Have it back", answer("give_back"), { id: "give-back" })),
  );
}

function intakeUnderWay(intakeId, status, refresh) {
  const look = async () => {
    const now = await paymentState(intakeId);
    return (now.status === status && !now.answerUntil) || refresh();
  };
  const asked = async () => (await look()) === true && announce("Nothing new yet.");
  const [title, ...words] =
    status === "open"
      ? [
          "Confirming your payment …",
          "With a card this takes a moment. Your bank may take longer. You need not wait here: we e-mail you as soon as your request is placed.",
          ["You have not paid? ", el("a", { href: "/console/customer.html" }, "Back to your request")],
        ]
      : [
          "Your payment is under way",
          "Your bank still has to confirm it, which can take some days. You need not wait here: we e-mail you when your request is placed, and also if the bank refuses.",
          "Until then you cannot make another request.",
        ];
  const said = words.map((each) => el("p", {}, ...[each].flat()));
  const card = el("section", { id: "payment" }, el("h1", {}, title), el("div.card", { role: "status" }, said), el("p", {}, action("Look again", asked, { id: "look-again" })));
  lookAfter(card, look, { seconds: INTAKE_SECONDS });
  return card;
}

/** Remembers a pack of credits that its customer goes to pay; `known` has their earlier movements and notifications. */
export function packToPay({ credits }, known) {
  remember({ buying: { credits, at: Date.now(), since: Math.max(0, ...known.map(({ createdAt }) => Date.parse(createdAt))) } });
}

/** Records the return from the payment page. */
export function backFromPack(paid) {
  const { buying, packs = [] } = remembered();
  remember({ buying: undefined, packs: buying && paid ? [...packs, buying] : packs });
}

/**
 * The state of purchased packs of credits: still pending, or their outcome.
 * @param {{balance: number, history: Object[]}} credits as GET /api/customer/credits answers
 * @param {function(): Promise<void>} refresh shows the page anew
 */
export async function packPayments({ balance, history }, refresh) {
  const refusals = remembered().packs?.length ? await refused() : [];
  const kept = (remembered().packs ?? []).filter(({ at }) => Date.now() - at < KEPT_DAYS * 86_400_000);
  const packs = settled(kept, [...arrived(history), ...refusals]);
  remember({ packs });
  return [...notices.map((text) => el("p.card", { role: "status" }, text)), packs.length > 0 && packsUnderWay(packs, balance, refresh)];
}

function arrived(history) {
  const bought = history.filter(({ movement }) => movement === "bought");
  return bought.map(({ credits, createdAt }) => ({ credits, at: Date.parse(createdAt), text: `${count(credits, "credit")} added.` }));
}

async function refused() {
  const { notifications } = await get("/api/notifications?limit=50");
  const ofPacks = notifications.filter(({ kind, intakeId }) => ["payment_failed", "payment_unfulfillable"].includes(kind) && !intakeId);
  return ofPacks.map(({ text, createdAt }) => ({ at: Date.parse(createdAt), text }));
}

/** The packs without an outcome yet; each outcome belongs to the oldest pack that it fits. */
function settled(packs, outcomes) {
  let left = packs;
  for (const { at, credits, text } of outcomes.sort((one, other) => one.at - other.at)) {
    const pack = left.find((each) => each.since < at && (!credits || each.credits === credits));
    if (!pack) continue;
    notices.push(text);
    left = left.filter((each) => each !== pack).map((each) => ({ ...each, since: Math.max(each.since, at) }));
  }
  return left;
}

function packsUnderWay(packs, balance, refresh) {
  const credits = packs.reduce((sum, each) => sum + each.credits, 0);
  const card = el(
    "section.card",
    { id: "payment", role: "status" },
    el("h2", {}, `Your payment for ${count(credits, "credit")} is under way`),
    el("p", {}, "With a card this takes a moment. A bank can take some days: the credits then appear here automatically. If the bank refuses, we tell you under Messages."),
  );
  const look = async () => (await get("/api/customer/credits")).balance === balance || refresh();
  lookAfter(card, look, { back: refresh });
  return card;
}

/**
 * Polls while an element is visible to the reader, less and less often; at once when they come back to the tab.
 * @param {Element} element
 * @param {function(): Promise<*>} look
 * @param {Object} [more] `seconds`: for how long, then only on coming back; `back`: runs in place of `look` on coming back
 */
function lookAfter(element, look, { seconds = Infinity, back = look } = {}) {
  let timer = null;
  const turn = async (work, next, left) => {
    if (!element.isConnected) return stop();
    try {
      await work();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem; // after a Problem, the next look may succeed
    }
    wait(next, left);
  };
  const wait = (next, left) => {
    clearTimeout(timer);
    if (document.hidden || next > left) return;
    timer = setTimeout(() => turn(look, Math.min(next * 2, MOST_SECONDS), left - next), next * 1000);
  };
  const seen = () => {
    clearTimeout(timer);
    if (!document.hidden) turn(back, FIRST_SECONDS, seconds);
  };
  const stop = () => document.removeEventListener("visibilitychange", seen);
  document.addEventListener("visibilitychange", seen);
  wait(FIRST_SECONDS, seconds);
}
