/** Components that several pages show; `/_dev/components` of the local cloud shows them all, in every state. */

import { el } from "./dom.js";

const HUES = 6;

/** Somebody's initials; a name always has the same colour. */
export function face(name) {
  const letters = (name ?? "").split(/\s+/).filter(Boolean).map(([first]) => first);
  const initials = letters.length > 1 ? letters[0] + letters.at(-1) : (letters[0] ?? "?");
  const sum = [...(name ?? "")].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return el("span.face", { "aria-hidden": "true", "data-hue": sum % HUES }, initials);
}

/** Grey shapes in place of what is being fetched. */
export function skeleton() {
  return el("div.skeleton", { role: "status" }, el("span.unseen", {}, "Loading"), ...["title", "", "short", "block", "block"].map((kind) => el(kind ? `i.${kind}` : "i")));
}

/**
 * What stands where there is nothing yet.
 * @param {string} title
 * @param {string} words
 * @param {Node} [way] a link or button that leads on
 */
export function empty(title, words, way) {
  return el("section.card.empty", {}, el("p.title", {}, title), el("p.quiet", {}, words), way && el("p", {}, way));
}

/**
 * A table whose rows are cards on a phone, where each cell has its column's title.
 * @param {string[]} titles of the columns; one in brackets is only for screen readers
 * @param {Array<Array<*>>} rows of contents of cells
 * @param {Object} [more] `caption`, `numbers`: which columns hold numbers, `isNamed`: the first cell is what its row is about,
 *   `isPlain`: it is short enough to stay a table on a phone
 */
export function table(titles, rows, { caption, numbers = [], isNamed = false, isPlain = false } = {}) {
  const heads = titles.map((title) => el("th", { scope: "col", role: "columnheader" }, title.startsWith("(") ? el("span.unseen", {}, title.slice(1, -1)) : title));
  const cell = (content, index) => {
    const [tag, about] = isNamed && index === 0 ? ["th", { scope: "row", role: "rowheader" }] : ["td", { role: "cell" }];
    const label = titles[index].startsWith("(") ? null : titles[index];
    return el(numbers.includes(index) ? `${tag}.number` : tag, { ...about, "data-label": label }, el("div", {}, ...[content].flat()));
  };
  const body = rows.map((cells) => el("tr", { role: "row" }, cells.map(cell)));
  return el(isPlain ? "table.plain" : "table.cards", { role: "table" }, caption && el("caption.unseen", {}, caption), el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), el("tbody", { role: "rowgroup" }, body));
}

/**
 * Where one is in a form of several steps.
 * @param {string[]} titles
 * @param {number} current from 0
 */
export function steps(titles, current) {
  const state = (index) => (index < current ? "done" : index === current ? "now" : "later");
  return el("ol.steps", { "aria-label": "Steps" }, titles.map((title, index) => el("li", { "data-state": state(index), "aria-current": index === current ? "step" : null }, el("span", {}, title))));
}
