/** A customer's receipts and credit notes: the list, and one as it is printed. */

import { download, get } from "../api/api.js";
import { empty, table } from "../lib/components.js";
import { count, el, head, money } from "../lib/dom.js";
import { action } from "../lib/shell.js";

const PAGES = 5; // of 100, that are looked through for those of one session
const KINDS = { receipt: "Receipt", credit_note: "Credit note", correction: "Correction" };

/** The list, newest first; of one session, if the query names it. */
export async function receipts(query) {
  const session = query.get("session");
  if (session) return ofSession(session);
  const { receipts: found, nextCursor } = await get("/api/customer/receipts?limit=50");
  if (!found.length) return [el("h1", {}, "Your receipts"), empty("No receipts yet", "There is one for each payment, to print and to keep.")];
  return [el("h1", {}, "Your receipts"), listed(found), nextCursor && el("p.quiet", {}, "The newest 50.")];
}

async function ofSession(session) {
  const all = el("a.button", { href: "#receipts" }, "All receipts");
  const found = [];
  let cursor = "";
  for (let page = 0; page < PAGES && cursor !== null && !found.length; page += 1) { // one document names the others of its purchase
    const { receipts: some, nextCursor } = await get(`/api/customer/receipts?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    found.push(...some.filter(({ sessionId }) => sessionId === session));
    cursor = nextCursor;
  }
  if (!found.length) return [el("h1", {}, "Receipts of this session"), empty("No receipt", "There is one once a card was charged for it. Credits have theirs from when they were bought.", all)];
  return [el("h1", {}, "Receipts of this session"), listed(found), el("p.row", {}, all)];
}

function listed(found) {
  return table(["Number", "Date", "What", "Amount"], found.map((each) => [link(each), day(each.issuedAt), each.title, signed(each)]), { numbers: [3] });
}

/** One document; `id` of the query says which. */
export async function receipt(query) {
  const id = query.get("id");
  const found = await get(`/api/receipts/${id}`);
  const name = `${KINDS[found.kind]} ${found.number}`;
  const keep = () => download(`/api/receipts/${id}?format=pdf`, `${found.kind.replace("_", "-")}-${found.number}.pdf`);
  return [
    el("p.unprinted", {}, el("a", { href: "#receipts" }, "All receipts")),
    el(
      "article.card.paper",
      {},
      el("div.row.apart", {}, el("h1", {}, name), el("p.lines", {}, found.issuer)),
      el("p.quiet", {}, [day(found.issuedAt), found.corrects && `for receipt ${found.corrects}`].filter(Boolean).join(" · ")),
      found.customerName && el("p", {}, `For ${found.customerName}`),
      el(
        "table",
        {},
        head("What", "Amount"),
        el("tbody", {}, found.lines.map((line) => el("tr", {}, el("td", {}, line.text), el("td.number", {}, amount(line))))),
        el(
          "tfoot",
          {},
          el("tr", {}, el("th", { scope: "row" }, found.kind === "credit_note" ? "Total that went back" : "Total"), el("td.number", {}, el("strong", {}, amount(found)))),
          found.taxCents > 0 && el("tr", {}, el("th", { scope: "row" }, "of which tax"), el("td.number", {}, money(found.taxCents))),
        ),
      ),
      found.related.length > 0 && [
        el("h2", {}, "Of the same purchase"),
        el("ul", {}, found.related.map((each) => el("li", {}, link(each, `${KINDS[each.kind]} ${each.number}`), ` of ${day(each.issuedAt)}: ${amount(each)}`))),
      ],
    ),
    el("p.row.unprinted", {}, el("button.primary", { type: "button", onclick: () => print() }, "Print"), action("Download PDF", keep)),
  ];
}

function link({ receiptId, number }, text = number) {
  return el("a", { href: `#receipt?id=${receiptId}` }, text);
}

function amount({ amountCents, credits }) {
  return amountCents === null ? count(credits, "credit") : money(amountCents);
}

/** What went back has a minus. */
function signed(each) {
  return each.kind === "credit_note" ? `−${amount(each)}` : amount(each);
}

function day(instant) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(instant));
}
