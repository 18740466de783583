/** The mechanic's page: the queue, accepting and declining, earnings, quotes and past sessions. */

import { get, post } from "../api/api.js";
import { empty, table } from "../lib/components.js";
import { announce, duration, el, every, money, pill, time } from "../lib/dom.js";
import { attend, queueIs } from "../parts/attention.js";
import { messages } from "../parts/messages.js";
import { fileView } from "../room/attachments.js";
import { quote, quotes } from "../parts/quoting.js";
import { leaveFor, sessionUrl } from "../lib/places.js";
import { consent, statement, statements } from "../parts/statements.js";
import { action, start } from "../lib/shell.js";
import { plain, reasonWords, typeWords } from "../lib/states.js";

const pictures = new Map(); // by attachment: a page that is refreshed shows the same element and loads nothing again
const HELD = "Held until you set up payouts";
const EARNED = { pending: "due", netted: "withheld" }; // a state of the money has other words than one of a session
const KINDS = { session: "Session", extension: "More minutes", referral: "Referral", escalation: "Escalation", returned: "Given back" };

const banner = document.querySelector("active-session-banner");
let availability = null; // as it was answered last: pushes about the queue do not change it

async function queue(_query, isPushed) {
  const [{ assignments, nextCursor }, answered] = await Promise.all([get("/api/mechanic/queue?limit=50"), isPushed && availability ? availability : get("/api/mechanic/availability"), page.looked]);
  availability = answered;
  queueIs(assignments);
  const offers = assignments.filter((each) => each.status === "offered");
  const others = assignments.filter((each) => each.status !== "offered");
  return [
    el("h1", {}, "Requests waiting for help"),
    duty(availability),
    offers.length > 0 && el("section", {}, el("h2", {}, "Asked for you"), offers.map(request)),
    others.length > 0 && el("section", {}, el("h2", {}, `In the queue (${others.length}${nextCursor ? " and more" : ""})`), others.map(request)),
    !assignments.length && empty("No requests right now", "New ones appear here automatically."),
    el("p.quiet", {}, el("a", { href: "/console/settings.html" }, "Sound, and notifications while this page is closed")),
  ];
}

/** Whether the reader has a session, in whatever tab: until it is over they can take no other. */
function isBusy() {
  return Boolean(banner.session);
}

function duty({ available, availableUntil, keptAliveByFeed }) {
  const say = (to) => async () => {
    await post("/api/mechanic/availability", { available: to });
    await page.refresh();
  };
  const busy = isBusy() && "You are in a session: you can take another one when it is over.";
  const until = keptAliveByFeed ? "while this page is open" : availableUntil && `until ${time(availableUntil)}`;
  return el(
    "section.card.row",
    { id: "duty" },
    el("p", { role: "status" }, busy || (available ? `You are available ${until ?? ""}` : "You are away: customers cannot ask for you by name.")),
    available ? action("Take a break", say(false), { id: "duty-switch" }) : action("I am available", say(true), { kind: "primary", id: "duty-switch" }),
  );
}

function request(each) {
  const accepted = async () => {
    const { sessionId } = await post(`/api/mechanic/assignments/${each.assignmentId}/accept`);
    return sessionUrl(sessionId, each.sessionType);
  };
  const accept = async () => {
    try {
      await leaveFor(accepted());
    } catch (problem) {
      page.refresh(); // the pushes since the press were let pass
      throw problem;
    }
  };
  const decline = async () => {
    await post(`/api/mechanic/assignments/${each.assignmentId}/decline`);
    await page.refresh();
  };
  return el(
    "article.card",
    { "data-assignment": each.assignmentId },
    el("h3.row", {}, each.vehicleSummary, each.urgent && el("span.pill.bad", {}, "urgent"), each.scheduledFor && el("span.pill", { "data-tone": "special" }, `for ${time(each.scheduledFor)}`), el("span.quiet", {}, typeWords(each.sessionType))),
    el("p", {}, each.concern),
    each.pictureId && pictureOf(each),
    el("p.quiet", {}, `${each.customerName}, waiting `, ticking(each.queuedAt, 1), each.offerExpiresAt && [" · yours for ", ticking(each.offerExpiresAt, -1)]),
    el("p.row", {}, action(`Accept · ${worth(each)}`, accept, { kind: "primary", disabled: isBusy() }), each.status === "offered" && action("Decline", decline)),
  );
}

/** What a request is worth to whoever takes it: the amount, the plan, and the minutes that its price is meant for. */
function worth({ paysCents, currency, plan, includedMinutes }) {
  return [paysCents ? money(paysCents, currency) : "no pay", plain(plan), `${includedMinutes}\u00a0min`].join(", ");
}

/** The first picture of a request. */
function pictureOf({ pictureId, vehicleSummary, customerName }) {
  if (!pictures.has(pictureId)) {
    pictures.set(pictureId, fileView({ attachmentId: pictureId, contentType: "image/", name: vehicleSummary, state: "clean" }, customerName));
  }
  return pictures.get(pictureId);
}

/** A running clock: the time since an instant (1), or until it (-1). */
function ticking(instant, direction) {
  return el("time.number", { datetime: instant, "data-direction": direction }, elapsed(instant, direction));
}

function elapsed(instant, direction) {
  return duration((direction * (Date.now() - new Date(instant))) / 1000);
}

setInterval(() => {
  for (const each of document.querySelectorAll("time[data-direction]")) {
    each.textContent = elapsed(each.dateTime, Number(each.dataset.direction));
  }
}, 1000);

async function earnings() {
  const [{ earnings: rows, totals, netting }, listed, onboarding, { referralCode }] = await Promise.all([
    get("/api/mechanic/earnings?limit=50"),
    get("/api/mechanic/statements"),
    get("/api/mechanic/onboarding"),
    get("/api/mechanic/referral-code"),
  ]);
  const onboard = async () => location.assign((await post("/api/mechanic/onboarding")).url);
  const tiles = [
    [onboarding.payoutsEnabled ? "On its way" : HELD, totals.pendingCents],
    ["Paid", totals.paidCents],
    ["Failed", totals.failedCents],
  ];
  return [
    el("h1", {}, "Earnings"),
    !onboarding.payoutsEnabled && el("section.card", {}, el("p", {}, "To be paid, tell Stripe who you are and where your money goes."), action("Set up payouts", onboard, { kind: "primary" })),
    el("div.grid", {}, tiles.map(([label, cents]) => el("div.card", {}, el("p.quiet", {}, label), el("p.big.number", {}, money(cents))))),
    el("p.card", {}, "Customers who give your referral code ", el("strong", { id: "referral-code" }, referralCode), " earn you a share of what they pay."),
    netting && consent(netting, () => page.refresh()),
    statements(listed),
    rows.length > 0 && [el("h2", {}, "What you earned"), table(["When", "For", "Amount", "State"], rows.map((each) => earned(each, onboarding)), { numbers: [2] })],
  ];
}

function earned({ createdAt, kind, amountCents, currency, status }, { payoutsEnabled }) {
  const state = status === "pending" && !payoutsEnabled ? "held" : (EARNED[status] ?? status);
  return [time(createdAt), KINDS[kind], money(amountCents, currency), pill(state)];
}

async function past() {
  const { sessions } = await get("/api/mechanic/sessions?limit=50");
  if (!sessions.length) return [el("h1", {}, "Your sessions"), empty("No sessions yet", "The people you help are listed here.", el("a.button", { href: "#queue" }, "Go to the queue"))];
  const rows = sessions.map((session) => [
    el("a", { href: session.sessionUrl }, time(session.createdAt)),
    session.counterpartName,
    session.vehicleSummary || "–",
    el("span.clamped", {}, session.concern),
    [pill(session.status), session.reason && session.reason !== "billable" && el("span.quiet.small", {}, reasonWords(session.reason))],
    session.durationSeconds === null ? "–" : duration(session.durationSeconds),
  ]);
  return [el("h1", {}, "Your sessions"), table(["When", "Customer", "Car", "Problem", "Outcome", "Length"], rows, { numbers: [5] })];
}

const page = start("mechanics", {
  queue: { title: "Queue", queue: true, show: queue },
  earnings: { title: "Earnings", show: earnings },
  sessions: { title: "Sessions", show: past },
  quotes: { title: "Quotes", show: quotes },
  messages: { title: "Messages", show: () => messages(page.refresh) },
  statement: { title: "Statement", show: statement, hidden: true },
  quote: { title: "Quote", show: quote, hidden: true },
});
if (page) {
  attend(page.feed);
  if (location.pathname.includes("/onboarding/") && !location.hash) location.hash = "#earnings";
  banner.addEventListener("autodoctor:ended", () => {
    announce("The session has ended.");
    page.refresh();
  });
  page.looked.then(() => banner.addEventListener("autodoctor:change", () => ["", "#queue"].includes(location.hash) && page.refresh()));
  every(30, () => ["", "#queue", "#quotes"].includes(location.hash) && page.refresh());
}
