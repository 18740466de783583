/** The common parts of a signed-in person's pages: tabs by the address's hash, the banner, one feed, visible errors. */

import { required, signedIn, signOut } from "./auth.js";
import { announce, el, every, fill, ready } from "./dom.js";
import { Feed } from "./feed.js";
import { keepBeingCalled, leave } from "./push.js";

const LOOK_AGAIN_SECONDS = 15;

/**
 * Starts a page.
 * @param {string} group the group that may see the page; others are sent away
 * @param {Object<string, {title: string, hidden?: boolean, show: function(URLSearchParams): Promise<*>}>} tabs by the hash
 *   before its "?"; `show` gets the rest. The first is the default. A hidden tab has no heading, only links to it; it
 *   shows one object, and is refreshed now and then while it is visible
 * @returns {{who: Object, feed: Feed, refresh: function(): Promise<void>}|null} null while the reader is sent elsewhere
 */
export function start(group, tabs) {
  const who = required(group);
  if (!who) return null;
  const main = document.getElementById("main");
  const banner = document.querySelector("active-session-banner");
  const feed = new Feed();
  let showing = 0;

  const chosen = () => {
    const [asked, query] = location.hash.slice(1).split("?");
    return [tabs[asked] ? asked : Object.keys(tabs)[0], query];
  };
  const refresh = async () => {
    const turn = ++showing;
    const [name, query] = chosen();
    mark(tabs, name);
    try {
      const content = await tabs[name].show(new URLSearchParams(query));
      if (turn === showing && content) await fill(main, content);
    } catch (error) {
      if (turn === showing) await fill(main, failed(error, refresh));
    }
  };

  ready("sign-out", () => leave(signOut));
  keepBeingCalled().catch(() => {}); // the settings page says what is the matter
  addEventListener("hashchange", () => refresh().then(() => main.focus()));
  feed.addEventListener("message", () => {
    banner?.refresh();
    refresh();
  });
  feed.addEventListener("resync", refresh);
  feed.addEventListener("state", ({ detail }) => document.body.toggleAttribute("data-offline", detail === "lost"));
  if (banner) banner.token = () => signedIn()?.token;
  feed.open();
  queueMicrotask(refresh); // tabs may use what is returned here
  every(LOOK_AGAIN_SECONDS, () => showing > 0 && tabs[chosen()[0]].hidden && refresh());
  return { who, feed, refresh };
}

/** Shows a failure in place of the content, with a way to try again. */
export function failed(error, again) {
  return el(
    "section.card",
    { role: "alert" },
    el("h1", {}, "That did not work"),
    el("p", {}, error.message),
    error.requestId && el("p.quiet", {}, `Request ${error.requestId}`),
    again && el("button", { type: "button", onclick: again }, "Try again"),
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
  control.ariaDisabled = "true";
  try {
    await work();
  } catch (error) {
    announce(error.message, "error");
  } finally {
    control.ariaDisabled = null;
  }
}

function mark(tabs, current) {
  const links = Object.entries(tabs)
    .filter(([, { hidden }]) => !hidden)
    .map(([name, { title }]) => el("a", { href: `#${name}`, "aria-current": name === current ? "page" : null }, title));
  document.getElementById("tabs").replaceChildren(...links);
  const counted = document.title.match(/^\(\d+\) /)?.[0] ?? "";
  document.title = `${counted}${tabs[current].title} – AutoDoctor`;
}
