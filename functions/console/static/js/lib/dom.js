/** Builds pages: elements, text that cannot become markup, times and money in the reader's format, announcements. */

import { stateWords, toneOf } from "./states.js";

/**
 * An element with attributes and children.
 * @param {string} name tag, with classes after dots: "p.note"
 * @param {Object<string, *>} [attributes] `onclick` and the like are listeners; false, null and undefined are left out
 * @param {...(Node|string|number|null|false|undefined)} children text is never markup
 */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list" && key !== "form" && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let pressed = null; // the press that lasts, with what it is on: replaced before the release, that would lose its click
const postponed = new Map(); // postponed replacements, by the element to be filled

addEventListener("pointerdown", ({ isPrimary, button, target }) => (pressed = isPrimary && button === 0 ? { target } : null), true);
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, letGo, true);
addEventListener("blur", letGo); // of the window

function letGo() {
  const released = pressed;
  setTimeout(() => {
    if (pressed !== released) return; // pressed again meanwhile: the end of that press does it
    pressed = null;
    const left = [...postponed.values()];
    postponed.clear();
    for (const work of left) work(true);
  }); // after the click that this event may cause
}

/**
 * Replaces an element's contents, and keeps the reader's state: focus, typed text, opened details, scrolled tables, and
 * the errors at fields. If the focused element has disappeared, the nearest container that can have the focus gets it.
 * @returns {Promise<void>} resolved when done or superseded: a call waits while a pointer is pressed on the element
 */
export function fill(element, ...children) {
  if (!pressed || !element.contains(pressed.target)) return Promise.resolve(replace(element, children));
  return new Promise((resolve) => {
    postponed.get(element)?.(false);
    postponed.set(element, (really) => resolve(really && replace(element, children)));
  });
}

function replace(element, children) {
  const hadFocus = element !== document.activeElement && element.contains(document.activeElement);
  const kept = KINDS.map(([selector, restorer]) => [selector, keyed(element, selector).map(([key, each]) => [key, restorer(each)])]);
  element.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  for (const [selector, states] of kept) {
    const found = new Map(keyed(element, selector));
    for (const [key, restore] of states) if (restore && found.has(key)) restore(found.get(key));
  }
  if (hadFocus && !element.contains(document.activeElement)) element.closest("[tabindex]")?.focus({ preventScroll: true });
}

/** Elements with a state of the reader's, and for each a function that restores it in another one; none if unchanged. */
const KINDS = [
  ["details", ({ open }) => (each) => (each.open = open)],
  [".scroll", ({ scrollLeft, tabIndex }) => (each) => Object.assign(each, { scrollLeft, tabIndex })],
  ["input:not([type=checkbox], [type=radio]), textarea", ({ value, defaultValue }) => value !== defaultValue && ((each) => (each.value = value))],
  [".field-error", ({ hidden, textContent }) => !hidden && ((each) => Object.assign(each, { hidden, textContent }))],
  ["input, select, textarea", ({ ariaInvalid }) => ariaInvalid && ((each) => (each.ariaInvalid = ariaInvalid))],
  ["a, button, input, select, textarea, summary, .scroll", (old) => old === document.activeElement && ((each) => refocus(each, old))],
];

function refocus(element, { selectionStart, selectionEnd }) {
  element.focus({ preventScroll: true });
  if (typeof selectionStart === "number") element.setSelectionRange(selectionStart, selectionEnd);
}

/**
 * Does something that may hide, move or disable what has the focus: that keeps it where it can, else another gets it.
 * @param {function(): *} work done at once
 * @param {Element} [next] gets the focus then; by default the nearest container that can have it
 * @returns {*} what `work` returns
 */
export function keepFocus(work, next) {
  const held = document.activeElement;
  const { selectionStart, selectionEnd } = held ?? {};
  const around = held?.parentElement?.closest("[tabindex]");
  const result = work();
  if (!held || held === document.body) return result;
  const heir = [held, next, around].find((each) => each?.isConnected && each.checkVisibility() && !each.matches(":disabled"));
  if (heir && heir !== document.activeElement) refocus(heir, heir === held ? { selectionStart, selectionEnd } : {});
  return result;
}

/** Elements by a key that survives a rebuild of the page: the id or the text, and a number among equal ones. */
function keyed(root, selector) {
  const seen = new Map();
  return [...root.querySelectorAll(selector)].map((element) => {
    const known = knownBy(element);
    seen.set(known, (seen.get(known) ?? 0) + 1);
    return [`${known} ${seen.get(known)}`, element];
  });
}

function knownBy(element) {
  if (element.id) return `#${element.id}`;
  if (element.matches(".scroll")) return "scroll";
  if (element.href) return element.getAttribute("href").replace(/from=[^&]*/, ""); // it changes with time
  return [element.tagName, element.name, element.ariaLabel ?? (element.querySelector("summary") ?? element).textContent].join(" ");
}

/** Gives a button of the page's HTML its work; until then it is disabled, so that no click is lost. */
export function ready(id, work) {
  const button = document.getElementById(id);
  button.addEventListener("click", work);
  button.disabled = false;
}

/** Announces a text to screen readers, and shows it for a while at the foot of the page. */
export function announce(text, kind = "info") {
  const region = document.getElementById("announcements");
  for (const each of [...region.children]) if (each.textContent === text) each.remove();
  const line = el(`p.${kind}`, {}, text);
  region.append(line);
  setTimeout(() => line.remove(), 8000);
}

/** A price in cents as money, in the reader's format. */
export function money(cents, currency = "usd") {
  return new Intl.NumberFormat(undefined, { style: "currency", currency: currency.toUpperCase() }).format(cents / 100);
}

/** An instant (ISO 8601) as the reader's local date and time. */
export function time(instant) {
  if (!instant) return "–";
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));
}

/** An instant as the reader's local time, with its date only where that is not today's. */
export function moment(instant) {
  const at = new Date(instant);
  if (!instant || at.toDateString() !== new Date().toDateString()) return time(instant);
  return new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(at);
}

/** Seconds as 1:05 or 1:02:03. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** A state as a pill, in people's words. */
export function pill(status) {
  return el("span.pill", { "data-status": status, "data-tone": toneOf(status) }, stateWords(status));
}

/** A table's head of column titles; a title in brackets is only for screen readers. */
export function head(...titles) {
  const shown = (title) => (title.startsWith("(") ? el("span.unseen", {}, title.slice(1, -1)) : title);
  return el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, shown(title)))));
}

const fitting = new ResizeObserver((entries) => {
  for (const { target } of entries) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});

/** A table that is scrolled sideways where it does not fit: there the keys reach it, too. */
export function scrolled(table) {
  const element = el("div.scroll", { role: "group", "aria-label": "Table" }, table);
  fitting.observe(element);
  return element;
}

/** A number of things: "1 event", "2 events". */
export function count(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

/**
 * Asks for confirmation; resolves to true if the reader confirms, else to false.
 * @param {string} question
 * @param {string} yes label of the confirming button
 * @param {Object} [more] `detail`: the consequence; `also`: a field below it; `no`: label of the other button; `kind`: class
 *   of the confirming one
 */
export function confirmed(question, yes, { detail, also, no = "Cancel", kind = "primary" } = {}) {
  const choices = el("p.row", {}, el(`button.${kind}`, { value: "yes" }, yes), el("button", { value: "no", autofocus: true, formNoValidate: true }, no));
  const asked = [el("h2", { id: "question" }, question), detail && el("p", { id: "consequence" }, detail), also];
  const dialog = el("dialog.card", { "aria-labelledby": "question", "aria-describedby": detail && "consequence" }, el("form", { method: "dialog" }, asked, choices));
  return answered(dialog).then((answer) => answer === "yes");
}

/**
 * Shows a dialog with a form until it is answered, and takes it away.
 *
 * The browser's event `close` comes after the focus is back: a key pressed between them would find its button still busy.
 * So the answer is given in the moment that the page behind is the reader's again.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<string>} the value of the button that answered; empty when the reader closed it
 */
export function answered(dialog) {
  const opener = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    const gone = (answer) => {
      if (!dialog.isConnected) return;
      dialog.close();
      dialog.remove();
      // the page may have been rebuilt behind it
      if (!opener.isConnected) (document.getElementById(opener.id) ?? document.getElementById("main")).focus({ preventScroll: true });
      resolve(answer);
    };
    dialog.addEventListener("submit", (event) => {
      event.preventDefault();
      gone(event.submitter?.value ?? "");
    });
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      gone("");
    });
    dialog.addEventListener("close", () => gone(""));
  });
}

/** Runs something now and every so many seconds, but not while the page is hidden; returns a function that stops it. */
export function every(seconds, work) {
  let timer = null;
  const run = () => {
    clearTimeout(timer);
    if (document.hidden) return;
    Promise.resolve(work()).finally(() => {
      timer = setTimeout(run, seconds * 1000);
    });
  };
  const seen = () => document.hidden || run();
  document.addEventListener("visibilitychange", seen);
  run();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
