/** Small SVG charts, each with a table of the same numbers for screen readers. */

import { el, head, scrolled } from "./dom.js";

const LABELS = 8;
const LINES = 4; // of the axis at the side, at most
const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/**
 * Bars side by side, each a stack of series.
 * @param {string} title
 * @param {Array<{label: string, values: Object<string, number>}>} bars oldest first
 * @param {Object<string, string>} labels of the series, by their names, which are classes too
 */
export function stackedBars(title, bars, labels) {
  const series = Object.keys(labels);
  const [width, height] = [720, 140];
  const tallest = Math.max(1, ...bars.map(({ values }) => series.reduce((sum, name) => sum + (values[name] ?? 0), 0)));
  const each = stepOf(tallest);
  const most = Math.ceil(tallest / each) * each;
  const step = width / Math.max(1, bars.length);
  const shapes = bars.flatMap(({ label, values }, index) => {
    let top = height;
    const hovered = svg("rect", { class: "bar-hour", x: index * step, y: 0, width: step, height });
    hovered.append(svg("title", {}, [label, ...series.map((name) => `${values[name] ?? 0} ${labels[name].toLowerCase()}`)].join("\n")));
    const stack = series.map((name) => {
      const tall = (height * (values[name] ?? 0)) / most;
      top -= tall;
      return svg("rect", { class: `bar-${name}`, x: index * step + 1, y: top, width: Math.max(1, step - 2), height: tall });
    });
    return [...stack, hovered];
  });
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": title }, ...shapes);
  const rows = bars.map(({ label, values }) => el("tr", {}, el("th", { scope: "row" }, label), series.map((name) => el("td.number", {}, values[name] ?? 0))));
  return el(
    "figure.card.chart",
    {},
    el("figcaption", {}, el("strong", {}, title), el("span.row.quiet", {}, series.map((name) => el(`span.key.key-${name}`, {}, labels[name]))), el("span.quiet.most", {}, "sessions in an hour")),
    el("div.plot", {}, scale(most, each), picture),
    axis(bars.map(({ label }) => label)),
    el("details", {}, el("summary", {}, "As a table"), scrolled(el("table", {}, head("Hour", ...Object.values(labels)), el("tbody", {}, rows)))),
  );
}

/** How far the lines of the axis at the side are apart: 1, 2, 5, 10, 20, 50 … */
function stepOf(most) {
  const least = most / LINES;
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

/** The axis at the side: a line and its number, at every so many. */
function scale(most, each) {
  const numbers = Array.from({ length: most / each + 1 }, (_, index) => index * each);
  return el(
    "div.scale",
    { "aria-hidden": "true" },
    numbers.map((number) => {
      const line = el("span", {}, number);
      line.style.insetBlockEnd = `${(100 * number) / most}%`;
      return line;
    }),
  );
}

/** The labels below the bars, as HTML text because the SVG is stretched; no more than fit on a phone. */
function axis(labels) {
  const every = Math.ceil(labels.length / LABELS);
  const shown = labels.map((label, index) => [label, index / labels.length]).filter(([, place], index) => index % every === 0 && place <= 1 - 1 / LABELS);
  return el(
    "div.axis",
    { "aria-hidden": "true" },
    shown.map(([label, place]) => {
      const element = el("span", {}, label);
      element.style.insetInlineStart = `${place * 100}%`;
      return element;
    }),
  );
}

/** One row per label: a bar relative to the largest count, and the count as a link. */
export function lines(title, counts) {
  const most = Math.max(1, ...counts.map(({ count }) => count));
  const rows = counts.map(({ label, count, href }) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, label),
      el("td.wide", {}, el("meter", { min: 0, max: most, value: count, "aria-label": label })),
      el("td.number", {}, href ? el("a", { href }, count) : count),
    ),
  );
  return el("section.card", {}, el("h2", {}, title), scrolled(el("table", {}, el("tbody", {}, rows))));
}
