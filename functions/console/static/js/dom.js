/** Building pages: elements, text that cannot become markup, times and money as people read them, announcements. */

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

/** Replaces what an element contains, and keeps the focus where the same id is there again. */
export function fill(element, ...children) {
  const focused = document.activeElement?.id;
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  if (focused && element.querySelector(`#${CSS.escape(focused)}`)) document.getElementById(focused).focus();
}

/** Says something to screen readers, and shows it for a while at the foot of the page. */
export function announce(text, kind = "info") {
  const region = document.getElementById("announcements");
  const line = el(`p.${kind}`, {}, text);
  region.append(line);
  setTimeout(() => line.remove(), 8000);
}

/** A price in cents as money, in the reader's way of writing it. */
export function money(cents, currency = "usd") {
  return new Intl.NumberFormat(undefined, { style: "currency", currency: currency.toUpperCase() }).format(cents / 100);
}

/** An instant (ISO 8601) as the reader's local date and time. */
export function time(instant) {
  if (!instant) return "–";
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));
}

/** Seconds as 1:05 or 1:02:03. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** A state as a pill; the colours are those of the banner: pending yellow, waiting blue, live green, scheduled purple. */
export function pill(status) {
  return el("span.pill", { "data-status": status }, status.replaceAll("_", " "));
}

/** A table's head of column titles. */
export function head(...titles) {
  return el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title))));
}

/** Runs something now and then every so many seconds, but not while nobody looks; returns what stops it. */
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
