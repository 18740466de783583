/** What operators did to a session or a mechanic, and whom they looked up, as the audit has it. */

import { signedIn } from "../api/auth.js";
import { table } from "../lib/components.js";
import { el, time } from "../lib/dom.js";
import { plain } from "../lib/states.js";

const KINDS = {
  "mechanic.added": "Added",
  "mechanic.destination_changed": "Paid to another account",
  "payout.held": "Payout held",
  "payout.released": "Payout released",
  "settlement.decided": "Decided about its money",
  "contest.decided": "Decided about the contest",
  "lookup.contact": "Saw phone and e-mail",
  "session.offered": "Offered to a mechanic by name",
  "session.messaged": "Wrote to the customer",
};
const FIELDS = { suspension_reason: "reason", workshop_id: "workshop", stripe_account_id: "account at Stripe" };
const OWN = ["change_id", "changed_by", "suspended_at"]; // of the bookkeeping, not of the change

/** @param {Object} found as GET /api/admin/changes answers it */
export function record({ changes, nextCursor }) {
  const rows = changes.map((each) => [time(each.at), happened(each), by(each)]);
  return el(
    "section.card",
    { "aria-label": "What operators did" },
    el("h2", {}, "What operators did"),
    rows.length ? table(["When", "What", "By"], rows, { caption: "What operators did" }) : el("p.quiet", {}, "Nothing yet."),
    nextCursor && el("p.quiet", {}, "There is more: GET /api/admin/changes."),
  );
}

function happened({ kind, changed, after }) {
  if (kind === "mechanic.changed" && after.status === "suspended") return changed.includes("suspension_reason") ? "Suspended, with a reason" : "Suspended";
  if (kind === "mechanic.changed" && after.status === "active") return "Reinstated";
  if (kind.startsWith("lookup.") && !KINDS[kind]) return `Found it by ${kind.slice("lookup.".length)}`;
  if (kind.endsWith(".changed")) return `Changed: ${changed.filter((each) => !OWN.includes(each)).map((each) => FIELDS[each] ?? plain(each).toLowerCase()).join(", ")}`;
  return [KINDS[kind] ?? plain(kind), after.outcome && `: ${after.outcome}`];
}

function by({ actorId, actor }) {
  if (!actorId) return el("code", {}, actor);
  return actorId === signedIn()?.sub ? "you" : el("code", { title: actorId }, `admin ${actorId.slice(-8)}`);
}
