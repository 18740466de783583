/** The common parts of a signed-in person's pages: tabs by the address's hash, the banner, one feed, visible errors. */

import { get } from "../api/api.js";
import { bearer, required } from "../api/auth.js";
import { activeSession, burst } from "../api/burst.js";
import { skeleton } from "./components.js";
import { announce, el, every, fill, time } from "./dom.js";
import { Feed } from "../api/feed.js";
import { frame } from "./frame.js";
import { isLeaving } from "./places.js";
import { keepBeingCalled } from "../api/push.js";

const LOOK_AGAIN_SECONDS = 15;
const QUEUE = /assignment/; // pushes about the queue; the others are about a session of the reader's
const LOOKING_MS = 5000; // that a page waits for its banner, at most
const PATIENT_MS = 150; // a tab that takes longer shows that it is being fetched

/**
 * Starts a page.
 * @param {string} group the group that may see the page; others are sent away
 * @param {Object<string, {title: string, hidden?: boolean, queue?: boolean, show: function(URLSearchParams, boolean): Promise<*>}>}
 *   tabs by the hash before its "?"; `show` gets the rest, and whether a push is why it is shown. The first is the default.
 *   A queue tab follows the pushes about the queue, the others those about the reader's sessions. A hidden tab has no heading, only links to it; it
 *   shows one object, and is refreshed now and then while it is visible
 * @returns {{who: Object, feed: Feed, refresh: function(): Promise<void>, looked: Promise<void>}|null} null while the
 *   reader is sent elsewhere; `looked` resolves once the banner knows the active session, or takes too long
 */
export function start(group, tabs) {
  const who = required(group);
  if (!who) return null;
  const main = document.getElementById("main");
  const banner = document.querySelector("active-session-banner");
  const feed = new Feed();
  let showing = 0;
  let shown = null; // the tab whose content stands there; "" for none

  const chosen = () => {
    const [asked, query] = location.hash.slice(1).split("?");
    return [tabs[asked] ? asked : Object.keys(tabs)[0], query];
  };
  const put = (content) => {
    if (banner?.hidden) together(banner, main);
    return fill(main, content);
  };
  const refresh = async ({ pushed: isPushed = false } = {}) => {
    if (isLeaving()) return;
    const turn = ++showing;
    const [name, query] = chosen();
    const anew = shown !== null && shown !== name;
    mark(tabs, name);
    const slow = anew && setTimeout(() => turn === showing && main.replaceChildren(skeleton()), PATIENT_MS);
    try {
      const [content] = await Promise.all([tabs[name].show(new URLSearchParams(query), isPushed), looked]);
      if (turn !== showing || !content) return;
      await put(content);
      if (shown !== name) arrive(main);
      shown = name;
    } catch (error) {
      if (turn !== showing || (shown === name && error.status === 0)) return; // without a network, what is there stays
      await put(failed(error, () => refresh()));
      shown = "";
    } finally {
      clearTimeout(slow);
    }
  };

  frame();
  keepBeingCalled().catch(() => {}); // the settings page says what is the matter
  addEventListener("hashchange", () => refresh().then(() => focusFromTheTop(main)));
  const pushed = burst((types) => {
    if (isLeaving()) return;
    const ofSession = types.some((type) => !QUEUE.test(type));
    if (banner && ofSession) activeSession(banner.getAttribute("user")).then(({ session }) => banner.show(session), () => {});
    const { queue = false } = tabs[chosen()[0]];
    if (queue ? types.some((type) => QUEUE.test(type)) : ofSession) refresh({ pushed: true });
  });
  feed.addEventListener("message", ({ detail }) => pushed(detail.type));
  feed.addEventListener("resync", () => refresh());
  addEventListener("online", () => shown === "" && refresh()); // what could not be shown is tried again by itself
  feed.addEventListener("state", ({ detail }) => document.body.toggleAttribute("data-offline", detail === "lost"));
  const looked = new Promise((resolve) => {
    for (const name of ["ready", "loaderror"]) banner?.addEventListener(`autodoctor:${name}`, () => resolve(), { once: true });
    setTimeout(resolve, banner ? LOOKING_MS : 0);
  });
  if (banner) {
    banner.hidden = true; // until the content comes: it would push the skeleton down
    banner.token = bearer;
    banner.addEventListener("autodoctor:change", ({ detail }) => detail.session || document.activeElement !== banner || main.focus());
  }
  feed.open();
  queueMicrotask(refresh); // tabs may use what is returned here
  every(LOOK_AGAIN_SECONDS, () => showing > 0 && tabs[chosen()[0]].hidden && refresh());
  return { who, feed, refresh, looked };
}

/** Shows the banner with the first content below it, which takes its place anew: nothing that was seen is pushed down. */
function together(banner, main) {
  const focused = main.contains(document.activeElement) ? document.activeElement : null; // moving it takes the focus
  banner.hidden = false;
  banner.after(main);
  focused?.focus({ preventScroll: true });
}

/** Another tab is read from its top, the banner included. */
function focusFromTheTop(main) {
  main.focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

/** What has come in place of something else moves in. */
function arrive(element) {
  element.classList.add("arrives");
  element.addEventListener("animationend", () => element.classList.remove("arrives"), { once: true });
}

/** Shows a failure in place of the content, with a way to try again. */
export function failed(error, again) {
  if (error.slug === "mechanic-not-active") return suspended();
  return el(
    "section.card",
    { role: "alert" },
    el("h1", {}, "That did not work"),
    el("p", {}, error.message),
    error.requestId && el("p.quiet", {}, `Request ${error.requestId}`),
    again && el("button", { type: "button", onclick: again }, "Try again"),
  );
}

/** What a mechanic sees who is not active, with the reason as soon as it is known: trying again would not help. */
function suspended() {
  const why = el("div", { id: "why" });
  get("/api/mechanic/earnings?limit=1").then(
    ({ suspension }) => {
      if (!suspension) return;
      why.append(...[suspension.since && el("p.quiet", {}, `Since ${time(suspension.since)}`), suspension.reason && el("blockquote.notes", {}, suspension.reason)].filter(Boolean));
    },
    () => {}, // the page says the rest without it
  );
  return el(
    "section.card",
    { role: "alert" },
    el("h1", {}, "Your account is suspended"),
    why,
    el("p", {}, "You get no requests at the moment. A session that you are in can still be finished. What you have earned stays yours, and is sent when the suspension ends."),
    el("p", {}, "Write to us if you do not know why, or think that it is a mistake."),
    el("p.row", {}, el("a.button", { href: "#messages" }, "Your messages"), el("a.button", { href: "#sessions" }, "Your sessions"), el("a.button", { href: "#earnings" }, "Your earnings")),
  );
}

/** A button that runs its work at most once at a time, and announces a failure. */
export function action(label, work, attributes = {}) {
  const { kind, ...rest } = attributes;
  const button = el(kind ? `button.${kind}` : "button", { type: "button", ...rest }, label);
  button.addEventListener("click", () => busy(button, work));
  return button;
}

/** Runs something while a control ignores further clicks; it is not disabled, which would take the focus from it. */
export async function busy(control, work) {
  if (control.ariaDisabled === "true") return;
  control.ariaDisabled = control.ariaBusy = "true";
  try {
    await work();
  } catch (error) {
    announce(error.message, "error");
  } finally {
    control.ariaDisabled = control.ariaBusy = null;
  }
}

let marked = null;

function mark(tabs, current) {
  const bar = document.getElementById("tabs");
  if (marked === null) bar.replaceChildren(...Object.entries(tabs).filter(([, { hidden }]) => !hidden).map(([name, { title }]) => el("a", { href: `#${name}` }, title)));
  for (const link of bar.children) link.ariaCurrent = link.hash === `#${current}` ? "page" : null;
  const at = [...bar.children].find(({ ariaCurrent }) => ariaCurrent);
  if (at && current !== marked) bar.scrollLeft = at.offsetLeft + at.offsetWidth - bar.offsetLeft - bar.clientWidth; // where not all fit
  marked = current;
  const counted = document.title.match(/^\(\d+\) /)?.[0] ?? "";
  document.title = `${counted}${tabs[current].title} – AutoDoctor`;
}
