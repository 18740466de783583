/** The session's page, for its customer and its mechanic: join, talk, end, and the outcome. */

import { get, post } from "../lib/api.js";
import { homeOf, signedIn, signIn, signOut } from "../lib/auth.js";
import { announce, duration, el, every, fill, head, money, pill, ready, time } from "../lib/dom.js";
import { sureToEnd } from "../parts/ending.js";
import { Feed } from "../lib/feed.js";
import { field } from "../lib/form.js";
import { handOver } from "../parts/quoting.js";
import { action, failed } from "../lib/shell.js";

const REASONS = {
  billable: "Completed.",
  too_short: "It was too short to count. Nothing is charged.",
  no_show: "One of you did not join. Nothing is charged.",
  withdrawn: "It was cancelled before a mechanic accepted it. Nothing is charged.",
  expired: "No mechanic could take it in time. Nothing is charged.",
};
const SESSION = location.pathname.match(/([0-9a-f-]{36})$/)?.[1];
const JOINED = "autodoctor.joined"; // the session that this tab has joined: after a reload or a lost connection, it joins again
const NOTES = `autodoctor.notes.${SESSION}`;
const REFRESH_SECONDS = 30; // also when the feed cannot connect
const who = signedIn();
const isMechanic = who?.groups.includes("mechanics") ?? false;
const main = document.getElementById("main");
const feed = new Feed();
let turns = 0; // the number of refreshes so far
let shown = null;
let undecided = false; // whether a quote may still change
let clock = null;

async function refresh() {
  const turn = ++turns;
  try {
    const [session, { quotes }] = await Promise.all([get(`/api/sessions/${SESSION}`), get(`/api/sessions/${SESSION}/quotes`)]);
    if (turn !== turns) return; // a newer refresh has begun; answers may overtake each other
    shown = session;
    undecided = quotes.some(({ status }) => ["requested", "given"].includes(status));
    await fill(main, view(session, quotes));
    tick();
  } catch (error) {
    if (turn === turns) await fill(main, failed(error, refresh));
  }
}

function view(session, quotes) {
  const over = session.endedAt !== null;
  return [
    el("h1", {}, over ? "Session over" : `${isMechanic ? "Helping" : "Talking to"} ${session.counterpartName ?? "your mechanic"}`),
    el("p.row", {}, pill(session.status), el("span.quiet", {}, `${session.sessionType} · ${session.plan}`)),
    over ? outcome(session) : live(session),
    el("section.card", {}, el("h2", {}, "The problem"), el("p", {}, session.concern), el("p.quiet", {}, ["year", "make", "model", "vin"].map((name) => session.vehicle[name]).filter(Boolean).join(" "))),
    ...quotes.map(quoteCard),
    isMechanic && handOver(session, quotes, refresh),
    el("details.card", {}, el("summary", {}, "What happened when"), timeline(session.timeline)),
    el("p", {}, el("a", { href: homeOf(who.groups) }, "Back")),
  ];
}

function live(session) {
  const mine = session.participants.find((each) => each.role === (isMechanic ? "mechanic" : "customer"));
  const other = session.participants.find((each) => each !== mine);
  const join = action("Join", () => joined(), { kind: "primary", id: "join" });
  const leave = action("Leave for a moment", () => presence("leave"), { id: "leave" });
  const end = action("End session", () => ended(), { kind: "danger", id: "end", "aria-haspopup": "dialog" });
  const release = action("Give it back", () => presence("release").then(() => location.assign(homeOf(who.groups))), { id: "release" });
  const here = (each) => (each ? `${each.name}: ${each.present ? "here" : "not here yet"}` : "Nobody else yet");
  return el(
    "section.card",
    {},
    el("p.big.number", { id: "timer", role: "timer" }, session.startedAt ? "" : "Not started yet"),
    el("p", { role: "status" }, here(other)),
    isMechanic && field("notes", "Notes for the customer", { tag: "textarea", maxlength: 4000, hint: "They are in the summary the customer gets.", oninput: ({ target }) => sessionStorage.setItem(NOTES, target.value) }, sessionStorage.getItem(NOTES)),
    el("p.row", {}, mine?.present ? leave : join, end, isMechanic && session.status === "waiting" && release),
  );
}

function outcome(session) {
  return el(
    "section.card",
    { role: "status" },
    el("p.big.number", { id: "outcome" }, session.durationSeconds === null ? "–" : duration(session.durationSeconds)),
    el("p", {}, REASONS[session.reason] ?? session.reason),
    session.mechanicNotes && el("blockquote", {}, session.mechanicNotes),
  );
}

function quoteCard(quote) {
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
  const rows = events.map((each) => el("tr", {}, el("td", {}, time(each.at)), el("td", {}, each.event), el("td.quiet", {}, each.actor)));
  return el("div.scroll", {}, el("table", {}, head("When", "What", "By"), el("tbody", {}, rows)));
}

async function joined() {
  // named, so that the end of this page's connection counts as leaving
  await post(`/api/sessions/${SESSION}/join`, feed.connectionId ? { connectionId: feed.connectionId } : {});
  sessionStorage.setItem(JOINED, SESSION);
  await refresh();
}

/** The end of an earlier connection counted as leaving; a party who had joined joins again without being asked. */
async function rejoined() {
  if (sessionStorage.getItem(JOINED) !== SESSION) return;
  await joined().catch(() => {
    sessionStorage.removeItem(JOINED);
    return refresh();
  });
}

async function presence(verb) {
  sessionStorage.removeItem(JOINED);
  await post(`/api/sessions/${SESSION}/${verb}`);
  await refresh();
}

async function ended() {
  if (!(await sureToEnd(shown, isMechanic))) return;
  const notes = document.getElementById("field-notes")?.value.trim();
  const { alreadyEnded } = await post(`/api/sessions/${SESSION}/end`, notes ? { mechanicNotes: notes } : {});
  sessionStorage.removeItem(JOINED);
  sessionStorage.removeItem(NOTES);
  announce(alreadyEnded ? "It had ended already." : "The session has ended.");
  await refresh();
}

function tick() {
  clearInterval(clock);
  const timer = document.getElementById("timer");
  if (!timer || !shown?.startedAt) return;
  const show = () => {
    timer.textContent = duration((Date.now() - new Date(shown.startedAt)) / 1000);
  };
  show();
  clock = setInterval(show, 1000);
}

ready("sign-out", signOut);
if (!who) signIn();
else if (!SESSION) location.replace(homeOf(who.groups));
else {
  feed.addEventListener("message", ({ detail }) => detail.payload?.sessionId === SESSION && refresh());
  feed.addEventListener("resync", refresh);
  feed.addEventListener("connected", rejoined);
  feed.open();
  every(REFRESH_SECONDS, () => (shown?.endedAt && !undecided) || refresh());
}
