/** The session's page, for its customer and its mechanic: waiting, connecting, talking and the outcome are one page. */

import { Call } from "../call/call.js";
import { get, post } from "../api/api.js";
import { homeOf, signedIn, signIn } from "../api/auth.js";
import { announce, el, every, fill, keepFocus } from "../lib/dom.js";
import { Feed } from "../api/feed.js";
import { frame } from "../lib/frame.js";
import { tabsOf } from "../lib/places.js";
import { failed } from "../lib/shell.js";
import { sureToEnd, sureToMove } from "../session/ending.js";
import { fillIn } from "../intake/intake.js";
import { Notes } from "../session/notes.js";
import { notYours } from "../session/not-yours.js";
import { askedNumber } from "../session/number.js";
import { side } from "../session/side.js";
import { stage, stageOf, tick } from "../session/stage.js";
import { strip } from "../room/strip.js";
import { overlap } from "../session/overlap.js";
import { Talk } from "../room/talk.js";
import { fit } from "../lib/viewport.js";

const SESSION = location.pathname.match(/([0-9a-f-]{36})$/)?.[1];
const REFRESH_SECONDS = 30; // while the feed cannot connect, and after the end, when notes and settlement are to come
const CALM_SECONDS = 120; // while the feed is open, which says what changes, but for quotes and calls
const SIGN_SECONDS = 40; // who is silent for 90 s is not there any more
const TOGETHER_MS = 100; // pushes of one moment lead to one fetch
const SETTLED_MS = 10 * 60_000; // after the end: by then it is settled, and can be contested
const FEED_MS = 1000; // the longest that the first look waits for the feed
const NOTES_MS = 20 * 60_000; // after the end: by then they are there, or there are none

const who = signedIn();
const isMechanic = who?.groups.includes("mechanics") ?? false;
const isParty = isMechanic || !who?.groups.includes("admins");
const main = document.getElementById("main");
const kept = (name) => {
  const key = `autodoctor.${name}.${SESSION}`;
  return { read: () => sessionStorage.getItem(key) ?? "", write: (text) => (text ? sessionStorage.setItem(key, text) : sessionStorage.removeItem(key)) };
};
const front = el("div.front", {});
const aside = el("aside.side", { "aria-label": "About this session", id: "side" });
const parts = { stage: el("section.stage", { "aria-label": "Session" }), side: el("div", {}) };
let feed;
let talk;
let notes;
let calling;
let shown = null; // the session as it was answered last
let quotes = [];
let contest = null; // of a session that is over
let fetchedAt = 0;
let written = {}; // what the parts were built from: the same is not built again
let soon = null; // the promise of the next fetch
let underWay = null; // the promise of the newest one that has begun
let turns = 0; // the number of fetches so far

/** Fetches the session and shows it; the pushes of one moment lead to one fetch. */
function refresh() {
  soon ??= new Promise((resolve) => {
    setTimeout(() => {
      soon = null;
      resolve((underWay = fetched()));
    }, TOGETHER_MS);
  });
  return soon;
}

async function fetched() {
  const turn = ++turns;
  try {
    const session = await get(`/api/sessions/${SESSION}`);
    const { quotes: found } = session.quoteCount > 0 ? await get(`/api/sessions/${SESSION}/quotes`) : { quotes: [] };
    const made = session.endedAt && session.funding !== "free" ? await get(`/api/sessions/${SESSION}/contest`) : null;
    if (turn !== turns) return; // a newer one has begun; answers may overtake each other
    contest = made;
    [shown, quotes, fetchedAt] = [session, found, Date.now()];
    await show();
  } catch (problem) {
    if (!shown && turn === turns) await fill(main, problem.status === 404 ? notYours() : failed(problem, refresh)); // else what is shown stays
  }
}

async function show() {
  const name = stageOf(shown);
  document.body.dataset.stage = name;
  const read = keepFocus(() => talk.show(shown, name));
  if (name === "over" && !main.contains(front)) {
    await read; // what was said stands above the rest, which it would push down
    talk.show(shown, name);
  }
  if (!main.contains(front)) build();
  calling.show(shown, name, isMechanic);
  keepFocus(() => {
    notes.show(shown);
    if (name === "over" && notes.element.nextSibling !== talk.element) talk.element.before(notes.element); // perhaps while they are typed
  });
  await Promise.all([
    part("stage", [{ ...shown, waiting: null, evidence: null }, present(), contest], () => stage(shown, reader(), acts)).then(passing), // at once: its lines would push the talk down
    part("side", [shown.concern, shown.status, shown.timeline, shown.mechanicNotes, quotes], () => side(shown, quotes, isMechanic, refresh)),
  ]);
  title();
}

async function part(name, madeOf, contents) {
  const key = JSON.stringify(madeOf);
  if (written[name] === key && name !== "side") return;
  if (written[name] === key && !parts.side.querySelector("#hand-over[open]")) return; // its form loads by being built again
  written[name] = key;
  await fill(parts[name], contents());
}

function build() {
  const toggle = el("button.toggle", { type: "button", "aria-expanded": "false", "aria-controls": "side" }, "Details");
  toggle.addEventListener("click", () => {
    const open = main.toggleAttribute("data-side");
    toggle.ariaExpanded = String(open);
    toggle.textContent = open ? "Back to the talk" : "Details";
  });
  document.getElementById("sign-out").before(toggle);
  front.append(strip(feed), parts.stage, ...(isParty ? [calling.element] : []), talk.element);
  aside.append(notes.element, parts.side);
  main.replaceChildren(front, aside);
}

const reader = () => ({ isMechanic, contest, present: present(), together: together(), spoken: spoken() });

/** Seconds that count so far: what the server measured, and what has passed since while both were here. */
function together() {
  const { evidence, status, startedAt } = shown;
  if (!startedAt || !spoken()) return 0;
  const measured = evidence ? evidence.togetherSeconds || overlap(evidence.intervals, fetchedAt) : (fetchedAt - new Date(startedAt)) / 1000;
  return measured + (status === "live" && present().customer && present().mechanic ? (Date.now() - fetchedAt) / 1000 : 0);
}

/** Who is here: as the feed says, or else as the session was answered. */
function present() {
  return talk.room.present ?? Object.fromEntries(shown.participants.map(({ role, present: here }) => [role, here]));
}

function spoken() {
  return shown.evidence?.togetherSeconds > 0 || shown.evidence?.class === "claimed" || ["customer", "mechanic"].every((role) => talk.room.hasSpoken(role));
}

/** Whether nothing more can come: it is over, no quote or contest is open, and notes and settlement are there. */
function isSettled() {
  if (!shown?.endedAt) return false;
  const awaitsNotes = shown.reason === "billable" && !shown.mechanicNotes && Date.now() - new Date(shown.endedAt) < NOTES_MS;
  const awaitsSettlement = shown.funding !== "free" && !contest?.openUntil && !contest?.contest && Date.now() - new Date(shown.endedAt) < SETTLED_MS;
  const awaitsDecision = contest?.contest && !contest.contest.outcome;
  return !awaitsNotes && !awaitsSettlement && !awaitsDecision && !quotes.some(isOpen);
}

const isOpen = ({ status }) => ["requested", "given"].includes(status);

/** Whether the feed would have said what has changed since the last look; it says nothing of quotes, and not who is in a call. */
function isFresh() {
  return feed.isOpen && shown && !shown.endedAt && !calling.hasBegun && !quotes.some(isOpen) && Date.now() - fetchedAt < CALM_SECONDS * 1000;
}

function passing() {
  if (shown) tick(shown, reader(), acts);
}

function title() {
  const words = { live: shown.counterpartName, connecting: `${shown.counterpartName} accepted`, over: "Session over", booked: "Booked" }[stageOf(shown)] ?? "Waiting";
  document.title = `${talk.unread ? `(${talk.unread}) ` : ""}${isMechanic && !shown.endedAt ? shown.counterpartName : words} – AutoDoctor`;
}

const acts = {
  party: isParty,
  refresh,
  async end() {
    if (!(await sureToEnd(shown, isMechanic, together(), spoken()))) return;
    await notes.save(); // what was typed in the last second
    const { alreadyEnded } = await post(`/api/sessions/${SESSION}/end`);
    announce(alreadyEnded ? "It had ended already." : "The session has ended.");
    await underWay; // the push may have been quicker than the answer
    if (!shown.endedAt) await refresh();
  },
  async release() {
    await post(`/api/sessions/${SESSION}/release`);
    location.assign(homeOf(who.groups));
  },
  async replace() {
    try {
      await post(`/api/sessions/${SESSION}/replace`);
      announce("You are back in line, at your old place.");
    } finally {
      await refresh(); // a refusal, too, says that something has changed
    }
  },
  async again() {
    fillIn(shown);
    location.assign("/console/customer.html#now");
  },
  async later() {
    if (!(await sureToMove(shown))) return;
    await post(`/api/sessions/${SESSION}/end`);
    fillIn(shown);
    location.assign("/console/customer.html#now?later");
  },
  async number() {
    const number = await askedNumber();
    if (!number) return;
    talk.say(`Please call me on ${number} when you can take this.`);
    announce("The mechanic who accepts reads it first.");
  },
};

function start() {
  feed = new Feed({ sign: () => talk.sign(), signSeconds: SIGN_SECONDS });
  notes = new Notes(SESSION, kept("notes"));
  talk = new Talk({ sessionId: SESSION, feed, mine: isMechanic ? "mechanic" : "customer", isParty, kept });
  calling = new Call({ sessionId: SESSION, take: (files) => talk.take(files), kept: kept("calling") });
  for (const event of ["present", "unread"]) talk.addEventListener(event, () => shown && show());
  feed.addEventListener("message", ({ detail }) => detail.payload?.sessionId === SESSION && talk.isNews(detail) && pushed(detail));
  feed.addEventListener("message", ({ detail }) => noteOf(detail).startsWith("extension") && refresh()); // what can be done about minutes has changed
  feed.addEventListener("message", ({ detail }) => noteOf(detail) === "call_began" && calling.begun());
  feed.addEventListener("resync", refresh);
  feed.addEventListener("state", ({ detail }) => (detail === "open" || !shown) && refresh());
  addEventListener("online", refresh);
  feed.open();
  // the feed first: what happens between a look and the feed's opening would not be said by either
  const first = setTimeout(() => shown || refresh(), FEED_MS);
  feed.addEventListener("state", () => clearTimeout(first), { once: true });
  every(REFRESH_SECONDS, () => fetchedAt === 0 || isSettled() || isFresh() || refresh());
  setInterval(passing, 1000);
  fit();
}

function pushed({ type, payload }) {
  if (type !== "waiting_updated") return isKnown(payload) || refresh();
  if (!shown?.waiting) return shown && refresh(); // the first look says it, too
  const { position, mechanicsAvailable, estimatedWaitSeconds } = payload;
  Object.assign(shown.waiting, { position, mechanicsAvailable, estimatedWaitSeconds });
  return passing();
}

/** Whether a push says what is shown already: from the accept on, nothing but the state changes. */
function isKnown({ status }) {
  return status === shown?.status && !["scheduled", "pending"].includes(status);
}

/** What a message of the system is about. */
function noteOf({ type, sessionId, message }) {
  return type === "message" && sessionId === SESSION ? (message?.note ?? "") : "";
}

frame();
if (!who) signIn();
else if (!SESSION) location.replace(homeOf(who.groups));
else {
  tabsOf(who.groups);
  start();
}
