/** A mechanic's statements: the months in which something happened, one as it is printed, and the consent to netting. */

import { download, get, post } from "../api/api.js";
import { table } from "../lib/components.js";
import { el, head, money, scrolled } from "../lib/dom.js";
import { action } from "../lib/shell.js";

/** The months, newest first, and each year as a file; nothing before the first earning. */
export function statements({ statements: months, years }) {
  if (!months.length) return null;
  const rows = months.map(({ month, earnedCents, paidOutCents, closing }) => [link(month), money(earnedCents), money(paidOutCents), money(closing.payableCents), closing.owedCents ? money(closing.owedCents) : "–"]);
  return el(
    "section",
    {},
    el("h2", {}, "Statements"),
    table(["Month", "Earned", "Paid out", "Owed to you", "You owe"], rows, { numbers: [1, 2, 3, 4] }),
    el("p.row", {}, years.map((year) => action(`All of ${year} for tax (CSV)`, () => keep(year, "csv")))),
  );
}

/**
 * What is owed, and whether it may be kept from the next payouts; nothing for who owes nothing and agreed to nothing.
 * @param {Object} found `netting` of the earnings
 * @param {function(): Promise<void>} changed called once the consent is given or withdrawn
 */
export function consent({ agreed, agreedAt, owedCents, version, words }, changed) {
  if (!agreed && !owedCents) return null;
  const say = (wish) => async () => {
    await post("/api/mechanic/netting", { agreed: wish, version });
    await changed();
  };
  return el(
    "section.card",
    { id: "netting" },
    el("h2", {}, owedCents ? `You have to give back ${money(owedCents)}` : "Giving back from payouts"),
    el("p", {}, words),
    el("p", { role: "status" }, agreed ? `You agreed on ${day(agreedAt)}.` : "You did not agree to this."),
    agreed ? action("Withdraw", say(false)) : action("I agree", say(true), { kind: "primary" }),
  );
}

/** One statement; `month` of the query says which: a month, or a year. */
export async function statement(query) {
  const period = query.get("month");
  const found = await whole(`/api/mechanic/statements/${encodeURIComponent(period)}`);
  return [
    el("p.unprinted", {}, el("a", { href: "#earnings" }, "Earnings")),
    el(
      "article.card.paper",
      {},
      el("div.row.apart", {}, el("h1", {}, `Statement ${found.period}`), el("p.lines", {}, found.issuer)),
      el("p.quiet", {}, `As of ${instant(found.issuedAt)}${found.isFinal ? "" : "; the period is not over"}. Days and months are of UTC.`),
      el("p", {}, `For ${found.mechanicName}`),
      sums(found),
      found.waiting.length > 0 && waiting(found.waiting),
      found.lines.length > 0 && [el("h2", {}, "Line by line"), table(["Date", "What", "Owed to you", "You owe"], found.lines.map(line), { numbers: [2, 3] })],
    ),
    el("p.row.unprinted", {}, el("button.primary", { type: "button", onclick: () => print() }, "Print"), action("Download PDF", () => keep(period, "pdf")), action("Download CSV", () => keep(period, "csv"))),
  ];
}

/** A statement with the lines of all its pages. */
async function whole(path) {
  const found = await get(path);
  for (let { nextCursor } = found; nextCursor; ) {
    const page = await get(`${path}?cursor=${nextCursor}`);
    found.lines.push(...page.lines);
    ({ nextCursor } = page);
  }
  return found;
}

function sums({ opening, closing, totals, startsAt }) {
  const sum = (text, { payableCents, owedCents }, tag = "td") => el("tr", {}, el(tag, tag === "th" ? { scope: "row" } : {}, text), el("td.number", {}, money(payableCents)), el("td.number", {}, money(owedCents)));
  return scrolled(
    el(
      "table",
      {},
      head("In all", "Owed to you", "You owe"),
      el("tbody", {}, sum(`Balance on ${day(startsAt)}`, opening), totals.map((each) => sum(`${each.text} (${each.lines})`, each))),
      el("tfoot", {}, sum("Balance at the end", closing, "th")),
    ),
  );
}

function waiting(rows) {
  const why = ({ text, until }) => el("p", {}, until ? `${text} Until ${instant(until)}.` : text);
  const cells = rows.map((each) => [day(each.earnedAt), each.reasons.map(why), each.amountCents === null ? "not decided" : money(each.amountCents)]);
  return [el("h2", {}, "Not sent yet, and why"), table(["Earned", "Why", "Amount"], cells, { numbers: [2] })];
}

function line({ bookedAt, text, transferId, payableCents, owedCents }) {
  return [day(bookedAt), [el("span", {}, text), transferId && el("span.quiet.small", {}, ` ${transferId}`)], money(payableCents), money(owedCents)];
}

function keep(period, format) {
  return download(`/api/mechanic/statements/${encodeURIComponent(period)}?format=${format}`, `statement-${period}.${format}`);
}

function link(month) {
  return el("a", { href: `#statement?month=${month}` }, new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" }).format(new Date(`${month}-01`)));
}

function day(at) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(at));
}

function instant(at) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }).format(new Date(at)) + " UTC";
}
