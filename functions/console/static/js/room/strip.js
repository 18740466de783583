/** A strip that says that the connection is lost, and what happens to what is written meanwhile. */

import { announce, el } from "../lib/dom.js";

const PATIENCE_MS = 1500; // a connection that comes back within it was not worth a word
const KEPT = "What you write is kept, and sent when you are back.";

/** @param {Feed} feed whose state it shows */
export function strip(feed) {
  const words = el("span", { role: "status" });
  const seconds = el("span", { "aria-hidden": "true" });
  const element = el("p.strip", { hidden: true }, words, seconds);
  let timer = null;
  let shown = false;

  const show = () => {
    shown = true;
    element.hidden = false;
    words.textContent = `${navigator.onLine ? "Connection lost." : "You are offline."} ${KEPT}`;
    const left = feed.retryAt ? Math.max(0, Math.ceil((feed.retryAt - Date.now()) / 1000)) : 0;
    seconds.textContent = left && navigator.onLine ? ` Trying again in ${left} s.` : "";
    timer = setTimeout(show, 1000);
  };
  const lost = () => {
    timer ??= setTimeout(show, navigator.onLine ? PATIENCE_MS : 0);
  };
  const back = () => {
    clearTimeout(timer);
    timer = null;
    if (shown) announce("Connected again.");
    shown = false;
    element.hidden = true;
    words.textContent = ""; // said anew the next time
  };
  feed.addEventListener("state", ({ detail }) => (detail === "open" ? back() : lost()));
  return element;
}
