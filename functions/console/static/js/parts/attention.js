/** Calls a mechanic whose page is open: a sound, the title, the icon and a word for screen readers, until they look. */

import { chime } from "../lib/chime.js";
import { announce, el } from "../lib/dom.js";

const AGAIN_SECONDS = 10;
const GONE = ["assignment_accepted", "assignment_cancelled", "assignment_expired"];

const waiting = new Map(); // the requests that the queue shows, by assignment
let unseen = false;
let timer = null;

/** Hears of requests by the feed, whatever the page shows. */
export function attend(feed) {
  feed.addEventListener("message", ({ detail: { type, payload } }) => {
    if (type === "new_assignment") arrived(payload);
    if (GONE.includes(type)) gone(payload.assignmentId);
  });
  for (const sign of ["pointerdown", "keydown", "pointermove"]) addEventListener(sign, seen, { passive: true });
  document.addEventListener("visibilitychange", () => document.hidden || seen());
}

/** Takes the queue as it was fetched: what is new in it is called, but for the first time that the page is shown. */
export function queueIs(assignments) {
  const first = !document.documentElement.dataset.waiting;
  for (const id of [...waiting.keys()]) if (!assignments.some(({ assignmentId }) => assignmentId === id)) waiting.delete(id);
  for (const each of assignments) {
    if (first) waiting.set(each.assignmentId, each);
    else arrived(each);
  }
  show();
}

/** What stands before a page's title. */
export function counted() {
  return waiting.size ? `(${waiting.size}) ` : "";
}

function arrived(request) {
  if (waiting.has(request.assignmentId)) return;
  waiting.set(request.assignmentId, request);
  announce(`New request: ${request.vehicleSummary}${request.urgent ? ", urgent" : ""}`);
  show();
  unseen = true;
  ring();
}

function gone(assignmentId) {
  waiting.delete(assignmentId);
  show();
}

function ring() {
  clearTimeout(timer);
  if (!unseen || !waiting.size) return;
  chime();
  timer = setTimeout(ring, AGAIN_SECONDS * 1000);
}

function seen() {
  unseen = false;
  clearTimeout(timer);
}

function show() {
  document.documentElement.dataset.waiting = waiting.size;
  document.title = counted() + document.title.replace(/^\(\d+\) /, "");
  const icon = document.querySelector("link[rel=icon]");
  const shown = waiting.size ? `data:image/svg+xml,${encodeURIComponent(badge(Math.min(waiting.size, 99)))}` : "/console/icon.svg";
  if (icon.getAttribute("href") !== shown) icon.replaceWith(el("link", { rel: "icon", type: "image/svg+xml", href: shown }));
}

function badge(number) {
  return (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0a5c66"/>' +
    '<circle cx="16" cy="16" r="13" fill="#c62828"/>' +
    `<text x="16" y="22" font-family="sans-serif" font-size="17" font-weight="bold" text-anchor="middle" fill="#fff">${number}</text></svg>`
  );
}
